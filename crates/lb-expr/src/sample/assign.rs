//! `set-var` and `set-var-fmt`, of rules and of checks alike. Manual 4.2 `http-request set-var`.

use super::{Cx, Expr, OwnedValue, Value, Variable};
use crate::{LogFormat, LogSource};

/// A condition of `set-var`, which stands behind the variable's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the word of the same name
pub enum VarCondition {
    IfExists,
    IfNotExists,
    IfEmpty,
    IfNotEmpty,
    IfSet,
    IfNotSet,
    IfGreater,
    IfLess,
}

/// What a variable is set to.
#[derive(Clone, Debug, PartialEq)]
pub enum VarValue {
    /// `set-var`
    Expr(Expr),
    /// `set-var-fmt`
    Format(LogFormat),
}

/// A variable that gets a value.
#[derive(Clone, Debug, PartialEq)]
pub struct SetVar {
    /// Which.
    pub variable: Variable,
    /// `ifexists`, `ifgt` and the like: all have to hold.
    pub when: Box<[VarCondition]>,
    /// Its value.
    pub value: VarValue,
}

/// Bytes that a format may make.
const FORMAT_LIMIT: usize = 16_384;

impl SetVar {
    /// Sets the variable. What cannot be had leaves it as it is, as haproxy has it; what is too large is not set. `spoken` is what a
    /// format speaks of.
    pub fn apply<S: LogSource + ?Sized>(&self, spoken: &S, cx: Cx<'_>) {
        let mut text = Vec::new();
        let value = match &self.value {
            VarValue::Expr(expr) => expr.eval(cx).value(),
            VarValue::Format(format) => {
                format.write(spoken, FORMAT_LIMIT, &mut text);
                Some(Value::Str(&text))
            }
        };
        let may = self.when.is_empty() || may_set(&self.when, cx.source.variable(self.variable, cx.scratch), value);
        if let Some(value) = value.filter(|_| may) {
            cx.source.set_variable(self.variable, Some(OwnedValue::from(value)));
        }
    }
}

fn may_set(when: &[VarCondition], old: Option<Value<'_>>, new: Option<Value<'_>>) -> bool {
    let empty = |value: Option<Value<'_>>| value.and_then(|value| value.bytes()).is_some_and(<[u8]>::is_empty);
    let int = |value: Option<Value<'_>>| match value {
        Some(Value::Int(n)) => Some(n),
        _ => None,
    };
    when.iter().all(|condition| match condition {
        VarCondition::IfExists => old.is_some(),
        VarCondition::IfNotExists => old.is_none(),
        VarCondition::IfEmpty => empty(new),
        VarCondition::IfNotEmpty => !empty(new),
        VarCondition::IfSet => old.is_some(),
        VarCondition::IfNotSet => old.is_none(),
        VarCondition::IfGreater => int(old).zip(int(new)).is_none_or(|(old, new)| old > new),
        VarCondition::IfLess => int(old).zip(int(new)).is_none_or(|(old, new)| old < new),
    })
}
