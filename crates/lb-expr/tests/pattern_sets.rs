//! Sets of patterns: each structure finds what a plain list finds, before and after any changes; versions; what the run-time socket
//! shows.

mod support;

use bumpalo::Bump;
use lb_expr::acl::{Acls, Entry, Kind, Matching, Pattern, PatternFlags, Set, SetError, Sets};
use lb_expr::sample::{Compiler, Cx, Eval, Expr, Registry, Side, Type, Value};
use std::sync::Arc;
use support::{Names, Plain, request};

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    /// Short words of few letters, so that they are often parts of one another.
    fn word(&mut self) -> String {
        let len = self.next(7);
        (0..len).map(|_| ['a', 'b', 'A', '.', '/', 'é'][self.next(6) as usize]).collect()
    }

    fn pattern(&mut self, matching: Matching) -> String {
        match matching {
            Matching::Int | Matching::Len => {
                let [a, b] = [self.next(40), self.next(40)];
                match self.next(6) {
                    0 => format!("{}:{}", a.min(b), a.max(b)),
                    1 => format!("{a}:"),
                    2 => format!(":{a}"),
                    3 => format!("{}:{}", u64::MAX >> (2 + a), u64::MAX >> 1),
                    _ => a.to_string(),
                }
            }
            Matching::Ip => {
                let octets: [u64; 4] = std::array::from_fn(|_| self.next(3));
                let [a, b, c, d] = octets;
                match self.next(8) {
                    0 => format!("::{a}:{b}/{}", 90 + self.next(39)),
                    1 => format!("::ffff:{a}.{b}.{c}.{d}/{}", 90 + self.next(39)),
                    2 => format!("{a}.{b}.{c}.{d}/255.0.{}.255", 255 * self.next(2)),
                    3 => format!("{a}.{b}.{c}.{d}"),
                    _ => format!("{a}.{b}.{c}.{d}/{}", self.next(33)),
                }
            }
            Matching::Bin => self.word().bytes().map(|b| format!("{b:02x}")).collect(),
            Matching::Reg => format!("{}.?{}$", self.word().replace('/', "x"), self.word()),
            _ => self.word(),
        }
    }

    fn value(&mut self, matching: Matching, scratch: &'static Bump) -> Value<'static> {
        match matching.input() {
            Type::Int => Value::Int(match self.next(4) {
                0 => i64::MAX - self.next(3) as i64,
                1 => i64::MIN + self.next(3) as i64,
                _ => self.next(45) as i64 - 3,
            }),
            Type::Addr => {
                let octets: [u8; 4] = std::array::from_fn(|_| self.next(3) as u8);
                let ip = std::net::Ipv4Addr::from(octets);
                Value::Ip(match self.next(4) {
                    0 => ip.to_ipv6_mapped().into(),
                    1 => ip.to_ipv6_compatible().into(),
                    _ => ip.into(),
                })
            }
            _ => {
                let text = format!("{}{}{}", self.word(), self.word(), self.word());
                Value::Str(scratch.alloc_slice_copy(text.as_bytes()))
            }
        }
    }
}

const ALL: [Matching; 11] = [
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

fn parsed(entry: Arc<Entry>, kind: Kind) -> (Pattern, Arc<Entry>) {
    let flags = PatternFlags { ignore_case: kind.ignore_case, no_resolve: true };
    (Pattern::parse(entry.key(), kind.matching, flags, &mut |_| Vec::new()).expect("it was added"), entry)
}

/// What the list finds: all that match, in their order; then which of them counts.
fn expected<'e>(list: &'e [(Pattern, Arc<Entry>)], kind: Kind, value: Value<'_>) -> Option<&'e Arc<Entry>> {
    let all: Vec<_> = list.iter().filter(|(pattern, _)| pattern.matches(kind.matching, value)).collect();
    let rank = |pattern: &Pattern| match (pattern, value) {
        (Pattern::Bytes(bytes), _) if kind.matching == Matching::Beg => bytes.len(),
        (Pattern::Net4(_, mask), Value::Ip(ip)) => {
            let gap = mask.count_ones() != mask.leading_ones();
            if gap { 0 } else { 1 + mask.count_ones() as usize + 200 * usize::from(ip.is_ipv4()) }
        }
        (Pattern::Net6(_, mask), Value::Ip(ip)) => 1 + mask.count_ones() as usize + 200 * usize::from(ip.is_ipv6()),
        _ => 0,
    };
    let best = all.iter().map(|(pattern, _)| rank(pattern)).max()?;
    all.into_iter().find(|(pattern, _)| rank(pattern) == best).map(|(_, entry)| entry)
}

/// A set that is looked up in one way, and that way.
fn one(matching: Matching, ignore_case: bool) -> (Arc<Set>, Arc<lb_expr::acl::Lookup>) {
    loaded(matching, ignore_case, String::new())
}

/// The same with the patterns of a file.
fn loaded(matching: Matching, ignore_case: bool, content: String) -> (Arc<Set>, Arc<lb_expr::acl::Lookup>) {
    let name = matching.name();
    let (mut names, sets, registry, mut acls) = (Names::default(), Sets::new(), Registry::standard(), Acls::new());
    names.files.insert("file".to_owned(), content.into_bytes());
    let mut words = vec!["a", "str(x)", "-m", name];
    words.extend(ignore_case.then_some("-i"));
    words.extend(["-f", "file"]);
    let mut compiler = Compiler { registry: &registry, loader: &mut names, sets: &sets };
    acls.add(&words, 0, &mut compiler).unwrap_or_else(|e| panic!("{words:?}: {e}"));
    let lookup = Arc::clone(&acls.get("a").expect("just added").lines().next().expect("a line").patterns()[0]);
    (sets.find("#0").expect("the only one"), lookup)
}

#[test]
fn structures_find_what_a_list_finds() {
    let scratch: &'static Bump = Box::leak(Box::new(Bump::new()));
    for matching in ALL {
        // Expressions take long to compile.
        let seeds = if matching == Matching::Reg { 3 } else { 18 };
        for ignore_case in [false, true] {
            for seed in 0..seeds {
                let mut dice = Dice(seed);
                let most = [3, 8, 60][seed as usize % 3];
                // Half of them are there from the beginning.
                let file: Vec<String> = (0..most / 2).map(|_| dice.pattern(matching)).collect();
                let (set, lookup) = loaded(matching, ignore_case, file.join("\n"));
                let kind = lookup.kind();
                let mut list: Vec<(Pattern, Arc<Entry>)> =
                    set.list(None, 0, usize::MAX).into_iter().map(|entry| parsed(entry, kind)).collect();
                for step in 0..150 {
                    match dice.next(10) {
                        0..=4 if list.len() < most => {
                            let key = dice.pattern(matching);
                            let entry = set.add(None, key.as_bytes(), b"").unwrap_or_else(|e| panic!("{matching:?} {key}: {e}"));
                            list.push(parsed(entry, kind));
                        }
                        5 if !list.is_empty() => {
                            let (_, gone) = list.remove(dice.next(list.len() as u64) as usize);
                            set.remove_id(gone.id).unwrap();
                        }
                        6 if !list.is_empty() => {
                            let key = list[dice.next(list.len() as u64) as usize].1.key().to_vec();
                            list.retain(|(_, entry)| entry.key() != key);
                            set.remove(&key).unwrap();
                        }
                        _ => {}
                    }
                    for _ in 0..4 {
                        let value = dice.value(matching, scratch);
                        let expected = expected(&list, kind, value).map(|entry| entry.id);
                        let found = lookup.find(value, |entry| entry.id);
                        assert_eq!(found, expected, "{matching:?} -i {ignore_case} seed {seed} step {step}: {value:?} in {list:?}");
                        assert_eq!(lookup.matches(value), expected.is_some());
                    }
                }
                assert_eq!(
                    set.list(None, 0, usize::MAX).iter().map(|e| e.id).collect::<Vec<_>>(),
                    list.iter().map(|(_, e)| e.id).collect::<Vec<_>>()
                );
            }
        }
    }
}

#[test]
fn keys_that_begin_with_one_another_are_no_danger() {
    for matching in [Matching::Beg, Matching::End, Matching::Sub] {
        let (set, lookup) = one(matching, false);
        let long = vec![b'a'; 500];
        for len in 1..long.len() {
            set.add(None, &long[..len], b"").unwrap();
        }
        assert!(lookup.matches(Value::Str(&long)), "{matching:?}");
        for len in (1..long.len()).step_by(2) {
            set.remove(&long[..len]).unwrap();
        }
        assert_eq!(lookup.find(Value::Str(b"a"), |entry| entry.id), None);
        drop(set.clear(None));
        assert!(!lookup.matches(Value::Str(&long)), "{matching:?}");
    }
}

struct Maps {
    registry: Registry,
    names: Names,
    sets: Sets,
}

impl Maps {
    fn new(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
        Self { registry: Registry::standard(), names: Names { files, ..Names::default() }, sets: Sets::new() }
    }

    fn compile(&mut self, text: &str) -> Result<Expr, String> {
        let mut compiler = Compiler { registry: &self.registry, loader: &mut self.names, sets: &self.sets };
        Expr::parse(&[text], &mut 0, &mut compiler).map_err(|e| e.message)
    }

    fn value(&mut self, text: &str) -> Option<String> {
        let expr = self.compile(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        value(&expr)
    }
}

fn value(expr: &Expr) -> Option<String> {
    let (scratch, plain) = (Bump::new(), request("GET /", &[]));
    let cx = Cx { source: &plain as &Plain, scratch: &scratch, side: Side::Request, last: true };
    match expr.eval(cx) {
        Eval::Value(value) => Some(String::from_utf8_lossy(value.to_text(&scratch)).into_owned()),
        _ => None,
    }
}

#[test]
fn maps() {
    let mut maps = Maps::new(&[
        ("words", "abc 1\nab 2\nabcd 3\nab 4\nb 5\n"),
        ("nets", "10.0.0.0/8 8\n10.1.0.0/16 16\n10.1.2.3 32\n::/0 six\n"),
        ("numbers", "5 five\n1:10 ten\n7: more\n"),
        ("exprs", "^/a/(.*)/b(.)$ <\\1|\\2|\\9>\nfoo bar\\\n(.)(.) \\2\\1\\x41\n"),
        ("ips", "a 1.2.3.4\nb ::1\n"),
        ("bad", "a 12\nb x\n"),
    ]);
    let cases = [
        ("str(ab),map(words)", Some("2")),
        ("str(abcde),map_beg(words,-)", Some("3")),
        ("str(xab),map_end(words,-)", Some("2")),
        ("str(xabcx),map_sub(words,-)", Some("1")),
        ("str(xyz),map_sub(words,-)", Some("-")),
        ("str(xyz),map_sub(words)", None),
        ("str(abcde),map_beg_key(words)", Some("abcd")),
        ("str(abc),map_str_int(words),map_int(numbers)", Some("ten")),
        ("int(5),map_int(numbers)", Some("five")),
        ("int(25),map_int(numbers)", Some("more")),
        ("str(10.1.2.3),map_ip(nets)", Some("32")),
        ("str(10.1.2.4),map_ip(nets)", Some("16")),
        ("str(::1),map_ip(nets)", Some("six")),
        ("str(none),map_ip(nets,-)", None),
        ("str(/a/xx/bY),map_regm(exprs)", Some("<xx|Y|>")),
        ("str(foo),map_regm(exprs,d)", None),
        ("str(foo),map_reg(exprs,d)", Some("bar\\")),
        ("str(no),map_regm(exprs,d)", Some("onA")),
        ("str(n),map_regm(exprs,d)", Some("d")),
        ("str(b),map_str_ip(ips)", Some("::1")),
        ("str(c),map_str_ip(ips,9.9.9.9)", Some("9.9.9.9")),
    ];
    for (expr, expected) in cases {
        assert_eq!(maps.value(expr).as_deref(), expected, "{expr}");
    }
    let refused = [
        ("str(a),map(none)", "invalid args in converter 'map' : failed to open pattern file <none>"),
        ("str(a),map_str_int(bad)", "invalid args in converter 'map_str_int' : unable to parse 'x' at line 2 of file 'bad'"),
        ("str(a),map_ip(bad)", "invalid args in converter 'map_ip' : 'a' is not a valid IPv4 or IPv6 address at line 1 of file 'bad'"),
    ];
    for (expr, message) in refused {
        assert_eq!(maps.compile(expr).expect_err(expr), message);
    }
    assert_eq!(maps.value("str(a),map(virt@x,none)").as_deref(), Some("none"));
    assert_eq!(maps.value("str(b),map(file@words,none)").as_deref(), Some("5"));
}

/// Of regular expressions that match the first one counts, in the order of the file and then of what was added.
#[test]
fn the_first_expression_that_matches() {
    let matched = |maps: &mut Maps, text: &str| maps.value(&format!("str({text}),map_reg(m,-)")).expect("a default");
    // Few patterns are kept in another way than many.
    for fill in [0, 100] {
        let rest: String = (0..fill).map(|n| format!("^never{n}$ n\n")).collect();
        let mut maps = Maps::new(&[("m", &format!("^ab+$ one\n{rest}^a two\n. three\n^ab$ four\n"))]);
        let of = |maps: &mut Maps| ["abb", "ab", "ac", "c"].map(|text| matched(maps, text));
        assert_eq!(of(&mut maps), ["one", "one", "two", "three"]);
        let groups = |maps: &mut Maps| maps.value("str(ab),map_regm(m,-)").expect("a default");
        assert_eq!(groups(&mut maps), "one");
        let set = maps.sets.find("m").expect("it is named");
        set.add(None, b"^c$", b"late").unwrap();
        assert_eq!(of(&mut maps), ["one", "one", "two", "three"], "what is added comes last");
        set.remove(b"^ab+$").unwrap();
        assert_eq!((of(&mut maps), groups(&mut maps)), (["two", "two", "two", "three"].map(str::to_owned), "two".to_owned()));
        set.remove(b"^a").unwrap();
        set.remove(b".").unwrap();
        assert_eq!((of(&mut maps), groups(&mut maps)), (["-", "four", "-", "late"].map(str::to_owned), "four".to_owned()));
        set.add(None, b"^ab+$", b"again").unwrap();
        assert_eq!(of(&mut maps), ["again", "four", "-", "late"]);
    }
}

#[test]
fn one_set_for_a_file_and_changes_of_it() {
    let mut maps = Maps::new(&[("m", "k1 v1\nk2 v2\n# c\nk1 v1b\n")]);
    let [str, beg] = ["str(k2),map(m)", "str(k2x),map_beg(m,d)"].map(|text| maps.compile(text).unwrap());
    let set = maps.sets.find("m").expect("it is named");
    assert_eq!(maps.sets.list().len(), 1);
    assert_eq!((set.len(), set.pattern_count()), (3, 6));
    assert_eq!(set.set(b"k2", b"new"), Ok(1));
    assert_eq!((value(&str).as_deref(), value(&beg).as_deref()), (Some("new"), Some("new")));
    assert_eq!(set.remove(b"k2"), Ok(1));
    assert_eq!((value(&str), value(&beg).as_deref()), (None, Some("d")));
    assert_eq!(set.remove(b"k2"), Err(SetError::NotFound));
    assert_eq!(set.set(b"k2", b"x"), Err(SetError::NotFound));
    let keys = |version| set.list(version, 0, 10).iter().map(|e| String::from_utf8_lossy(e.key()).into_owned()).collect::<Vec<_>>();
    assert_eq!(keys(None), ["k1", "k1"]);
    let lines: Vec<_> = set.list(None, 0, 10).iter().map(|e| e.line).collect();
    assert_eq!(lines, [1, 4]);

    assert_eq!((set.prepare(), set.prepare()), (Ok(1), Ok(2)));
    set.add(Some(1), b"k2", b"one").unwrap();
    for n in 0..20 {
        set.add(Some(2), format!("k{n}").as_bytes(), b"two").unwrap();
    }
    assert_eq!(set.add(Some(3), b"k2", b"x").unwrap_err().to_string(), "Version number in the future, please use 'prepare map' before.");
    assert_eq!((value(&str), keys(Some(1))), (None, vec!["k2".to_owned()]));
    drop(set.commit(2).unwrap());
    assert_eq!((value(&str).as_deref(), set.versions(), set.len()), (Some("two"), (2, 2), 20));
    assert!(keys(Some(1)).is_empty());
    assert_eq!(set.commit(1).unwrap_err(), SetError::OutOfRange);
    drop(set.clear(None));
    assert_eq!((value(&str), set.len()), (None, 0));
    set.put(b"k2", b"again").unwrap();
    set.put(b"k2", b"last").unwrap();
    assert_eq!((value(&str).as_deref(), set.len()), (Some("last"), 1));
}

#[test]
fn numbers_of_sets() {
    let (mut names, sets, registry, mut acls) = (Names::default(), Sets::new(), Registry::standard(), Acls::new());
    names.files.insert("f".to_owned(), b"x\n".to_vec());
    for line in ["a str(x) -f f", "b str(x) -u 1 x", "c str(x) x y"] {
        let words: Vec<_> = line.split(' ').collect();
        acls.add(&words, 0, &mut Compiler { registry: &registry, loader: &mut names, sets: &sets }).unwrap();
    }
    let list: Vec<_> = sets.list().iter().map(|(id, set)| (*id, set.file().map(str::to_owned), set.len())).collect();
    assert_eq!(list, [(0, Some("f".to_owned()), 1), (1, None, 1), (2, None, 0), (3, None, 2)]);
    let got = sets.find("#3").expect("there is one").get(b"y");
    assert_eq!(got[0].entry.as_ref().map(|(entry, structure)| (entry.key().to_vec(), *structure)), Some((b"y".to_vec(), "tree")));
}
