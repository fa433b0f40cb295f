//! The figures in Prometheus' text format.

use crate::snapshot::{InstanceView, Snapshot};
use crate::track::Object;
use std::fmt::Write;
use vrrp::{State, Status};

/// A name in quotes.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

type Figure = (&'static str, &'static str, &'static str, fn(&InstanceView) -> f64);

/// Name without `vrrp_`, kind, help, value.
const FIGURES: &[Figure] = &[
    ("master", "gauge", "1 while this router is master", |it| f64::from(u8::from(it.state == State::Master))),
    ("fault", "gauge", "1 while the instance is at fault", |it| f64::from(u8::from(it.state == State::Fault))),
    ("has_addresses", "gauge", "1 while the addresses are here", |it| f64::from(u8::from(it.has_addresses))),
    ("priority", "gauge", "Effective priority", |it| f64::from(it.priority)),
    ("base_priority", "gauge", "Priority of the file", |it| f64::from(it.config.priority)),
    ("latest_seconds", "gauge", "How late a timer was served at most", |it| it.latest.as_secs_f64()),
    ("adverts_sent_total", "counter", "Adverts sent", |it| it.stats.advert_sent as f64),
    ("adverts_received_total", "counter", "Packets handed in, refused ones included", |it| it.stats.advert_rcvd as f64),
    ("adverts_refused_total", "counter", "Packets refused", |it| it.stats.refusals() as f64),
    ("became_master_total", "counter", "Times it became master", |it| it.stats.become_master as f64),
    ("released_master_total", "counter", "Times it was master and left", |it| it.stats.release_master as f64),
    ("priority_zero_sent_total", "counter", "Farewells sent", |it| it.stats.pri_zero_sent as f64),
    ("priority_zero_received_total", "counter", "Farewells heard", |it| it.stats.pri_zero_rcvd as f64),
    ("checksum_errors_total", "counter", "Wrong checksums", |it| it.stats.chk_err as f64),
    ("ttl_errors_total", "counter", "Wrong TTL or hop limit", |it| it.stats.ip_ttl_err as f64),
    ("authentication_failures_total", "counter", "Wrong passwords and integrity values", |it| it.stats.auth_failure as f64),
    ("address_list_errors_total", "counter", "Adverts with other addresses than ours", |it| it.stats.addr_list_err as f64),
];

/// All of them.
pub fn text(snapshot: &Snapshot) -> String {
    let mut out = String::new();
    let head = |name: &str, kind: &str, help: &str| format!("# HELP vrrp_{name} {help}\n# TYPE vrrp_{name} {kind}\n");
    for (name, kind, help, value) in FIGURES {
        out.push_str(&head(name, kind, help));
        for (conf, it) in snapshot.instances() {
            let (instance, interface) = (label(&conf.name), label(conf.interface.as_deref().unwrap_or_default()));
            let vrid = it.config.vrid;
            let _ = writeln!(out, "vrrp_{name}{{instance=\"{instance}\",interface=\"{interface}\",vrid=\"{vrid}\"}} {}", value(it));
        }
    }
    out.push_str(&head("tracked_up", "gauge", "1 while something tracked is well"));
    for it in &snapshot.tracked {
        let kind = match it.object {
            Object::Interface(_) => "interface",
            Object::Script(_) => "script",
            Object::File(_) => "file",
            Object::Process(_) => "process",
        };
        let up = match it.status {
            Status::Up => 1,
            // A file has no state of its own but a number.
            Status::Value(_) => continue,
            Status::Down | Status::Unknown => 0,
        };
        let _ = writeln!(out, "vrrp_tracked_up{{kind=\"{kind}\",name=\"{}\"}} {up}", label(it.object.name()));
    }
    let pace = &snapshot.pace;
    let loop_figures = [
        ("loop_turns_total", "counter", "Turns of the loop of the elections", pace.turns as f64),
        ("loop_late_timers_total", "counter", "Timers served more than 20 ms late", pace.late as f64),
        ("loop_latest_seconds", "gauge", "How late a timer was served at most", pace.latest.as_secs_f64()),
        ("reloads_total", "counter", "Files that were put in force after the first", pace.reloads as f64),
        ("reloads_refused_total", "counter", "Files that were refused", pace.refused as f64),
    ];
    for (name, kind, help, value) in loop_figures {
        out.push_str(&head(name, kind, help));
        let _ = writeln!(out, "vrrp_{name} {value}");
    }
    out
}
