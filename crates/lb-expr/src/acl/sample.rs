//! The sample `acl(a,!b,...)`: whether named ACLs hold, all of them. Source: manual of 3.2, 7.3.2.
//!
//! Holds: no ACL asks itself, and ACLs ask each other at most [`MAX_DEPTH`] deep. An ACL that is asked so gets no further line that asks others,
//! so what is true when the line is read stays true.

use super::{Acl, Verdict};
use crate::sample::{Arg, ArgKind, Args, Compiler, Cx, Eval, Fetch, Need, Type, Value};
use std::sync::Arc;

/// How deep ACLs may ask ACLs.
pub const MAX_DEPTH: usize = 16;

/// ACLs of one `acl()`.
const MAX_ACLS: usize = 12;

/// Name in the configuration.
pub(super) const NAME: &str = "acl";

pub(crate) const TABLE: &[Fetch] =
    &[Fetch::new(NAME, &[ArgKind::Str; MAX_ACLS], 1, Type::Bool, Need::Constant, |args, cx, _| ask(args, cx)).loading(load)];

/// The ACLs of a call, each with its `!`.
struct Asked {
    terms: Vec<(Arc<Acl>, bool)>,
    depth: usize,
}

/// How deep a call of `acl()` goes: 1 where the ACLs that it asks ask no others.
pub(super) fn depth(args: &Args) -> usize {
    args.made::<Asked>(0).map_or(0, |asked| asked.depth)
}

fn load(args: &mut Vec<Arg>, compiler: &mut Compiler<'_>) -> Result<(), String> {
    let mut asked = Asked { terms: Vec::new(), depth: 0 };
    for word in args.iter().map(Arg::text) {
        let name = word.trim_start_matches('!');
        let negated = (word.len() - name.len()) % 2 == 1;
        let acl = match compiler.loader.acl(name) {
            Some(acl) => acl,
            None => Acl::predefined(name, compiler).ok_or_else(|| format!("no such ACL : '{name}'"))?,
        };
        acl.note_asked();
        asked.depth = asked.depth.max(acl.depth() + 1);
        asked.terms.push((acl, negated));
    }
    if asked.depth > MAX_DEPTH {
        return Err(format!("ACLs that ask each other more than {MAX_DEPTH} deep"));
    }
    *args = vec![Arg::made(asked)];
    Ok(())
}

fn ask<'a>(args: &'a Args, cx: Cx<'a>) -> Eval<'a> {
    let Some(asked) = args.made::<Asked>(0) else { return Eval::Absent };
    let mut all = Verdict::Pass;
    for (acl, negated) in &asked.terms {
        let verdict = acl.eval(cx);
        match if *negated { verdict.negated() } else { verdict } {
            Verdict::Pass => {}
            Verdict::Fail => return Eval::Value(Value::Bool(false)),
            Verdict::NeedMore => all = Verdict::NeedMore,
        }
    }
    if all == Verdict::NeedMore { Eval::NeedMore } else { Eval::Value(Value::Bool(true)) }
}
