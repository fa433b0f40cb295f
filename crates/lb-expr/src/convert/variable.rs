//! Variables on the way: `set-var`, `unset-var`. Manual 7.3.1 and 2.8.

use crate::sample::{Arg, ArgKind, Args, Converter, Cx, Loader, Type, Value, args};

const STR: ArgKind = ArgKind::Str;

pub(super) const TABLE: &[Converter] = &[
    Converter::new("set-var", &[STR, STR, STR, STR, STR], 1, Type::Any, Type::Any, set).checked(variable_and_conditions),
    Converter::new("unset-var", &[STR], 1, Type::Any, Type::Any, unset).checked(variable),
];

/// When a variable gets its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Exists(bool),
    Empty(bool),
    Set(bool),
    Greater,
    Less,
}

fn variable(args: &mut Vec<Arg>, loader: &mut dyn Loader) -> Result<(), String> {
    let Some(arg) = args.first_mut() else { return Ok(()) };
    if arg.text().is_empty() {
        return Err("Empty variable name cannot be accepted".into());
    }
    *arg = Arg::Variable(args::variable(arg.text(), loader)?);
    Ok(())
}

fn variable_and_conditions(args: &mut Vec<Arg>, loader: &mut dyn Loader) -> Result<(), String> {
    variable(args, loader)?;
    for arg in args.iter_mut().skip(1).filter(|arg| **arg != Arg::Absent) {
        let when = match arg.text() {
            "ifexists" => When::Exists(true),
            "ifnotexists" => When::Exists(false),
            "ifempty" => When::Empty(true),
            "ifnotempty" => When::Empty(false),
            "ifset" => When::Set(true),
            "ifnotset" => When::Set(false),
            "ifgt" => When::Greater,
            "iflt" => When::Less,
            other => return Err(format!("unknown condition \"{other}\"")),
        };
        *arg = Arg::made(when);
    }
    Ok(())
}

/// A variable that may not grow so large, or whose conditions are not met, stays as it is, and the value does not go on.
fn set<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let variable = args.variable(0)?;
    let before = || cx.source.variable(variable, cx.scratch);
    let holds = (1..args.0.len()).filter_map(|n| args.made::<When>(n)).all(|when| match when {
        When::Exists(wanted) | When::Set(wanted) => before().is_some() == *wanted,
        When::Empty(wanted) => value.bytes().is_some_and(<[u8]>::is_empty) == *wanted,
        // What cannot be compared holds.
        When::Greater | When::Less => match (before(), value) {
            (Some(Value::Int(before)), Value::Int(now)) => {
                if *when == When::Greater {
                    before > now
                } else {
                    before < now
                }
            }
            _ => true,
        },
    });
    (holds && cx.source.set_variable(variable, Some(value.into()))).then_some(value)
}

fn unset<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    cx.source.set_variable(args.variable(0)?, None);
    Some(value)
}
