//! The run-time socket: what clients send, as lines, commands and words.

use lb_core::cli::commands_like;
use lb_core::cli::input::{Input, MAX_WORDS, commands, take, words};

/// Pieces of what operators and their tools send.
pub const WORDS: &[&[u8]] = &[
    b"\n",
    b"\r\n",
    b";",
    b" ",
    b"\\",
    b"\\;",
    b" <<\n",
    b"<<",
    b"\n\n",
    b"\0",
    b"show ",
    b"stat",
    b"info",
    b"servers state",
    b"set ",
    b"server ",
    b"weight ",
    b"be/s1",
    b"maxconn ",
    b"prompt",
    b"quit",
    b"help",
    b"typed",
    b"json",
    b"@1 ",
    b"#",
    b"\xff",
];

/// A client's input with a small buffer and with haproxy's: whatever comes in whatever pieces, the same lines come out.
pub fn cli_input(data: &[u8]) {
    let Some((&first, data)) = data.split_first() else { return };
    for limit in [8 + usize::from(first), 16_384] {
        let mut rest = data;
        while let Input::Line { line, payload, used } = take(rest, limit) {
            assert!(used <= rest.len() && line.len() < used && line.len() + payload.map_or(0, <[u8]>::len) < limit);
            // No byte behind a line changes it, and none of its own is missing.
            assert_eq!(take(&rest[..used], limit), Input::Line { line, payload, used });
            for end in [used - 1, used / 2] {
                assert!(matches!(take(&rest[..end], limit), Input::Partial { .. } | Input::TooLong | Input::Line { .. }));
            }
            assert!(!matches!(take(&rest[..used - 1], limit), Input::Line { used: other, .. } if other == used));
            line_of_commands(line);
            rest = &rest[used..];
        }
        match take(rest, limit) {
            Input::TooLong => assert!(rest.len() >= limit || rest.contains(&b'\n')),
            Input::Partial { payload_lines } => {
                assert!(rest.len() < limit && payload_lines <= rest.iter().filter(|b| **b == b'\n').count());
            }
            Input::Line { .. } => unreachable!("all of them were taken"),
        }
    }
}

fn line_of_commands(line: &[u8]) {
    let all: Vec<&[u8]> = commands(line).collect();
    assert_eq!(all.iter().map(|c| c.len() + 1).sum::<usize>(), line.len() + 1, "nothing is lost between commands");
    for command in all {
        let words = words(command);
        assert!(words.len() <= MAX_WORDS);
        // What is answered to a command that there is not: about as long as the list of all.
        let text = commands_like(&words);
        assert!(text.ends_with('\n') && text.len() < 1 << 14);
    }
}
