//! Values that the configuration itself has: `str`, `int`, `bool`, `always_true`. Manual 7.3.2.

use crate::sample::{Arg, ArgKind, Args, Cursor, Cx, Eval, Fetch, Need, Type, Value};

pub(super) const TABLE: &[Fetch] = &[
    Fetch::new("always_false", &[], 0, Type::Bool, Need::Internal, |_, _, _| Eval::Value(Value::Bool(false))),
    Fetch::new("always_true", &[], 0, Type::Bool, Need::Internal, |_, _, _| Eval::Value(Value::Bool(true))),
    Fetch::new("int", &[ArgKind::Int], 1, Type::Int, Need::Constant, constant),
    Fetch::new("str", &[ArgKind::Str], 1, Type::Str, Need::Constant, constant),
    Fetch::new("var", &[ArgKind::Variable, ArgKind::Str], 1, Type::Any, Need::Constant, variable),
];

fn constant<'a>(args: &'a Args, _: Cx<'a>, _: &mut Cursor) -> Eval<'a> {
    match args.get(0) {
        Arg::Int(n) => Eval::Value(Value::Int(*n)),
        Arg::Str(text) => Eval::Value(Value::Str(text.as_bytes())),
        _ => Eval::Absent,
    }
}

fn variable<'a>(args: &'a Args, cx: Cx<'a>, _: &mut Cursor) -> Eval<'a> {
    let value = args.variable(0).and_then(|variable| cx.source.variable(variable, cx.scratch));
    value.or_else(|| args.str(1).map(|default| Value::Str(default.as_bytes()))).into()
}
