//! A target over `vrrp-daemon`: what stands in a keepalived.conf and in a file that it includes.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;
use vrrp_daemon::conf::load;
use vrrp_daemon::conf::text::{Source, Surroundings};
use vrrp_daemon::explain::{Question, answer};
use vrrp_daemon::reload::{plan, prepare};

/// Pieces that the format likes, for a mutator.
pub const WORDS: &[&[u8]] = &[
    b"vrrp_instance V1 {\n interface e0\n virtual_router_id 51\n}\n",
    b"vrrp_sync_group G {\n group {\n V1\n V2\n }\n}\n",
    b"vrrp_script s {\n script \"/bin/true x\"\n interval 1\n}\n",
    b"track_file f {\n file /x\n weight 2\n}\n",
    b"vrrp_track_process p {\n process a b\n quorum 2\n}\n",
    b"global_defs {\n",
    b"virtual_ipaddress {\n 10.9.0.100/24 dev e0 label e0:1\n fe80::1\n}\n",
    b"virtual_routes {\n 10.0.0.0/8 via 10.9.0.2\n}\n",
    b" track_script {\n s weight -20 reverse\n }\n",
    b" priority 255\n state MASTER\n nopreempt\n",
    b" version 3\n advert_int 0.01\n",
    b" unicast_peer {\n 10.9.0.2 min_ttl 3 max_ttl 5\n }\n",
    b" authentication {\n auth_type PASS\n auth_pass 123456789\n }\n",
    b" use_vmac vrrp.51\n vmac_xmit_base\n",
    b" notify_master \"/x y\" nobody nogroup\n",
    b"include k2.conf\n",
    b"includea {k,k2}.conf\n",
    b"$A=b\n$A ${A} ${_RANDOM 1 5} ${_PWD}\n",
    b"$B= \\\n c \\\n d\n",
    b"~SEQ(N, 1, 2, 9) $N\n",
    b"~LST({A, B}, {1, 2}, {3, 4}) $A $B\n",
    b"@main x\n@^main y\n",
    b"\"'\\x41\\",
    b"linkbeat_use_polling\nlinkbeat_interfaces {\n e0 ETHTOOL\n e1\n}\n",
    b"global_defs {\n reload_time_file /x\n reload_repeat\n disable_local_igmp\n enable_snmp_vrrp\n nftables t\n}\n",
    b"virtual_rules {\n from 10.0.0.0/8 table 5 priority 7 suppress_ifgroup default\n}\n",
    b" rtt 102s rttvar 103ms inet scope 5 prohibit",
    b"{}",
    b"{\n",
    b"}\n",
    b"!#",
    b"-1",
    b"99999999999999999999",
    b"0.0000001",
    b"\0",
];

/// What parameters may come to.
const MOST: usize = 1 << 14;

/// The file, and what stands behind a zero byte of it, which it can include.
struct Files<'a>(&'a [u8], &'a [u8]);

impl Source for Files<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.to_str() {
            Some("/k.conf") => Ok(self.0.to_vec()),
            Some("/k2.conf") => Ok(self.1.to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn matching(&self, _: &str) -> Vec<PathBuf> {
        vec!["/k2.conf".into()]
    }
}

/// Whatever stands in a file, it is read to its end. A file that can be started with makes machines, and its reload changes nothing.
pub fn keepalived_conf(data: &[u8]) {
    let at = data.iter().position(|b| *b == 0).unwrap_or(data.len());
    let files = Files(&data[..at], data.get(at + 1..).unwrap_or_default());
    let surroundings = Surroundings { id: "main".into(), seed: 7, most: MOST, all_files: false };
    let mut loaded = load(&files, Path::new("/k.conf"), &surroundings);
    loaded.check_interfaces(|name| name == "e0");
    let problem = |_: &_, command: &vrrp_daemon::conf::model::Command| {
        assert!(!command.words.is_empty());
        None
    };
    loaded.check_scripts(problem, |_, command| command.user.is_none());
    let startable = loaded.diagnostics.is_startable();
    for message in loaded.diagnostics.all() {
        assert!(!message.to_string().is_empty());
    }
    let Ok(prepared) = prepare(loaded, None) else { return };
    assert!(startable);
    let conf = prepared.conf;
    for it in &conf.instances {
        let weights = conf.tracks_of(&it.watch).into_iter().map(|(_, weight)| weight).collect();
        vrrp::Instance::new(it.config(&conf.global, weights)).expect("the check lets nothing pass that is none");
    }
    for group in &conf.groups {
        assert!(group.members.iter().all(|m| *m < conf.instances.len()));
        let configs = group.members.iter().map(|m| conf.instances[*m].config(&conf.global, Vec::new())).collect();
        vrrp::SyncGroup::new(configs, Vec::new()).expect("its members are sound");
    }
    let same = plan(&conf, conf.instances.len(), &conf);
    assert!(same.gone.is_empty() && same.from.iter().enumerate().all(|(at, from)| *from == Some(at)), "{same:?}");
    #[allow(clippy::disallowed_methods)]
    let answered = answer(&conf, &Question::default(), Instant::now());
    // Without a name in the question only a file without instances leaves it open.
    assert_eq!(answered.is_err(), conf.instances.is_empty());
}
