//! `userlist` sections while they are read, and what they come to.

use super::draft::{UsersCx, UsersDraft};
use super::{Walk, World};
use crate::keywords::{Context, Parser};
use crate::model::Userlist;
use crate::tree::{Directive, shown};

impl Walk<'_> {
    pub(super) fn userlist(&mut self, header: &Directive<'_>) -> UsersDraft {
        let known = |walk: &Self, name: &str| walk.userlists.iter().find(|list| list.name == name).map(|list| list.span);
        let name = self.only_name(header, known).to_owned();
        UsersDraft { list: Userlist { name, users: Vec::new(), span: header.span(Some(0)) }, places: Vec::new(), groups: Vec::new() }
    }

    pub(super) fn users_line(&mut self, users: &mut UsersDraft, directive: &Directive<'_>) {
        let Some(line) = self.keyword(directive, Context::In("userlist"), "userlist") else { return };
        let Parser::Users(parser) = line.keyword.parser else { return };
        if let Err(problem) = parser(&mut UsersCx { users }, &line) {
            self.problem(directive, problem);
        }
    }
}

/// Groups and their users find each other.
pub(super) fn finish(draft: UsersDraft, world: &mut World<'_>) -> Userlist {
    let UsersDraft { mut list, places, groups } = draft;
    for (user, place) in list.users.iter().zip(places) {
        for group in user.groups.iter().filter(|group| !groups.iter().any(|(known, ..)| known == *group)) {
            let message =
                format!("userlist '{}': no such group '{}' specified in user '{}'", shown(&list.name), shown(group), shown(&user.name));
            world.error(place, message, Some(format!("add 'group {}'", shown(group))));
        }
    }
    for (group, users, place) in groups {
        for name in users {
            match list.users.iter_mut().find(|user| user.name == name) {
                Some(user) if user.groups.contains(&group) => {}
                Some(user) => user.groups.push(group.clone()),
                None => {
                    let message =
                        format!("userlist '{}': no such user '{}' specified in group '{}'", shown(&list.name), shown(&name), shown(&group));
                    world.error(place, message, Some(format!("add 'user {} password <hash>'", shown(&name))));
                }
            }
        }
    }
    list
}
