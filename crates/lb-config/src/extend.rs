//! What an embedding program adds to the language of the file: fetches, converters and actions of its own. Given to the parser with
//! the [`Source`](crate::Source), and to nobody else: what was compiled carries the functions.
//!
//! Holds: what is added is checked as what is built in: number and type of arguments, where it may stand, with the same messages.

use crate::diag::Problem;
use crate::keywords::ActionCx;
use crate::model::{Action, CustomAction, RuleSet};
use crate::parse::World;
use lb_expr::sample::{Expr, Registry};
use lb_expr::{LogFormat, Purpose};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

type Parse = dyn Fn(&mut ActionWords<'_, '_, '_>) -> Result<Arc<dyn CustomAction>, ActionError> + Send + Sync;

/// Additions to the language.
///
/// ```
/// use lb_config::{Config, Extensions, Need, RuleSet, Severity, Source, Type, Value, parse};
///
/// let mut own = Extensions::new();
/// own.registry().add_converter("twice", &[], 0, (Type::Int, Type::Int), |_, value, _| match value {
///     Value::Int(n) => Some(Value::Int(n.saturating_mul(2))),
///     other => Some(other),
/// });
/// let text = b"frontend f\n mode http\n bind :8080\n timeout client 1s\n acl even int(2),twice 4\n http-request deny if even\n";
/// let (_, diagnostics) = parse(&Source::new().file("own.cfg", text).extensions(&own));
/// assert!(diagnostics.is_empty());
/// ```
pub struct Extensions {
    registry: Registry,
    actions: HashMap<&'static str, Own>,
}

struct Own {
    sets: Box<[RuleSet]>,
    parse: Box<Parse>,
}

impl Default for Extensions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").field("actions", &self.actions.keys()).finish_non_exhaustive()
    }
}

impl Extensions {
    /// Nothing but what is built in.
    pub fn new() -> Self {
        Self { registry: Registry::standard(), actions: HashMap::new() }
    }

    /// All fetches and converters; [`Registry::add_fetch`] and [`Registry::add_converter`] add to them.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Adds an action for rules of these kinds, in place of one of the same name. `parse` reads what stands behind the name; what it
    /// leaves has to be `if` or `unless`.
    pub fn action(
        &mut self,
        name: &'static str,
        sets: &[RuleSet],
        parse: impl Fn(&mut ActionWords<'_, '_, '_>) -> Result<Arc<dyn CustomAction>, ActionError> + Send + Sync + 'static,
    ) {
        self.actions.insert(name, Own { sets: sets.into(), parse: Box::new(parse) });
    }

    pub(crate) fn fetches_and_converters(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn has_action(&self, name: &str) -> bool {
        self.actions.contains_key(name)
    }

    /// Names of actions that may stand in rules of this kind.
    pub(crate) fn action_names(&self, set: RuleSet) -> impl Iterator<Item = &'static str> {
        self.actions.iter().filter(move |(_, own)| own.sets.contains(&set)).map(|(name, _)| *name)
    }
}

/// The action of that name, if the embedding program has one for rules of this kind; `arguments` is the text between its parentheses.
pub(crate) fn action(name: &str, arguments: Option<&str>, cx: &mut ActionCx<'_, '_>) -> Option<Result<Action, Problem>> {
    let own = cx.world.source.extensions?.actions.get(name)?;
    if !own.sets.contains(&cx.set) {
        return None;
    }
    let mut words = ActionWords { arguments, cx };
    Some((own.parse)(&mut words).map(Action::Custom).map_err(|error| error.0))
}

impl World<'_> {
    /// Fetches and converters of a source.
    pub(crate) fn registry_of(source: &crate::Source<'_>) -> Registry {
        source.extensions.map_or_else(Registry::standard, |own| own.fetches_and_converters().clone())
    }
}

/// The words of a rule behind the name of its action.
pub struct ActionWords<'w, 'p, 's> {
    arguments: Option<&'w str>,
    cx: &'w mut ActionCx<'p, 's>,
}

/// What is wrong with one of them. Made by [`ActionWords::wrong`].
#[derive(Debug)]
pub struct ActionError(Problem);

impl ActionError {
    /// With a word on what to write instead.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self(self.0.help(help))
    }
}

impl<'p> ActionWords<'_, 'p, '_> {
    /// The kind of rule that is being read.
    pub fn set(&self) -> RuleSet {
        self.cx.set
    }

    /// The text of `name(text)`.
    pub fn in_parentheses(&self) -> Option<&str> {
        self.arguments
    }

    /// The next word, if there is one before the condition.
    pub fn peek(&self) -> Option<&'p str> {
        self.cx.peek()
    }

    /// The next word.
    ///
    /// # Errors
    /// The rule ends here.
    pub fn word(&mut self) -> Result<&'p str, ActionError> {
        self.cx.need().map_err(ActionError)
    }

    /// The next word as a format; the text that it makes is `purpose`'s.
    ///
    /// # Errors
    /// It does not compile, or asks for what is not there in such rules.
    pub fn format(&mut self, purpose: Purpose) -> Result<LogFormat, ActionError> {
        self.cx.format(purpose).map_err(ActionError)
    }

    /// The expression that begins in the next word.
    ///
    /// # Errors
    /// It does not compile, or asks for what is not there in such rules.
    pub fn expression(&mut self) -> Result<Expr, ActionError> {
        self.cx.expression().map_err(ActionError)
    }

    /// An error at the word that was read last.
    #[must_use]
    pub fn wrong(&self, message: impl Into<String>) -> ActionError {
        ActionError(self.cx.problem(message))
    }
}
