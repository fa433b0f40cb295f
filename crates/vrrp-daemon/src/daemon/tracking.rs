//! What is tracked beside the protocol, and whom its state reaches.

use super::Daemon;
use super::instance::Machine;
use crate::conf::model::{Conf, ScriptConf};
use crate::reload::Users;
use crate::track::{Object, Office, Tracker, file, process, script};
use std::collections::BTreeSet;
use std::io;
use std::time::Instant;
use vrrp::{Event, Status};

/// Starts a thread for each object that is tracked by somebody, but for those that go on unchanged: these are taken from `before`, whose
/// configuration was `old`. What is left of `before` ends.
pub(super) fn trackers(
    conf: &Conf,
    users: &Users,
    mut before: Vec<Tracker>,
    old: Option<(&Conf, &Users)>,
    next: &mut u64,
    office: &Office,
) -> io::Result<Vec<Tracker>> {
    let of_instances = conf.instances.iter().flat_map(|it| conf.tracks_of(&it.watch));
    let used: BTreeSet<Object> = of_instances.chain(conf.groups.iter().flat_map(|it| conf.tracks_of(&it.watch))).map(|(o, _)| o).collect();
    let mut all = Vec::new();
    for object in used {
        let known = before.iter().position(|t| t.object == object).map(|at| before.swap_remove(at));
        let status = known.as_ref().map_or(Status::Unknown, |t| t.status);
        let same = old.is_some_and(|(old, old_users)| same(&object, (conf, users), (old, old_users)));
        if let Some(tracker) = known.filter(|_| same) {
            all.push(tracker);
            continue;
        }
        *next += 1;
        match &object {
            Object::Interface(_) => {}
            Object::Script(name) => {
                let Some((it, command)) = conf.script(name).and_then(|it| Some((it, it.command.clone()?))) else { continue };
                let Some(who) = users.runs(&command) else { continue };
                all.push(script::start(*next, it, command, who, status, office.clone())?);
            }
            Object::File(name) => {
                let Some(it) = conf.file(name) else { continue };
                all.push(file::start(*next, it, old.is_none(), office.clone())?);
            }
            Object::Process(name) => {
                let Some(it) = conf.process(name) else { continue };
                all.push(process::start(*next, it, office.clone())?);
            }
        }
    }
    Ok(all)
}

/// Whether an object is watched in the same way under both configurations.
fn same(object: &Object, (new, new_users): (&Conf, &Users), (old, old_users): (&Conf, &Users)) -> bool {
    match object {
        Object::Interface(_) => true,
        Object::Script(name) => new.script(name).zip(old.script(name)).is_some_and(|(new, old)| {
            let who = |it: &ScriptConf, users: &Users| it.command.as_ref().and_then(|c| users.runs(c));
            new.is_like(old) && who(new, new_users) == who(old, old_users)
        }),
        Object::File(name) => new.file(name).zip(old.file(name)).is_some_and(|(new, old)| new.path == old.path),
        Object::Process(name) => new.process(name).zip(old.process(name)).is_some_and(|(new, old)| new.is_like(old)),
    }
}

impl Daemon {
    /// What the threads that watch have of it.
    pub(super) fn office(&self) -> Office {
        Office::new(self.post.clone(), self.log.clone(), self.watching.0.clone())
    }

    pub(super) fn track_interfaces(&mut self, now: Instant) {
        self.track(now, |object| matches!(object, Object::Interface(_)));
    }

    /// What is known at the start: files and processes.
    pub(super) fn track_all(&mut self, now: Instant) {
        self.track(now, |_| true);
    }

    /// How something tracked is doing.
    pub(super) fn status_of(&self, object: &Object) -> Status {
        match object {
            Object::Interface(name) => {
                let up = self.index_of(name).is_some_and(|index| self.interfaces[&index].up);
                if up { Status::Up } else { Status::Down }
            }
            other => self.trackers.iter().find(|t| t.object == *other).map_or(Status::Unknown, |t| t.status),
        }
    }

    /// A tracker has said something.
    pub(super) fn tracked(&mut self, now: Instant, id: u64, status: Status, count: i64) {
        // One that a reload has ended may have been about to speak.
        let Some(tracker) = self.trackers.iter_mut().find(|t| t.id == id) else { return };
        (tracker.status, tracker.count) = (status, count);
        let object = tracker.object.clone();
        self.track(now, |other| *other == object);
    }

    /// Tells instances and groups how those objects are doing that they track and that `which` wants.
    fn track(&mut self, now: Instant, which: impl Fn(&Object) -> bool) {
        for entry in 0..self.entries.len() {
            for member in 0..self.entries[entry].members.len() {
                let tracks = self.conf.tracks_of(&self.conf.instances[self.entries[entry].members[member]].watch);
                for (place, (object, _)) in tracks.iter().enumerate().filter(|(_, (object, _))| which(object)) {
                    let status = self.status_of(object);
                    self.event(now, entry, member, Event::Track(place, status));
                }
            }
            if let Some(group) = self.entries[entry].group {
                let tracks = self.conf.tracks_of(&self.conf.groups[group].watch);
                for (place, (object, _)) in tracks.iter().enumerate().filter(|(_, (object, _))| which(object)) {
                    let status = self.status_of(object);
                    if let Machine::Group(group) = &mut self.entries[entry].machine {
                        group.handle_track(now, place, status);
                    }
                    self.act(entry);
                }
            }
        }
    }
}
