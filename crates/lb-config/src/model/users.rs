//! `userlist`: users, their passwords, their groups. Source: manual 3.4.

use super::Span;
use std::fmt;

/// One `userlist` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Userlist {
    /// Its name.
    pub name: String,
    /// Its users.
    pub users: Vec<User>,
    /// Names of its groups, those without users among them.
    pub groups: Vec<String>,
    /// Where it starts.
    pub span: Span,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    /// How the password is known; `None`: nobody gets in by this name.
    pub password: Option<Password>,
    /// Groups that the user is in.
    pub groups: Vec<String>,
}

/// A password.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// `insecure-password`: as it is typed.
    Plain(String),
    /// `password`: as crypt(3) made it.
    Crypt(String),
}

impl fmt::Debug for Password {
    /// Says which kind it is and no more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Crypt(_) => "Crypt",
        })
    }
}

impl Userlist {
    /// The user of a name.
    pub fn user(&self, name: &[u8]) -> Option<&User> {
        self.users.iter().find(|user| user.name.as_bytes() == name)
    }
}
