//! The example of a program with words of its own, over real sockets; and what is told of such words when they are used wrongly.

// The example's own `main` and what only that needs.
#[allow(dead_code)]
#[path = "../examples/gateway.rs"]
mod gateway;

use gateway::{FILE, World, get, open, read};
use lb_config::{CustomAction, Cx, Reply, RuleSet, Severity, Source, Wish, Wishes, parse, render};
use lb_expr::{Field, LogValue};
use lb_testkit::{ports, wait};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// A world for files that are only read.
fn nowhere() -> World {
    World { port: 8080, origin: ([127, 0, 0, 1], 9).into() }
}

fn refused(rule: &str) -> String {
    let text = FILE.replace("    default_backend app", &format!("    {rule}\n    default_backend app"));
    read("own.cfg", text.as_bytes(), &nowhere()).expect_err(rule)
}

#[test]
fn requests_pass_by_its_words() {
    let world = World { port: ports::free_tcp(), origin: gateway::origin().expect("an origin") };
    let proxy = open(&read("gateway.cfg", FILE.as_bytes(), &world).expect("a sound file")).expect("free addresses");
    let process = proxy.process().clone();
    let running = thread::spawn(move || proxy.run(|_| {}));
    wait::must("it listens", || get(world.port, "BLUE").is_ok());
    for (host, answer) in [
        ("green.example.org", "HTTP/1.1 200 OK | x-tenant: gr***, x-left: 2"),
        ("Green.example.org", "HTTP/1.1 200 OK | x-tenant: gr***, x-left: 1"),
        ("red.example.org", "HTTP/1.1 200 OK | x-tenant: re*, x-left: 2"),
        ("green.example.org", "HTTP/1.1 200 OK | x-tenant: gr***, x-left: 0"),
        ("green.example.org", "HTTP/1.1 429 Too Many Requests | later"),
        ("blue.example.org", "HTTP/1.1 200 OK | x-tenant: bl**"),
    ] {
        assert_eq!(get(world.port, host).expect("an answer"), answer, "{host}");
    }
    assert!(get(world.port, "nobody").expect("an answer").starts_with("HTTP/1.1 404 "));
    process.end();
    running.join().expect("no panic").expect("no error");
    drop(TcpListener::bind(("127.0.0.1", world.port)).expect("the address is free again"));
}

#[test]
fn wrong_uses_are_told_with_line_and_word() {
    for (rule, words) in [
        ("http-request meter", "'http-request' wants"),
        ("http-request meter %[src] least 3", "'meter' wants a format, 'most' and a number"),
        ("http-request meter %[src] most many", "'many' is no number of requests"),
        ("http-request meter %[src] most 3 often", "expects 'if', 'unless' or nothing, but found 'often'"),
        ("http-request meter %[nobody] most 3", "unknown sample 'nobody'"),
        ("http-response meter %[src] most 3", "'http-response' has no action 'meter'"),
        ("http-request metre %[src] most 3", "unknown action 'metre'"),
        ("http-request set-header X %[tenant,masked]", "expected type 'integer' at position 1, but got nothing"),
        ("http-request set-header X %[tenant,masked(many)]", "invalid arg 1 in converter 'masked'"),
        ("http-request set-header X %[tenant(1)]", "fetch method 'tenant'"),
        ("tcp-request connection set-var(sess.x) tenant", "not available here"),
    ] {
        let told = refused(rule);
        assert!(told.contains(words) && told.contains("own.cfg:14:"), "{rule}:\n{told}");
    }
    // Nothing of this is known to who has not brought it.
    let plain = lb_config::parse(&lb_config::Source::new().file("own.cfg", FILE.as_bytes()).environment(&nowhere())).1;
    assert!(plain.iter().any(|one| one.message.contains("unknown fetch method 'tenant'")), "{}", lb_config::render(&plain));
}

/// An action that does what its word says, for every kind of rule.
#[derive(Debug)]
struct Does(&'static str);

impl CustomAction for Does {
    fn run(&self, cx: Cx<'_>) -> Wishes {
        let field = |name: &str, value: &[u8]| Wish::SetField { name: name.into(), value: value.to_vec() };
        match self.0 {
            "refuse" => Wishes::none().ending(Reply::page(403)),
            "answer" => Wishes::none().ending(Reply::own(200, "text/plain", "mine")),
            "odd" => Wishes::none().and(field("a b", b"x")),
            "line" => Wishes::none().and(field("x-a", b"one\ntwo")),
            "frame" => Wishes::none().and(field("content-length", b"3")),
            "target" => Wishes::none().and(Wish::SetTarget(b"http://blue.example.org/moved".to_vec())),
            _ => {
                // What a fetch of another proxy's words sees is there, too.
                let line = matches!(cx.source.value(Field::RequestLine), LogValue::Text(line) if line.starts_with(b"GET / "));
                Wishes::none()
                    .and(field("x-tenant", if line { b"seen" } else { b"unseen" }))
                    .and(Wish::DeleteField { name: "x-gone".into() })
            }
        }
    }
}

fn does(word: &str) -> &'static str {
    ["refuse", "answer", "odd", "line", "frame", "target", "mark"].into_iter().find(|known| *known == word).expect("a known word")
}

/// What a request is answered, with this rule before the others.
fn with_rule(rule: &str) -> String {
    let mut own = gateway::extensions(&["blue"]);
    let all = [RuleSet::Connection, RuleSet::Session, RuleSet::Content, RuleSet::Request, RuleSet::Response, RuleSet::AfterResponse];
    own.action("does", &all, |words| Ok(Arc::new(Does(does(words.word()?)))));
    let world = World { port: ports::free_tcp(), origin: gateway::origin().expect("an origin") };
    let file = FILE.replace("    acl known", &format!("    {rule}\n    acl known"));
    let file = file.replace("    http-request set-header X-Tenant %[tenant,masked(2)]\n", "");
    let (config, told) = parse(&Source::new().file("own.cfg", file.as_bytes()).environment(&world).extensions(&own));
    assert!(told.iter().all(|one| one.severity != Severity::Error), "{}", render(&told));
    let proxy = open(&config).expect("free addresses");
    let process = proxy.process().clone();
    let running = thread::spawn(move || proxy.run(|_| {}));
    wait::must("it listens", || TcpStream::connect(("127.0.0.1", world.port)).is_ok());
    let answer = get(world.port, "blue.example.org").unwrap_or_default();
    process.end();
    running.join().expect("no panic").expect("no error");
    answer
}

#[test]
fn actions_in_every_kind_of_rule() {
    for (rule, answer) in [
        ("http-request does mark", "HTTP/1.1 200 OK | x-tenant: seen"),
        ("http-request does answer", "HTTP/1.1 200 OK | mine"),
        ("http-request does refuse", "HTTP/1.1 403 Forbidden | "),
        ("http-request does refuse if { tenant red }", "HTTP/1.1 200 OK | "),
        // What no field can have is an edit that failed, and framing is nobody's to change.
        ("http-request does odd", "HTTP/1.1 500 Internal Server Error | "),
        ("http-request does line", "HTTP/1.1 500 Internal Server Error | "),
        ("http-request does frame", "HTTP/1.1 200 OK | "),
        ("http-request does target", "HTTP/1.1 200 OK | "),
        ("http-response does answer", "HTTP/1.1 200 OK | mine"),
        ("http-response does refuse", "HTTP/1.1 403 Forbidden | "),
        ("http-response does frame", "HTTP/1.1 200 OK | "),
        ("tcp-request connection does refuse", ""),
        ("tcp-request session does refuse", ""),
        ("tcp-request content does refuse", "HTTP/1.1 403 Forbidden | "),
    ] {
        let got = with_rule(rule);
        assert!(if answer.is_empty() { got.is_empty() || got == " | " } else { got.starts_with(answer) }, "{rule}: {got:?}");
    }
}
