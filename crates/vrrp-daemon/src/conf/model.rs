//! What a keepalived.conf says, after it has been understood. Names are keepalived's.

use super::diag::Place;
pub use super::links::{DelayConf, GarpGroupConf, PolledConf};
pub use super::route::{HopConf, RouteConf};
pub use super::rule::{Does, RuleConf};
use super::tracking::{FileConf, ProcessConf};
use std::net::IpAddr;
use std::time::Duration;
use vrrp::{Garp, OldChecksum, Peer, Version};

/// A whole configuration.
#[derive(Debug, Clone, Default)]
pub struct Conf {
    /// `global_defs`.
    pub global: Global,
    /// `vrrp_instance`, in the order of the file.
    pub instances: Vec<InstanceConf>,
    /// `vrrp_sync_group`.
    pub groups: Vec<GroupConf>,
    /// `vrrp_script`.
    pub scripts: Vec<ScriptConf>,
    /// `track_file`.
    pub files: Vec<FileConf>,
    /// `vrrp_track_process`.
    pub processes: Vec<ProcessConf>,
    /// `static_ipaddress`, `static_routes`, `static_rules`.
    pub statics: Statics,
    /// `track_group`.
    pub track_groups: Vec<TrackGroupConf>,
    /// `interface_up_down_delays`.
    pub delays: Vec<DelayConf>,
    /// `linkbeat_interfaces`, and interfaces of instances with `linkbeat_use_polling`.
    pub polled: Vec<PolledConf>,
    /// `linkbeat_use_polling`: the same for all that the file names.
    pub poll_all: bool,
    /// `garp_group`.
    pub garp_groups: Vec<GarpGroupConf>,
    /// Virtual interfaces that `use_vmac` and its like ask for.
    pub links: Vec<LinkConf>,
    /// `net_namespace`: where it runs.
    pub namespace: Option<String>,
    /// `instance`: one of several on a host.
    pub instance_name: Option<String>,
    /// `use_pid_dir`: files with numbers of processes are in `/run/keepalived`.
    pub pid_dir: bool,
    /// What the file asks for and this program does not do yet: it does not start with any of these.
    pub unsupported: Vec<Unsupported>,
}

/// Something that the file asks for and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// Where.
    pub place: Place,
    /// The word.
    pub keyword: String,
    /// Of which block.
    pub block: &'static str,
}

/// `global_defs`, as far as something depends on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Global {
    /// `router_id`.
    pub router_id: Option<String>,
    /// `vrrp_version`.
    pub vrrp_version: Option<Version>,
    /// `vrrp_mcast_group4`, `vrrp_mcast_group6`.
    pub group4: Option<IpAddr>,
    /// The same for IPv6.
    pub group6: Option<IpAddr>,
    /// `vrrp_garp_…`.
    pub garp: GarpConf,
    /// `vrrp_down_timer_adverts`.
    pub down_timer_adverts: Option<u8>,
    /// `vrrp_lower_prio_no_advert`.
    pub lower_prio_no_advert: bool,
    /// `vrrp_higher_prio_send_advert`.
    pub higher_prio_send_advert: bool,
    /// `vrrp_check_unicast_src`.
    pub check_unicast_src: bool,
    /// `vrrp_skip_check_adv_addr`.
    pub skip_check_adv_addr: bool,
    /// `vrrp_notify_priority_changes`.
    pub notify_priority_changes: bool,
    /// `vrrp_startup_delay`.
    pub startup_delay: Duration,
    /// `script_user`: user and group.
    pub script_user: Option<User>,
    /// `enable_script_security`.
    pub script_security: bool,
    /// `default_interface`.
    pub default_interface: Option<String>,
    /// `notify_fifo` and `vrrp_notify_fifo`.
    pub fifos: [FifoConf; 2],
    /// `fifo_write_vrrp_states_on_reload`.
    pub fifo_states_on_reload: bool,
    /// `vrrp_strict`.
    pub strict: bool,
    /// `vmac_prefix`.
    pub vmac_prefix: Option<String>,
    /// `vmac_addr_prefix`.
    pub vmac_addr_prefix: Option<String>,
    /// `nftables`: the table's name.
    pub nftables: Option<String>,
    /// `disable_local_igmp`: the host reports no groups of 224.0.0.0/24, on no interface.
    pub no_local_igmp: bool,
    /// `nftables_priority`.
    pub nftables_priority: Option<i32>,
    /// `nftables_counters`.
    pub nftables_counters: bool,
    /// `vrrp_garp_extra_if`: on all interfaces or virtual ones only, and how often.
    pub garp_extra: Option<(bool, Duration)>,
    /// `vrrp_garp_interval`.
    pub garp_interval: Duration,
    /// `vrrp_gna_interval`.
    pub gna_interval: Duration,
    /// `dynamic_interfaces`.
    pub dynamic_interfaces: bool,
    /// `vrrp_priority`: -20, the highest, to 19.
    pub nice: Option<i32>,
    /// `vrrp_rt_priority`: 1 to 99.
    pub realtime: Option<i32>,
    /// `vrrp_no_swap`.
    pub no_swap: bool,
    /// `vrrp_cpu_affinity`.
    pub cores: Vec<usize>,
    /// `vrrp_rlimit_rttime`.
    pub rttime: Option<Duration>,
    /// `max_auto_priority`: up to which real-time priority the thread of the elections raises itself when it is late; 0 for not at all.
    pub max_auto_priority: i32,
    /// `min_auto_priority_delay`: how late that is.
    pub auto_priority_delay: Option<Duration>,
    /// Whom mail goes to, and how.
    pub mail: MailConf,
    /// `startup_script` and the time that it has.
    pub startup: Option<Command>,
    /// `startup_script_timeout`.
    pub startup_timeout: Option<Duration>,
    /// `shutdown_script`.
    pub shutdown: Option<Command>,
    /// `shutdown_script_timeout`.
    pub shutdown_timeout: Option<Duration>,
    /// `vrrp_process_name`, or keepalived's with `process_names`.
    pub process_name: Option<String>,
    /// `umask`: of the files that it makes.
    pub umask: Option<u32>,
    /// `log_unknown_vrids`.
    pub log_unknown_vrids: bool,
    /// `data_use_instance`.
    pub data_use_instance: bool,
    /// `reload_time_file`: it names the moment when the configuration is read again.
    pub reload_time: Option<String>,
    /// `reload_repeat`: that file stays.
    pub reload_repeat: bool,
    /// `reload_file`: it is there while the file is read. Without a path of its own the default.
    pub reload_file: Option<Option<String>>,
}

/// What `notification_email`, `smtp_…` and `smtp_alert` say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailConf {
    /// `notification_email`.
    pub to: Vec<String>,
    /// `notification_email_from`; without it the user that it runs as, at the host's name.
    pub from: Option<String>,
    /// `smtp_server`: a name or an address, and the port.
    pub server: Option<(String, u16)>,
    /// `smtp_helo_name`; without it the host's name.
    pub helo: Option<String>,
    /// `smtp_connect_timeout`.
    pub timeout: Option<Duration>,
    /// `no_email_faults`.
    pub no_faults: bool,
    /// `smtp_alert`.
    pub alert: Option<bool>,
    /// `smtp_alert_vrrp`.
    pub alert_vrrp: Option<bool>,
}

impl MailConf {
    /// Whether there is mail about an instance or a group that says `own` about it.
    pub fn alerts(&self, own: Option<bool>) -> bool {
        own.or(self.alert_vrrp).or(self.alert).unwrap_or(false)
    }
}

impl Global {
    /// What the thread of the elections is given of the system.
    pub fn urgency(&self) -> (Option<i32>, Option<i32>, bool, &[usize], Option<Duration>) {
        (self.nice, self.realtime, self.no_swap, &self.cores, self.rttime)
    }
}

/// `notify_fifo` with `notify_fifo_script`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FifoConf {
    /// Where it is.
    pub path: Option<String>,
    /// To whom it belongs when it is made.
    pub user: Option<User>,
    /// What reads it.
    pub script: Option<Command>,
}

/// A user with a group, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct User {
    /// Its name.
    pub user: String,
    /// The group, if not the user's own.
    pub group: Option<String>,
}

/// `garp_…` where it is given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GarpConf {
    /// `garp_master_delay`.
    pub master_delay: Option<Duration>,
    /// `garp_master_repeat`.
    pub master_repeat: Option<u8>,
    /// `garp_lower_prio_delay`.
    pub lower_prio_delay: Option<Duration>,
    /// `garp_lower_prio_repeat`.
    pub lower_prio_repeat: Option<u8>,
    /// `garp_master_refresh`.
    pub master_refresh: Option<Duration>,
    /// `garp_master_refresh_repeat`.
    pub master_refresh_repeat: Option<u8>,
}

impl GarpConf {
    /// What holds when `self` is silent about something: first `global`, then keepalived's defaults.
    pub fn over(&self, global: &GarpConf) -> Garp {
        let default = Garp::default();
        let master_delay = self.master_delay.or(global.master_delay).unwrap_or(default.master_delay);
        let master_repeat = self.master_repeat.or(global.master_repeat).unwrap_or(default.master_repeat);
        Garp {
            master_repeat,
            master_delay,
            master_refresh: self.master_refresh.or(global.master_refresh).unwrap_or(default.master_refresh),
            master_refresh_repeat: self.master_refresh_repeat.or(global.master_refresh_repeat).unwrap_or(default.master_refresh_repeat),
            lower_prio_repeat: self.lower_prio_repeat.or(global.lower_prio_repeat).unwrap_or(master_repeat),
            lower_prio_delay: self.lower_prio_delay.or(global.lower_prio_delay).unwrap_or(master_delay),
        }
    }
}

/// `auth_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthType {
    /// A password in clear.
    Pass,
    /// An IP authentication header.
    Ah,
}

/// `vrrp_instance`.
#[derive(Debug, Clone)]
pub struct InstanceConf {
    /// Where it begins.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// `interface`.
    pub interface: Option<String>,
    /// `use_vmac`.
    pub vmac: Option<VmacConf>,
    /// `use_vmac_addr`.
    pub use_vmac_addr: bool,
    /// `vmac_xmit_base`.
    pub vmac_xmit_base: bool,
    /// The interface that adverts go over: its own, or a virtual one on that.
    pub wire: Option<String>,
    /// `accept`, `no_accept`, if the file says.
    pub accept: Option<bool>,
    /// `strict_mode`.
    pub strict: Option<bool>,
    /// `no_accept`, or what strict mode makes of it: nobody talks to the addresses; they are for routing.
    pub no_accept: bool,
    /// `linkbeat_use_polling`: where it stands.
    pub linkbeat: Option<Place>,
    /// `promote_secondaries`.
    pub promote_secondaries: bool,
    /// `garp_extra_if`: on all interfaces or virtual ones only, and how often; zero for never.
    pub garp_extra: Option<(bool, Duration)>,
    /// `track_src_ip`.
    pub track_src_ip: bool,
    /// `virtual_router_id`.
    pub vrid: Option<u8>,
    /// `priority`.
    pub priority: Option<u8>,
    /// `state MASTER`; an owner of the addresses is so too that does not say `state BACKUP`.
    pub master: bool,
    /// `state BACKUP`, in so many words.
    pub backup: bool,
    /// `advert_int`.
    pub advert_int: Option<Duration>,
    /// `version`.
    pub version: Option<Version>,
    /// `auth_type`.
    pub auth_type: Option<AuthType>,
    /// `auth_pass`.
    pub auth_pass: Option<String>,
    /// `mcast_src_ip` or `unicast_src_ip`.
    pub source: Option<IpAddr>,
    /// `mcast_dst_ip`.
    pub group: Option<IpAddr>,
    /// `unicast_peer`.
    pub peers: Vec<Peer>,
    /// A word of unicast stands there.
    pub unicast_word: bool,
    /// `unicast_ttl`.
    pub unicast_ttl: Option<u8>,
    /// Where `interface` stands.
    pub interface_place: Option<Place>,
    /// `native_ipv6`.
    pub native_ipv6: bool,
    /// `unicast_fault_no_peer`.
    pub unicast_fault_no_peer: bool,
    /// `check_unicast_src`.
    pub check_unicast_src: bool,
    /// `old_unicast_checksum`.
    pub old_unicast_checksum: OldChecksum,
    /// `virtual_ipaddress`.
    pub addresses: Vec<AddressConf>,
    /// `virtual_ipaddress_excluded`.
    pub excluded: Vec<AddressConf>,
    /// `virtual_routes`.
    pub routes: Vec<RouteConf>,
    /// `virtual_rules`.
    pub rules: Vec<RuleConf>,
    /// Interfaces that have to be up beside its own: those of what it puts in place and of static things that it depends on.
    pub needs: Vec<String>,
    /// `garp_…`.
    pub garp: GarpConf,
    /// `nopreempt`.
    pub nopreempt: bool,
    /// `preempt_delay`.
    pub preempt_delay: Duration,
    /// `lower_prio_no_advert`.
    pub lower_prio_no_advert: Option<bool>,
    /// `higher_prio_send_advert`.
    pub higher_prio_send_advert: Option<bool>,
    /// `skip_check_adv_addr`.
    pub skip_check_adv_addr: Option<bool>,
    /// `down_timer_adverts`.
    pub down_timer_adverts: Option<u8>,
    /// `dont_track_primary`.
    pub dont_track_primary: bool,
    /// What it tracks, and who is told.
    pub watch: Watch,
    /// `notify_priority_changes`.
    pub notify_priority_changes: Option<bool>,
}

/// `preferred_lft forever`, as the kernel writes it.
pub const FOREVER: u32 = u32::MAX;

/// One line of `virtual_ipaddress`, `virtual_ipaddress_excluded` or `static_ipaddress`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AddressConf {
    /// Where.
    pub place: Place,
    /// The address.
    pub address: IpAddr,
    /// Its prefix; 32 or 128 if the file says none.
    pub prefix: u8,
    /// `peer`: the other end of a point-to-point link.
    pub peer: Option<IpAddr>,
    /// `dev`.
    pub dev: Option<String>,
    /// `brd`.
    pub brd: Option<IpAddr>,
    /// `label`.
    pub label: Option<String>,
    /// `scope`, as the kernel numbers it.
    pub scope: u8,
    /// `preferred_lft`, in seconds; [`FOREVER`].
    pub preferred_lft: Option<u32>,
    /// `-nodad`: look for duplicates before it is used. Virtual addresses do not.
    pub dad: bool,
    /// `home`.
    pub home: bool,
    /// `mngtmpaddr`.
    pub mngtmpaddr: bool,
    /// `noprefixroute`.
    pub noprefixroute: bool,
    /// `autojoin`.
    pub autojoin: bool,
    /// `no_track`: its loss is no reason to give up the mastership.
    pub no_track: bool,
    /// `use_vmac`: on a virtual interface of its own.
    pub use_vmac: bool,
    /// The interface that it goes to: what the above, its instance and `default_interface` come to.
    pub on: Option<String>,
    /// `track_group`, of static addresses.
    pub track_group: Option<String>,
}

impl AddressConf {
    /// The same without its place: equal to what another file says of the same address.
    #[must_use]
    pub fn bare(self) -> AddressConf {
        AddressConf { place: Place { file: "".into(), line: 0 }, ..self }
    }

    /// An address without options.
    pub fn new(place: Place, address: IpAddr, prefix: u8) -> AddressConf {
        AddressConf {
            place,
            address,
            prefix,
            peer: None,
            dev: None,
            brd: None,
            label: None,
            scope: 0,
            preferred_lft: None,
            dad: false,
            home: false,
            mngtmpaddr: false,
            noprefixroute: false,
            autojoin: false,
            no_track: false,
            use_vmac: false,
            on: None,
            track_group: None,
        }
    }

    /// How long it is preferred as a source: an IPv6 address of its own network is none for connections of our own, unless the file says
    /// otherwise.
    pub fn preferred(&self) -> u32 {
        let alone = self.address.is_ipv6() && self.prefix == 128;
        self.preferred_lft.unwrap_or(if alone { 0 } else { FOREVER })
    }
}

/// `use_vmac [NAME] [MAC]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmacConf {
    /// Where.
    pub place: Place,
    /// The interface's name, if the file gives one.
    pub name: Option<String>,
    /// Its hardware address, if the file gives one: six octets, or five, behind which the virtual router id stands.
    pub mac: Option<Vec<u8>>,
}

/// A virtual interface with the hardware address of a virtual router, on top of another interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkConf {
    /// The line that asks for it.
    pub place: Place,
    /// The instance, as an index.
    pub instance: usize,
    /// Its name.
    pub name: String,
    /// The interface below it.
    pub base: String,
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Of the virtual router's addresses.
    pub family: vrrp::Family,
    /// Whether addresses of IPv6 are on it.
    pub ipv6: bool,
    /// For addresses only; adverts do not go over it.
    pub of_address: bool,
}

/// What stays on the host whoever is master.
#[derive(Debug, Clone, Default)]
pub struct Statics {
    /// `static_ipaddress`.
    pub addresses: Vec<AddressConf>,
    /// `static_routes`.
    pub routes: Vec<RouteConf>,
    /// `static_rules`.
    pub rules: Vec<RuleConf>,
}

/// `track_group`: instances that depend on static addresses, routes and rules which name it.
#[derive(Debug, Clone)]
pub struct TrackGroupConf {
    /// Where it begins.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// The names of its instances, with the places that name them.
    pub members: Vec<(Place, String)>,
}

/// Something tracked, with its weight if the line has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackConf {
    /// Where.
    pub place: Place,
    /// An interface or the name of a script.
    pub name: String,
    /// `weight`.
    pub weight: Option<vrrp::Weight>,
}

/// A command with the user that runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Where.
    pub place: Place,
    /// Program and arguments.
    pub words: Vec<String>,
    /// Whom the line names.
    pub user: Option<User>,
}

/// The scripts of an instance or a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notifies {
    /// `notify_master`.
    pub master: Option<Command>,
    /// `notify_backup`.
    pub backup: Option<Command>,
    /// `notify_fault`.
    pub fault: Option<Command>,
    /// `notify_stop`.
    pub stop: Option<Command>,
    /// `notify_deleted`: with or without a script.
    pub deleted: Option<Option<Command>>,
    /// `notify_master_rx_lower_pri`.
    pub master_rx_lower_pri: Option<Command>,
    /// `notify`.
    pub any: Option<Command>,
}

/// What instances and groups have alike: what they track, and who is told.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// `track_interface`.
    pub track_interfaces: Vec<TrackConf>,
    /// `track_script`.
    pub track_scripts: Vec<TrackConf>,
    /// `track_file`.
    pub track_files: Vec<TrackConf>,
    /// `track_process`.
    pub track_processes: Vec<TrackConf>,
    /// `notify_…`.
    pub notifies: Notifies,
    /// `smtp_alert`.
    pub smtp_alert: Option<bool>,
}

/// `vrrp_sync_group`.
#[derive(Debug, Clone)]
pub struct GroupConf {
    /// Where it begins.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// Members: indices of [`Conf::instances`], with the place that names them.
    pub members: Vec<usize>,
    /// As the file names them.
    pub(crate) names: Vec<(Place, String)>,
    /// What it tracks, and who is told.
    pub watch: Watch,
    /// `sync_group_tracking_weight`: members may have weights of their own.
    pub tracking_weight: bool,
}

/// `vrrp_script`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptConf {
    /// Where it begins.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// `script` and `user`.
    pub command: Option<Command>,
    /// `interval`.
    pub interval: Duration,
    /// `timeout`; by default the interval.
    pub timeout: Option<Duration>,
    /// `weight`.
    pub weight: vrrp::Weight,
    /// `rise`.
    pub rise: u32,
    /// `fall`.
    pub fall: u32,
}
