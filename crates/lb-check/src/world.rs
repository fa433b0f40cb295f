//! A check as formats and expressions see it: its answer and its variables are here, all else is its owner's to know.

use bumpalo::Bump;
use lb_expr::sample::{Bytes, Context, Cx, Expr, Fact, Lookup, OwnedValue, Scope, Side, Type, Value, Variable};
use lb_expr::{Field, LogFormat, LogSource, LogValue, Timestamp};
use lb_http::Head;
use std::cell::RefCell;

/// What only the owner of a check knows.
pub trait World: Context {
    /// Whether the server is up: `disable-on-404` has no meaning for one that is down.
    fn is_up(&self) -> bool {
        true
    }

    /// Appends what `http-check send-state` says of the server.
    fn write_state(&self, out: &mut Vec<u8>) {
        let _ = out;
    }

    /// Spells the names of fields in a head as the server wants them; there are as many bytes before and after.
    fn spell(&self, head: &mut [u8]) {
        let _ = head;
    }

    /// `tune.vars.check-max-size`, in bytes; 0: no limit.
    fn variable_limit(&self) -> u64 {
        0
    }
}

/// The world of one who has nothing to say: samples are absent, the time is 1970.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWorld;

impl World for NoWorld {}

impl LogSource for NoWorld {
    fn value(&self, _: Field) -> LogValue<'_> {
        LogValue::Missing
    }
}

impl Context for NoWorld {
    fn fact<'a>(&'a self, _: Fact, _: &'a Bump) -> Option<Value<'a>> {
        None
    }

    fn variable<'a>(&self, _: Variable, _: &'a Bump) -> Option<Value<'a>> {
        None
    }

    fn set_variable(&self, _: Variable, _: Option<OwnedValue>) -> bool {
        false
    }

    fn now(&self) -> Timestamp {
        Timestamp { unix_secs: 0, micros: 0, utc_offset_secs: 0 }
    }

    fn random(&self) -> u64 {
        0
    }
}

/// Variables of one check: they live as long as it runs.
#[derive(Debug, Default)]
pub(crate) struct Variables(RefCell<Vec<(Variable, OwnedValue)>>);

/// What a variable counts against the limit beside its bytes, as everywhere.
const OVERHEAD: u64 = 80;

fn size(value: &OwnedValue) -> u64 {
    OVERHEAD + value.heap_size() as u64
}

impl Variables {
    fn set(&self, variable: Variable, value: Option<OwnedValue>, limit: u64) -> bool {
        let mut all = self.0.borrow_mut();
        let at = all.iter().position(|(known, _)| *known == variable);
        let Some(value) = value else {
            if let Some(at) = at {
                all.swap_remove(at);
            }
            return true;
        };
        if limit != 0 && variable.scope == Scope::Check {
            let of_check = all.iter().filter(|(known, _)| known.scope == Scope::Check && *known != variable);
            if of_check.map(|(_, value)| size(value)).sum::<u64>() + size(&value) > limit {
                return false;
            }
        }
        match at {
            Some(at) => all[at].1 = value,
            None => all.push((variable, value)),
        }
        true
    }
}

/// A check at the moment of an evaluation.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub world: &'a dyn World,
    pub variables: &'a Variables,
    /// The head of an HTTP answer.
    pub head: Option<&'a Head>,
    /// Its body.
    pub body: Bytes<'a>,
    /// The answer of another protocol.
    pub buffer: Bytes<'a>,
}

/// Bytes that a format may make: a buffer of haproxy's default size.
pub(crate) const FORMAT_LIMIT: usize = 16_384;

impl<'a> View<'a> {
    pub(crate) fn cx(&'a self, scratch: &'a Bump) -> Cx<'a> {
        Cx { source: self, scratch, side: Side::Response, last: true }
    }

    /// What a format makes.
    pub(crate) fn text(&self, format: &LogFormat) -> Vec<u8> {
        let scratch = Bump::new();
        let mut text = Vec::new();
        format.write(&Spoken { view: self, scratch: &scratch }, FORMAT_LIMIT, &mut text);
        text
    }

    /// An expression as a number; what is none counts as haproxy has it.
    pub(crate) fn number(&self, expr: &Expr) -> Option<i64> {
        let scratch = Bump::new();
        let value = expr.eval(self.cx(&scratch)).value()?;
        match value.cast(Type::Int, &scratch) {
            Some(Value::Int(number)) => Some(number),
            // Bytes of an answer are read as a number, too.
            _ => value.bytes().map(lb_expr::sample::leading_int),
        }
    }
}

/// What a format speaks of.
pub(crate) struct Spoken<'a> {
    pub view: &'a View<'a>,
    pub scratch: &'a Bump,
}

impl LogSource for Spoken<'_> {
    fn value(&self, field: Field) -> LogValue<'_> {
        self.view.world.value(field)
    }

    fn samples(&self) -> Option<Cx<'_>> {
        Some(self.view.cx(self.scratch))
    }
}

impl LogSource for View<'_> {
    fn value(&self, field: Field) -> LogValue<'_> {
        self.world.value(field)
    }
}

impl Context for View<'_> {
    fn head(&self, side: Side) -> Option<&Head> {
        self.head.filter(|_| side == Side::Response)
    }

    fn body(&self, side: Side) -> Bytes<'_> {
        if side == Side::Response { self.body } else { Bytes::default() }
    }

    fn buffer(&self, side: Side) -> Bytes<'_> {
        if side == Side::Response { self.buffer } else { Bytes::default() }
    }

    fn fact<'a>(&'a self, fact: Fact, scratch: &'a Bump) -> Option<Value<'a>> {
        match (fact, self.head) {
            (Fact::Status | Fact::ServerStatus, Some(head)) => Some(Value::Int(head.status().into())),
            _ => self.world.fact(fact, scratch),
        }
    }

    fn variable<'a>(&self, variable: Variable, scratch: &'a Bump) -> Option<Value<'a>> {
        match variable.scope {
            Scope::Process => self.world.variable(variable, scratch),
            _ => self.variables.0.borrow().iter().find(|(known, _)| *known == variable).map(|(_, value)| value.copy_to(scratch)),
        }
    }

    fn set_variable(&self, variable: Variable, value: Option<OwnedValue>) -> bool {
        match variable.scope {
            Scope::Process => self.world.set_variable(variable, value),
            Scope::Session | Scope::Check => self.variables.set(variable, value, self.world.variable_limit()),
            // There is no transaction.
            Scope::Transaction | Scope::Request | Scope::Response => false,
        }
    }

    fn now(&self) -> Timestamp {
        self.world.now()
    }

    fn random(&self) -> u64 {
        self.world.random()
    }

    fn local_offset(&self, unix_secs: i64) -> i32 {
        self.world.local_offset(unix_secs)
    }

    fn local_zone<'a>(&self, unix_secs: i64, scratch: &'a Bump) -> &'a str {
        self.world.local_zone(unix_secs, scratch)
    }

    fn lookup(&self, what: Lookup<'_>) -> Option<i64> {
        self.world.lookup(what)
    }

    fn knows_user(&self, list: lb_expr::sample::Reference, user: &[u8], password: &[u8]) -> bool {
        self.world.knows_user(list, user, password)
    }

    fn debug(&self, sink: &str, line: &[u8]) {
        self.world.debug(sink, line);
    }
}
