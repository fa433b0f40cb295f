//! `set-var` and `set-var-fmt` of `global`: variables of the process that have a value before anything is served. Called once, by the
//! first worker.
//!
//! Holds: there is no connection here, so only what is known of the process and the time has a value. Source: manual 3.1.

use crate::worker::Worker;
use bumpalo::Bump;
use lb_expr::sample::{Context, Cx, Fact, OwnedValue, Scope, SetVar, Side, Value, Variable};
use lb_expr::{CaptureSide, Field, LogSource, LogValue, Timestamp};

/// Sets them one after the other, so that each may ask for those before it.
pub fn set_variables(worker: &Worker, all: &[SetVar]) {
    let start = Start(worker);
    for variable in all {
        let scratch = Bump::new();
        let cx = Cx { source: &start, scratch: &scratch, side: Side::Request, last: true };
        variable.apply(&Spoken(cx), cx);
    }
}

/// The process before it serves.
struct Start<'w>(&'w Worker);

impl LogSource for Start<'_> {
    fn value(&self, field: Field) -> LogValue<'_> {
        match field {
            Field::AcceptDate | Field::RequestDate => LogValue::Time(self.0.timestamp()),
            Field::Pid => LogValue::Int(i64::from(std::process::id())),
            Field::Hostname => LogValue::Text(self.0.process.host_name.as_bytes()),
            _ => LogValue::Missing,
        }
    }

    fn capture(&self, _: CaptureSide, _: usize) -> Option<&[u8]> {
        None
    }
}

impl Context for Start<'_> {
    fn fact<'a>(&'a self, fact: Fact, _: &'a Bump) -> Option<Value<'a>> {
        match fact {
            Fact::Nbproc | Fact::Proc => Some(Value::Int(1)),
            Fact::Nbthread => Some(Value::Int(self.0.process.counters.len() as i64)),
            Fact::Thread => Some(Value::Int(0)),
            Fact::Pid => Some(Value::Int(i64::from(std::process::id()))),
            Fact::Hostname => Some(Value::Str(self.0.process.host_name.as_bytes())),
            _ => None,
        }
    }

    fn environment<'a>(&self, name: &str, scratch: &'a Bump) -> Option<Value<'a>> {
        crate::context::environment(name, scratch)
    }

    fn variable<'a>(&self, variable: Variable, scratch: &'a Bump) -> Option<Value<'a>> {
        (variable.scope == Scope::Process).then(|| self.0.process.variables.get(variable, scratch)).flatten()
    }

    fn set_variable(&self, variable: Variable, value: Option<OwnedValue>) -> bool {
        variable.scope == Scope::Process && self.0.process.variables.set(variable, value)
    }

    fn now(&self) -> Timestamp {
        self.0.timestamp()
    }

    fn random(&self) -> u64 {
        self.0.chance()
    }

    fn local_offset(&self, unix_secs: i64) -> i32 {
        lb_sys::localtime::utc_offset(unix_secs)
    }

    fn local_zone<'a>(&self, unix_secs: i64, scratch: &'a Bump) -> &'a str {
        scratch.alloc_str(&lb_sys::localtime::zone_name(unix_secs))
    }
}

/// In the form that formats want.
struct Spoken<'a>(Cx<'a>);

impl LogSource for Spoken<'_> {
    fn value(&self, field: Field) -> LogValue<'_> {
        self.0.source.value(field)
    }

    fn capture(&self, _: CaptureSide, _: usize) -> Option<&[u8]> {
        None
    }

    fn samples(&self) -> Option<Cx<'_>> {
        Some(self.0)
    }
}
