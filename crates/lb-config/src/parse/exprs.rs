//! Expressions, conditions and formats of a configuration: compiled line by line; what they name is noted, and looked up when all
//! sections have been read.

use super::asked::{self, Asked};
use super::draft::{Draft, World};
use super::line::Line;
use crate::diag::{Problem, Severity};
use crate::keywords::Context;
use crate::model::{Named, ProxyIndex, Referent, Span};
use crate::source::{LoadError, Source};
use crate::tree::shown;
use crate::variables::Variables;
use lb_expr::acl::{Acl, Condition};
use lb_expr::sample::{ArgKind, Compiler, Expr, ExprError, Loader, Points, Reference, Scope, Variable};
use lb_expr::{LogFormat, Purpose};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Weak};

/// Names that expressions have met, with the numbers that stand for them.
#[derive(Default)]
pub(crate) struct Names {
    variables: HashMap<(Scope, String), u32>,
    /// Names of variables by number.
    spelled: Vec<String>,
    asked: Vec<Name>,
    fetches: BTreeSet<&'static str>,
    /// Formats show words of log lines.
    pub words: bool,
    /// The line that is being read.
    pub place: Span,
    /// The proxy that is being read, by its place.
    pub owner: usize,
    /// The ACLs that its lines have defined. Whoever asks them holds them.
    acls: HashMap<Box<str>, Weak<Acl>>,
}

impl Names {
    /// Another section begins: the one at this place among the proxies.
    pub fn begin_section(&mut self, owner: usize) {
        self.owner = owner;
        self.acls.clear();
    }

    /// What is read now belongs to no proxy; gives the one to come back to.
    pub fn leave_section(&mut self) -> usize {
        std::mem::replace(&mut self.owner, usize::MAX)
    }

    /// Notes an ACL of the section.
    pub fn define(&mut self, acl: &Arc<Acl>) {
        if let Some(name) = acl.name() {
            self.acls.insert(name.into(), Arc::downgrade(acl));
        }
    }
}

/// A name that has to be somebody's.
struct Name {
    kind: ArgKind,
    name: String,
    /// Where it was asked for.
    span: Span,
    /// The proxy that asks, by its place.
    owner: usize,
}

/// Names of one configuration, at most, so that a file that makes them without end is stopped.
const MAX_NAMES: usize = 1_000_000;

/// What compiling sees of the world.
struct View<'v, 's> {
    names: &'v mut Names,
    source: &'v Source<'s>,
    variables: &'v Variables<'s>,
    /// Files that were included.
    included: &'v [(String, Vec<u8>)],
    /// What is allowed and wants a look.
    warnings: Vec<(usize, String)>,
}

impl Loader for View<'_, '_> {
    fn variable(&mut self, scope: Scope, name: &str) -> Variable {
        let names = &mut *self.names;
        let next = names.spelled.len() as u32;
        let id = *names.variables.entry((scope, name.to_owned())).or_insert_with(|| {
            names.spelled.push(format!("{}.{name}", scope_name(scope)));
            next
        });
        Variable { scope, id }
    }

    fn reference(&mut self, kind: ArgKind, name: &str) -> Result<Reference, String> {
        if self.names.asked.len() == MAX_NAMES {
            return Err("too many names".to_owned());
        }
        let (span, owner) = (self.names.place, self.names.owner);
        self.names.asked.push(Name { kind, name: name.to_owned(), span, owner });
        Ok(Reference(self.names.asked.len() as u32 - 1))
    }

    fn acl(&mut self, name: &str) -> Option<Arc<Acl>> {
        self.names.acls.get(name)?.upgrade()
    }

    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        self.source.loader.load(path).map_err(|why| why.to_string())
    }

    fn exists(&self, path: &str) -> bool {
        !matches!(self.source.loader.load(path), Err(LoadError::NotFound))
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.variables.get(name)
    }

    fn resolve(&mut self, name: &str) -> Vec<IpAddr> {
        self.source.resolver.resolve(name)
    }

    fn place(&self) -> Option<(String, u32)> {
        let at = self.names.place;
        let mut files = self.source.files.iter().map(|(name, _)| name).chain(self.included.iter().map(|(name, _)| name));
        files.nth(at.file as usize).filter(|_| !at.is_none()).map(|name| (name.clone(), at.line))
    }

    fn warn(&mut self, word: usize, message: String) {
        self.warnings.push((word, message));
    }

    fn note_fetch(&mut self, name: &'static str) {
        self.names.fetches.insert(name);
    }

    fn note_words(&mut self) {
        self.names.words = true;
    }
}

fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Process => "proc",
        Scope::Session => "sess",
        Scope::Transaction => "txn",
        Scope::Request => "req",
        Scope::Response => "res",
        Scope::Check => "check",
    }
}

impl World<'_> {
    /// Compiles something that stands at `place`.
    pub(crate) fn compiling<T>(&mut self, place: Span, compile: impl FnOnce(&mut Compiler<'_>) -> T) -> T {
        self.names.place = place;
        let mut view = View {
            names: &mut self.names,
            source: self.source,
            variables: &self.variables,
            included: &self.included,
            warnings: Vec::new(),
        };
        let compiled = compile(&mut Compiler { registry: &self.registry, loader: &mut view, sets: &self.sets });
        for (_, message) in view.warnings {
            self.diagnostics.push(Severity::Warning, place, 0, message, None);
        }
        compiled
    }
}

/// An error of an expression at its word of the line. A sample or converter that is known and not there yet is named as such.
pub(crate) fn problem(error: ExprError, world: &World<'_>, line: &Line<'_>) -> Problem {
    let word = line.first + error.word;
    if let Some(text) = line.arg(error.word)
        && let Some(Asked::Later(name, what)) = asked::expression(world.lookup, &world.registry, Context::Acl, text, word)
    {
        return Problem::at(word, format!("'{name}' is known but not there yet in this version ({what})"))
            .help("remove the line if its effect is not needed; nothing is left out in silence");
    }
    let help = error.help.or_else(|| Some("docs/keywords.md has all samples, converters and ways to match".to_owned()));
    Problem { help, ..Problem::at(word, error.message) }
}

/// The words of a line behind its keyword.
pub(crate) fn words<'l>(line: &'l Line<'_>) -> Vec<&'l str> {
    line.directive.words[line.first..].iter().map(|word| word.text.as_ref()).collect()
}

/// The words of a line behind its keyword, as one text.
pub(crate) fn text_of(line: &Line<'_>) -> Box<str> {
    let words = line.directive.words.iter().map(|word| word.text.as_ref());
    words.collect::<Vec<_>>().join("\u{1f}").into()
}

/// The format in argument `n`.
pub(crate) fn format(world: &mut World<'_>, line: &Line<'_>, n: usize, purpose: Purpose) -> Result<LogFormat, Problem> {
    let text = line.need(n)?;
    format_of(world, line, n, text, purpose)
}

/// A format that argument `n` is, or that stands in the file of that name.
pub(crate) fn format_of(world: &mut World<'_>, line: &Line<'_>, n: usize, text: &str, purpose: Purpose) -> Result<LogFormat, Problem> {
    let compiled = world.compiling(line.span(), |compiler| LogFormat::compile_with(text, purpose, compiler));
    compiled.map_err(|error| {
        if let Some(problem) = sample_of_format(world, line, n, text.get(error.offset..).unwrap_or_default()) {
            return problem;
        }
        let message = format!("{} (at byte {} of the format)", error.message, error.offset + 1);
        let help = match error.message.starts_with("failed to parse sample") {
            true => "docs/keywords.md has all samples and converters with their arguments",
            false => "the words of formats are listed in docs/keywords.md, and in section 8.2.6 of haproxy's manual",
        };
        line.problem(n, message).help(help)
    })
}

/// The sample or converter that a format stumbled over, by name; `rest` begins where it did.
fn sample_of_format(world: &World<'_>, line: &Line<'_>, n: usize, rest: &str) -> Option<Problem> {
    let (before, rest) = rest.split_once('[')?;
    let inside = rest.split(']').next()?;
    let at_once = before == "%" || before.starts_with("%{") && before.ends_with('}') || before.starts_with("%(") && before.ends_with(')');
    let asked = asked::expression(world.lookup, &world.registry, Context::Sample, inside, line.first + n).filter(|_| at_once)?;
    let inside = shown(inside);
    Some(match asked {
        Asked::Unknown(problem) => Problem { message: format!("{} in '%[{inside}]'", problem.message), ..problem },
        Asked::Later(name, what) => {
            let message = format!("'%[{inside}]': '{name}' is known but not there yet in this version ({what})");
            line.problem(n, message)
                .help("leave it out if what it shows is not needed; docs/keywords.md says which samples and converters work")
        }
    })
}

/// The expression that begins in argument `*at`, which is moved behind it.
pub(crate) fn expression(world: &mut World<'_>, line: &Line<'_>, at: &mut usize) -> Result<Expr, Problem> {
    line.need(*at)?;
    let words = words(line);
    let parsed = world.compiling(line.span(), |compiler| Expr::parse(&words, at, compiler));
    parsed.map_err(|error| problem(error, world, line))
}

/// Refuses a sample that is never there where it stands.
pub(crate) fn available(expr: &Expr, points: Points, line: &Line<'_>, n: usize) -> Result<(), Problem> {
    if !expr.need().points().and(points).is_empty() {
        return Ok(());
    }
    let message = format!(
        "sample fetch <{}> may not be reliably used here because it needs '{}' which is not available here",
        shown(expr.text()),
        expr.need().name()
    );
    Err(line.problem(n, message).help("use it in a rule that is evaluated when that is there"))
}

/// The same for all samples of a format.
pub(crate) fn format_available(format: &LogFormat, points: Points, line: &Line<'_>, n: usize) -> Result<(), Problem> {
    format.samples().iter().try_for_each(|expr| available(expr, points, line, n))
}

/// Samples of a format of mode http that are made of bytes as they came in: there are none, and haproxy warns of that.
pub(crate) fn bytes_in_http(format: &LogFormat, world: &mut World<'_>, span: Span) {
    if let Some(expr) = format.samples().iter().find(|expr| expr.need().is_bytes()) {
        let message = format!("'{}' has no value in mode http, where bytes are read as messages", expr.fetch_name());
        world.warn(span, message, Some("ask for a part of the message".into()));
    }
}

/// `if ...`, `unless ...` from argument `at` to the end of the line; `None`: nothing stands there.
pub(crate) fn condition(draft: &mut Draft, world: &mut World<'_>, line: &Line<'_>, at: usize) -> Result<Option<Condition>, Problem> {
    let Some(word) = line.arg(at) else { return Ok(None) };
    if word != "if" && word != "unless" {
        let message = format!("expects 'if', 'unless' or nothing, but found '{}'", shown(word));
        return Err(line.problem(at, message).help("a condition begins with 'if' or 'unless'; anything before it belongs to the rule"));
    }
    let words = words(line);
    let mut at = at;
    let acls = &mut draft.acls.named;
    let parsed = world.compiling(line.span(), |compiler| Condition::parse(&words, &mut at, acls, compiler));
    let condition = parsed.map_err(|error| problem(error, world, line))?;
    // ACLs with a name have told theirs.
    for acl in condition.terms().map(|term| term.acl()).filter(|acl| acl.name().is_none()) {
        acl.lines().for_each(|asked| world.note_groups("", asked, line.span()));
    }
    Ok(Some(condition))
}

/// Looks up everything that expressions have named.
pub(crate) fn resolve(proxies: &[crate::model::Proxy], userlists: &[crate::model::Userlist], world: &mut World<'_>) -> Named {
    let names = std::mem::take(&mut world.names);
    let find = |name: &str, front: bool| {
        let side = |proxy: &&crate::model::Proxy| if front { proxy.kind.is_frontend() } else { proxy.kind.is_backend() };
        let at = proxies.iter().position(|proxy| proxy.name == name && side(&proxy));
        at.map(|at| ProxyIndex(at as u32))
    };
    let mut referents = Vec::with_capacity(names.asked.len());
    for asked in &names.asked {
        let owner = || proxies.get(asked.owner).map(|proxy| (proxy, ProxyIndex(asked.owner as u32)));
        let found = match asked.kind {
            ArgKind::Frontend if asked.name.is_empty() => {
                owner().filter(|(p, _)| p.kind.is_frontend()).map(|(_, at)| Referent::Frontend(at))
            }
            ArgKind::Backend if asked.name.is_empty() => owner().filter(|(p, _)| p.kind.is_backend()).map(|(_, at)| Referent::Backend(at)),
            ArgKind::Frontend => find(&asked.name, true).map(Referent::Frontend),
            ArgKind::Backend | ArgKind::Table => find(&asked.name, false).map(Referent::Backend),
            ArgKind::Server => {
                let (backend, server) = match asked.name.rsplit_once('/') {
                    Some((backend, server)) => (find(backend, false), server),
                    None => (owner().map(|(_, at)| at), asked.name.as_str()),
                };
                backend.and_then(|backend| {
                    let servers = &proxies.get(backend.0 as usize)?.servers;
                    let at = servers.iter().position(|known| known.name == server)?;
                    Some(Referent::Server(backend, at))
                })
            }
            ArgKind::Userlist => userlists.iter().position(|known| known.name == asked.name).map(Referent::Userlist),
            _ => None,
        };
        if found.is_none() {
            let what = asked.kind.name();
            let message = match owner() {
                Some((proxy, _)) if asked.name.is_empty() => {
                    format!("proxy '{}', which an expression means without naming it, is no {what}", shown(&proxy.name))
                }
                None if asked.name.is_empty() => format!("an expression that belongs to no proxy has to name its {what}"),
                _ => format!("unable to find {what} '{}' that an expression names", shown(&asked.name)),
            };
            world.error(asked.span, message, Some(format!("name a {what} that the configuration has")));
        }
        referents.push(found.unwrap_or(Referent::Nothing));
    }
    Named {
        referents,
        variables: names.spelled,
        fetches: names.fetches,
        words: names.words,
        extended: world.source.extensions.is_some(),
        sets: world.sets.clone(),
    }
}
