//! A mail about a server, and the dialogue by which a mail server takes it (SMTP, RFC 5321), both in HAProxy's words.
//!
//! Holds: nothing is said before the answer to what was said before has come; at most [`MAX_REPLY`] bytes of a reply are kept.

use std::fmt::Write as _;

/// Bytes of a reply that are kept: a line has at most 512 (RFC 5321 §4.5.3.1.5), a reply some lines.
pub const MAX_REPLY: usize = 4096;

/// A mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Sender, in the envelope and in the mail.
    pub from: String,
    /// Receiver, in the envelope and in the mail.
    pub to: String,
    /// When, as a mail has it: `Sat, 28 Nov 2026 12:10:16 +0000 (UTC)`.
    pub date: String,
    /// One line of the log; the full stop at its end is left out.
    pub text: String,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Wait for more of the reply.
    Wait,
    /// Send this, and wait for the reply.
    Send(String),
    /// The server has the mail; the connection is of no use any more.
    Done,
    /// The server does not take it: its words.
    Refused(String),
}

/// One mail on its way over one connection, which begins with the server's greeting.
#[derive(Debug)]
pub struct Dialogue {
    /// What is still to be said, each with the code of the reply before it; last first.
    rest: Vec<(&'static str, String)>,
    reply: Vec<u8>,
}

impl Dialogue {
    /// `hello`: our own name.
    pub fn new(hello: &str, mail: &Mail) -> Dialogue {
        let text = mail.text.strip_suffix('.').unwrap_or(&mail.text);
        let mut body = String::new();
        let _ = write!(body, "From: {}\r\nTo: {}\r\nDate: {}\r\nSubject: [HAProxy Alert] {text}\r\n\r\n", mail.from, mail.to, mail.date);
        // RFC 5321 §4.5.2: a line that begins with a full stop has another one in front.
        let stop = if text.starts_with('.') { "." } else { "" };
        let _ = write!(body, "{stop}{text}\r\n\r\n.\r\n");
        let mut rest = vec![
            ("220", format!("HELO {hello}\r\n")),
            ("250", format!("MAIL FROM:<{}>\r\n", mail.from)),
            ("250", format!("RCPT TO:<{}>\r\n", mail.to)),
            ("250", "DATA\r\n".to_owned()),
            ("354", body),
            ("250", "QUIT\r\n".to_owned()),
            ("221", String::new()),
        ];
        rest.reverse();
        Dialogue { rest, reply: Vec::new() }
    }

    /// Bytes from the server.
    pub fn data(&mut self, bytes: &[u8]) -> Step {
        let room = MAX_REPLY - self.reply.len();
        self.reply.extend_from_slice(&bytes[..bytes.len().min(room)]);
        // The last line of a reply has a space behind its code (RFC 5321 §4.2.1).
        let lines = self.reply.split_inclusive(|b| *b == b'\n').filter(|line| line.ends_with(b"\n"));
        let Some(last) = lines.map(String::from_utf8_lossy).find(|line| line.as_bytes().get(3) != Some(&b'-')) else {
            return if self.reply.len() == MAX_REPLY { Step::Refused("a reply without an end".into()) } else { Step::Wait };
        };
        let expected = self.rest.last().map_or("221", |(code, _)| code);
        if !last.starts_with(expected) {
            return Step::Refused(last.trim_end().to_owned());
        }
        self.reply.clear();
        match self.rest.pop() {
            Some((_, next)) if !next.is_empty() => Step::Send(next),
            _ => Step::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> Mail {
        Mail {
            from: "lb@a.example".into(),
            to: "ops@b.example".into(),
            date: "Sat, 28 Nov 2026 12:10:16 +0000 (UTC)".into(),
            text: "Server b/s is DOWN. 0 remaining in queue.".into(),
        }
    }

    /// Byte for byte what haproxy 2.6.12 sent.
    #[test]
    fn the_dialogue_of_haproxy() {
        let mut dialogue = Dialogue::new("vm", &mail());
        let mut sent = Vec::new();
        for reply in ["220 hi\r\n", "250-x\r\n250 ok\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 queued\r\n"] {
            let Step::Send(text) = dialogue.data(reply.as_bytes()) else { panic!("{reply:?}") };
            sent.push(text);
        }
        assert_eq!(dialogue.data(b"221 bye\r\n"), Step::Done);
        assert_eq!(
            sent,
            [
                "HELO vm\r\n",
                "MAIL FROM:<lb@a.example>\r\n",
                "RCPT TO:<ops@b.example>\r\n",
                "DATA\r\n",
                "From: lb@a.example\r\nTo: ops@b.example\r\nDate: Sat, 28 Nov 2026 12:10:16 +0000 (UTC)\r\n\
                 Subject: [HAProxy Alert] Server b/s is DOWN. 0 remaining in queue\r\n\r\nServer b/s is DOWN. 0 remaining in queue\r\n\r\n.\r\n",
                "QUIT\r\n",
            ]
        );
    }

    #[test]
    fn pieces_refusals_and_no_end() {
        let mut dialogue = Dialogue::new("vm", &mail());
        assert_eq!(dialogue.data(b"220-hello\r\n22"), Step::Wait);
        assert_eq!(dialogue.data(b"0 hi\r"), Step::Wait);
        assert_eq!(dialogue.data(b"\n"), Step::Send("HELO vm\r\n".into()));
        assert_eq!(dialogue.data(b"550 go away\r\n"), Step::Refused("550 go away".into()));
        let mut dialogue = Dialogue::new("vm", &mail());
        assert_eq!(dialogue.data(&[b'x'; 3 * MAX_REPLY]), Step::Refused("a reply without an end".into()));
        let mut dialogue = Dialogue::new("vm", &mail());
        assert_eq!(dialogue.data(b"\n"), Step::Refused(String::new()));
    }
}
