//! The ACLs of a proxy by name. Several lines of a name are alternatives.
//!
//! Holds: a rule that names an ACL sees the lines that come behind the rule as well, as haproxy has it. A line is therefore hung
//! behind the one before it, once, in a cell; readers need no lock.

use super::{Line, Verdict, names};
use crate::sample::{Compiler, Cx, ExprError, Value};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A test: one line, or several of the same name.
#[derive(Debug)]
pub struct Acl {
    name: Option<Box<str>>,
    first: Arc<Link>,
    /// A sample `acl()` asks it.
    asked: AtomicBool,
}

#[derive(Debug)]
struct Link {
    line: Line,
    next: OnceLock<Arc<Link>>,
}

impl Link {
    fn new(line: Line) -> Arc<Self> {
        Arc::new(Self { line, next: OnceLock::new() })
    }
}

impl Drop for Link {
    // A name may have a million lines; dropping one within the other would need as deep a stack.
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut link) = next.and_then(Arc::into_inner) {
            next = link.next.take();
        }
    }
}

impl Acl {
    /// The test that stands between braces: `words[at..]` to the end of `words`.
    pub(super) fn anonymous(words: &[&str], at: usize, compiler: &mut Compiler<'_>) -> Result<Arc<Self>, ExprError> {
        Ok(Arc::new(Self::new(None, Line::parse(words, at, compiler)?)))
    }

    fn new(name: Option<&str>, line: Line) -> Self {
        Self { name: name.map(Into::into), first: Link::new(line), asked: AtomicBool::new(false) }
    }

    /// The test of that name that needs no definition.
    pub(super) fn predefined(name: &str, compiler: &mut Compiler<'_>) -> Option<Arc<Self>> {
        let words = names::predefined(name)?;
        Some(Arc::new(Self::new(Some(name), Line::parse(words, 0, compiler).ok()?)))
    }

    /// Notes that a sample `acl()` asks it.
    pub(super) fn note_asked(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// How deep ACLs ask each other below this one.
    pub(super) fn depth(&self) -> usize {
        self.lines().map(Line::depth).max().unwrap_or(0)
    }

    /// Its name; `None` for one that stands in a condition.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Its lines.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        std::iter::successors(Some(&*self.first), |link| link.next.get().map(|next| &**next)).map(|link| &link.line)
    }

    /// Whether one of its lines holds.
    pub fn eval(&self, cx: Cx<'_>) -> Verdict {
        self.watch(cx, |_, _| ())
    }

    /// The same; `seen` is told of each line that is asked, with the value that matched or else the last one.
    pub fn watch<'a>(&'a self, cx: Cx<'a>, mut seen: impl FnMut(&'a Line, Option<Value<'a>>)) -> Verdict {
        let mut verdict = Verdict::Fail;
        let mut link = &*self.first;
        loop {
            verdict = verdict.or(link.line.watch(cx, &mut seen));
            if verdict == Verdict::Pass {
                return verdict;
            }
            match link.next.get() {
                Some(next) => link = next,
                None => return verdict,
            }
        }
    }
}

/// The named ACLs of a proxy.
#[derive(Debug, Default)]
pub struct Acls {
    named: HashMap<Box<str>, Named>,
}

#[derive(Debug)]
struct Named {
    acl: Arc<Acl>,
    last: Arc<Link>,
}

impl From<Arc<Acl>> for Named {
    fn from(acl: Arc<Acl>) -> Self {
        Self { last: Arc::clone(&acl.first), acl }
    }
}

impl Acls {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the line `acl NAME ...` of which `words[at]` is the name.
    ///
    /// # Errors
    /// A name with characters that none may have, and what is wrong with the test; in haproxy's words.
    pub fn add(&mut self, words: &[&str], at: usize, compiler: &mut Compiler<'_>) -> Result<(), ExprError> {
        let name = words.get(at).copied().unwrap_or_default();
        if let Some(odd) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.' | ':')) {
            return Err(ExprError::new(at, format!("character '{odd}' is not permitted in acl name '{name}'")));
        }
        if name.eq_ignore_ascii_case("or") {
            let message = format!("acl name '{name}' will never match. 'or' is used to express a logical disjunction within a condition");
            return Err(ExprError::new(at, message));
        }
        let line = Line::parse(words, at + 1, compiler)
            .map_err(|e| ExprError { message: format!("error detected while parsing ACL '{name}' : {}", e.message), ..e })?;
        match self.named.get_mut(name) {
            None => {
                self.named.insert(name.into(), Arc::new(Acl::new(Some(name), line)).into());
            }
            Some(named) if named.acl.asked.load(Ordering::Relaxed) && line.depth() != 0 => {
                let message = format!("acl '{name}' is asked by an 'acl()' before this line, so that it may ask no others from here on");
                return Err(ExprError {
                    help: Some("put this line before the one that asks it".to_owned()),
                    ..ExprError::new(at, message)
                });
            }
            Some(named) => {
                let link = Link::new(line);
                named.last.next.get_or_init(|| Arc::clone(&link));
                named.last = link;
            }
        }
        Ok(())
    }

    /// The ACL of this name, or the one that needs no definition, which is made now.
    pub(super) fn named(&mut self, name: &str, compiler: &mut Compiler<'_>) -> Option<Arc<Acl>> {
        if let Some(named) = self.named.get(name) {
            return Some(Arc::clone(&named.acl));
        }
        let acl = Acl::predefined(name, compiler)?;
        self.named.insert(name.into(), Arc::clone(&acl).into());
        Some(acl)
    }

    /// The ACL of this name, if a line or a condition has named it.
    pub fn get(&self, name: &str) -> Option<&Arc<Acl>> {
        self.named.get(name).map(|named| &named.acl)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Acl>> {
        self.named.values().map(|named| &named.acl)
    }
}
