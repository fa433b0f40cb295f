//! A proxy inside a program: configured in code, run in threads of its own, watched and stopped from another one.
//!
//! `cargo run -p lb-core --example embed`

use lb_config::{Config, Mode, ProxyBuilder};
use lb_core::start::{Proxy, Sizes};
use lb_core::worker::Severity;
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Any free port of the loopback address.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn main() -> Result<(), Box<dyn Error>> {
    let (first, second) = (origin("first")?, origin("second")?);
    let config = Config::builder()
        .proxy(ProxyBuilder::frontend("www").mode(Mode::Http).bind(ANY).default_backend("app"))
        .proxy(ProxyBuilder::backend("app").mode(Mode::Http).server("s1", first).server("s2", second))
        .build()?;

    // All addresses are bound when this returns, or all errors are known. Nothing is served yet.
    let report = |_: Severity, text: &str| eprintln!("proxy: {text}");
    let proxy = Proxy::open(&config, Sizes { threads: 2, maxconn: 1000 }, Box::new(report)).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })?;
    let (_, front) = proxy.addresses().into_iter().next().ok_or("a frontend without an address")?;
    let front = front.ip().ok_or("not an IP address")?;

    // What the threads share: state and counts, and the way to stop. `run` takes the calling thread, so it gets one of its own.
    let process = proxy.process().clone();
    let running = thread::spawn(move || proxy.run(|_| {}));

    for n in 1..=4 {
        println!("request {n}: {}", get(front)?);
    }
    for server in process.topology.backends[0].servers() {
        println!("{}: {:?}, {} requests", server.name(), server.state(), process.chosen(server));
    }

    // At once; `stop_softly` closes the listeners only and lets streams go on.
    process.end();
    running.join().map_err(|_| "the proxy has panicked")??;
    println!("stopped; {} is free again: {}", front, TcpListener::bind(front).is_ok());
    Ok(())
}

/// A server that answers every request with its name.
fn origin(name: &'static str) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(ANY)?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || {
                let Ok(mut writer) = client.try_clone() else { return };
                for line in BufReader::new(client).lines().map_while(Result::ok) {
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
                    if line.is_empty() && writer.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(address)
}

/// The body of the answer to one request.
fn get(front: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(front)?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: example\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned())
}
