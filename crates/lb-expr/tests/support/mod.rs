//! A context of plain values, and a loader that knows everything.
#![allow(dead_code)] // each test takes what it needs

use bumpalo::Bump;
use lb_expr::acl::Sets;
use lb_expr::sample::{
    ArgKind, Bytes, Compiler, Context, Cursor, Cx, Eval, Expr, Fact, Loader, OwnedValue, Reference, Registry, Scope, Side, Value, Variable,
};
use lb_expr::{Field, LogSource, LogValue, Timestamp};
use lb_http::Head;
use std::cell::RefCell;
use std::collections::HashMap;

/// What a test says of a stream.
#[derive(Default)]
pub struct Plain {
    pub request: Option<Head>,
    pub response: Option<Head>,
    pub request_body: Vec<u8>,
    pub response_body: Vec<u8>,
    pub buffer: Vec<u8>,
    pub whole: bool,
    pub facts: Vec<(Fact, OwnedValue)>,
    pub variables: RefCell<HashMap<Variable, OwnedValue>>,
    pub now: Timestamp,
    pub random: u64,
    pub users: Vec<(&'static str, &'static str)>,
    pub scratch: Bump,
}

impl LogSource for Plain {
    fn value(&self, _: Field) -> LogValue<'_> {
        LogValue::Missing
    }

    fn samples(&self) -> Option<Cx<'_>> {
        Some(Cx { source: self, scratch: &self.scratch, side: Side::Request, last: true })
    }
}

impl Context for Plain {
    fn head(&self, side: Side) -> Option<&Head> {
        match side {
            Side::Request => self.request.as_ref(),
            Side::Response => self.response.as_ref(),
        }
    }

    fn body(&self, side: Side) -> Bytes<'_> {
        let bytes = if side == Side::Request { &self.request_body } else { &self.response_body };
        Bytes { bytes, whole: self.whole, announced: Some(bytes.len() as u64) }
    }

    fn buffer(&self, _: Side) -> Bytes<'_> {
        Bytes { bytes: &self.buffer, whole: self.whole, announced: None }
    }

    fn fact<'a>(&'a self, fact: Fact, _: &'a Bump) -> Option<Value<'a>> {
        self.facts.iter().find(|(name, _)| *name == fact).map(|(_, value)| value.get())
    }

    fn variable<'a>(&self, variable: Variable, scratch: &'a Bump) -> Option<Value<'a>> {
        self.variables.borrow().get(&variable).map(|value| value.copy_to(scratch))
    }

    fn set_variable(&self, variable: Variable, value: Option<OwnedValue>) -> bool {
        match value {
            Some(value) => self.variables.borrow_mut().insert(variable, value),
            None => self.variables.borrow_mut().remove(&variable),
        };
        true
    }

    fn knows_user(&self, _: Reference, user: &[u8], password: &[u8]) -> bool {
        self.users.iter().any(|known| known.0.as_bytes() == user && known.1.as_bytes() == password)
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn random(&self) -> u64 {
        self.random
    }
}

/// Takes every name; has the files and variables of the environment that it is given.
#[derive(Default)]
pub struct Names {
    pub variables: Vec<(Scope, String)>,
    pub references: Vec<(ArgKind, String)>,
    pub files: HashMap<String, Vec<u8>>,
    pub environment: HashMap<String, String>,
}

impl Loader for Names {
    fn variable(&mut self, scope: Scope, name: &str) -> Variable {
        let id = index(&mut self.variables, (scope, name.to_owned()));
        Variable { scope, id }
    }

    fn reference(&mut self, kind: ArgKind, name: &str) -> Result<Reference, String> {
        Ok(Reference(index(&mut self.references, (kind, name.to_owned()))))
    }

    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        self.files.get(path).cloned().ok_or_else(|| format!("failed to open file '{path}'"))
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }
}

fn index<T: PartialEq>(list: &mut Vec<T>, item: T) -> u32 {
    let at = list.iter().position(|known| *known == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    });
    at as u32
}

/// Compiles one expression.
pub fn compile(text: &str, names: &mut Names) -> Result<Expr, String> {
    let words: Vec<&str> = text.split(' ').collect();
    let registry = Registry::standard();
    let mut at = 0;
    let expr = Expr::parse(&words, &mut at, &mut Compiler { registry: &registry, loader: names, sets: &Sets::new() });
    let expr = expr.map_err(|e| e.message)?;
    if at != words.len() { Err(format!("'{}' is left", words[at])) } else { Ok(expr) }
}

/// The value of an expression as text; `None` when it is absent.
pub fn text(expr: &str, plain: &Plain) -> Option<String> {
    let expr = compile(expr, &mut Names::default()).unwrap_or_else(|e| panic!("{expr}: {e}"));
    let scratch = Bump::new();
    let cx = Cx { source: plain, scratch: &scratch, side: Side::Request, last: true };
    expr.eval(cx).value().map(|value| String::from_utf8_lossy(value.to_text(&scratch)).into_owned())
}

/// All values of an expression as texts.
pub fn each(expr: &str, plain: &Plain) -> Vec<String> {
    let expr = compile(expr, &mut Names::default()).unwrap_or_else(|e| panic!("{expr}: {e}"));
    let scratch = Bump::new();
    let cx = Cx { source: plain, scratch: &scratch, side: Side::Request, last: true };
    let mut cursor = Cursor::each();
    let mut list = Vec::new();
    loop {
        if let Eval::Value(value) = expr.next(cx, &mut cursor) {
            list.push(String::from_utf8_lossy(value.to_text(&scratch)).into_owned());
        }
        if !cursor.more {
            return list;
        }
    }
}

/// A request: `GET /path`, and its fields.
pub fn request(line: &str, fields: &[(&str, &str)]) -> Plain {
    let (method, target) = line.split_once(' ').expect("a method and a target");
    let mut head = Head::new();
    head.start_request(method.as_bytes(), target.as_bytes(), lb_http::Version::Http11);
    for (name, value) in fields {
        head.append(name.as_bytes(), value.as_bytes());
    }
    Plain { request: Some(head), whole: true, ..Plain::default() }
}
