//! The servers behind both programs: each has an address of its own in 127.0.0.0/8, a port and a letter, and answers with the letter.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

/// How many there are.
pub(super) const COUNT: usize = 6;

/// Their listeners live as long as the process that compares.
#[derive(Debug)]
pub(super) struct Servers {
    ports: [u16; COUNT],
    /// The first one, while it is down.
    waiting: Option<TcpListener>,
}

impl Servers {
    /// Starts all of them, or all but the first, whose port refuses connections.
    pub(super) fn start(all: bool) -> io::Result<Servers> {
        let mut servers = Servers { ports: [0; COUNT], waiting: None };
        for n in 0..COUNT {
            let listener = TcpListener::bind((address(n), 0))?;
            servers.ports[n] = listener.local_addr()?.port();
            if n == 0 && !all {
                // The port stays ours on another address.
                let port = servers.ports[0];
                drop(listener);
                servers.waiting = Some(TcpListener::bind((Ipv4Addr::new(127, 0, 0, 99), port))?);
            } else {
                serve(listener, n);
            }
        }
        Ok(servers)
    }

    /// The first one comes up.
    pub(super) fn open_first(&mut self) -> io::Result<()> {
        serve(TcpListener::bind((address(0), self.ports[0]))?, 0);
        self.waiting = None;
        Ok(())
    }

    /// Address and port of one.
    pub(super) fn address(&self, n: usize) -> String {
        format!("{}:{}", address(n), self.ports[n])
    }
}

fn address(n: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, 11 + n as u8)
}

fn serve(listener: TcpListener, n: usize) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // A peer that leaves is the end of its connection.
                let _ = connection(&stream, n);
            });
        }
    });
}

fn connection(stream: &TcpStream, n: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let letter = char::from(b'a' + n as u8);
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    let mut line = String::new();
    let (mut hold, mut length) = (false, 0);
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        hold |= line.contains("hold");
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim_end().parse().unwrap_or(0);
        }
        if line.trim_end().is_empty() {
            io::copy(&mut reader.by_ref().take(std::mem::take(&mut length)), &mut io::sink())?;
            let body = if hold { "Transfer-Encoding: chunked\r\n\r\n" } else { "Content-Length: 1\r\n\r\n-" };
            writer.write_all(format!("HTTP/1.1 200 OK\r\nX-Server: {letter}\r\n{body}").as_bytes())?;
            hold = false;
        }
    }
}
