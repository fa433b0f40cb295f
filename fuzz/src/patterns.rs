//! ACLs, conditions and sets of patterns: what an operator may write, and what structures find in comparison with a list.

use bumpalo::Bump;
use lb_expr::acl::{Acls, Condition, Entry, Kind, Matching, Pattern, PatternFlags, Set, Sets, Verdict};
use lb_expr::sample::{
    ArgKind, Bytes, Compiler, Context, Cx, Fact, Loader, OwnedValue, Reference, Registry, Scope, Side, Type, Value, Variable,
};
use lb_expr::{Field, LogSource, LogValue, Timestamp};
use lb_http::Head;
use std::sync::{Arc, OnceLock};

/// Pieces of lines and files.
pub const WORDS: &[&[u8]] = &[
    b"acl a ",
    b"\nacl a ",
    b"\n",
    b" ",
    b"if ",
    b" or ",
    b" || ",
    b" !",
    b" { ",
    b" } ",
    b"a",
    b"TRUE",
    b"METH_GET",
    b"HTTP_URL_ABS",
    b"hdr_beg(host)",
    b"hdr(x)",
    b"path",
    b"url_dom",
    b"method",
    b"src",
    b"req.len",
    b"str(a,b)",
    b"int(5)",
    b"bin(4100)",
    b",lower",
    b",map(m)",
    b",map_ip(m,d)",
    b",map_regm(m)",
    b" -i ",
    b" -n ",
    b" -f m ",
    b" -M -f m ",
    b" -u 1 ",
    b" -- ",
    b" -m found ",
    b" -m str ",
    b" -m beg ",
    b" -m end ",
    b" -m sub ",
    b" -m dir ",
    b" -m dom ",
    b" -m reg ",
    b" -m int ",
    b" -m len ",
    b" -m ip ",
    b" -m bin ",
    b" lt 5 ",
    b"1:10",
    b":5",
    b"-",
    b"9223372036854775807",
    b"10.0.0.0/8",
    b"1.2.3.4",
    b"127.1",
    b"::ffff:1.2.3.4/120",
    b"2001:db8::/32",
    b"/255.0.255.0",
    b"/a/b",
    b".example.com",
    b"^(a|b)*$",
    b"\\1",
    b"#",
    b"\t",
    b"\r",
    b"\0",
    b"\xff",
    b"\xc3\xa9",
];

/// A request, and nothing else.
struct World {
    head: Head,
}

impl World {
    fn new() -> Self {
        let mut head = Head::new();
        head.start_request(b"GET", b"/a/b.example.com?x=1&a=b", lb_http::Version::Http11);
        head.append(b"host", b"www.example.com:80");
        head.append(b"x", b"1.2.3.4, 10, abc");
        Self { head }
    }
}

impl LogSource for World {
    fn value(&self, _: Field) -> LogValue<'_> {
        LogValue::Missing
    }
}

impl Context for World {
    fn head(&self, side: Side) -> Option<&Head> {
        (side == Side::Request).then_some(&self.head)
    }
    fn body(&self, _: Side) -> Bytes<'_> {
        Bytes::default()
    }
    fn buffer(&self, _: Side) -> Bytes<'_> {
        Bytes { bytes: b"\x16\x03\x01", whole: false, announced: None }
    }
    fn fact<'a>(&'a self, fact: Fact, _: &'a Bump) -> Option<Value<'a>> {
        (fact == Fact::Src).then_some(Value::Ip([10, 1, 2, 3].into()))
    }
    fn variable<'a>(&self, _: Variable, _: &'a Bump) -> Option<Value<'a>> {
        None
    }
    fn set_variable(&self, _: Variable, _: Option<OwnedValue>) -> bool {
        false
    }
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }
    fn random(&self) -> u64 {
        4
    }
}

/// Takes every name; every file has the same content.
struct Names<'f>(&'f [u8]);

impl Loader for Names<'_> {
    fn variable(&mut self, scope: Scope, _: &str) -> Variable {
        Variable { scope, id: 0 }
    }
    fn reference(&mut self, _: ArgKind, _: &str) -> Result<Reference, String> {
        Ok(Reference(0))
    }
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        if path.len() < 3 { Ok(self.0.to_vec()) } else { Err("no".to_owned()) }
    }
    fn environment(&self, _: &str) -> Option<String> {
        None
    }
}

fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(Registry::standard)
}

/// Lines `acl ...`, and conditions: an error or a test that has one answer, with `unless` the other one; what is settled before the end
/// stays so.
pub fn acl_lines(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (sets, mut acls, world) = (Sets::new(), Acls::new(), World::new());
    let mut names = Names(b"a 1\nb 1.2.3.4\n1.2.3.4 x\n5:9 \\1\\x41\n^(a) \\1\n");
    for line in text.lines().take(40) {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let mut compiler = Compiler { registry: registry(), loader: &mut names, sets: &sets };
        if words.first() == Some(&"acl") {
            let _ = acls.add(&words, 1, &mut compiler);
            continue;
        }
        let mut ask = |first: &str| {
            let words: Vec<&str> = [first].into_iter().chain(words.iter().copied()).collect();
            let mut compiler = Compiler { registry: registry(), loader: &mut names, sets: &sets };
            let mut at = 0;
            let condition = Condition::parse(&words, &mut at, &mut acls, &mut compiler).ok()?;
            assert_eq!(at, words.len());
            Some([false, true].map(|last| {
                let scratch = Bump::new();
                condition.eval(Cx { source: &world, scratch: &scratch, side: Side::Request, last })
            }))
        };
        let (positive, negative) = (ask("if"), ask("unless"));
        let Some([early, last]) = positive else { return };
        assert_ne!(last, Verdict::NeedMore, "{line}");
        assert!(early == Verdict::NeedMore || early == last, "{line}: {early:?}, then {last:?}");
        // Numbers that `-u` gives can be given once.
        if let Some(contrary) = negative {
            assert_eq!(contrary, [early.negated(), last.negated()], "{line}");
        }
    }
}

const METHODS: [Matching; 11] = [
    Matching::Str,
    Matching::Beg,
    Matching::End,
    Matching::Sub,
    Matching::Dir,
    Matching::Dom,
    Matching::Bin,
    Matching::Int,
    Matching::Len,
    Matching::Ip,
    Matching::Reg,
];

/// A file of patterns, of which the first bytes say how it is matched and what is changed: what is found is what a list finds.
pub fn pattern_file(data: &[u8]) {
    let [how, change, file @ ..] = data else { return };
    let matching = METHODS[usize::from(*how) % METHODS.len()];
    // Lists of expressions take long to compile and are compared one by one anyway.
    if matching == Matching::Reg && file.len() > 60 {
        return;
    }
    let (sets, mut acls, mut names) = (Sets::new(), Acls::new(), Names(file));
    let mut words = vec!["a", "str(x)", "-m", matching.name()];
    words.extend((how & 64 != 0).then_some("-i"));
    words.extend((how & 128 != 0).then_some("-M"));
    words.extend(["-f", "m"]);
    let mut compiler = Compiler { registry: registry(), loader: &mut names, sets: &sets };
    if acls.add(&words, 0, &mut compiler).is_err() {
        return;
    }
    let lookup = Arc::clone(&acls.get("a").expect("just added").lines().next().expect("a line").patterns()[0]);
    let set = sets.find("m").expect("just loaded");
    compare(&set, &lookup);
    // Some go, some come again behind the others, and all of it once more as a version.
    let entries = set.list(None, 0, usize::MAX);
    for (n, entry) in entries.iter().enumerate() {
        match (n + usize::from(*change)) % 4 {
            0 => set.remove_id(entry.id).expect("it is there"),
            1 => drop(set.add(None, entry.key(), entry.value()).expect("it was a pattern")),
            _ => {}
        }
    }
    compare(&set, &lookup);
    let version = set.prepare().expect("the first one");
    for entry in entries.iter().rev().skip(usize::from(*change) % 5) {
        set.add(Some(version), entry.key(), b"").expect("it was a pattern");
    }
    drop(set.commit(version).expect("it was prepared"));
    compare(&set, &lookup);
    drop(set.clear(None));
    compare(&set, &lookup);
}

fn compare(set: &Set, lookup: &lb_expr::acl::Lookup) {
    let kind = lookup.kind();
    let flags = PatternFlags { ignore_case: kind.ignore_case, no_resolve: true };
    let list = set.list(None, 0, 64);
    if set.len() > list.len() {
        return;
    }
    let parse = |entry: &Arc<Entry>| Pattern::parse(entry.key(), kind.matching, flags, &mut |_| Vec::new()).expect("it is in the set");
    let parsed: Vec<(Pattern, Arc<Entry>)> = list.iter().map(|entry| (parse(entry), Arc::clone(entry))).collect();
    let scratch = Bump::new();
    for (n, entry) in list.iter().enumerate() {
        let next = list[(n + 1) % list.len()].key();
        for text in [entry.key().to_vec(), [entry.key(), next].concat(), [b"/", next, b"/"].concat()] {
            let value = match kind.matching.input() {
                Type::Int => Value::Int(lb_expr::sample::leading_int(&text)),
                Type::Addr => {
                    let end = text.iter().position(|b| *b == b'/').unwrap_or(text.len());
                    match Value::Str(&text[..end]).cast(Type::Addr, &scratch) {
                        Some(ip) => ip,
                        None => continue,
                    }
                }
                _ => Value::Str(&text),
            };
            let expected = expected(&parsed, kind, value);
            assert_eq!(lookup.find(value, |entry| entry.id), expected, "{kind:?} {value:?} in {list:?}");
            assert_eq!(lookup.matches(value), expected.is_some(), "{kind:?} {value:?} in {list:?}");
        }
    }
}

/// What the list finds.
fn expected(list: &[(Pattern, Arc<Entry>)], kind: Kind, value: Value<'_>) -> Option<u64> {
    let all = || list.iter().filter(|(pattern, _)| pattern.matches(kind.matching, value));
    let rank = |pattern: &Pattern| match (pattern, value) {
        (Pattern::Bytes(bytes), _) if kind.matching == Matching::Beg => bytes.len(),
        (Pattern::Net4(_, mask), Value::Ip(ip)) => {
            let gap = mask.count_ones() != mask.leading_ones();
            if gap { 0 } else { 1 + mask.count_ones() as usize + 200 * usize::from(ip.is_ipv4()) }
        }
        (Pattern::Net6(_, mask), Value::Ip(ip)) => 1 + mask.count_ones() as usize + 200 * usize::from(ip.is_ipv6()),
        _ => 0,
    };
    let best = all().map(|(pattern, _)| rank(pattern)).max()?;
    all().find(|(pattern, _)| rank(pattern) == best).map(|(_, entry)| entry.id)
}
