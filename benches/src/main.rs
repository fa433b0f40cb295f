//! `lb-load origin …` and `lb-load client …`: arguments and wiring. Driven by `cargo xtask bench` (see [`lb_benches::control`]).

use lb_benches::client::{After, Client};
use lb_benches::control;
use lb_benches::origin::{self, Speech};
use lb_benches::wire::Wire;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

const USAGE: &str = "\
lb-load origin --port PORT [--addresses N] [--kind http|browser|http-close|echo]
    serves 127.0.0.1:PORT, or N addresses 127.1.x.y:PORT
lb-load client --to IP:PORT [--kind http|browser|http-close|echo] [--conns N] [--path PATH] [--hold]
    reads `run COUNT SECONDS` from stdin";

/// Bytes of an echo message.
const MESSAGE: usize = 100;

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("lb-load: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Vec<String>) -> Result<(), Box<dyn std::error::Error>> {
    let mut words = args.into_iter();
    let command = words.next().ok_or(USAGE)?;
    let (mut port, mut addresses, mut to, mut kind) = (0u16, 0usize, None, String::from("http"));
    let (mut conns, mut path, mut hold) = (64usize, String::from("/"), false);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"));
        match word.as_str() {
            "--port" => port = value()?.parse()?,
            "--addresses" => addresses = value()?.parse()?,
            "--to" => to = Some(value()?.parse::<SocketAddr>()?),
            "--kind" => kind = value()?,
            "--conns" => conns = value()?.parse()?,
            "--path" => path = value()?,
            "--hold" => hold = true,
            _ => return Err(format!("unknown argument {word}\n{USAGE}").into()),
        }
    }
    let close = kind == "http-close";
    match (command.as_str(), kind.as_str()) {
        ("origin", "http" | "browser" | "http-close" | "echo") => {
            let speech = if kind == "echo" { Speech::Echo(MESSAGE) } else { Speech::Http { close } };
            origin::run(&origin_addresses(addresses, port), speech)?;
        }
        ("client", "http" | "browser" | "http-close" | "echo") => {
            let wire = match kind.as_str() {
                "echo" => Wire::echo(MESSAGE),
                "browser" => Wire::browser(&path),
                _ => Wire::http(&path, close),
            };
            let after = match (hold, close) {
                (true, _) => After::Hold,
                (false, true) => After::Reconnect,
                (false, false) => After::Again,
            };
            let mut client = Client::new(to.ok_or(USAGE)?, wire, after, conns)?;
            control::serve(|order| client.run(order))?;
        }
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

/// 127.0.0.1, or `n` addresses in 127.1.0.0/16: the bench's files count servers the same way.
fn origin_addresses(n: usize, port: u16) -> Vec<SocketAddr> {
    if n == 0 {
        return vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
    }
    (0..n.min(60_000)).map(|i| SocketAddr::from((Ipv4Addr::new(127, 1, (i / 250) as u8, (i % 250 + 1) as u8), port))).collect()
}
