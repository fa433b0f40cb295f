//! A gateway for many tenants: a program of its own that reads a haproxy.cfg in which a fetch, a converter and an action are its own.
//!
//! `cargo run -p lb-core --example gateway` shows it with a file and a server of its own; `-- FILE` runs it with yours.

use lb_config::{
    ActionError, ActionWords, ArgKind, Args, Config, CustomAction, Cx, Environment, Eval, Extensions, LoadError, Loader, Need, Reply,
    RuleSet, Severity, Side, Source, Type, Value, Wish, Wishes, parse, render,
};
use lb_core::start::{Proxy, Sizes};
use lb_expr::{LogFormat, Purpose};
use lb_http::FieldId;
use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// `tenant`, `masked` and `meter` are this program's; `${PORT}` and `${ORIGIN}` come from it as well.
pub const FILE: &str = "
defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s

frontend www
    bind \"127.0.0.1:${PORT}\"
    acl known tenant -m found
    http-request deny deny_status 404 unless known
    http-request set-header X-Tenant %[tenant,masked(2)]
    http-request meter %[tenant] most 3 unless { tenant blue }
    default_backend app

backend app
    server s1 \"${ORIGIN}\"
";

/// All that this program adds to the language; `tenants` are those that are known, by the first label of their host's name.
pub fn extensions(tenants: &'static [&'static str]) -> Extensions {
    let mut own = Extensions::new();
    own.registry().add_fetch("tenant", &[], 0, (Type::Str, Need::RequestHead), move |_: &Args, cx: Cx<'_>, _| {
        let host = cx.head(Side::Request).and_then(|head| head.get_id(FieldId::Host)).unwrap_or_default();
        let label = host.split(|byte| *byte == b'.').next().unwrap_or_default();
        match tenants.iter().find(|tenant| tenant.as_bytes().eq_ignore_ascii_case(label)) {
            Some(tenant) => Eval::Value(Value::Str(tenant.as_bytes())),
            None => Eval::Absent,
        }
    });
    own.registry().add_converter("masked", &[ArgKind::Int], 1, (Type::Str, Type::Str), |args: &Args, value: Value<'_>, cx: Cx<'_>| {
        let shown = usize::try_from(args.int(0).unwrap_or(0)).unwrap_or(0);
        let text: Vec<u8> = value.bytes()?.iter().enumerate().map(|(at, byte)| if at < shown { *byte } else { b'*' }).collect();
        Some(Value::Str(cx.keep(&text)))
    });
    own.action("meter", &[RuleSet::Request], |words| Ok(Arc::new(Meter::read(words)?)));
    own
}

/// `meter <format> most <number>`: so many requests for each text that the format makes, then 429.
#[derive(Debug)]
struct Meter {
    key: LogFormat,
    most: u32,
    seen: Mutex<HashMap<Vec<u8>, u32>>,
}

impl Meter {
    fn read(words: &mut ActionWords<'_, '_, '_>) -> Result<Self, ActionError> {
        let key = words.format(Purpose::Text)?;
        if words.word()? != "most" {
            return Err(words.wrong("'meter' wants a format, 'most' and a number").help("for example 'meter %[src] most 100'"));
        }
        let text = words.word()?;
        let most = text.parse().map_err(|_| words.wrong(format!("'{text}' is no number of requests")))?;
        Ok(Self { key, most, seen: Mutex::default() })
    }
}

impl CustomAction for Meter {
    fn run(&self, cx: Cx<'_>) -> Wishes {
        let mut key = Vec::new();
        self.key.write_in(cx, 256, &mut key);
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = all.entry(key).or_default();
        *seen += 1;
        if *seen > self.most {
            return Wishes::none().ending(Reply::own(429, "text/plain", "later\n"));
        }
        Wishes::none().and(Wish::SetField { name: "X-Left".into(), value: (self.most - *seen).to_string().into_bytes() })
    }
}

/// What the file may ask of the world: the variables given, then those of the process, and files.
pub struct World {
    /// `${PORT}`
    pub port: u16,
    /// `${ORIGIN}`
    pub origin: SocketAddr,
}

impl Environment for World {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "PORT" => Some(self.port.to_string()),
            "ORIGIN" => Some(self.origin.to_string()),
            _ => std::env::var(name).ok(),
        }
    }
}

impl Loader for World {
    fn load(&self, path: &str) -> Result<Vec<u8>, LoadError> {
        std::fs::read(path)
            .map_err(|error| if error.kind() == std::io::ErrorKind::NotFound { LoadError::NotFound } else { LoadError::Other })
    }
}

/// Reads a file with what this program adds; the error is all that is wrong with it.
pub fn read(name: &str, text: &[u8], world: &World) -> Result<Config, String> {
    let own = extensions(&["red", "green", "blue"]);
    let (config, diagnostics) = parse(&Source::new().file(name, text).environment(world).loader(world).extensions(&own));
    if diagnostics.iter().any(|one| one.severity == Severity::Error) { Err(render(&diagnostics)) } else { Ok(config) }
}

/// Opens the gateway.
pub fn open(config: &Config) -> Result<Proxy, String> {
    let report = |_: lb_core::worker::Severity, text: &str| eprintln!("gateway: {text}");
    let opened = Proxy::open(config, Sizes { threads: 2, maxconn: 1000 }, Box::new(report));
    opened.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn main() -> Result<(), Box<dyn Error>> {
    let world = World { port: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port(), origin: origin()? };
    if let Some(file) = std::env::args().nth(1) {
        return Ok(open(&read(&file, &std::fs::read(&file)?, &world)?)?.run(|_| {})?);
    }
    let proxy = open(&read("gateway.cfg", FILE.as_bytes(), &world)?)?;
    let process = proxy.process().clone();
    let running = thread::spawn(move || proxy.run(|_| {}));
    for host in
        ["green.example.org", "green.example.org", "green.example.org", "green.example.org", "blue.example.org", "nobody.example.org"]
    {
        println!("{host}: {}", get(world.port, host)?);
    }
    process.end();
    running.join().map_err(|_| "the proxy has panicked")??;
    Ok(())
}

/// A server that answers with the fields that the gateway has made.
pub fn origin() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || serve(client));
        }
    });
    Ok(address)
}

fn serve(client: TcpStream) {
    let Ok(mut writer) = client.try_clone() else { return };
    let mut made = Vec::new();
    for line in BufReader::new(client).lines().map_while(Result::ok) {
        if line.starts_with("x-tenant") || line.starts_with("x-left") {
            made.push(line.clone());
        }
        if line.is_empty() {
            let body = made.join(", ");
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if writer.write_all(answer.as_bytes()).is_err() {
                return;
            }
            made.clear();
        }
    }
}

/// First line and body of the answer to a request for `host`.
pub fn get(port: u16, host: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok(format!("{} | {}", head.lines().next().unwrap_or_default(), body.trim_end()))
}
