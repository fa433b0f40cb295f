//! What requests and responses say. Manual 7.3.6.

use crate::sample::{Args, Cursor, Cx, Eval, Fetch, Need, Side, Type, Value};

pub(super) const TABLE: &[Fetch] = &[Fetch::new("method", &[], 0, Type::Method, Need::Request, method)];

fn method<'a>(_: &'a Args, cx: Cx<'a>, _: &mut Cursor) -> Eval<'a> {
    match cx.head(Side::Request) {
        Some(head) => Eval::Value(Value::Method(head.method(), head.method_bytes())),
        None => cx.missing(false),
    }
}
