//! A file of any age in today's spelling: `lb fmt --upgrade`. How an old word is written today stands in the keyword table
//! ([`Keyword::today`](crate::Keyword)); here is what concerns lines and whole sections.
//!
//! Holds: the upgraded file means the same; comments, order and layout stay; a line for which there is nothing exactly equal
//! stays as it is and is told; a file that is of today comes back as it is.

use crate::keywords::{Context, Keyword, Lookup, Names, OldLine, OldWord, State, Today, turn};
use crate::layout::{INDENT, end_last_line};
use crate::syntax::{Document, Line, Token, TokenKind};
use crate::tree::shown;
use std::borrow::Cow;
use std::collections::HashMap;

/// Places at which a name inside `.if` is remembered; beyond, it is not looked whether they exclude each other.
const MAX_BRANCHES: usize = 64;

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgraded {
    /// The file in today's spelling.
    pub text: Vec<u8>,
    /// What could not be said today, in the order of the file.
    pub notes: Vec<Note>,
}

/// A line that stayed as it was, although it is old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The line in the old file, from 1.
    pub line: u32,
    /// Why, and what comes near.
    pub message: String,
}

/// Writes a file in the spelling of haproxy 2.6.
///
/// ```
/// let old = b"listen web :80   # the shop\n\tcontimeout 5s\n\tserver a 192.0.2.1:80\n\tserver a 192.0.2.2:80";
/// let new = lb_config::upgrade(old);
/// assert_eq!(
///     String::from_utf8_lossy(&new.text),
///     "listen web   # the shop\n\tbind :80\n\ttimeout connect 5s\n\tserver a 192.0.2.1:80\n\tserver a-2 192.0.2.2:80\n"
/// );
/// assert!(new.notes.is_empty());
/// ```
pub fn upgrade(bytes: &[u8]) -> Upgraded {
    let lookup = Lookup::new();
    let mut document = Document::parse(bytes);
    let places = survey(&document, &lookup);
    let mut writer = Writer { lines: Vec::with_capacity(document.lines.len()), notes: Vec::new(), at: 0 };
    let out_of_turn = out_of_turn(&places);
    let allowing = allowing(&places);
    // Sides of the section on which an old rule stays: what stands behind it would come before it.
    let mut stays: Vec<&str> = Vec::new();
    let indents = indents(&document, &places);
    let mut proxies = Doubles::new(places.iter().filter(|place| place.is_proxy_header()));
    let mut servers = Doubles::default();
    for (at, line) in std::mem::take(&mut document.lines).into_iter().enumerate() {
        let place = &places[at];
        writer.at = at;
        let rule = place.keyword.filter(|keyword| keyword.today.is_some()).and_then(|keyword| turn(keyword.name));
        let told = writer.notes.len();
        if place.header {
            stays.clear();
        }
        match place.keyword {
            Some(_) if place.is_proxy_header() => {
                servers = Doubles::new(places[at + 1..].iter().take_while(|place| !place.header).filter(|place| place.is_server()));
                writer.header(line, place, &mut proxies, indents[at].clone());
            }
            Some(_) if place.is_server() => writer.named(line, place, &mut servers),
            Some(_) if out_of_turn[at] => {
                writer.note("older versions go through these rules in another order than that of their lines; put them in order first");
                writer.lines.push(line);
            }
            Some(_) if rule.is_some_and(|(side, _)| stays.contains(&side)) => {
                writer.note("an old rule before it stays as it is, and rules of today come before that one");
                writer.lines.push(line);
            }
            Some(_) if allowing[at] => {
                writer.note("an 'allow' in this section ends the rules of today and not the old ones: it would end this one, too");
                writer.lines.push(line);
            }
            Some(keyword) => writer.line(line, place, keyword, &lookup),
            None => writer.lines.push(line),
        }
        if let Some((side, _)) = rule.filter(|(_, turn)| *turn > 1 && writer.notes.len() > told) {
            stays.push(side);
        }
    }
    document.lines = writer.lines;
    end_last_line(&mut document);
    Upgraded { text: document.to_bytes(), notes: writer.notes }
}

/// What a line is.
struct Place {
    /// It starts a section.
    header: bool,
    keyword: Option<&'static Keyword>,
    /// The word where the keyword starts, and how many words it has.
    at: usize,
    count: usize,
    /// The name of a proxy or server.
    name: Option<String>,
    /// It is a rule `allow`.
    allows: bool,
    /// The branches of `.if` around it: which block, which branch of it.
    branch: Vec<(u32, u32)>,
}

impl Place {
    fn is_proxy_header(&self) -> bool {
        self.header && self.keyword.is_some_and(|keyword| matches!(keyword.name, "frontend" | "listen" | "backend"))
    }

    fn is_server(&self) -> bool {
        !self.header && self.keyword.is_some_and(|keyword| keyword.name == "server")
    }
}

/// Looks at all lines once.
fn survey(document: &Document<'_>, lookup: &Lookup) -> Vec<Place> {
    let mut context = None;
    let mut branch: Vec<(u32, u32)> = Vec::new();
    let mut blocks = 0;
    let mut places = Vec::with_capacity(document.lines.len());
    for line in &document.lines {
        let mut place = Place { header: false, keyword: None, at: 0, count: 0, name: None, allows: false, branch: Vec::new() };
        let words: Vec<&Token<'_>> = line.words().take(4).collect();
        let value = |n: usize| words.get(n).and_then(|word| word.value());
        let first = value(0);
        match first.as_deref() {
            Some(".if") => {
                branch.push((blocks, 0));
                blocks += 1;
            }
            Some(".elif" | ".else") => {
                if let Some(last) = branch.last_mut() {
                    last.1 += 1;
                }
            }
            Some(".endif") => drop(branch.pop()),
            Some(word) => {
                if let Some(section) = lookup.get(Context::Section, word) {
                    context = match section.name {
                        "global" => Some(Context::Global),
                        "defaults" | "frontend" | "listen" | "backend" => Some(Context::Proxy),
                        _ => None,
                    };
                    place = Place { header: true, keyword: Some(section), count: 1, ..place };
                } else if let Some(context) = context {
                    let at = usize::from(matches!(word, "no" | "default"));
                    let found = value(at).and_then(|word| lookup.line(context, &word, value(at + 1).as_deref()));
                    if let Some((keyword, count)) = found {
                        let allows = value(at + count).as_deref() == Some("allow");
                        place = Place { keyword: Some(keyword), at, count, allows, ..place };
                    }
                }
            }
            None => {}
        }
        if place.is_proxy_header() || place.is_server() {
            place.name = value(1).map(Cow::into_owned);
            place.branch.clone_from(&branch);
        }
        places.push(place);
    }
    places
}

/// Rules that old versions went through in another order than that of the lines: those cannot become rules of today, which
/// go by their lines.
fn out_of_turn(places: &[Place]) -> Vec<bool> {
    let mut out = vec![false; places.len()];
    let mut sections: Vec<Vec<(usize, &'static str, u8)>> = vec![Vec::new()];
    for (at, place) in places.iter().enumerate() {
        match place.keyword {
            Some(_) if place.header => sections.push(Vec::new()),
            Some(keyword) => {
                if let (Some((side, turn)), Some(section)) = (turn(keyword.name), sections.last_mut()) {
                    section.push((at, side, turn));
                }
            }
            None => {}
        }
    }
    let mut check = |rules: &mut dyn Iterator<Item = &(usize, &'static str, u8)>, late: fn(u8, u8) -> bool| {
        let mut furthest: HashMap<&str, u8> = HashMap::new();
        for (at, side, turn) in rules {
            let known = furthest.entry(*side).or_insert(*turn);
            // Rules of today stay where they are: the old ones give way.
            out[*at] |= late(*known, *turn);
            if late(*turn, *known) || *turn == *known {
                *known = *turn;
            }
        }
    };
    for section in &sections {
        check(&mut section.iter(), |known, turn| known > turn);
        check(&mut section.iter().rev(), |known, turn| known < turn);
    }
    for (at, place) in places.iter().enumerate() {
        out[at] &= place.keyword.is_some_and(|keyword| keyword.today.is_some());
    }
    out
}

/// Old rules behind `http-request` or `http-response` rules of which one is `allow`.
fn allowing(places: &[Place]) -> Vec<bool> {
    let of = |place: &Place| place.keyword.and_then(|keyword| turn(keyword.name));
    let sections = places.chunk_by(|_, next| !next.header);
    let stays = sections.flat_map(|section| {
        let sides: Vec<&str> = section.iter().filter(|place| place.allows).filter_map(of).map(|(side, _)| side).collect();
        section.iter().map(move |place| of(place).is_some_and(|(side, turn)| turn > 1 && sides.contains(&side)))
    });
    stays.collect()
}

/// For each header the white space that the lines of its section begin with.
fn indents<'d>(document: &'d Document<'_>, places: &[Place]) -> Vec<Option<Vec<u8>>> {
    let mut indents: Vec<Option<Vec<u8>>> = vec![None; places.len()];
    let mut next: Option<&'d [u8]> = None;
    for (at, (line, place)) in document.lines.iter().zip(places).enumerate().rev() {
        if place.header {
            indents[at] = next.take().map(<[u8]>::to_vec);
        } else if line.words().next().is_some() {
            next = Some(line.indent());
        }
    }
    indents
}

/// Names of proxies or of the servers of one backend, and where each was seen.
struct Doubles {
    names: Names,
    seen: HashMap<String, Vec<Vec<(u32, u32)>>>,
}

impl Default for Doubles {
    fn default() -> Self {
        Self { names: Names::new(std::iter::empty()), seen: HashMap::new() }
    }
}

impl Doubles {
    fn new<'p>(places: impl Iterator<Item = &'p Place>) -> Self {
        Self { names: Names::new(places.filter_map(|place| place.name.as_deref())), seen: HashMap::new() }
    }

    /// Another name where this one is taken by a line that may be read in the same run. Names of different sides do not clash.
    fn other(&mut self, name: &str, sides: &[&str], branch: &[(u32, u32)]) -> Option<String> {
        let mut clash = false;
        for side in sides {
            let seen = self.seen.entry(format!("{side} {name}")).or_default();
            let excludes = |known: &Vec<(u32, u32)>| known.iter().any(|(block, arm)| branch.iter().any(|(b, a)| b == block && a != arm));
            clash |= !seen.iter().all(excludes);
            if seen.len() < MAX_BRANCHES {
                seen.push(branch.to_vec());
            }
        }
        clash.then(|| self.names.other(name))
    }
}

struct Writer<'a> {
    lines: Vec<Line<'a>>,
    notes: Vec<Note>,
    /// The line that is being looked at.
    at: usize,
}

impl<'a> Writer<'a> {
    fn note(&mut self, message: impl Into<String>) {
        self.notes.push(Note { line: u32::try_from(self.at + 1).unwrap_or(u32::MAX), message: message.into() });
    }

    /// `listen <name> <address>`: the address goes to a line of its own; a name that is taken becomes another.
    fn header(&mut self, mut line: Line<'a>, place: &Place, proxies: &mut Doubles, indent: Option<Vec<u8>>) {
        let kind = place.keyword.map_or("", |keyword| keyword.name);
        let sides: &[&str] = match kind {
            "frontend" => &["frontend"],
            "backend" => &["backend"],
            _ => &["frontend", "backend"],
        };
        if let Some(own) = place.name.as_ref().and_then(|name| proxies.other(name, sides, &place.branch)) {
            line.set_word(1, own);
        }
        let words: Vec<&Token<'_>> = line.words().collect();
        let address = words.get(2).filter(|word| kind != "backend" && word.value().as_deref() != Some("from"));
        let Some(address) = address.map(|word| word.text.to_vec()) else { return self.lines.push(line) };
        if words.get(3).is_some_and(|word| word.value().as_deref() != Some("from")) {
            self.note("more than an address stands behind the name; write a 'bind' line for it");
            return self.lines.push(line);
        }
        line.remove_word(2);
        let end = if line.end().is_empty() { b"\n".to_vec() } else { line.end().to_vec() };
        if line.end().is_empty() {
            line.set_end(b"\n");
        }
        self.lines.push(line);
        let tokens = [
            (TokenKind::Space, indent.unwrap_or_else(|| INDENT.into())),
            (TokenKind::Word, b"bind".to_vec()),
            (TokenKind::Space, b" ".to_vec()),
            (TokenKind::Word, address),
            (TokenKind::End, end),
        ];
        let tokens = tokens.into_iter().filter(|(_, text)| !text.is_empty());
        self.lines.push(Line { tokens: tokens.map(|(kind, text)| Token::owned(kind, text)).collect() });
    }

    /// A server; one whose name is taken gets another.
    fn named(&mut self, mut line: Line<'a>, place: &Place, servers: &mut Doubles) {
        if let Some(own) = place.name.as_ref().and_then(|name| servers.other(name, &[""], &place.branch)) {
            line.set_word(1, own);
        }
        self.lines.push(line);
    }

    /// Any other line.
    fn line(&mut self, mut line: Line<'a>, place: &Place, keyword: &'static Keyword, lookup: &Lookup) {
        let words: Vec<&Token<'_>> = line.words().skip(place.at + place.count).collect();
        if keyword.name == "bind" {
            // Behind the address.
            let gone = gone(words.get(1..).unwrap_or_default(), lookup);
            for at in gone.into_iter().rev() {
                line.remove_word(place.at + place.count + 1 + at);
            }
            return self.lines.push(line);
        }
        let args: Vec<OldWord<'_>> =
            words.iter().map(|word| OldWord { raw: String::from_utf8_lossy(&word.text), value: word.value() }).collect();
        let count = args.len();
        match keyword.today(&OldLine { args: &args }) {
            Today::Same => {}
            Today::Keyword(text) => replace(&mut line, place, text, place.count),
            Today::Line(text) => replace(&mut line, place, &text, place.count + count),
            Today::Left(near) => self.note(format!("'{}' is old: {near}", shown(keyword.name))),
            Today::Nothing => {
                if !line.tokens.iter().any(|token| token.kind == TokenKind::Comment) {
                    return;
                }
                let indent = line.indent().to_vec();
                line.tokens.retain(|token| !matches!(token.kind, TokenKind::Word | TokenKind::Space));
                line.set_indent(indent);
            }
        }
        self.lines.push(line);
    }
}

/// Puts `text` in the place of `count` words, the first of which is the keyword's. As many words as before keep the space
/// between them.
fn replace(line: &mut Line<'_>, place: &Place, text: &str, count: usize) {
    if text.split(' ').count() == count {
        for (at, word) in (place.at..).zip(text.split(' ')) {
            line.set_word(at, word);
        }
        return;
    }
    for at in (place.at + 1..place.at + count).rev() {
        line.remove_word(at);
    }
    line.set_word(place.at, text);
}

/// Parameters of a `bind` line that are no part of the language any more, with their values: which words.
fn gone(words: &[&Token<'_>], lookup: &Lookup) -> Vec<usize> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let keyword = word.value().and_then(|word| lookup.get(Context::Bind, &word));
        let length = 1 + usize::from(keyword.is_some_and(|keyword| !keyword.args.is_empty()));
        if keyword.is_some_and(|keyword| matches!(keyword.state, State::Gone(_))) {
            out.extend(at..(at + length).min(words.len()));
        }
        at += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(old: &str) -> (String, Vec<(u32, String)>) {
        let Upgraded { text, notes } = upgrade(old.as_bytes());
        let text = String::from_utf8(text).expect("text");
        let again = upgrade(text.as_bytes());
        assert_eq!((String::from_utf8_lossy(&again.text), again.notes.len()), (text.as_str().into(), notes.len()), "of today now");
        (text, notes.into_iter().map(|note| (note.line, note.message)).collect())
    }

    fn exact(old: &str) -> String {
        let (text, notes) = new(old);
        assert_eq!(notes, [], "{old}");
        text
    }

    #[test]
    fn lines_keep_their_layout() {
        for (old, expected) in [
            ("", ""),
            ("# nothing\n", "# nothing\n"),
            ("defaults\n\tcontimeout   5s # c\n", "defaults\n\ttimeout connect   5s # c\n"),
            ("defaults\r\n option   forceclose\r\n redisp", "defaults\r\n option   httpclose\r\n option redispatch\r\n"),
            ("defaults\n no option forceclose\n", "defaults\n no option httpclose\n"),
            ("defaults\n timeout  clitimeout \"1s\"\n", "defaults\n timeout  client \"1s\"\n"),
            ("global\n nbproc 4\n", "global\n nbthread 4\n"),
            ("global\n  nbproc 1 # one\n nbproc 1\n", "global\n  # one\n"),
            ("global\n nbproc 100\n debug\n", "global\n nbthread 64\n"),
            ("listen a\nbind-process 1 # c\n bind :80 process 1 maxconn 5 process odd # d\n", "listen a\n# c\n bind :80 maxconn 5 # d\n"),
            ("listen a\n block if { path / }\n", "listen a\n http-request deny if { path / }\n"),
            ("frontend a\n reqadd X:\\ y  if z\n", "frontend a\n http-request add-header X y if z\n"),
            // Of other sections and of the wrong ones.
            ("peers x\n contimeout 5s\nglobal\n contimeout 5\n nonsense\n", "peers x\n contimeout 5s\nglobal\n contimeout 5\n nonsense\n"),
        ] {
            assert_eq!(exact(old), expected, "{old}");
        }
    }

    #[test]
    fn addresses_of_headers() {
        for (old, expected) in [
            ("listen a :80\n", "listen a\n    bind :80\n"),
            ("listen a   :80,:81 from d # c\n\n  # x\n\tmode tcp\n", "listen a from d # c\n\tbind :80,:81\n\n  # x\n\tmode tcp\n"),
            ("frontend a *:80\r\nmode tcp\r\n", "frontend a\r\nbind *:80\r\nmode tcp\r\n"),
            ("listen a \"$ADDR\"", "listen a\n    bind \"$ADDR\"\n"),
            ("backend a from d\nlisten b from d\n", "backend a from d\nlisten b from d\n"),
        ] {
            assert_eq!(exact(old), expected, "{old}");
        }
        assert_eq!(new("listen a :80 maxconn 5\n").1.len(), 1);
    }

    #[test]
    fn names_that_stand_there_twice() {
        for (old, expected) in [
            ("backend b\n server a x\n server a y\n server a-2 z\n", "backend b\n server a x\n server a-3 y\n server a-2 z\n"),
            ("backend b\n server a x\nbackend c\n server a y\n", "backend b\n server a x\nbackend c\n server a y\n"),
            ("frontend a\nbackend a\n", "frontend a\nbackend a\n"),
            ("listen a\nbackend a\nlisten  a\nfrontend a\n", "listen a\nbackend a-2\nlisten  a-3\nfrontend a-4\n"),
            (
                "backend b\n.if 1\n server a x\n.else\n server a y\n.endif\n server a z\n",
                "backend b\n.if 1\n server a x\n.else\n server a y\n.endif\n server a-2 z\n",
            ),
            ("peers p\n server a x\n server a y\n", "peers p\n server a x\n server a y\n"),
        ] {
            assert_eq!(exact(old), expected, "{old}");
        }
    }

    #[test]
    fn what_stays_is_told() {
        let old = "listen a\n reqideny ^x\n appsession A len 5 timeout 3h\n mode health\n monitor-net 10.0.0.0/8\n";
        let (text, notes) = new(old);
        assert_eq!(text, old);
        assert_eq!(notes.iter().map(|note| note.0).collect::<Vec<_>>(), [2, 3, 4, 5]);
        assert!(notes[3].1.contains("http-request return status 200 if { src 10.0.0.0/8 }"), "{}", notes[3].1);
    }

    #[test]
    fn rules_that_changed_their_turn() {
        // Once all 'block' came before 'http-request', and 'reqadd' after them, wherever the lines stood.
        let (text, notes) = new("listen a\n http-request deny if x\n block if y\n reqadd A:\\ b\n rspadd C:\\ d\n");
        assert_eq!(text, "listen a\n http-request deny if x\n block if y\n http-request add-header A b\n http-response add-header C d\n");
        assert_eq!(notes.iter().map(|note| note.0).collect::<Vec<_>>(), [3]);
        let (text, notes) = new("listen a\n reqadd A:\\ b\n http-request deny if x\nlisten b\n reqadd A:\\ b\n");
        assert_eq!(text, "listen a\n reqadd A:\\ b\n http-request deny if x\nlisten b\n http-request add-header A b\n");
        assert_eq!(notes.iter().map(|note| note.0).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn rules_that_would_come_before_one_that_stays() {
        let (text, notes) = new("listen a\n reqidel ^A:\n reqideny ^B:\n reqidel ^B:\n rspidel ^C:\nlisten b\n reqidel ^B:\n");
        let expected = "listen a\n http-request del-header A\n reqideny ^B:\n reqidel ^B:\n http-response del-header C\n\
                        listen b\n http-request del-header B\n";
        assert_eq!(text, expected);
        assert_eq!(notes.iter().map(|note| note.0).collect::<Vec<_>>(), [3, 4]);
        // An 'allow' of today ends what an old rule would have done all the same.
        let (text, notes) = new("listen a\n block if x\n http-request allow if y\n reqadd A:\\ b\n rspadd C:\\ d\n");
        assert_eq!(text, "listen a\n http-request deny if x\n http-request allow if y\n reqadd A:\\ b\n http-response add-header C d\n");
        assert_eq!(notes.iter().map(|note| note.0).collect::<Vec<_>>(), [4]);
    }
}
