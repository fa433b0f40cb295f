//! What an instance wants done, and what it has to say. The texts are keepalived's where it has one, since people search for them.

use crate::Refusal;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// What the shell does for an instance, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Send an advert.
    Send(Datagram),
    /// Put all addresses (with excluded ones, routes, rules) in place that are not there yet.
    AddAddresses,
    /// Take all of them away.
    RemoveAddresses,
    /// Send gratuitous ARP or unsolicited neighbour advertisements for every address, so many times.
    Announce(u8),
    /// Run scripts, write to the fifo, send mail.
    Notify {
        /// What has happened.
        notice: Notice,
        /// The effective priority.
        priority: u8,
    },
    /// Write to the log.
    Report(Report),
}

/// An advert with its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// The address that it comes from.
    pub source: IpAddr,
    /// The group, or a peer.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub hops: u8,
    /// IPv4: all of the datagram with its header. IPv6: what comes behind the header, the checksum in place.
    pub bytes: Vec<u8>,
}

/// The public states of a virtual router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Not started, or stopped.
    Init,
    /// Listening.
    Backup,
    /// Answering for the addresses.
    Master,
    /// Something is broken that forbids to be either.
    Fault,
}

/// As in the log.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Init => "INIT",
            State::Backup => "BACKUP",
            State::Master => "MASTER",
            State::Fault => "FAULT",
        })
    }
}

/// What scripts are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notice {
    /// `notify_master`.
    Master,
    /// `notify_backup`.
    Backup,
    /// `notify_fault`.
    Fault,
    /// `notify_stop`.
    Stop,
    /// `notify_deleted`.
    Deleted,
    /// `notify_master_rx_lower_pri`.
    MasterRxLowerPri,
    /// The fifo only: the priority of a master changed.
    MasterPriority,
    /// The fifo only: the priority of a backup changed.
    BackupPriority,
}

/// The word that keepalived passes.
impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Notice::Master => "MASTER",
            Notice::Backup => "BACKUP",
            Notice::Fault => "FAULT",
            Notice::Stop => "STOP",
            Notice::Deleted => "DELETED",
            Notice::MasterRxLowerPri => "MASTER_RX_LOWER_PRI",
            Notice::MasterPriority => "MASTER_PRIORITY",
            Notice::BackupPriority => "BACKUP_PRIORITY",
        })
    }
}

/// Why a state was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The start.
    Started,
    /// The owner of the addresses begins as master.
    Owner,
    /// No master was heard for the master-down time.
    Timeout,
    /// The master said that it leaves.
    PriorityZero,
    /// A master of higher priority, or of equal priority and higher address.
    Outranked {
        /// Who.
        by: IpAddr,
        /// With which priority.
        priority: u8,
    },
    /// The interface is down.
    LinkDown,
    /// There is no address to send from.
    NoSource,
    /// Unicast without peers.
    NoPeers,
    /// What is tracked at this place of the configuration is down.
    Tracked(usize),
    /// The sync group made it follow.
    Group,
    /// What was at fault is well again.
    Recovered,
    /// An address was taken away by somebody else.
    AddressLost,
    /// The operator.
    Stopped,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Started => f.write_str("start"),
            Cause::Owner => f.write_str("owner of the addresses"),
            Cause::Timeout => f.write_str("no master was heard"),
            Cause::PriorityZero => f.write_str("the master leaves"),
            Cause::Outranked { by, priority } => write!(f, "{by} is master with priority {priority}"),
            Cause::LinkDown => f.write_str("the interface is down"),
            Cause::NoSource => f.write_str("the interface has no address to send from"),
            Cause::NoPeers => f.write_str("there are no unicast peers"),
            Cause::Tracked(which) => write!(f, "tracked object {} is down", which + 1),
            Cause::Group => f.write_str("the sync group"),
            Cause::Recovered => f.write_str("no fault any more"),
            Cause::AddressLost => f.write_str("an address was removed"),
            Cause::Stopped => f.write_str("stop"),
        }
    }
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// When.
    pub at: Instant,
    /// The state before.
    pub from: State,
    /// The state since.
    pub to: State,
    /// Why.
    pub cause: Cause,
}

/// A line for the log, without the name of the instance that stands before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// It changed its state.
    Entering {
        /// The new state.
        state: State,
        /// Whether it has just been started.
        init: bool,
        /// Why.
        cause: Cause,
    },
    /// The master-down timer has expired.
    Timeout,
    /// A master leaves: heard as backup.
    PriorityZero(IpAddr),
    /// Priority 0 was sent.
    SentPriorityZero,
    /// As backup: a master of lower priority that is about to be preempted.
    Discarding {
        /// Who.
        from: IpAddr,
        /// With which priority.
        priority: u8,
    },
    /// As backup: a master of lower priority that is left alone for a while.
    PreemptDelay(Duration),
    /// As backup: another master has come that is not to be preempted.
    PreemptDelayOver,
    /// VRRPv3: a master has another interval than was thought.
    Learned {
        /// What was thought.
        from: Duration,
        /// What it is.
        to: Duration,
    },
    /// VRRPv3: as master the own interval is in force again.
    Unlearned {
        /// What was learned.
        from: Duration,
        /// The own one.
        to: Duration,
    },
    /// As master: somebody else leaves, who was master too.
    MasterPriorityZero(IpAddr),
    /// As master: somebody else is, too, and has to go.
    LowerPriority {
        /// Who.
        from: IpAddr,
        /// With which priority.
        priority: u8,
        /// Ours.
        ours: u8,
        /// Whether an advert is the answer.
        answered: bool,
    },
    /// As master: somebody else is, too, and we go.
    HigherPriority {
        /// Who.
        from: IpAddr,
        /// With which priority.
        priority: u8,
        /// Ours.
        ours: u8,
    },
    /// Two routers claim to own the addresses.
    TwoOwners(IpAddr),
    /// A master announces other addresses than ours.
    OtherAddresses(IpAddr),
    /// The effective priority has changed.
    Priority {
        /// What it was.
        from: u8,
        /// What it is.
        to: u8,
    },
    /// A unicast peer uses the checksum of keepalived 1.3.6; so do we now.
    OldChecksum(IpAddr),
    /// A packet was refused. At most one such line a second.
    Refused {
        /// Who claims to have sent it.
        from: IpAddr,
        /// Why.
        why: Refusal,
        /// Refused without a line since the last one.
        more: u64,
    },
    /// A timer was served late: the machine is too busy.
    Late(Duration),
    /// The addresses of a leaving master are with another one, or nobody came.
    HandedOver(Option<IpAddr>),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Entering { state, init: true, .. } => write!(f, "Entering {state} STATE (init)"),
            Report::Entering { state: State::Fault, cause, .. } => write!(f, "Entering FAULT STATE ({cause})"),
            Report::Entering { state, .. } => write!(f, "Entering {state} STATE"),
            Report::Timeout => f.write_str("Receive advertisement timeout"),
            Report::PriorityZero(from) => write!(f, "Backup received priority 0 advertisement from {from}"),
            Report::SentPriorityZero => f.write_str("sent 0 priority"),
            Report::Discarding { from, priority } => {
                write!(f, "received lower priority ({priority}) advert from {from} - discarding")
            }
            Report::PreemptDelay(delay) => write!(f, "start preempt delay ({}s)", delay.as_secs_f64()),
            Report::PreemptDelayOver => f.write_str("stop preempt delay"),
            Report::Learned { from, to } => {
                write!(f, "advertisement interval updated from {}ms to {}ms by master", from.as_millis(), to.as_millis())
            }
            Report::Unlearned { from, to } => {
                write!(f, "changing advert interval from {}ms to locally configured {}ms", from.as_millis(), to.as_millis())
            }
            Report::MasterPriorityZero(from) => write!(f, "Master received priority 0 message from {from}"),
            Report::LowerPriority { from, priority, ours, answered } => {
                let answer = if *answered { ", forcing new election" } else { "" };
                write!(f, "Received advert from {from} with lower priority {priority}, ours {ours}{answer}")
            }
            Report::HigherPriority { from, priority, ours } if priority == ours => {
                write!(f, "Master received advert from {from} with same priority {priority} but higher IP address than ours")
            }
            Report::HigherPriority { from, priority, ours } => {
                write!(f, "Master received advert from {from} with higher priority {priority}, ours {ours}")
            }
            Report::TwoOwners(from) => write!(
                f,
                "CONFIGURATION ERROR: this router and {from} are both configured as address owner; give one of them a priority below 255"
            ),
            Report::OtherAddresses(from) => {
                write!(f, "{from} announces other addresses than virtual_ipaddress has here; the lists should be the same")
            }
            Report::Priority { from, to } => write!(f, "Changing effective priority from {from} to {to}"),
            Report::OldChecksum(from) => write!(f, "Setting unicast VRRPv3 checksum to old version, which {from} uses"),
            Report::Refused { from, why, more: 0 } => write!(f, "dropped packet from {from}: {why}"),
            Report::Refused { from, why, more } => write!(f, "dropped packet from {from}: {why} ({more} more since the last message)"),
            Report::Late(by) => write!(f, "a timer was served {} ms late", by.as_millis()),
            Report::HandedOver(Some(to)) => write!(f, "{to} is the new master"),
            Report::HandedOver(None) => f.write_str("no new master was heard"),
        }
    }
}
