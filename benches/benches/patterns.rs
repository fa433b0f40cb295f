//! Cost of a look into a set of patterns, of loading it and of a change of it, per matching method and number of patterns.
//!
//! `cargo bench -p lb-benches --bench patterns`. Values that match and values that do not take turns. Loading is from the bytes of a
//! file to the last index, and is told once per set.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lb_expr::acl::{Acls, Lookup, Set, Sets};
use lb_expr::sample::{ArgKind, Compiler, Loader, Reference, Registry, Scope, Value, Variable};
use std::fmt::Write as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

/// A file of patterns.
struct File(Vec<u8>);

impl Loader for File {
    fn variable(&mut self, scope: Scope, _: &str) -> Variable {
        Variable { scope, id: 0 }
    }
    fn reference(&mut self, _: ArgKind, _: &str) -> Result<Reference, String> {
        Ok(Reference(0))
    }
    fn read(&mut self, _: &str) -> Result<Vec<u8>, String> {
        Ok(std::mem::take(&mut self.0))
    }
    fn environment(&self, _: &str) -> Option<String> {
        None
    }
}

/// Processor time of this thread: others may use the machine as well.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Numbers that look random.
fn mixed(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 31)
}

fn host(n: u64) -> String {
    format!("{:x}.site{}.example.{}", mixed(n) & 0xffff, n, ["com", "org", "net", "info"][n as usize % 4])
}

fn path(n: u64) -> String {
    format!("/app{}/{:x}/p{n}", n % 97, mixed(n) & 0xfff)
}

/// The pattern of number `n`.
fn pattern(method: &str, n: u64) -> String {
    match method {
        "ip" if n.is_multiple_of(5) => format!("2001:{:x}:{:x}::/48", mixed(n) & 0xffff, n & 0xffff),
        "ip" => format!("{}/{}", Ipv4Addr::from(mixed(n) as u32), 16 + n % 17),
        "int" => (mixed(n) >> 20).to_string(),
        "beg" | "dir" => path(n),
        "reg" => format!("^/app{}/.*[0-9]+\\.{n}$", n % 97),
        _ => host(n),
    }
}

enum Owned {
    Text(String),
    Int(i64),
    Ip(IpAddr),
}

impl Owned {
    fn get(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Str(text.as_bytes()),
            Self::Int(n) => Value::Int(*n),
            Self::Ip(ip) => Value::Ip(*ip),
        }
    }
}

/// A value that the pattern of number `n` matches when `n` is one of them.
fn value(method: &str, n: u64) -> Owned {
    match method {
        "ip" if n.is_multiple_of(5) => Owned::Ip(Ipv6Addr::new(0x2001, mixed(n) as u16, n as u16, 1, 2, 3, 4, 5).into()),
        "ip" => Owned::Ip(Ipv4Addr::from(mixed(n) as u32).into()),
        "int" => Owned::Int((mixed(n) >> 20) as i64),
        "beg" => Owned::Text(path(n) + "/index.html?a=b"),
        "dir" => Owned::Text(format!("/x{}/y", path(n))),
        "end" => Owned::Text(format!("www.{}", host(n))),
        "sub" | "dom" => Owned::Text(format!("www.{}:443", host(n))),
        "reg" => Owned::Text(format!("/app{}/some/where/17.{n}", n % 97)),
        _ => Owned::Text(host(n)),
    }
}

fn load(method: &str, flags: &[&str], count: u64) -> (Arc<Set>, Arc<Lookup>, Duration) {
    let mut content = String::new();
    for n in 0..count {
        let _ = writeln!(content, "{}", pattern(method, n));
    }
    let (registry, sets, mut acls) = (Registry::standard(), Sets::new(), Acls::new());
    let mut words = vec!["a", "str(x)", "-m", method];
    words.extend(flags);
    words.extend(["-f", "file"]);
    let mut loader = File(content.into_bytes());
    let start = cpu_time();
    acls.add(&words, 0, &mut Compiler { registry: &registry, loader: &mut loader, sets: &sets }).expect("patterns");
    let took = cpu_time() - start;
    let lookup = Arc::clone(&acls.get("a").expect("added").lines().next().expect("a line").patterns()[0]);
    (sets.find("file").expect("named"), lookup, took)
}

fn patterns(c: &mut Criterion) {
    let methods: [(&str, &[&str]); 10] = [
        ("str", &[]),
        ("str", &["-i"]),
        ("beg", &[]),
        ("end", &[]),
        ("sub", &[]),
        ("dir", &[]),
        ("dom", &[]),
        ("ip", &[]),
        ("int", &[]),
        ("reg", &[]),
    ];
    for (method, flags) in methods {
        let name = [&[method], flags].concat().join(" ");
        let mut group = c.benchmark_group(&name);
        group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600)).sample_size(20);
        for count in [1, 4, 100, 100_000, 1_000_000] {
            if method == "reg" && count > 100 {
                continue;
            }
            let (set, lookup, took) = load(method, flags, count);
            if count >= 100_000 {
                println!("{name}: {count} patterns loaded in {took:.2?}");
            }
            // Every second one is there.
            let values: Vec<Owned> =
                (0..8192u64).map(|n| value(method, if n % 2 == 0 { mixed(n) % count } else { count + mixed(n) % count })).collect();
            let mut at = 0;
            group.bench_with_input(BenchmarkId::new("match", count), &count, |b, _| {
                b.iter_custom(|times| {
                    let start = cpu_time();
                    for _ in 0..times {
                        at = (at + 1) % values.len();
                        black_box(lookup.matches(black_box(values[at].get())));
                    }
                    cpu_time() - start
                });
            });
            let key = pattern(method, count + 5);
            group.bench_with_input(BenchmarkId::new("add and delete", count), &count, |b, _| {
                b.iter_custom(|times| {
                    let start = cpu_time();
                    for _ in 0..times {
                        let entry = set.add(None, key.as_bytes(), b"").expect("a pattern");
                        set.remove_id(entry.id).expect("it is there");
                    }
                    cpu_time() - start
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, patterns);
criterion_main!(benches);
