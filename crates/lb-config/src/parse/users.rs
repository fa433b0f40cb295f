//! `userlist` sections while they are read, and what they come to.
//!
//! Holds: of two users or groups of one name the first counts, and a section whose name was there goes on with that list; each with a
//! warning, as in haproxy.

use super::draft::{UsersCx, UsersDraft};
use super::{Walk, World};
use crate::keywords::{Context, Parser};
use crate::model::{Span, Userlist};
use crate::tree::{Directive, shown};
use lb_expr::acl::{self, Matching};

impl Walk<'_> {
    pub(super) fn userlist(&mut self, header: &Directive<'_>) -> UsersDraft {
        let name = self.only_name(header, |_, _| None).to_owned();
        if let Some(at) = self.userlists.iter().position(|known| known.list.name == name) {
            let known = self.userlists.remove(at);
            let message =
                format!("the userlist '{}' is already there on line {}; this goes on with it", shown(&name), known.list.span.line);
            self.world.warn(header.span(Some(1)), message, Some("move these lines there".into()));
            return known;
        }
        let list = Userlist { name, users: Vec::new(), groups: Vec::new(), span: header.span(Some(0)) };
        UsersDraft { list, places: Vec::new(), groups: Vec::new() }
    }

    pub(super) fn users_line(&mut self, users: &mut UsersDraft, directive: &Directive<'_>) {
        let Some(line) = self.keyword(directive, Context::In("userlist"), "userlist") else { return };
        let Parser::Users(parser) = line.keyword.parser else { return };
        if let Err(problem) = parser(&mut UsersCx { users, world: &mut self.world }, &line) {
            self.problem(directive, problem);
        }
    }
}

/// Groups and their users find each other.
pub(super) fn finish(draft: UsersDraft, world: &mut World<'_>) -> Userlist {
    let UsersDraft { mut list, places, groups } = draft;
    list.groups = groups.iter().map(|(name, ..)| name.clone()).collect();
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

/// Names of groups in ACLs, `http_auth_group(<userlist>) <group> ...`: each has to be one of the list's.
pub(super) struct AskedGroups {
    /// What the ACL is called in messages.
    acl: String,
    userlist: String,
    groups: Vec<String>,
    span: Span,
}

impl World<'_> {
    /// Notes what a line of an ACL asks of groups.
    pub(crate) fn note_groups(&mut self, acl: &str, line: &acl::Line, span: Span) {
        let expr = line.expr();
        if expr.fetch_name() != "http_auth_group" || !expr.is_plain() || line.matching() != Matching::Str {
            return;
        }
        let text = expr.text();
        let userlist = text.split_once('(').map_or("", |(_, rest)| rest.split(')').next().unwrap_or_default());
        let mut groups = Vec::new();
        for patterns in line.patterns() {
            let Some(loaded) = patterns.loaded() else { return };
            groups.extend(loaded.map(|group| String::from_utf8_lossy(group).into_owned()));
        }
        let acl = if acl.is_empty() { "an acl without a name".to_owned() } else { format!("acl '{}'", shown(acl)) };
        self.asked_groups.push(AskedGroups { acl, userlist: userlist.trim().to_owned(), groups, span });
    }
}

/// Tells of groups that ACLs ask for and that are none.
pub(super) fn check_groups(lists: &[Userlist], world: &mut World<'_>) {
    for AskedGroups { acl, userlist, groups, span } in std::mem::take(&mut world.asked_groups) {
        let Some(list) = lists.iter().find(|list| list.name == userlist) else { continue };
        if groups.is_empty() {
            let message = format!("{acl}: 'http_auth_group' wants groups");
            world.error(span, message, Some("write the names of groups behind it".into()));
        }
        for group in groups.iter().filter(|group| !list.groups.contains(group)) {
            let message = format!("{acl}: the userlist '{}' has no group '{}'", shown(&userlist), shown(group));
            world.error(span, message, Some(format!("add 'group {}' to it", shown(group))));
        }
    }
}
