//! `track_file` and `vrrp_track_process`.

use super::diag::Place;
use super::keywords::Does::Set;
use super::keywords::Keyword;
use super::model::{Conf, ScriptConf};
use std::time::Duration;
use vrrp::{Quorum, Weight};

/// The longest delay of a process, in seconds.
const MAX_DELAY: u32 = 3600;
/// The greatest weight of a file, whose number is multiplied by it, and of a process.
pub const MAX_FILE_WEIGHT: i32 = 254;

/// `track_file`, or `vrrp_track_file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileConf {
    /// Where it begins.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// `file`.
    pub path: String,
    /// `weight`; 1 if the file says none.
    pub weight: Weight,
    /// `init_file`: what is written at the start, and whether over what is there.
    pub init: Option<(i64, bool)>,
}

/// `param_match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ParamMatch {
    /// Not given: parameters count if there are some.
    #[default]
    None,
    /// Given without a word: exactly these, or none at all.
    Exact,
    /// `partial`: the first ones.
    Partial,
    /// `initial`: the last may be longer.
    Initial,
}

/// `vrrp_track_process`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessConf {
    /// Where it begins.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// `process`: the command.
    pub command: String,
    /// Its parameters.
    pub params: Vec<String>,
    /// `param_match`.
    pub param_match: ParamMatch,
    /// `weight`; 1 if the file says none.
    pub weight: Weight,
    /// `quorum`, `quorum_max`.
    pub quorum: Quorum,
    /// `fork_delay`.
    pub fork_delay: Duration,
    /// `terminate_delay`.
    pub terminate_delay: Duration,
    /// `full_command`.
    pub full_command: bool,
}

impl ScriptConf {
    /// Whether another file says the same.
    pub fn is_like(&self, other: &ScriptConf) -> bool {
        let mut it = ScriptConf { place: other.place.clone(), ..self.clone() };
        if let (Some(ours), Some(theirs)) = (&mut it.command, &other.command) {
            ours.place = theirs.place.clone();
        }
        it == *other
    }
}

impl Conf {
    /// A `vrrp_script`.
    pub fn script(&self, name: &str) -> Option<&ScriptConf> {
        self.scripts.iter().find(|it| it.name == name)
    }

    /// A `track_file`.
    pub fn file(&self, name: &str) -> Option<&FileConf> {
        self.files.iter().find(|it| it.name == name)
    }

    /// A `vrrp_track_process`.
    pub fn process(&self, name: &str) -> Option<&ProcessConf> {
        self.processes.iter().find(|it| it.name == name)
    }
}

impl FileConf {
    pub(super) fn new(place: Place, name: String) -> FileConf {
        FileConf { place, name, path: String::new(), weight: Weight::new(1), init: None }
    }
}

impl ProcessConf {
    pub(super) fn new(place: Place, name: String) -> ProcessConf {
        ProcessConf {
            place,
            name,
            command: String::new(),
            params: Vec::new(),
            param_match: ParamMatch::None,
            weight: Weight::new(1),
            quorum: Quorum { min: 1, max: u32::MAX },
            fork_delay: Duration::ZERO,
            terminate_delay: Duration::ZERO,
            full_command: false,
        }
    }

    /// Whether another file says the same.
    pub fn is_like(&self, other: &ProcessConf) -> bool {
        ProcessConf { place: other.place.clone(), ..self.clone() } == *other
    }

    /// One without place, for tests.
    #[cfg(test)]
    pub(crate) fn named(name: &str) -> ProcessConf {
        ProcessConf::new(Place { file: "".into(), line: 0 }, name.into())
    }
}

pub(super) const FILE: &[Keyword<FileConf>] = &[
    ("file", Set(|it, arg| it.path = arg.text().unwrap_or_default())),
    ("weight", Set(|it, arg| it.weight = weight(arg, MAX_FILE_WEIGHT).unwrap_or(it.weight))),
    (
        "init_file",
        Set(|it, arg| {
            let words: Vec<&str> = arg.node.words[1..].iter().map(|w| w.text.as_str()).collect();
            let overwrite = words.contains(&"overwrite");
            let numbers: Vec<&&str> = words.iter().filter(|w| **w != "overwrite").collect();
            let value = numbers.first().map_or(Some(0), |text| text.parse::<i64>().ok().filter(|n| i32::try_from(*n).is_ok()));
            match value {
                Some(value) if numbers.len() <= 1 => it.init = Some((value, overwrite)),
                _ => arg.warn("init_file wants a number of 32 bits, and 'overwrite' if the file is to lose what it has; it is left out"),
            }
        }),
    ),
];

pub(super) const PROCESS: &[Keyword<ProcessConf>] = &[
    (
        "process",
        Set(|it, arg| {
            let Some(command) = arg.text() else { return };
            it.command = command;
            it.params = arg.node.words[2..].iter().map(|w| w.text.clone()).collect();
        }),
    ),
    (
        "param_match",
        Set(|it, arg| match arg.node.value(0) {
            None => it.param_match = ParamMatch::Exact,
            Some("partial") => it.param_match = ParamMatch::Partial,
            Some("initial") => it.param_match = ParamMatch::Initial,
            Some(other) => {
                let text = format!("param_match '{other}' is none; write initial, partial or nothing behind it; it is left out");
                arg.warn(text);
            }
        }),
    ),
    ("weight", Set(|it, arg| it.weight = weight(arg, MAX_FILE_WEIGHT).unwrap_or(it.weight))),
    ("quorum", Set(|it, arg| it.quorum.min = arg.number(1..=65_535).unwrap_or(it.quorum.min))),
    (
        "quorum_max",
        Set(|it, arg| {
            if let Some(max) = arg.number(0..=65_535) {
                it.quorum.max = max;
                // "No such process at all" is a quorum of none.
                if max == 0 {
                    it.quorum.min = 0;
                }
            }
        }),
    ),
    ("fork_delay", Set(|it, arg| it.fork_delay = arg.seconds(MAX_DELAY).unwrap_or(it.fork_delay))),
    ("terminate_delay", Set(|it, arg| it.terminate_delay = arg.seconds(MAX_DELAY).unwrap_or(it.terminate_delay))),
    (
        "delay",
        Set(|it, arg| {
            if let Some(delay) = arg.seconds(MAX_DELAY) {
                (it.fork_delay, it.terminate_delay) = (delay, delay);
            }
        }),
    ),
    ("full_command", Set(|it, _| it.full_command = true)),
];

fn weight(arg: &mut super::arg::Arg<'_>, most: i32) -> Option<Weight> {
    let text = arg.text()?;
    let number = text.parse::<i32>().ok().filter(|n| (-most..=most).contains(n));
    let reverse = match arg.node.value(1) {
        None => Some(false),
        Some("reverse") => Some(true),
        Some(_) => None,
    };
    match (number, reverse) {
        (Some(value), Some(reverse)) => Some(Weight { value, reverse }),
        _ => {
            arg.warn(format!("weight '{text}' is not a number from -{most} to {most}, with 'reverse' behind it if so; it is left out"));
            None
        }
    }
}
