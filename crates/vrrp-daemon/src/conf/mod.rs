//! keepalived.conf: from files to a [`Conf`], with everything that is wrong said at once, with its line and what to write instead.
//!
//! The way: `text` makes lines of files (comments, includes, parameters, conditions, sequences), `words` makes words of lines, `tree` makes
//! blocks of words; `keywords` looks each up in the table of its block (`global`, `instance`), and `resolve` checks what the blocks say
//! together. As keepalived does, most of what is wrong is said and left out; what there is nothing to start with is an error.

mod address;
mod arg;
pub mod diag;
mod global;
mod instance;
mod keywords;
pub mod links;
pub mod model;
mod names;
mod protocol;
mod resolve;
pub mod route;
pub mod rule;
mod strict;
pub mod text;
pub mod tracking;
mod tree;
mod unused;
mod vmac;
mod weights;
mod words;

use arg::{Arg, Common};
use diag::{Code, Diagnostic, Diagnostics, Level};
pub use global::parse_umask;
use model::{Conf, GroupConf, InstanceConf, ScriptConf, TrackGroupConf, Unsupported};
use names::Names;
use std::path::Path;
use text::{Source, Surroundings};
use tracking::{FileConf, ProcessConf};
use tree::Node;

/// A configuration and what is to be said about it.
#[derive(Debug)]
pub struct Loaded {
    /// What was understood.
    pub conf: Conf,
    /// What was not.
    pub diagnostics: Diagnostics,
}

/// Reads a configuration. Whether its interfaces exist is another question: [`Loaded::check_interfaces`].
pub fn load(source: &dyn Source, path: &Path, surroundings: &Surroundings) -> Loaded {
    let mut diagnostics = Diagnostics::default();
    let lines = text::read(source, path, surroundings, &mut diagnostics);
    let nodes = tree::build(&lines, &mut diagnostics);
    let common = Common { names: Names::load(source), preferences: (rule::FIRST_PREFERENCE, rule::FIRST_PREFERENCE) };
    let mut loader = Loader { conf: Conf::default(), unsupported: Vec::new(), diagnostics, common };
    for node in &nodes {
        loader.top(node);
    }
    let Loader { mut conf, unsupported, mut diagnostics, .. } = loader;
    conf.unsupported = unsupported;
    resolve::resolve(&mut conf, &mut diagnostics);
    Loaded { conf, diagnostics }
}

/// The words that are read and have no effect, with their block and the reason why that changes nothing.
pub fn without_effect() -> Vec<(&'static str, &'static str, &'static str)> {
    let mut all = keywords::without_effect("global_defs", global::GLOBAL);
    all.extend(keywords::without_effect("vrrp_instance", instance::INSTANCE));
    all.extend(keywords::without_effect("vrrp_sync_group", instance::GROUP));
    all
}

/// Blocks and words at the top that are not there yet, and those without effect.
const NOT_YET: &[&str] = &["virtual_server", "virtual_server_group", "SSL", "bfd_instance"];
const WITHOUT_EFFECT: &[&str] = &["namespace_with_ipsets", "net_namespace_ipvs", "child_wait_time"];
/// Blocks without whose name keepalived ends; it leaves others out.
const ENDS_WITHOUT_NAME: &[&str] = &["vrrp_script", "vrrp_track_file", "vrrp_track_process"];
const KNOWN: &[&str] = &[
    "global_defs",
    "vrrp_instance",
    "vrrp_sync_group",
    "vrrp_script",
    "track_file",
    "vrrp_track_file",
    "vrrp_track_process",
    "net_namespace",
    "instance",
    "use_pid_dir",
    "static_ipaddress",
    "static_routes",
    "static_rules",
    "track_group",
    "garp_group",
    "linkbeat_interfaces",
    "linkbeat_use_polling",
    "interface_up_down_delays",
];

struct Loader {
    conf: Conf,
    unsupported: Vec<Unsupported>,
    diagnostics: Diagnostics,
    common: Common,
}

impl Loader {
    fn top(&mut self, node: &Node) {
        match node.name() {
            "global_defs" => {
                self.block("", "global_defs", node, |conf, arg| keywords::block(&[global::GLOBAL], &mut conf.global, node.lines(), arg))
            }
            "vrrp_instance" => {
                let Some(name) = self.name(node) else { return };
                if self.conf.instances.iter().any(|i| i.name == name) {
                    return self.diagnostics.error(&node.place, format!("vrrp instance {name} already defined; give each its own name"));
                }
                let mut it = InstanceConf::new(node.place.clone(), name.clone());
                self.block(&format!("({name}) "), "vrrp_instance", node, |conf, arg| {
                    keywords::block(&[instance::INSTANCE, instance::watch()], &mut it, node.lines(), arg);
                    conf.instances.push(it);
                });
            }
            "vrrp_sync_group" => {
                let Some(name) = self.name(node) else { return };
                if self.conf.groups.iter().any(|g| g.name == name) {
                    return self.diagnostics.warn(&node.place, format!("sync group {name} already defined; it is left out"));
                }
                let mut it = GroupConf::new(node.place.clone(), name.clone());
                self.block(&format!("({name}) "), "vrrp_sync_group", node, |conf, arg| {
                    keywords::block(&[instance::GROUP, instance::watch()], &mut it, node.lines(), arg);
                    conf.groups.push(it);
                });
            }
            "vrrp_script" => {
                let Some(name) = self.name(node) else { return };
                if self.conf.scripts.iter().any(|s| s.name == name) {
                    return self.diagnostics.unchecked(&node.place, format!("vrrp_script {name} already defined; it is left out"));
                }
                let mut it = ScriptConf::new(node.place.clone(), name.clone());
                self.block(&format!("({name}) "), "vrrp_script", node, |conf, arg| {
                    keywords::block(&[instance::SCRIPT], &mut it, node.lines(), arg);
                    conf.scripts.push(it);
                });
            }
            "track_file" | "vrrp_track_file" => {
                let Some(name) = self.name(node) else { return };
                if self.conf.files.iter().any(|f| f.name == name) {
                    return self.diagnostics.unchecked(&node.place, format!("track_file {name} already defined; it is left out"));
                }
                let mut it = FileConf::new(node.place.clone(), name.clone());
                self.block(&format!("({name}) "), "track_file", node, |conf, arg| {
                    keywords::block(&[tracking::FILE], &mut it, node.lines(), arg);
                    match it.path.is_empty() {
                        true => arg.warn("No file set for track_file - ignoring; write 'file PATH' into it"),
                        false => conf.files.push(it),
                    }
                });
            }
            "vrrp_track_process" => {
                let Some(name) = self.name(node) else { return };
                if self.conf.processes.iter().any(|p| p.name == name) {
                    return self.diagnostics.unchecked(&node.place, format!("vrrp_track_process {name} already defined; it is left out"));
                }
                let mut it = ProcessConf::new(node.place.clone(), name.clone());
                self.block(&format!("({name}) "), "vrrp_track_process", node, |conf, arg| {
                    keywords::block(&[tracking::PROCESS], &mut it, node.lines(), arg);
                    if it.quorum.max < it.quorum.min {
                        arg.warn("quorum_max is less than quorum - ignoring; no number of processes would do");
                        it.quorum.max = u32::MAX;
                    }
                    match it.command.is_empty() {
                        true => arg.warn("track process name not specified - ignoring; write 'process NAME' into it"),
                        false => conf.processes.push(it),
                    }
                });
            }
            "net_namespace" | "instance" => {
                let Some(name) = self.name(node) else { return };
                // It becomes a part of names of files.
                if name.contains('/') || name.starts_with('.') {
                    return self.diagnostics.warn(&node.place, format!("'{name}' is no name for {}; it is left out", node.name()));
                }
                match node.name() {
                    "instance" => self.conf.instance_name = Some(name),
                    _ => self.conf.namespace = Some(name),
                }
            }
            "use_pid_dir" => self.conf.pid_dir = true,
            "static_ipaddress" => {
                self.block("", "static_ipaddress", node, |conf, arg| conf.statics.addresses.extend(address::addresses(arg, true)))
            }
            "static_routes" => self.block("", "static_routes", node, |conf, arg| conf.statics.routes.extend(route::routes(arg, true))),
            "static_rules" => self.block("", "static_rules", node, |conf, arg| conf.statics.rules.extend(rule::rules(arg, true))),
            "track_group" => {
                let Some(name) = self.name(node) else { return };
                let group = node.lines().iter().filter(|line| line.name() == "group");
                let members = group.flat_map(|line| line.list().map(|(place, name)| (place.clone(), name.to_string()))).collect();
                self.conf.track_groups.push(TrackGroupConf { place: node.place.clone(), name, members });
            }
            "interface_up_down_delays" => {
                self.block("", "interface_up_down_delays", node, |conf, arg| conf.delays.extend(links::delays(arg)))
            }
            "linkbeat_use_polling" => self.conf.poll_all = true,
            "linkbeat_interfaces" => self.block("", "linkbeat_interfaces", node, |conf, arg| conf.polled.extend(links::linkbeat(arg))),
            "garp_group" => self.block("", "garp_group", node, |conf, arg| {
                let group = links::garp_group(arg, &conf.garp_groups);
                conf.garp_groups.push(group);
            }),
            name if NOT_YET.contains(&name) => {
                self.unsupported.push(Unsupported { place: node.place.clone(), keyword: name.into(), block: "the file" });
            }
            name if WITHOUT_EFFECT.contains(&name) => {}
            _ if self.diagnostics.is_full() => self.diagnostics.warn(&node.place, ""),
            name => {
                let known = KNOWN.iter().chain(NOT_YET).chain(WITHOUT_EFFECT).copied();
                self.diagnostics.warn(&node.place, keywords::unknown(name, known, "the file"));
            }
        }
    }

    fn block(&mut self, who: &str, block: &'static str, node: &Node, read: impl FnOnce(&mut Conf, &mut Arg<'_>)) {
        if node.block.is_none() {
            self.diagnostics.warn(&node.place, format!("{who}{} has no block; a '{{' is missing behind it", node.name()));
        }
        let Loader { conf, unsupported, diagnostics, common } = self;
        read(conf, &mut Arg { node, who, block, diagnostics, unsupported, common });
    }

    fn name(&mut self, node: &Node) -> Option<String> {
        let name = node.value(0).map(str::to_string);
        if name.is_none() && ENDS_WITHOUT_NAME.contains(&node.name()) {
            let text = format!("'{}' needs a name behind it", node.name());
            let place = Some(node.place.clone());
            self.diagnostics.push(Diagnostic { place, level: Level::Error, code: Code::MissingValue, text });
        } else if name.is_none() {
            self.diagnostics.warn(&node.place, format!("{} must have a name, like '{0} NAME {{'; it is left out", node.name()));
        }
        name
    }
}
