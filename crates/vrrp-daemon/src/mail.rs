//! Mail about changes (`smtp_alert`): some exchanges of SMTP (RFC 5321) at a time, so that a server which takes its time holds up few.
//!
//! Holds: nobody waits for a mail. At most [`QUEUE`] wait and [`MAX_SENDING`] are sent at once; what is beyond is said to be lost. Each step of
//! an exchange has `smtp_connect_timeout`.

use crate::conf::model::MailConf;
use crate::log::Log;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Mails that wait: more than all instances have to say of two changes.
pub const QUEUE: usize = 1024;
/// Mails that are sent at once, each on a thread of its own; with no mail there is no such thread.
pub const MAX_SENDING: usize = 8;
/// `smtp_connect_timeout`, if the file says nothing.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// How long the answer to QUIT is waited for.
const GOODBYE: Duration = Duration::from_secs(1);
/// The longest line of an answer (RFC 5321 §4.5.3.1.5), and the most lines of one.
const MAX_LINE: u64 = 512;
const MAX_LINES: usize = 64;

/// One mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// To whom, from whom, through which server.
    pub how: MailConf,
    /// The router's name in the subject.
    pub router: String,
    /// What follows it there.
    pub subject: String,
    /// The text, of one line.
    pub body: String,
}

/// The thread that sends. Clones send through the same.
#[derive(Clone)]
pub struct Mailer {
    queue: SyncSender<Mail>,
    log: Log,
}

impl Mailer {
    /// Starts it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(log: Log) -> io::Result<Mailer> {
        let (queue, mails) = sync_channel(QUEUE);
        let own = log.clone();
        std::thread::Builder::new().name("mail".into()).spawn(move || send_all(&mails, &own))?;
        Ok(Mailer { queue, log })
    }

    /// Sends a mail some time, if there is a server and somebody to send it to. Never waits.
    pub fn send(&self, mail: Mail) {
        if mail.how.server.is_none() || mail.how.to.is_empty() {
            return;
        }
        if let Err(TrySendError::Full(mail)) = self.queue.try_send(mail) {
            self.log.line(format!("SMTP alert lost, {QUEUE} wait already: {}", mail.subject));
        }
    }
}

fn send_all(mails: &Receiver<Mail>, log: &Log) {
    let (places, free) = sync_channel(MAX_SENDING);
    (0..MAX_SENDING).for_each(|_| drop(Place(places.clone())));
    for mail in mails {
        let Ok(()) = free.recv() else { return };
        let (place, own, subject) = (Place(places.clone()), log.clone(), mail.subject.clone());
        let one = move || {
            let _place = place;
            send_one(&mail, &own);
        };
        if let Err(e) = std::thread::Builder::new().name("mail to send".into()).spawn(one) {
            log.line(format!("SMTP alert '{subject}' was not sent: no thread: {e}"));
        }
    }
}

/// One of [`MAX_SENDING`], given back when it is dropped.
struct Place(SyncSender<()>);

impl Drop for Place {
    fn drop(&mut self) {
        // There is room for all of them.
        let _ = self.0.try_send(());
    }
}

fn send_one(mail: &Mail, log: &Log) {
    match send(mail, lb_rt::clock::wall(), log) {
        Ok(()) => log.line("SMTP alert successfully sent.".into()),
        Err(e) => log.line(format!("SMTP alert '{}' was not sent: {e}", mail.subject)),
    }
}

/// A dialogue with the server.
struct Dialogue {
    stream: BufReader<TcpStream>,
    server: SocketAddr,
}

impl Dialogue {
    /// Says something and reads the answer, which has to begin with this digit. `what` is its name for the log.
    fn say(&mut self, what: &str, words: &str, wanted: char) -> io::Result<()> {
        self.stream.get_mut().write_all(words.as_bytes())?;
        self.answer(what, wanted)
    }

    fn answer(&mut self, to: &str, wanted: char) -> io::Result<()> {
        for _ in 0..MAX_LINES {
            let mut line = Vec::new();
            let server = format!("SMTP server [{}]:{}", self.server.ip(), self.server.port());
            match (&mut self.stream).take(MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) => return Err(io::Error::other(format!("Remote {server} has closed the connection."))),
                Ok(_) => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Err(io::Error::other(format!("Timeout reading data to remote {server}.")));
                }
                Err(e) => return Err(e),
            }
            let line = String::from_utf8_lossy(&line);
            let code = line.get(..3).filter(|code| code.bytes().all(|b| b.is_ascii_digit()));
            // A dash behind the code: another line follows.
            match (code, line.as_bytes().get(3)) {
                (Some(_), Some(b'-')) => {}
                (Some(code), _) if code.starts_with(wanted) => return Ok(()),
                (code, _) => {
                    let code = code.unwrap_or("none");
                    let answer = line.trim_end();
                    let text = format!("Error processing {to} cmd on {server}. SMTP status code = {code}: {answer:?}");
                    return Err(io::Error::other(text));
                }
            }
        }
        Err(io::Error::other("the server's answer has no end"))
    }
}

/// A line of a mail cannot hold another one.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn send(mail: &Mail, now: SystemTime, log: &Log) -> io::Result<()> {
    let (name, port) = mail.how.server.as_ref().ok_or(io::ErrorKind::InvalidInput)?;
    let timeout = mail.how.timeout.unwrap_or(TIMEOUT);
    let mut last = io::Error::other(format!("{name} has no address"));
    let mut connected = None;
    for address in (name.as_str(), *port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                connected = Some((stream, address));
                break;
            }
            Err(e) => last = e,
        }
    }
    let (stream, server) = connected.ok_or(last)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    log.line(format!("Remote SMTP server [{}]:{} connected.", server.ip(), server.port()));
    let mut dialogue = Dialogue { stream: BufReader::new(stream), server };
    let sent = exchange(mail, now, &mut dialogue);
    // It has been taken or refused; whether the server also says goodbye does not matter, and one that is slow is not waited for again.
    let _ = dialogue.stream.get_ref().set_read_timeout(Some(timeout.min(GOODBYE)));
    let _ = dialogue.say("QUIT", "QUIT\r\n", '2');
    sent
}

fn exchange(mail: &Mail, now: SystemTime, dialogue: &mut Dialogue) -> io::Result<()> {
    let host = lb_sys::process::host_name();
    let from = plain(&mail.how.from.clone().unwrap_or_else(|| sender(&host)));
    // keepalived's name for what is no command yet.
    dialogue.answer("(E)SMTP", '2')?;
    dialogue.say("HELO", &format!("HELO {}\r\n", plain(mail.how.helo.as_ref().unwrap_or(&host))), '2')?;
    dialogue.say("MAIL", &format!("MAIL FROM:<{from}>\r\n"), '2')?;
    for to in &mail.how.to {
        dialogue.say("RCPT", &format!("RCPT TO:<{}>\r\n", plain(to)), '2')?;
    }
    dialogue.say("DATA", "DATA\r\n", '3')?;
    dialogue.say("BODY", &text(mail, &from, now), '2')
}

/// Who sends mail if the file does not say: as keepalived does it (its manual says otherwise), the user that it runs as.
pub fn sender(host: &str) -> String {
    format!("{}@{host}", crate::scripts::own_name().unwrap_or_else(|| "keepalived".into()))
}

/// The mail with its end.
fn text(mail: &Mail, from: &str, now: SystemTime) -> String {
    let seconds = i64::try_from(now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())).unwrap_or(0);
    let date = lb_sys::localtime::written(seconds, c"%a, %d %b %Y %H:%M:%S %z");
    let to: Vec<String> = mail.how.to.iter().map(|to| plain(to)).collect();
    // Folded, so that no line is too long.
    let to = to.chunks(4).map(|some| some.join(", ")).collect::<Vec<_>>().join(",\r\n ");
    let body = plain(&mail.body);
    let dot = if body.starts_with('.') { "." } else { "" };
    format!(
        "Date: {date}\r\nFrom: {from}\r\nSubject: [{}] {}\r\nX-Mailer: Keepalived\r\nTo: {to}\r\n\r\n{dot}{body}\r\n\r\n.\r\n",
        plain(&mail.router),
        plain(&mail.subject)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn mail(port: u16) -> Mail {
        let how = MailConf {
            to: vec!["ops@example.org".into(), "two@example.org".into()],
            from: Some("ka@example.org".into()),
            server: Some(("127.0.0.1".into(), port)),
            helo: Some("vm".into()),
            timeout: Some(Duration::from_secs(20)),
            ..MailConf::default()
        };
        let (subject, body) = ("VRRP Instance V1 - Entering MASTER state", "=> VRRP Instance is now owning VRRP VIPs <=");
        Mail { how, router: "LVS_A".into(), subject: subject.into(), body: body.into() }
    }

    fn nowhere() -> Log {
        let sink = crate::log::Sink { console: false, ..crate::log::Sink::console() };
        Log::start(sink).expect("a thread").0
    }

    /// Answers, and gives back what the client said.
    fn server(answer: fn(&str) -> &'static str) -> (u16, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            let mut reader = BufReader::new(stream);
            reader.get_mut().write_all(b"220-one\r\n220 two\r\n").expect("written");
            let (mut all, mut data) = (Vec::new(), false);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return all;
                }
                let reply = if data && line != ".\r\n" { "" } else { answer(&line) };
                data = line == "DATA\r\n" || (data && line != ".\r\n");
                all.push(line);
                reader.get_mut().write_all(reply.as_bytes()).expect("written");
            }
        });
        (port, thread)
    }

    /// keepalived 2.2.7's dialogue, but for the date.
    #[test]
    fn as_keepalived() {
        let (port, server) = server(|line| match line {
            "DATA\r\n" => "354 go\r\n",
            _ => "250 ok\r\n",
        });
        send(&mail(port), UNIX_EPOCH + Duration::from_secs(1_795_867_553), &nowhere()).expect("sent");
        let mut said = server.join().expect("no panic");
        let date = said.remove(5);
        assert!(date.starts_with("Date: Sat, 28 Nov 2026 ") && date.len() == "Date: Sat, 28 Nov 2026 12:05:53 +0000\r\n".len(), "{date}");
        let expected = [
            "HELO vm",
            "MAIL FROM:<ka@example.org>",
            "RCPT TO:<ops@example.org>",
            "RCPT TO:<two@example.org>",
            "DATA",
            "From: ka@example.org",
            "Subject: [LVS_A] VRRP Instance V1 - Entering MASTER state",
            "X-Mailer: Keepalived",
            "To: ops@example.org, two@example.org",
            "",
            "=> VRRP Instance is now owning VRRP VIPs <=",
            "",
            ".",
            "QUIT",
        ];
        assert_eq!(said.iter().map(|line| line.trim_end_matches("\r\n")).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_server_that_refuses() {
        let (port, server) = server(|line| if line.starts_with("RCPT") { "550 no such user\r\n" } else { "250 ok\r\n" });
        let error = send(&mail(port), UNIX_EPOCH, &nowhere()).expect_err("refused").to_string();
        let words = format!("Error processing RCPT cmd on SMTP server [127.0.0.1]:{port}. SMTP status code = 550: \"550 no such user\"");
        assert_eq!(error, words);
        assert_eq!(server.join().expect("no panic").last().map(String::as_str), Some("QUIT\r\n"), "it says goodbye all the same");
        let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
        assert!(send(&mail(nobody), UNIX_EPOCH, &nowhere()).is_err());
    }

    /// All but one place are with a server that says nothing.
    #[test]
    fn a_server_that_says_nothing_holds_up_few() {
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = silent.local_addr().expect("bound").port();
        let mailer = Mailer::start(nowhere()).expect("a thread");
        silent.set_nonblocking(true).expect("a listener");
        let mut held = Vec::new();
        for _ in 1..MAX_SENDING {
            let mut mail = mail(port);
            mail.how.timeout = Some(Duration::from_secs(100_000));
            mailer.send(mail);
        }
        for _ in 0..12_000 {
            held.extend(silent.accept());
            if held.len() + 1 == MAX_SENDING {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(held.len() + 1, MAX_SENDING, "all are being sent at once");
        for _ in 0..3 {
            let (port, server) = server(|line| if line == "DATA\r\n" { "354 go\r\n" } else { "250 ok\r\n" });
            mailer.send(mail(port));
            assert_eq!(server.join().expect("no panic").last().map(String::as_str), Some("QUIT\r\n"));
        }
        drop(held);
    }

    #[test]
    fn nothing_of_a_file_becomes_a_line_of_its_own() {
        let mut bad = mail(1);
        bad.router = "x\r\nBcc: y".into();
        bad.body = ".\r\nQUIT".into();
        let text = text(&bad, "a@b", UNIX_EPOCH);
        assert!(text.contains("Subject: [x  Bcc: y] VRRP") && text.contains("\r\n..  QUIT\r\n"), "{text}");
    }
}
