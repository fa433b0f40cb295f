//! Weights of what members of sync groups and owners of addresses track. Members with priorities of their own make elections that nobody wins,
//! and an owner's priority does not change; what keepalived 2.2.7 makes of them is done here too, which is not the same for each kind and not
//! what it says.

use super::diag::{Diagnostics, Place};
use super::model::{Conf, Watch};
use crate::track::Object;
use std::collections::HashSet;
use vrrp::{OWNER, Weight};

/// Why a weight does not count.
enum Why {
    Group(String),
    Owner,
}

pub(super) fn resolve(conf: &mut Conf, diagnostics: &mut Diagnostics) {
    let groups = conf.groups.iter().filter(|g| !g.tracking_weight);
    let of_groups = groups.flat_map(|g| g.members.iter().map(|member| (*member, Why::Group(g.name.clone()))));
    let owners = conf.instances.iter().enumerate().filter(|(_, it)| it.priority == Some(OWNER)).map(|(at, _)| (at, Why::Owner));
    let mut seen = HashSet::new();
    for (at, why) in of_groups.chain(owners).collect::<Vec<_>>() {
        if seen.insert(at) {
            without_weights(conf, at, &why, diagnostics);
        }
    }
}

fn without_weights(conf: &mut Conf, at: usize, why: &Why, diagnostics: &mut Diagnostics) {
    let (reason, cure) = match why {
        Why::Group(name) => (format!("due to SYNC group {name}"), "track it there"),
        Why::Owner => ("due to address owner, whose priority stays".into(), "give it no weight, or no priority 255"),
    };
    let tracks = conf.tracks_of(&conf.instances[at].watch);
    let weight = |object: &Object| tracks.iter().find(|(o, _)| o == object).map_or(Weight::default(), |(_, weight)| *weight);
    let it = &mut conf.instances[at];
    let name = it.name.clone();
    let mut warn = |place: &Place, text: String| diagnostics.warn(place, format!("({name}) {text} {reason}; {cure}"));
    for track in it.watch.track_interfaces.iter().filter(|t| weight(&Object::Interface(t.name.clone())).value != 0) {
        // keepalived says that it ignores this one; in a group it counts all the same.
        let text = match why {
            Why::Group(_) => format!("the weight of tracked interface {} counts in this member alone", track.name),
            Why::Owner => format!("ignoring tracked interface {}", track.name),
        };
        warn(&track.place, text);
    }
    it.watch.track_scripts.retain(|track| {
        let stays = weight(&Object::Script(track.name.clone())).value == 0;
        if !stays {
            warn(&track.place, format!("ignoring tracked script {} with weights", track.name));
        }
        stays
    });
    for track in &mut it.watch.track_files {
        let before = weight(&Object::File(track.name.clone()));
        if before.value != 0 {
            warn(&track.place, format!("the weight {} of tracked file {} is taken for 0", before.value, track.name));
            track.weight = Some(Weight { value: 0, ..before });
        }
    }
}

/// The same name twice in a list counts once.
pub(super) fn without_duplicates(watch: &mut Watch, name: &str, diagnostics: &mut Diagnostics) {
    let Watch { track_interfaces: interfaces, track_scripts: scripts, track_files: files, track_processes: processes, .. } = watch;
    let lists = [(interfaces, "track_interface"), (scripts, "track_script"), (files, "track_file"), (processes, "track_process")];
    for (tracks, what) in lists {
        let mut seen = HashSet::new();
        tracks.retain(|track| {
            let first = seen.insert(track.name.clone());
            if !first {
                diagnostics.warn(&track.place, format!("({name}) duplicate {what} {} - ignoring", track.name));
            }
            first
        });
    }
}
