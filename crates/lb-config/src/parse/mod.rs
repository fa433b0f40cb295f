//! From directives to a [`Config`]: each line goes to the function of its keyword, then the whole is checked.
//!
//! Holds: every line either has an effect, or gives a diagnostic, or is `Accepted` by the keyword table; the walk never
//! stops at an error, so that all of them are told at once.

mod asked;
mod checks;
mod draft;
mod errors;
pub(crate) mod exprs;
mod guid;
mod healthchecks;
mod line;
mod mailers;
mod profiles;
mod programs;
mod resolve;
mod rings;
mod tracking;
mod users;

pub(crate) use asked::{Asked, unknown_action};
pub(crate) use draft::{
    BindCx, Draft, EmailDraft, ErrorsCx, ErrorsDraft, ForwardCx, ForwardDraft, GlobalCx, HealthCx, HealthDraft, InitAddr, MailersCx,
    Mention, NamedErrors, ProfileCx, ProgramCx, ProxyCx, RingCx, RingDraft, ServerCx, ServerDraft, UsersCx, UsersDraft, World,
};
pub(crate) use line::{Line, Negation, Params, address, address_for, resolve as resolve_host, usage};

use crate::diag::{Diagnostic, Problem, Severity, nearest};
use crate::keywords::{Context, Keyword, Lookup, OldLine, OldWord, Parser, Sections, State, Today};
use crate::lexer::Word;
use crate::lint::Lint;
use crate::model::{Config, Global, LogProfile, Mailers, Program, Span};
use crate::source::Source;
use crate::tree::{self, Directive, Sink, shown};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Reads a configuration: the resolved values, and everything there is to say about it, in the order of the files.
///
/// The configuration is to be run only when no diagnostic is an error.
///
/// ```
/// use lb_config::{Severity, Source, parse, render};
/// let text = b"listen www\n  bind 127.0.0.1:8080\n  balanc leastconn\n";
/// let (config, diagnostics) = parse(&Source::new().file("haproxy.cfg", text));
/// assert_eq!(config.proxies[0].binds.len(), 1);
/// assert!(diagnostics.iter().any(|d| d.severity == Severity::Error));
/// assert!(render(&diagnostics).contains("did you mean 'balance'?"));
/// ```
pub fn parse(source: &Source<'_>) -> (Config, Vec<Diagnostic>) {
    let lookup = Lookup::new();
    let mut walk = Walk {
        world: World::new(source, &lookup),
        global: Global::default(),
        seen: BTreeMap::new(),
        defaults: Vec::new(),
        current: None,
        by_name: HashMap::new(),
        drafts: Vec::new(),
        rings: Vec::new(),
        forwards: Vec::new(),
        programs: Vec::new(),
        profiles: Vec::new(),
        userlists: Vec::new(),
        open: Open::Refused,
    };
    tree::read(source, &mut walk);
    let Walk { mut world, mut global, drafts, rings, forwards, programs, profiles, userlists, defaults, .. } = walk;
    if world.diagnostics.wants(Severity::Lint) {
        let defaults = defaults.iter().map(|defaults| &defaults.draft).collect();
        Lint { defaults, proxies: &drafts }.tell(&mut world);
    }
    global.logs = std::mem::take(&mut world.logs);
    global.process.environment = world.variables.changes();
    let userlists: Vec<_> = userlists.into_iter().map(|draft| users::finish(draft, &mut world)).collect();
    users::check_groups(&userlists, &mut world);
    let mut config = resolve::resolve(global, drafts, userlists, &mut world);
    rings::resolve_forwards(forwards, &mut config, &mut world);
    rings::resolve_rings(rings, &mut config, &mut world);
    programs::resolve_programs(programs, &mut config, &mut world);
    profiles::resolve_profiles(profiles, &mut config, &mut world);
    (config, std::mem::take(&mut world.diagnostics).finish(&world.files()))
}

struct Walk<'s> {
    world: World<'s>,
    global: Global,
    seen: BTreeMap<&'static str, Span>,
    /// All defaults sections, for `from`.
    defaults: Vec<Defaults>,
    /// The one that sections without `from` take.
    current: Option<usize>,
    /// Defaults by name; `None`: the name is ambiguous.
    by_name: HashMap<String, Option<usize>>,
    drafts: Vec<Draft>,
    rings: Vec<RingDraft>,
    forwards: Vec<ForwardDraft>,
    programs: Vec<Program>,
    profiles: Vec<LogProfile>,
    userlists: Vec<UsersDraft>,
    open: Open,
}

/// A `defaults` section that has been read.
struct Defaults {
    draft: Draft,
    /// A section named it behind `from`.
    by_name: bool,
    /// A section took it because it was the last one.
    by_place: bool,
    /// A frontend took its rules, or a backend did.
    rules_for: Option<Sections>,
}

/// What haproxy leaves out without a word in the sections where it has no meaning.
const SILENT: &[&str] = &["unique-id-format", "unique-id-header", "persist rdp-cookie"];

/// Longest name of a proxy or server that is kept; haproxy has no limit, log lines do.
const MAX_NAME: usize = 1024;

/// The section that is being read.
enum Open {
    /// Told once; its lines mean nothing.
    Refused,
    Global,
    Ring(Box<RingDraft>),
    Forward(Box<ForwardDraft>),
    Program(Box<Program>),
    Mailers(Box<Mailers>),
    Errors(Box<ErrorsDraft>),
    Users(Box<UsersDraft>),
    Profile(Box<LogProfile>),
    Health(Box<HealthDraft>),
    /// A proxy or defaults.
    Proxy(Box<Draft>),
}

impl<'s> Sink<'s> for Walk<'s> {
    fn world(&mut self) -> &mut World<'s> {
        &mut self.world
    }

    fn open(&mut self, header: &Directive<'_>, keyword: &'static Keyword) {
        if let State::Refused(what) = keyword.state {
            self.refused(header, 0, keyword, what);
            self.open = Open::Refused;
            return;
        }
        let kind = match keyword.name {
            "global" => {
                if !self.drafts.is_empty() || !self.defaults.is_empty() {
                    let message = "a 'global' section behind others: lines before it did not see what it sets";
                    self.world.diagnostics.push(Severity::Diag, header.span(Some(0)), 0, message, Some("move it to the top".into()));
                }
                if let Some(extra) = header.words.get(1) {
                    let message = format!("unexpected '{}' behind 'global'", shown(&extra.text));
                    self.problem(header, Problem::at(1, message).help("'global' has no name"));
                }
                self.open = Open::Global;
                return;
            }
            "defaults" => Sections::DEFAULTS,
            "frontend" => Sections::FRONTEND,
            "backend" => Sections::BACKEND,
            "ring" => {
                self.open = Open::Ring(Box::new(self.ring(header)));
                return;
            }
            "log-forward" => {
                self.open = Open::Forward(Box::new(self.forward(header)));
                return;
            }
            "log-profile" => {
                self.open = Open::Profile(Box::new(self.profile(header)));
                return;
            }
            "healthcheck" => {
                self.open = Open::Health(Box::new(self.healthcheck(header)));
                return;
            }
            "userlist" => {
                self.open = Open::Users(Box::new(self.userlist(header)));
                return;
            }
            "http-errors" => {
                self.open = Open::Errors(Box::new(self.errors(header)));
                return;
            }
            "mailers" => {
                self.open = Open::Mailers(Box::new(self.mailers(header)));
                return;
            }
            "program" => {
                self.open = Open::Program(Box::new(self.program(header)));
                return;
            }
            _ => Sections::LISTEN,
        };
        self.world.names.begin_section(self.drafts.len());
        self.open = Open::Proxy(Box::new(self.header(header, kind)));
    }

    fn line(&mut self, directive: &Directive<'_>) {
        match std::mem::replace(&mut self.open, Open::Refused) {
            Open::Refused => {}
            Open::Global => {
                self.global_line(directive);
                self.open = Open::Global;
            }
            Open::Forward(mut forward) => {
                self.forward_line(&mut forward, directive);
                self.open = Open::Forward(forward);
            }
            Open::Profile(mut profile) => {
                self.profile_line(&mut profile, directive);
                self.open = Open::Profile(profile);
            }
            Open::Health(mut health) => {
                self.healthcheck_line(&mut health, directive);
                self.open = Open::Health(health);
            }
            Open::Users(mut users) => {
                self.users_line(&mut users, directive);
                self.open = Open::Users(users);
            }
            Open::Errors(mut errors) => {
                self.errors_line(&mut errors, directive);
                self.open = Open::Errors(errors);
            }
            Open::Program(mut program) => {
                self.program_line(&mut program, directive);
                self.open = Open::Program(program);
            }
            Open::Mailers(mut mailers) => {
                self.mailers_line(&mut mailers, directive);
                self.open = Open::Mailers(mailers);
            }
            Open::Ring(mut ring) => {
                self.ring_line(&mut ring, directive);
                self.open = Open::Ring(ring);
            }
            Open::Proxy(mut draft) => {
                let errors = self.world.diagnostics.errors();
                self.proxy_line(&mut draft, directive);
                draft.incomplete |= self.world.diagnostics.errors() > errors;
                self.open = Open::Proxy(draft);
            }
        }
    }

    fn close(&mut self) {
        let mut draft = match std::mem::replace(&mut self.open, Open::Refused) {
            Open::Proxy(draft) => draft,
            Open::Ring(ring) => return self.rings.push(*ring),
            Open::Forward(forward) => return self.forwards.push(*forward),
            Open::Program(program) => return self.programs.push(*program),
            Open::Mailers(mailers) => return self.world.mailers.push(Arc::new(*mailers)),
            Open::Health(health) => return self.close_healthcheck(*health),
            Open::Users(users) => return self.userlists.push(*users),
            Open::Errors(errors) => {
                // The first of two of a name counts; the second has been told.
                errors.set.fill(errors.replies);
                return;
            }
            Open::Profile(profile) => return self.profiles.push(*profile),
            Open::Refused | Open::Global => return,
        };
        // There may be many sections with a server each.
        draft.servers.shrink_to_fit();
        draft.proxy.binds.shrink_to_fit();
        if !draft.is_defaults() {
            self.drafts.push(*draft);
            return;
        }
        let index = self.defaults.len();
        if !draft.proxy.name.is_empty() {
            self.by_name.entry(draft.proxy.name.clone()).and_modify(|known| *known = None).or_insert(Some(index));
        }
        self.defaults.push(Defaults { draft: *draft, by_name: false, by_place: false, rules_for: None });
        self.current = Some(index);
    }
}

impl Walk<'_> {
    fn global_line(&mut self, directive: &Directive<'_>) {
        let Some(line) = self.keyword(directive, Context::Global, "global") else { return };
        let Parser::Global(parser) = line.keyword.parser else { return };
        let mut cx = GlobalCx { global: &mut self.global, seen: &mut self.seen, world: &mut self.world };
        if let Err(problem) = parser(&mut cx, &line) {
            self.problem(directive, problem);
        }
        if !self.global.stats_sockets.is_empty() {
            self.world.stats_socket_at.get_or_insert(self.drafts.len());
        }
    }

    /// The header of a proxy: its name, `from`, and an address in the manner of 1.4.
    fn header(&mut self, header: &Directive<'_>, kind: Sections) -> Draft {
        let word = header.words[0].text.as_ref();
        let span = header.span(Some(0));
        let mut rest = 1;
        let mut name = header.words.get(1).map_or("", |word| &word.text);
        if kind == Sections::DEFAULTS && name == "from" && header.words.len() > 2 {
            // `defaults from x` names no section; `defaults from` is a section of that name.
            name = "";
        } else if !name.is_empty() {
            rest = 2;
        }
        if kind != Sections::DEFAULTS {
            if name.is_empty() {
                self.problem(header, Problem::line(format!("'{word}' wants a name")).help(format!("write '{word} <name>'")));
            }
            if let Err(problem) = check_name(name, 1, "a proxy's name") {
                self.problem(header, problem);
            }
        }

        let mut base = self.current;
        let mut address = None;
        if let Some(text) = header.words.get(rest).filter(|text| text.text != "from") {
            if kind == Sections::FRONTEND || kind == Sections::LISTEN {
                address = Some(rest);
            } else {
                let message = format!("unexpected '{}' behind the name", shown(&text.text));
                let help = format!("write '{word} <name> [from <defaults>]'");
                // haproxy drops it in silence, and warnings can be fatal.
                self.world.notice(header.span(Some(rest)), message, Some(help));
            }
            rest += 1;
        }
        let mut named = false;
        if header.words.get(rest).is_some_and(|text| text.text == "from") {
            named = true;
            match header.words.get(rest + 1) {
                None => {
                    let problem = Problem::at(rest, "'from' wants the name of a defaults section");
                    self.problem(header, problem.help(format!("write '{word} <name> from <defaults>'")));
                }
                Some(from) => match self.from(&from.text, rest + 1) {
                    Ok(index) => base = Some(index),
                    Err(problem) => self.problem(header, problem),
                },
            }
            rest += 2;
        } else if kind == Sections::DEFAULTS {
            // A defaults section without `from` starts from nothing.
            base = None;
        }
        if let Some(extra) = header.words.get(rest) {
            let help = match address {
                Some(_) => "write the address with its parameters on a 'bind' line".to_owned(),
                None => format!("write '{word} <name> [from <defaults>]'"),
            };
            self.problem(header, Problem::at(rest, format!("unexpected '{}' behind the name", shown(&extra.text))).help(help));
        }

        let mut draft = match base {
            Some(index) => {
                self.used(index, named, header.span(Some(0)));
                self.rules_of(index, kind, header);
                Draft { base, ..self.defaults[index].draft.derive(kind, name, span) }
            }
            None => Draft::new(kind, name, span),
        };
        if let Some(at) = address {
            let text = header.words[at].text.as_ref();
            let message = format!("the address of '{word}' stands on a line of its own today");
            self.world.diagnostics.push(
                Severity::Warning,
                header.span(Some(at)),
                text.len(),
                message,
                Some(format!("write 'bind {}'", shown(text))),
            );
            let bind = Directive { words: header.words[..].to_vec(), ..*header };
            crate::keywords::bind_line(&mut ProxyCx { draft: &mut draft, world: &mut self.world }, &bind, at);
        }
        draft
    }

    /// The defaults section that is named behind `from`.
    fn from(&self, name: &str, word: usize) -> Result<usize, Problem> {
        match self.by_name.get(name) {
            Some(Some(index)) => {
                // Any name will do for a section that nobody names.
                check_name(name, word, "a defaults section that is named behind 'from'")?;
                Ok(*index)
            }
            Some(None) => {
                let message = format!("there are several defaults sections named '{}'", shown(name));
                Err(Problem::at(word, message).help("give each its own name"))
            }
            None => {
                let help = match self.world.diagnostics.nearest(name, self.by_name.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => "a section starts from one that stands above it, so never from itself".to_owned(),
                };
                let message = format!("there is no defaults section named '{}' before this line", shown(name));
                Err(Problem::at(word, message).help(help))
            }
        }
    }

    /// Notes that a section starts from these defaults. Both ways at once are easy to misread, which newer haproxy warns of.
    fn used(&mut self, index: usize, named: bool, span: Span) {
        let Defaults { draft, by_name, by_place, .. } = &mut self.defaults[index];
        *by_name |= named;
        *by_place |= !named;
        if *by_name && *by_place {
            let message = format!(
                "the defaults section '{}' on line {} is taken by name in one place and for being the last one in another",
                shown(&draft.proxy.name),
                draft.proxy.span.line
            );
            let help = "write 'from <defaults>' everywhere, or add an own defaults section for the sections without it";
            self.world.diagnostics.push(Severity::Warning, span, 1, message, Some(help.into()));
        }
    }

    /// Rules of defaults are for frontends or for backends: what they may ask differs.
    fn rules_of(&mut self, index: usize, kind: Sections, header: &Directive<'_>) {
        let defaults = &mut self.defaults[index];
        let any = |rules: &crate::model::Rules| rules.lists().iter().any(|(_, list)| !list.is_empty());
        if !defaults.draft.proxy.rules.as_deref().is_some_and(any) {
            return;
        }
        let line = defaults.draft.proxy.span.line;
        let message = match (kind, defaults.rules_for) {
            (Sections::LISTEN | Sections::DEFAULTS, _) => {
                format!("a '{}' section cannot start from defaults with rules (line {line})", section_name(kind))
            }
            (_, Some(other)) if other != kind => {
                format!("frontends and backends cannot start from the same defaults, since these have rules (line {line})")
            }
            _ => {
                defaults.rules_for = Some(kind);
                return;
            }
        };
        self.problem(header, Problem::at(0, message).help("write the rules into the sections themselves, or defaults for each side"));
    }

    fn proxy_line(&mut self, draft: &mut Draft, directive: &Directive<'_>) {
        let section = section_name(draft.section);
        let Some(line) = self.keyword(directive, Context::Proxy, section) else { return };
        let Parser::Proxy(parser) = line.keyword.parser else { return };
        // What has no meaning here is told and left out; what is refused has already been told.
        if !line.keyword.sections.contains(draft.section) {
            self.misplaced(draft, &line, section);
            return;
        }
        let place = line.span();
        let outcome = parser(&mut ProxyCx { draft, world: &mut self.world }, &line);
        match outcome {
            Ok(()) => {
                let said = Mention { keyword: line.keyword, span: place, on: line.negation.value() };
                draft.said.insert(line.keyword.name, said);
            }
            Err(problem) => self.problem(directive, problem),
        }
    }

    fn misplaced(&mut self, draft: &Draft, line: &Line<'_>, section: &str) {
        let name = line.keyword.name;
        let strict = line.keyword.strict || draft.is_defaults();
        let (why, help) = match draft.section {
            Sections::FRONTEND => ("a frontend has no servers", "move it to the backend, or make this a 'listen' section"),
            Sections::BACKEND => ("a backend accepts no connections", "move it to the frontend, or make this a 'listen' section"),
            _ => ("it belongs to one proxy", "move it to a frontend, backend or listen section"),
        };
        let help = match (name, draft.section) {
            ("maxconn", Sections::BACKEND) => "maybe 'fullconn' is meant, or 'maxconn' of the servers",
            ("fullconn", Sections::FRONTEND) => "maybe 'maxconn' is meant",
            _ => help,
        };
        let (severity, message) = if strict {
            (Severity::Error, format!("'{name}' is not allowed in '{section}': {why}"))
        } else {
            (Severity::Warning, format!("'{name}' is ignored in '{section}': {why}"))
        };
        self.world.diagnostics.push(severity, line.span(), line.directive.words[0].length as usize, message, Some(help.into()));
    }

    /// Finds the keyword of a line and takes `no` and `default` off; tells when there is none, or when it is not there yet.
    fn keyword<'d>(&mut self, directive: &'d Directive<'d>, context: Context, section: &str) -> Option<Line<'d>> {
        let words = &directive.words;
        let negation = match words[0].text.as_ref() {
            "no" => Negation::No,
            "default" => Negation::Default,
            _ => Negation::None,
        };
        let at = usize::from(negation != Negation::None);
        let Some(first) = words.get(at).filter(|word| !word.text.is_empty()) else {
            let message = format!("'{}' wants a keyword behind it", words[0].text);
            self.problem(directive, Problem::at(0, message).help("for example 'no option httpclose' or 'no log'"));
            return None;
        };
        let second = words.get(at + 1).map(|word| word.text.as_ref());
        let Some((keyword, count)) = self.world.lookup.line(context, &first.text, second) else {
            self.unknown(directive, context, at, section);
            return None;
        };
        if let Some(word) = words.iter().position(|word| word.lossy)
            && keyword.name != "description"
        {
            let problem = Problem::at(word, "this word is not valid UTF-8")
                .help("save the file as UTF-8, or write the bytes as \\xNN where the keyword takes them");
            self.problem(directive, problem);
            return None;
        }
        // A word that has no meaning in this section is left out whatever its state; the caller tells it.
        let meaningful = context != Context::Proxy || keyword.sections.contains(section_bit(section)) || keyword.strict;
        if let State::Refused(what) = keyword.state
            && meaningful
        {
            self.refused(directive, at, keyword, what);
            return None;
        }
        if let State::Refused(_) = keyword.state {
            let (severity, outcome) = match section {
                "defaults" => (Severity::Error, "is not allowed"),
                _ if SILENT.contains(&keyword.name) => (Severity::Notice, "is ignored"),
                _ => (Severity::Warning, "is ignored"),
            };
            let message = format!("'{}' {outcome} in '{section}': it has no meaning there", keyword.name);
            self.world.diagnostics.push(severity, directive.span(Some(at)), first.length as usize, message, Some("remove the line".into()));
            return None;
        }
        if negation != Negation::None && !keyword.negatable {
            let word = &words[0].text;
            let message = format!("'{word}' cannot stand in front of '{}'", keyword.name);
            self.problem(directive, Problem::at(0, message).help("remove the line, or set the value that is meant"));
            return None;
        }
        if let State::Old(_) | State::Gone(_) = keyword.state {
            self.old(directive, at, count, keyword);
        }
        self.world.without_effect(keyword, directive, at);
        Some(Line { directive, keyword, first: at + count, negation })
    }

    /// Says how a line of an older version is written today.
    fn old(&mut self, directive: &Directive<'_>, at: usize, count: usize, keyword: &Keyword) {
        let words = &directive.words;
        let text = |words: &[Word<'_>]| shown(&words.iter().map(|word| word.text.as_ref()).collect::<Vec<_>>().join(" "));
        let args: Vec<OldWord<'_>> = words[at + count..]
            .iter()
            .map(|word| OldWord { raw: word.text.as_ref().into(), value: Some(word.text.as_ref().into()) })
            .collect();
        let written = |today: &str| format!("today this is written '{today}'");
        let help = match keyword.today(&OldLine { args: &args }) {
            Today::Keyword(today) if args.is_empty() => written(today),
            Today::Keyword(today) => written(&format!("{today} {}", text(&words[at + count..]))),
            Today::Line(today) => written(&shown(&today)),
            Today::Nothing => "remove the line".to_owned(),
            Today::Left(near) => near,
            Today::Same => return,
        };
        let message = match keyword.state {
            State::Gone(why) => format!("'{}' is an old word without effect: {why}", keyword.name),
            _ => format!("'{}' is an old spelling", text(&words[at..words.len().min(at + 3)])),
        };
        self.world.diagnostics.push(Severity::Warning, directive.span(Some(at)), words[at].length as usize, message, Some(help));
    }

    fn refused(&mut self, directive: &Directive<'_>, at: usize, keyword: &Keyword, what: &str) {
        let (name, what) = match asked::asked(self.world.lookup, &self.world.registry, directive, at, keyword) {
            Some(Asked::Unknown(problem)) => return self.problem(directive, problem),
            Some(Asked::Later(name, what)) if keyword.name == "acl" => (format!("acl ... {name}"), what),
            Some(Asked::Later(name, what)) if name.starts_with(keyword.name) => (name, what),
            Some(Asked::Later(name, what)) => (format!("{} {name}", keyword.name), what),
            None => (keyword.name.to_owned(), what),
        };
        let message = format!("'{name}' is known but not there yet in this version ({what})");
        self.world.diagnostics.push(
            Severity::Error,
            directive.span(Some(at)),
            directive.words[at].length as usize,
            message,
            Some("remove the line if its effect is not needed; nothing is left out in silence".into()),
        );
    }

    fn unknown(&mut self, directive: &Directive<'_>, context: Context, at: usize, section: &str) {
        let first = directive.words[at].text.as_ref();
        if self.world.diagnostics.is_full() {
            self.problem(directive, Problem::at(at, "unknown keyword"));
            return;
        }
        let mut seconds = Lookup::second_words(context, first).peekable();
        if seconds.peek().is_some() {
            // `option`, `timeout`, `stats`: the second word is the one that is wrong.
            let list: Vec<&str> = seconds.collect();
            let Some(second) = directive.words.get(at + 1) else {
                let problem = Problem::at(at, format!("'{first}' wants a word behind it")).help(format!("known are: {}", list.join(", ")));
                self.problem(directive, problem);
                return;
            };
            let near = nearest(&second.text, list.iter().copied());
            let help = match near {
                Some(near) => format!("did you mean '{first} {near}'?"),
                None if list.len() <= 24 => format!("known are: {}", list.join(", ")),
                None => "see docs/keywords.md for all of them".to_owned(),
            };
            let message = format!("unknown '{first} {}' in section '{section}'", shown(&second.text));
            self.problem(directive, Problem::at(at + 1, message).help(help));
            return;
        }
        let other = match context {
            Context::Global => (Context::Proxy, "belongs to a proxy: defaults, frontend, listen or backend"),
            _ => (Context::Global, "belongs to the 'global' section"),
        };
        let elsewhere = self.world.lookup.line(other.0, first, directive.words.get(at + 1).map(|word| word.text.as_ref())).is_some();
        let parameter = [(Context::Bind, "bind"), (Context::Server, "server")]
            .into_iter()
            .find(|(context, _)| self.world.lookup.get(*context, first).is_some());
        let near = nearest(first, Lookup::first_words(context).chain(Lookup::first_words(Context::Section)));
        let help = match (elsewhere, near, parameter) {
            (true, ..) => Some(format!("'{first}' {}", other.1)),
            (_, Some(near), _) => Some(format!("did you mean '{near}'?")),
            (.., Some((_, line))) => Some(format!("'{first}' stands on a '{line}' line")),
            _ => None,
        };
        let message = format!("unknown keyword '{}' in section '{section}'", shown(first));
        self.problem(directive, Problem { help, ..Problem::at(at, message) });
    }

    fn problem(&mut self, directive: &Directive<'_>, problem: Problem) {
        tell(&mut self.world, directive, problem);
    }
}

/// Turns a problem into an error at its word.
pub(crate) fn tell(world: &mut World<'_>, directive: &Directive<'_>, problem: Problem) {
    let length = problem.word.and_then(|word| directive.words.get(word)).map_or(0, |word| word.length as usize);
    world.diagnostics.push(Severity::Error, directive.span(problem.word), length, problem.message, problem.help);
}

/// Letters, digits, `-`, `_`, `.`, `:`.
pub(crate) fn check_name(name: &str, word: usize, what: &str) -> Result<(), Problem> {
    if name.len() > MAX_NAME {
        return Err(Problem::at(word, format!("{what} has at most {MAX_NAME} bytes")));
    }
    match name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'))) {
        None => Ok(()),
        Some(c) => {
            Err(Problem::at(word, format!("{what} cannot hold {c:?}")).help("names are made of letters, digits, '-', '_', '.' and ':'"))
        }
    }
}

pub(crate) fn section_name(section: Sections) -> &'static str {
    match section {
        Sections::DEFAULTS => "defaults",
        Sections::FRONTEND => "frontend",
        Sections::BACKEND => "backend",
        _ => "listen",
    }
}

fn section_bit(name: &str) -> Sections {
    match name {
        "defaults" => Sections::DEFAULTS,
        "frontend" => Sections::FRONTEND,
        "backend" => Sections::BACKEND,
        _ => Sections::LISTEN,
    }
}
