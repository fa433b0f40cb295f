//! `program` sections while they are read, and what is wrong with them as a whole.

use super::draft::{ProgramCx, World};
use super::{Directive, Walk};
use crate::keywords::{Context, Parser};
use crate::model::{Config, Program};
use crate::tree::shown;

impl Walk<'_> {
    /// The header of a program.
    pub(super) fn program(&mut self, header: &Directive<'_>) -> Program {
        let known = |walk: &Self, name: &str| walk.programs.iter().find(|program| program.name == name).map(|program| program.span);
        let name = self.only_name(header, known).to_owned();
        Program { name, command: Vec::new(), user: None, group: None, start_on_reload: true, span: header.span(Some(0)) }
    }

    pub(super) fn program_line(&mut self, program: &mut Program, directive: &Directive<'_>) {
        let Some(line) = self.keyword(directive, Context::In("program"), "program") else { return };
        let Parser::Program(parser) = line.keyword.parser else { return };
        if let Err(problem) = parser(&mut ProgramCx { program, world: &mut self.world }, &line) {
            self.problem(directive, problem);
        }
    }
}

/// The programs of a configuration: each has a command, and a master that starts it.
pub(super) fn resolve_programs(programs: Vec<Program>, config: &mut Config, world: &mut World<'_>) {
    for program in programs.iter().filter(|program| program.command.is_empty()) {
        let message = format!("the program '{}' has no command", shown(&program.name));
        world.error(program.span, message, Some("write 'command <command> [<argument> ...]'".into()));
    }
    if let Some(program) = programs.first()
        && config.global.process.master_worker.is_none()
        && !world.source.switches.master_worker
    {
        let message = format!("the program '{}' has no master that could start it", shown(&program.name));
        world.error(program.span, message, Some("start with -W or -Ws, or write 'master-worker' in 'global'".into()));
    }
    config.programs = programs;
}
