//! `log-profile` sections while they are read, and the targets that name them.

use super::draft::{ProfileCx, World};
use super::{Directive, Walk};
use crate::diag::nearest;
use crate::keywords::{Context, Parser};
use crate::model::{Config, LogProfile};
use crate::tree::shown;

impl Walk<'_> {
    /// The header of a profile.
    pub(super) fn profile(&mut self, header: &Directive<'_>) -> LogProfile {
        let known = |walk: &Self, name: &str| walk.profiles.iter().find(|profile| profile.name == name).map(|profile| profile.span);
        let name = self.only_name(header, known).to_owned();
        LogProfile { name, log_tag: None, steps: Vec::new(), any: None, span: header.span(Some(0)) }
    }

    pub(super) fn profile_line(&mut self, profile: &mut LogProfile, directive: &Directive<'_>) {
        let Some(line) = self.keyword(directive, Context::In("log-profile"), "log-profile") else { return };
        let Parser::Profile(parser) = line.keyword.parser else { return };
        if let Err(problem) = parser(&mut ProfileCx { profile, world: &mut self.world }, &line) {
            self.problem(directive, problem);
        }
    }
}

/// The profiles of a configuration. Each name that a target asks for is there.
pub(super) fn resolve_profiles(profiles: Vec<LogProfile>, config: &mut Config, world: &mut World<'_>) {
    let forwards = config.log_forwards.iter().flat_map(|forward| &forward.logs);
    let targets = config.global.logs.iter().chain(config.proxies.iter().flat_map(|proxy| &proxy.logs)).chain(forwards);
    for target in targets {
        let Some(name) = &target.profile else { continue };
        if profiles.iter().all(|profile| profile.name != *name) {
            let help = match nearest(name, profiles.iter().map(|profile| profile.name.as_str())) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("add 'log-profile {}', or name one that exists", shown(name)),
            };
            world.error(target.span, format!("there is no log-profile named '{}'", shown(name)), Some(help));
        }
    }
    config.log_profiles = profiles;
}
