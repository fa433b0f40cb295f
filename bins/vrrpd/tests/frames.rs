//! What goes over the wire, bit for bit: `vrrpd` and `keepalived` with the same file on hosts with the same addresses, each in a net of its
//! own. The headers of adverts with all that is in them, announcements with their number, the groups that are joined, the last word.

mod common;

use common::{Net, VRRPD, conf, may_run, run, until};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Of the one interface that matters, in both nets.
const MAC: &str = "02:00:00:00:00:01";
/// How often a frame is seen at most: at both ports and at the bridge.
const SIGHTS: usize = 3;

/// What is in a file beside the usual: lines, addresses instead of the one, global lines.
struct Form(&'static str, String, &'static str, &'static str);

fn forms() -> Vec<Form> {
    let three = " version 3\n advert_int 0.3\n garp_master_delay 0\n";
    let unicast = " unicast_src_ip 10.9.0.1\n unicast_peer {\n 10.9.0.2\n 10.9.0.3 min_ttl 5 max_ttl 60\n }\n";
    let auth = |kind: &str| format!(" garp_master_delay 0\n authentication {{\n auth_type {kind}\n auth_pass secretsecret\n }}\n");
    let v4 = "10.9.0.105/24,10.9.0.101/32,10.9.1.103/24 dev e1";
    let v6 = "fe80::100,fd09:0::100/64";
    let with = |more: &str| format!("{three}{more}");
    vec![
        Form("password", auth("PASS"), v4, ""),
        Form("authentication header", auth("AH"), v4, ""),
        Form("authentication header, unicast", auth("AH") + unicast, v4, ""),
        Form("version 3", with(" garp_master_repeat 2\n"), v4, ""),
        Form("another source, another group", with(" mcast_src_ip 10.9.0.77\n mcast_dst_ip 224.0.0.55\n"), v4, ""),
        Form("unicast", with(unicast) + " unicast_ttl 33\n", v4, ""),
        Form("unicast, old checksum", with(unicast) + " old_unicast_checksum\n", v4, ""),
        Form("IPv6", with(" virtual_ipaddress_excluded {\n 10.9.0.100\n }\n"), v6, "vrrp_mcast_group6 ff02::99"),
        Form("IPv6, unicast", with(" unicast_src_ip fd09:0::1\n unicast_peer {\n fd09:0::2\n }\n"), "fd09:0::100/64", ""),
        Form("virtual MAC", with(" use_vmac\n"), v4, ""),
        Form("virtual MAC for addresses only", with(" use_vmac\n vmac_xmit_base\n"), v4, ""),
        Form("IPv6, virtual MAC", with(" use_vmac\n"), v6, ""),
        Form("a hardware address of one's own", with(" use_vmac v9 00:11:22:33:44\n use_vmac_addr\n"), v4, ""),
        Form("an interval that is rounded", " version 3\n advert_int 0.255\n garp_master_delay 0\n".into(), v4, ""),
        Form("an interval that is too short", " version 3\n advert_int 0.009\n garp_master_delay 0\n".into(), v4, ""),
        Form("announced at least once", with(" garp_master_repeat 0\n"), v4, ""),
        Form("a peer with limits that are none", with(" unicast_peer {\n 10.9.0.2 min_ttl 300\n }\n"), v4, "vrrp_version 3"),
    ]
}

/// Hears all frames of a net.
struct Witness {
    frames: Arc<Mutex<Vec<Vec<u8>>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    fn of(net: &Net) -> Witness {
        let socket = net.within("s", || {
            let all = Protocol::from(i32::from(3u16.to_be()));
            let socket = Socket::new_raw(Domain::PACKET, Type::RAW, Some(all)).expect("a packet socket");
            socket.set_recv_buffer_size(16 << 20).expect("a buffer");
            socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time");
            socket
        });
        let (frames, ended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (all, no_more) = (frames.clone(), ended.clone());
        let listen = move || {
            let mut buffer = [0; 2048];
            while !no_more.load(Ordering::Relaxed) {
                if let Ok(length) = { &socket }.read(&mut buffer) {
                    all.lock().expect("no panic").push(buffer[..length].to_vec());
                }
            }
        };
        Witness { frames, ended, thread: Some(std::thread::spawn(listen)) }
    }

    /// What is of interest in the frames so far, each with its number.
    fn said(&self) -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        for text in self.frames.lock().expect("no panic").iter().flat_map(|frame| words(frame)) {
            *all.entry(text).or_default() += 1;
        }
        all
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A frame of the router under test; nothing of what its kernel says on its own account. What counts adverts is masked: the identification
/// of IPv4 with the checksum, the sequence number of the authentication header with the proof (vrrp's own tests know their bytes).
fn words(frame: &[u8]) -> Vec<String> {
    let Some((ethernet, data)) = frame.split_first_chunk::<14>() else { return Vec::new() };
    let from = hex(&ethernet[6..12]);
    if ![&MAC.replace(':', "")[..], "00005e00", "0011223344"].iter().any(|ours| from.starts_with(ours)) {
        return Vec::new();
    }
    let link = hex(&ethernet[..12]);
    let mut data = data.to_vec();
    match (&ethernet[12..], data.len()) {
        ([8, 6], 28..) if data[14..18] == data[24..28] => vec![format!("announcement {link} {}", hex(&data[..28]))],
        ([8, 0], 28..) => {
            let length = usize::from(u16::from_be_bytes([data[2], data[3]])).min(data.len());
            data[4..6].fill(0);
            data[10..12].fill(0);
            match data[9] {
                112 => vec![format!("advert {link} {}", hex(&data[..length]))],
                51 if length >= 44 => {
                    data[28..44].fill(0);
                    vec![format!("advert {link} {}", hex(&data[..length]))]
                }
                2 => joins(&from, &data[24..length], 4),
                _ => Vec::new(),
            }
        }
        ([0x86, 0xdd], 48..) => {
            // The label of the flow is the kernel's.
            data[1] &= 0xf0;
            data[2..4].fill(0);
            match (data[6], data[40]) {
                (112, _) => vec![format!("advert {link} {}", hex(&data))],
                (58, 136) if data[24] == 0xff => vec![format!("announcement {link} {}", hex(&data))],
                (0, 58) => joins(&from, &data[48..], 16),
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

/// Groups that are joined in a report of IGMPv3 or MLDv2, but those of addresses.
fn joins(from: &str, report: &[u8], address: usize) -> Vec<String> {
    let records = report.get(8..).unwrap_or_default().chunks_exact(4 + address);
    let groups = records.filter(|record| record[0] == 4 && record[4..].windows(3).all(|part| part != [1, 0xff, 0]));
    groups.map(|record| format!("join {from} {}", hex(&record[4..]))).collect()
}

/// The life of a router that becomes master and stops.
fn life(program: &str, form: &Form) -> BTreeMap<String, usize> {
    let net = Net::new();
    let host = format!("{}a", net.prefix);
    for (name, mac) in [("e0", MAC.to_string()), ("e1", MAC.replace(":01", ":02"))] {
        run("ip", &format!("-n {host} link set {name} down"));
        run("ip", &format!("-n {host} link set {name} address {mac} addrgenmode eui64 up"));
    }
    // Going down has taken it.
    for (address, to) in [("fd09:0::1/64", "addr replace"), ("10.9.0.1/24", "addr replace")] {
        run("ip", &format!("-n {host} {to} {address} dev e0"));
    }
    for peer in ["10.9.0.2", "10.9.0.3", "fd09:0::2"] {
        run("ip", &format!("-n {host} neigh replace {peer} lladdr 02:00:00:00:00:99 dev e0 nud permanent"));
    }
    until("its own addresses", || !net.addresses("a").contains("tentative") && net.addresses("a").contains("fe80::ff:fe00:1"));
    let Form(_, lines, addresses, global) = form;
    let all = addresses.split(',').map(|a| format!(" {a}\n")).collect::<String>();
    let file = format!("global_defs {{\n{global}\n}}\n{}", conf(150, lines).replace(" 10.9.0.100/24\n", &all));
    let witness = Witness::of(&net);
    let router = net.start("a", program, &file);
    let adverts = || witness.said().iter().filter(|(text, _)| text.starts_with("advert")).map(|(_, count)| count).sum::<usize>();
    // Three at least: all that a new master announces stands between two of them.
    until("adverts", || adverts() >= 3 * SIGHTS);
    let multicast = !lines.contains("unicast");
    until("a group is joined", || !multicast || witness.said().keys().any(|text| text.starts_with("join")));
    let kinds = || witness.said().keys().filter(|text| text.starts_with("advert")).count();
    let before = kinds();
    router.stop();
    // Priority 0, to each that has heard the others.
    until("the last word", || kinds() == 2 * before);
    witness.said()
}

#[test]
fn every_frame_is_keepaliveds() {
    if !may_run() {
        return;
    }
    let wrong = Mutex::new(Vec::new());
    // Each form twice, and a net for each.
    for some in forms().chunks(6) {
        std::thread::scope(|scope| {
            for form in some {
                let wrong = &wrong;
                scope.spawn(move || {
                    let (ours, theirs) = std::thread::scope(|both| {
                        let ours = both.spawn(|| life(VRRPD, form));
                        (life("keepalived", form), ours.join().expect("no panic"))
                    });
                    let texts = |all: &BTreeMap<String, usize>| all.keys().cloned().collect::<BTreeSet<_>>();
                    let announced = |all: &BTreeMap<String, usize>| -> Vec<(String, usize)> {
                        all.iter()
                            .filter(|(text, _)| text.starts_with("announcement"))
                            .map(|(text, count)| (text.clone(), *count))
                            .collect()
                    };
                    assert!(announced(&ours).iter().all(|(_, count)| *count > 0) && !announced(&ours).is_empty(), "{}", form.0);
                    let differs: Vec<_> = texts(&ours).symmetric_difference(&texts(&theirs)).cloned().collect();
                    if !differs.is_empty() || announced(&ours) != announced(&theirs) {
                        let text = format!("{}: {differs:#?}\n{:?}\n{:?}", form.0, announced(&ours), announced(&theirs));
                        wrong.lock().expect("no panic").push(text);
                    }
                });
            }
        });
    }
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
