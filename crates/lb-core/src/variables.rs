//! Variables of `set-var`: where they are kept and how much of them there may be. Manual 2.8 and `tune.vars.*-max-size`.
//!
//! Holds: a variable lives with its owner: those of the process in [`Shared`], those of a session in its client, the others in
//! their stream's record; a value that would take a scope over its limit is not set.

use bumpalo::Bump;
use lb_config::VariableLimits;
use lb_expr::sample::{OwnedValue, Scope, Value, Variable};
use std::cell::{Cell, OnceCell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

/// What a variable counts against limits beside its bytes (observed on haproxy 2.6.12).
const OVERHEAD: u64 = 80;

/// Some variables. Each knows its scope, so that those of a request can end before those of their transaction.
#[derive(Debug, Default)]
struct List {
    all: RefCell<Vec<(Variable, OwnedValue)>>,
}

fn size(value: &OwnedValue) -> u64 {
    OVERHEAD + value.heap_size() as u64
}

/// The variables of a session or of a stream: nothing is kept until the first is set.
#[derive(Debug, Default)]
pub struct Variables {
    list: OnceCell<Box<List>>,
}

impl Variables {
    /// The value of a variable, copied to `scratch`.
    pub fn get<'a>(&self, variable: Variable, scratch: &'a Bump) -> Option<Value<'a>> {
        let all = self.list.get()?.all.borrow();
        all.iter().find(|(name, _)| *name == variable).map(|(_, value)| value.copy_to(scratch))
    }

    /// Takes away all variables of a scope.
    pub fn end(&self, scope: Scope) {
        if let Some(list) = self.list.get() {
            list.all.borrow_mut().retain(|(name, _)| name.scope != scope);
        }
    }

    fn size(&self, counts: impl Fn(Scope) -> bool) -> u64 {
        let Some(list) = self.list.get() else { return 0 };
        list.all.borrow().iter().filter(|(name, _)| counts(name.scope)).map(|(_, value)| size(value)).sum()
    }

    fn replace(&self, variable: Variable, value: Option<OwnedValue>) {
        let list = match (self.list.get(), &value) {
            (None, None) => return,
            _ => self.list.get_or_init(Box::default),
        };
        let mut all = list.all.borrow_mut();
        let at = all.iter().position(|(name, _)| *name == variable);
        match (at, value) {
            (Some(at), Some(value)) => all[at].1 = value,
            (None, Some(value)) => all.push((variable, value)),
            (Some(at), None) => drop(all.swap_remove(at)),
            (None, None) => {}
        }
    }

    fn size_of(&self, variable: Variable) -> u64 {
        let Some(list) = self.list.get() else { return 0 };
        list.all.borrow().iter().find(|(name, _)| *name == variable).map_or(0, |(_, value)| size(value))
    }
}

/// What all threads share: the variables of the process, the limits, and how much there is of all.
#[derive(Debug, Default)]
pub struct Shared {
    limits: VariableLimits,
    process: RwLock<Vec<(Variable, OwnedValue)>>,
    /// Bytes of all variables, counted while there is a limit on them.
    total: AtomicU64,
}

impl Shared {
    /// No variables yet.
    pub fn new(limits: VariableLimits) -> Shared {
        Shared { limits, ..Shared::default() }
    }

    /// `tune.vars.check-max-size`, in bytes; 0: no limit.
    pub fn check_limit(&self) -> u64 {
        self.limits.check
    }

    /// The value of a variable of the process, copied to `scratch`.
    pub fn get<'a>(&self, variable: Variable, scratch: &'a Bump) -> Option<Value<'a>> {
        let all = self.process.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|(name, _)| *name == variable).map(|(_, value)| value.copy_to(scratch))
    }

    /// Sets or takes away a variable of the process; false when it may not grow so large.
    pub fn set(&self, variable: Variable, value: Option<OwnedValue>) -> bool {
        let mut all = self.process.write().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|(name, _)| *name == variable);
        let before = at.map_or(0, |at| size(&all[at].1));
        let after = value.as_ref().map_or(0, size);
        if after > before && self.limits.any() {
            let own: u64 = all.iter().map(|(_, value)| size(value)).sum();
            if self.limits.process != 0 && own - before + after > self.limits.process {
                return false;
            }
        }
        if !self.count(before, after) {
            return false;
        }
        match (at, value) {
            (Some(at), Some(value)) => all[at].1 = value,
            (None, Some(value)) => all.push((variable, value)),
            (Some(at), None) => drop(all.swap_remove(at)),
            (None, None) => {}
        }
        true
    }

    /// Counts a change against the limit on all variables.
    fn count(&self, before: u64, after: u64) -> bool {
        let limit = self.limits.global;
        if limit == 0 {
            return true;
        }
        let changed = |total: u64| Some(total.saturating_sub(before) + after).filter(|total| after <= before || *total <= limit);
        self.total.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed).is_ok()
    }
}

/// The variables that a stream, or a connection without one, can see.
#[derive(Clone, Copy)]
pub struct Visible<'s> {
    /// Those of the process.
    pub shared: &'s Shared,
    /// Those of the client's connection.
    pub session: &'s Variables,
    /// Those of transaction, request, response; `None`: there is no stream.
    pub stream: Option<&'s Variables>,
}

impl Visible<'_> {
    /// The value of a variable, copied to `scratch`.
    pub fn get<'a>(&self, variable: Variable, scratch: &'a Bump) -> Option<Value<'a>> {
        match variable.scope {
            Scope::Process => self.shared.get(variable, scratch),
            Scope::Session => self.session.get(variable, scratch),
            Scope::Transaction | Scope::Request | Scope::Response => self.stream?.get(variable, scratch),
            Scope::Check => None,
        }
    }

    /// Sets or takes away a variable; false when it may not grow so large, or its scope is not there.
    pub fn set(&self, variable: Variable, value: Option<OwnedValue>) -> bool {
        let list = match variable.scope {
            Scope::Process => return self.shared.set(variable, value),
            Scope::Session => self.session,
            Scope::Transaction | Scope::Request | Scope::Response => match self.stream {
                Some(list) => list,
                None => return false,
            },
            Scope::Check => return false,
        };
        if self.shared.limits.any() {
            let (before, after) = (list.size_of(variable), value.as_ref().map_or(0, size));
            if after > before && !self.has_room(variable.scope, after - before) {
                return false;
            }
            if !self.shared.count(before, after) {
                return false;
            }
        }
        list.replace(variable, value);
        true
    }

    /// Whether a scope, and those that it is counted in, can take so many bytes more.
    fn has_room(&self, scope: Scope, more: u64) -> bool {
        let limits = &self.shared.limits;
        let fits = |limit: u64, size: u64| limit == 0 || size + more <= limit;
        let stream = |counts: fn(Scope) -> bool| self.stream.map_or(0, |list| list.size(counts));
        let is_message = |scope| matches!(scope, Scope::Request | Scope::Response);
        (!is_message(scope) || fits(limits.message, stream(is_message)))
            && (scope == Scope::Session || fits(limits.transaction, stream(|_| true)))
            && fits(limits.session, self.session.size(|_| true) + stream(|_| true))
    }
}

/// Takes what a session or a stream had out of the count of all; to be called when it ends.
pub fn leave(shared: &Shared, variables: &Variables) {
    if shared.limits.global != 0 {
        shared.count(variables.size(|_| true), 0);
    }
}

/// Values in the making: memory that is lent for one evaluation and empty again after it.
#[derive(Default)]
pub struct Scratches(Cell<Vec<Bump>>);

/// Memory kept for the next evaluation, in bytes; what grew larger is freed.
const KEEP: usize = 64 << 10;
/// Evaluations within each other that find memory ready: a log line within a rule within a reply.
const DEPTH: usize = 4;

impl Scratches {
    /// Lends memory.
    #[inline]
    pub fn lend(&self) -> Scratch<'_> {
        let mut free = self.0.take();
        let bump = free.pop().unwrap_or_default();
        self.0.set(free);
        Scratch { bump, owner: self }
    }
}

/// Lent memory; goes back by `Drop`.
pub struct Scratch<'w> {
    bump: Bump,
    owner: &'w Scratches,
}

impl std::ops::Deref for Scratch<'_> {
    type Target = Bump;
    fn deref(&self) -> &Bump {
        &self.bump
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        let mut bump = std::mem::take(&mut self.bump);
        let mut free = self.owner.0.take();
        if free.len() < DEPTH && bump.allocated_bytes() <= KEEP {
            bump.reset();
            free.push(bump);
        }
        self.owner.0.set(free);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(scope: Scope, id: u32) -> Variable {
        Variable { scope, id }
    }

    fn text(len: usize) -> Option<OwnedValue> {
        Some(OwnedValue::Str(vec![b'x'; len].into()))
    }

    #[test]
    fn each_scope_has_its_life() {
        let (shared, session, stream) = (Shared::default(), Variables::default(), Variables::default());
        let seen = Visible { shared: &shared, session: &session, stream: Some(&stream) };
        let scratch = Bump::new();
        let scopes = [Scope::Process, Scope::Session, Scope::Transaction, Scope::Request, Scope::Response];
        for (n, scope) in scopes.into_iter().enumerate() {
            assert!(seen.set(name(scope, n as u32), Some(OwnedValue::Int(n as i64))));
        }
        for (n, scope) in scopes.into_iter().enumerate() {
            assert_eq!(seen.get(name(scope, n as u32), &scratch), Some(Value::Int(n as i64)));
        }
        stream.end(Scope::Request);
        assert_eq!(seen.get(name(Scope::Request, 3), &scratch), None);
        assert_eq!(seen.get(name(Scope::Transaction, 2), &scratch), Some(Value::Int(2)));
        let later = Visible { stream: None, ..seen };
        assert_eq!(later.get(name(Scope::Transaction, 2), &scratch), None);
        assert!(!later.set(name(Scope::Transaction, 2), None));
        assert_eq!(later.get(name(Scope::Process, 0), &scratch), Some(Value::Int(0)));
        assert!(later.set(name(Scope::Process, 0), None));
        assert_eq!(later.get(name(Scope::Process, 0), &scratch), None);
    }

    #[test]
    fn limits_count_the_scopes_within() {
        let limits = VariableLimits { global: 0, process: 100, session: 400, transaction: 200, message: 90, check: 0 };
        let (shared, session, stream) = (Shared::new(limits), Variables::default(), Variables::default());
        let seen = Visible { shared: &shared, session: &session, stream: Some(&stream) };
        assert!(!seen.set(name(Scope::Request, 0), text(11)));
        assert!(seen.set(name(Scope::Request, 0), text(10)));
        assert!(!seen.set(name(Scope::Response, 1), text(0)));
        // 90 of 200 are taken by the request.
        assert!(!seen.set(name(Scope::Transaction, 2), text(31)));
        assert!(seen.set(name(Scope::Transaction, 2), text(30)));
        assert!(!seen.set(name(Scope::Session, 3), text(121)));
        assert!(seen.set(name(Scope::Session, 3), text(120)));
        // A smaller value always fits.
        assert!(seen.set(name(Scope::Session, 3), text(1)));
        assert!(!seen.set(name(Scope::Process, 4), text(21)));
        assert!(seen.set(name(Scope::Process, 4), text(20)));
    }

    #[test]
    fn what_leaves_counts_no_more() {
        let shared = Shared::new(VariableLimits { global: 200, ..VariableLimits::default() });
        for _ in 0..3 {
            let (session, stream) = (Variables::default(), Variables::default());
            let seen = Visible { shared: &shared, session: &session, stream: Some(&stream) };
            assert!(seen.set(name(Scope::Session, 0), text(20)));
            assert!(seen.set(name(Scope::Transaction, 1), text(20)));
            assert!(!seen.set(name(Scope::Transaction, 2), text(0)));
            leave(&shared, &session);
            leave(&shared, &stream);
        }
        assert_eq!(shared.total.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn memory_is_lent_within_itself() {
        let scratches = Scratches::default();
        let a = scratches.lend();
        a.alloc_slice_copy(&[1u8; 100]);
        {
            let b = scratches.lend();
            b.alloc_slice_copy(&vec![1u8; KEEP + 1]);
        }
        drop(a);
        let free = scratches.0.take();
        assert_eq!(free.len(), 1, "what grew too large is freed");
    }
}
