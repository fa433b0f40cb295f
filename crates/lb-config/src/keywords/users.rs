//! Lines of `userlist` sections. Source: manual 3.4.

use super::{Context, Keyword, Parser, State};
use crate::diag::Problem;
use crate::model::{Password, User};
use crate::parse::{Line, UsersCx};
use crate::tree::shown;

type Outcome = Result<(), Problem>;

pub(super) const KEYWORDS: &[Keyword] = &[
    Keyword::new(Context::In("userlist"), "group", "<name> [users <user>,...]", "users of a group", State::Works, Parser::Users(group)),
    Keyword::new(
        Context::In("userlist"),
        "user",
        "<name> [password|insecure-password <password>] [groups <group>,...]",
        "a user",
        State::Works,
        Parser::Users(user),
    ),
];

fn list(text: &str) -> Vec<String> {
    text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn group(cx: &mut UsersCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let name = line.need(0)?;
    if cx.users.groups.iter().any(|(known, ..)| known == name) {
        let message = format!("the group '{}' is already there: this line is left out", shown(name));
        cx.world.warn(line.span(), message, Some("name all its users on one line".into()));
        return Ok(());
    }
    let users = match line.arg(1) {
        None => Vec::new(),
        Some("users") => list(line.need(2)?),
        Some(other) => {
            return Err(line
                .problem(1, format!("unexpected '{}' behind the group", shown(other)))
                .help("write 'group <name> users <user>,...'"));
        }
    };
    line.end(3)?;
    cx.users.groups.push((name.to_owned(), users, line.span()));
    Ok(())
}

fn user(cx: &mut UsersCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let name = line.need(0)?;
    if cx.users.list.users.iter().any(|known| known.name == name) {
        let message = format!("the user '{}' is already there: this line is left out", shown(name));
        cx.world.warn(line.span(), message, Some("each user has one line".into()));
        return Ok(());
    }
    let mut user = User { name: name.to_owned(), password: None, groups: Vec::new() };
    let mut at = 1;
    while let Some(word) = line.arg(at) {
        let value = line.need(at + 1)?;
        match word {
            "password" => user.password = Some(Password::Crypt(value.to_owned())),
            "insecure-password" => user.password = Some(Password::Plain(value.to_owned())),
            "groups" => user.groups = list(value),
            other => {
                let message = format!("unexpected '{}' behind the user", shown(other));
                return Err(line.problem(at, message).help("write 'user <name> password <hash> groups <group>,...'"));
            }
        }
        at += 2;
    }
    cx.users.places.push(line.span());
    cx.users.list.users.push(user);
    Ok(())
}
