//! `log-profile` sections, compiled: what a target writes at which step in place of the formats of its proxy.

use crate::loggers::compiled;
use lb_config::{LogOverride, LogProfile, LogStep};
use lb_expr::LogFormat;

/// A profile.
#[derive(Debug)]
pub(super) struct Profile {
    steps: Box<[(LogStep, Override)]>,
    any: Option<Override>,
}

/// What it says of a step.
#[derive(Debug)]
pub(super) struct Override {
    /// No line.
    pub drop: bool,
    pub format: Option<LogFormat>,
    pub structured: Option<LogFormat>,
}

impl Override {
    fn new(what: &LogOverride) -> Self {
        let (format, structured) = (what.format.as_ref().map(compiled), what.structured.as_ref().map(compiled));
        Self { drop: what.drop, format, structured }
    }
}

impl Profile {
    pub fn new(profile: &LogProfile) -> Self {
        let steps = profile.steps.iter().map(|(step, what)| (*step, Override::new(what))).collect();
        Self { steps, any: profile.any.as_ref().map(Override::new) }
    }

    /// What holds at a step: what was said of it, else of any.
    pub fn at(&self, step: LogStep) -> Option<&Override> {
        self.steps.iter().find(|(at, _)| *at == step).map(|(_, what)| what).or(self.any.as_ref())
    }

    /// All formats.
    pub fn formats(&self) -> impl Iterator<Item = &LogFormat> {
        let all = self.steps.iter().map(|(_, what)| what).chain(&self.any);
        all.flat_map(|what| [&what.format, &what.structured].into_iter().flatten())
    }
}
