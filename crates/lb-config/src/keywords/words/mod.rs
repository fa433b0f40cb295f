//! Words that stand elsewhere than on the lines of `global` and the proxies: in other sections, in rules and conditions, in
//! expressions and formats, on the run-time socket. They are data: names, arguments, what they give, and whether the
//! capability that they belong to is there.
//!
//! Holds: what is not there is `Refused` by the name of its capability, so that one word in a file is enough to say
//! what the file needs. A table whose words work elsewhere in this workspace (log formats, addresses) is compared with that
//! code by `tests/words.rs`.

mod converters;
mod formats;
mod rules;
mod runtime;
mod samples;
mod samples_connection;
mod sections;

use super::{Context, Keyword, Parser, State};

/// All of them.
pub(super) const TABLES: &[&[Keyword]] = &[
    sections::KEYWORDS,
    rules::ACTIONS,
    rules::CONDITIONS,
    formats::KEYWORDS,
    samples::KEYWORDS,
    samples_connection::KEYWORDS,
    converters::KEYWORDS,
    runtime::KEYWORDS,
];

// Capabilities: what a refused word waits for.
const CACHE: &str = "the cache";
const COMPRESSION: &str = "compression";
const CRYPTO: &str = "cryptographic converters";
const DEVICES: &str = "device detection";
const FCGI: &str = "FastCGI";
const H2: &str = "HTTP/2";
const MAPS: &str = "the manual's name for map_str, map_beg and their kin, which work";
const QUIC: &str = "QUIC";
const RUNTIME: &str = "the run-time socket";
const SAMPLES: &str = "samples";
const STICK: &str = "stick tables";
const TLS: &str = "TLS";

const fn word(context: Context, name: &'static str, args: &'static str, doc: &'static str, state: State) -> Keyword {
    Keyword::new(context, name, args, doc, state, Parser::None)
}

const fn sample(name: &'static str, args: &'static str, result: &'static str, what: &'static str) -> Keyword {
    word(Context::Sample, name, args, result, State::Refused(what))
}

/// A sample that works.
const fn works_sample(name: &'static str, args: &'static str, result: &'static str) -> Keyword {
    word(Context::Sample, name, args, result, State::Works)
}

const fn converter(name: &'static str, args: &'static str, result: &'static str, what: &'static str) -> Keyword {
    word(Context::Converter, name, args, result, State::Refused(what))
}

/// A converter that works.
const fn works_converter(name: &'static str, args: &'static str, result: &'static str) -> Keyword {
    word(Context::Converter, name, args, result, State::Works)
}

/// A command of the run-time socket that works.
const fn works_command(name: &'static str, args: &'static str, subject: &'static str) -> Keyword {
    word(Context::Runtime, name, args, subject, State::Works)
}

const fn command(name: &'static str, args: &'static str, subject: &'static str) -> Keyword {
    word(Context::Runtime, name, args, subject, State::Refused(RUNTIME))
}
