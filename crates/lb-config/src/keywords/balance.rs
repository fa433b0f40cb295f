//! How a server is chosen: `balance`, `hash-type` and what goes with them. Source: manual 4.2.

use super::proxy::no_effect;
use super::{Context, Keyword, Parser, Sections, State, Today};
use crate::diag::Problem;
use crate::model::{Affinity, Balance, Function, Hash, HashKey, Lookup, Lvs, Mode, UriKey};
use crate::parse::{Draft, Line, ProxyCx, World, exprs};
use crate::tree::shown;
use crate::units;
use lb_expr::sample::{Point, Points};
use std::time::Duration;

type Outcome = Result<(), Problem>;

const fn works(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    parser: fn(&mut ProxyCx<'_, '_>, &Line<'_>) -> Outcome,
) -> Keyword {
    Keyword::new(Context::Proxy, name, args, doc, State::Works, Parser::Proxy(parser)).sections(Sections::D_L_B)
}

pub(super) const KEYWORDS: &[Keyword] = &[
    works(
        "balance",
        "roundrobin|static-rr|leastconn|first|random[(<draws>)]|source|uri [<option> ...]|url_param <name> [check_post]|hdr(<name>) \
         [use_domain_only]|rdp-cookie[(<name>)]|sticky; not haproxy's: p2c|peak-ewma[(<time>)]|lvs-<name>",
        "how a server is chosen",
        balance,
    ),
    works(
        "hash-type",
        "map-based|consistent [sdbm|djb2|wt6|crc32|none [avalanche]]; not haproxy's: maglev[(<size>)] ...",
        "how a hash becomes a server",
        hash_type,
    )
    .written(|line| match line.value(0) {
        // As 1.5 had it while it was being made.
        Some("avalanche") => Today::Line("hash-type map-based sdbm avalanche".to_owned()),
        _ => Today::Same,
    }),
    works(
        "hash-balance-factor",
        "<percent>",
        "most load of a server with 'hash-type consistent', of the average; 0 for no limit",
        balance_factor,
    ),
    works("hash-preserve-affinity", "always|maxconn|maxqueue", "when a request leaves the server that its hash names", preserve_affinity),
];

/// Algorithms of haproxy that need samples, rules or logs.
const LATER: &[&str] = &["log-hash"];

/// Those that are one word.
const WORDS: &[(&str, Balance)] = &[
    ("roundrobin", Balance::RoundRobin),
    ("static-rr", Balance::StaticRr),
    ("leastconn", Balance::LeastConn),
    ("first", Balance::First),
    ("random", Balance::Random(Balance::DRAWS)),
    ("source", Balance::Hash(HashKey::Source)),
    ("sticky", Balance::Sticky),
    ("p2c", Balance::PowerOfTwo),
    ("peak-ewma", Balance::PeakEwma(DECAY)),
    ("lvs-rr", Balance::Lvs(Lvs::Rr)),
    ("lvs-wrr", Balance::Lvs(Lvs::Wrr)),
    ("lvs-lc", Balance::Lvs(Lvs::Lc)),
    ("lvs-wlc", Balance::Lvs(Lvs::Wlc)),
    ("lvs-sed", Balance::Lvs(Lvs::Sed)),
    ("lvs-nq", Balance::Lvs(Lvs::Nq)),
    ("lvs-lblc", Balance::Lvs(Lvs::Lblc)),
    ("lvs-lblcr", Balance::Lvs(Lvs::Lblcr)),
    ("lvs-dh", Balance::Lvs(Lvs::Dh)),
    ("lvs-sh", Balance::Lvs(Lvs::Sh)),
    ("lvs-mh", Balance::Lvs(Lvs::Mh)),
    ("lvs-fo", Balance::Lvs(Lvs::Fo)),
    ("lvs-ovf", Balance::Lvs(Lvs::Ovf)),
    ("lvs-twos", Balance::Lvs(Lvs::Twos)),
];

/// Without a number: what Finagle takes.
const DECAY: Duration = Duration::from_secs(10);

fn balance(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    // Without a word it is the default, as in haproxy.
    let Some(text) = line.arg(0) else {
        cx.draft.proxy.balance = Balance::RoundRobin;
        return Ok(());
    };
    let (name, argument) = match text.split_once('(') {
        // What stands behind the parenthesis is dropped, as in haproxy.
        Some((name, rest)) => (name, Some(rest.rsplit_once(')').map(|(argument, _)| argument))),
        None => (text, None),
    };
    if LATER.contains(&name) {
        return Err(line
            .problem(0, format!("'balance {}' is known but not there yet in this version", shown(text)))
            .help("'balance' takes 'source', 'uri', 'url_param' and 'hdr(<name>)' among others"));
    }
    let mut end = 1;
    cx.draft.proxy.balance = match (name, argument) {
        ("uri", None) => {
            let (key, words) = uri(line)?;
            end = words;
            Balance::Hash(HashKey::Uri(key))
        }
        ("url_param", None) => {
            let name = line.arg(1).filter(|name| !name.is_empty()).ok_or_else(|| {
                line.problem(0, "'balance url_param' wants the name of a parameter").help("write 'balance url_param <name>'")
            })?;
            let check_post = match line.arg(2) {
                None => false,
                Some("check_post") => true,
                Some(other) => {
                    return Err(line
                        .problem(2, format!("unexpected '{}' behind 'balance url_param <name>'", shown(other)))
                        .help("'balance url_param <name>' takes 'check_post'"));
                }
            };
            // The number of bytes to wait for, which older versions wanted, has no effect.
            end = 2 + usize::from(check_post);
            Balance::Hash(HashKey::UrlParam { name: name.as_bytes().to_vec(), check_post })
        }
        ("hdr", name) => {
            let name = name
                .flatten()
                .filter(|name| !name.is_empty())
                .ok_or_else(|| line.problem(0, "'balance hdr' wants the name of a field").help("write 'balance hdr(<name>)'"))?;
            let domain_only = match line.arg(1) {
                None => false,
                Some("use_domain_only") => true,
                Some(other) => {
                    return Err(line
                        .problem(1, format!("unexpected '{}' behind 'balance hdr({})'", shown(other), shown(name)))
                        .help("'balance hdr(<name>)' takes 'use_domain_only'"));
                }
            };
            end = 1 + usize::from(domain_only);
            Balance::Hash(HashKey::Header { name: name.to_owned(), domain_only })
        }
        ("hash", None) => {
            line.need(1)?;
            let expr = exprs::expression(cx.world, line, &mut end)?;
            exprs::available(&expr, Points::of(Point::SetServer), line, 1)?;
            Balance::Hash(HashKey::Expr(expr))
        }
        // Whatever stands behind the parenthesis is dropped here too.
        ("rdp-cookie", None) => Balance::Hash(HashKey::RdpCookie(b"mstshash".to_vec())),
        ("rdp-cookie", name) => {
            let name = name.flatten().filter(|name| !name.is_empty()).ok_or_else(|| {
                line.problem(0, "'rdp-cookie()' wants the name of a cookie")
                    .help("write 'rdp-cookie(<name>)', or 'rdp-cookie' for mstshash")
            })?;
            Balance::Hash(HashKey::RdpCookie(name.as_bytes().to_vec()))
        }
        ("random", Some(draws)) => match draws {
            Some("") => Balance::Random(Balance::DRAWS),
            Some(draws) => Balance::Random(draws.parse().ok().filter(|draws| *draws > 0).ok_or_else(|| {
                let message = format!("'{}' is not a number of draws", shown(draws));
                line.problem(0, message).help("write 'random' or 'random(<number>)', from 1")
            })?),
            None => return Err(line.problem(0, "a ')' is missing").help("write 'random(<number>)'")),
        },
        ("peak-ewma", Some(time)) => {
            let time = time.and_then(|time| units::time(time, Duration::from_millis(1)).ok()).filter(|time| !time.is_zero());
            Balance::PeakEwma(time.ok_or_else(|| {
                line.problem(0, "'peak-ewma' wants the time after which an old latency hardly counts").help("write 'peak-ewma(10s)'")
            })?)
        }
        _ => line.choice(0, WORDS)?,
    };
    no_effect(cx, line, end);
    Ok(())
}

/// The words behind `balance uri`, and where they end.
fn uri(line: &Line<'_>) -> Result<(UriKey, usize), Problem> {
    let mut key = UriKey::default();
    let mut at = 1;
    while let Some(word) = line.arg(at) {
        match word {
            "whole" => key.whole = true,
            "path-only" => key.path_only = true,
            "len" | "depth" => {
                at += 1;
                let text = line.arg(at).unwrap_or_default();
                let number = units::integer(text).ok().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0).ok_or_else(|| {
                    let word_of_number = if line.arg(at).is_some() { at } else { at - 1 };
                    line.problem(word_of_number, format!("'{word}' wants a number from 1, not '{}'", shown(text)))
                        .help(format!("write 'balance uri {word} <number>'"))
                })?;
                if word == "len" { key.len = Some(number) } else { key.depth = Some(number) }
            }
            other => {
                return Err(line
                    .problem(at, format!("'balance uri' does not take '{}'", shown(other)))
                    .help("'balance uri' takes 'len <number>', 'depth <number>', 'whole' and 'path-only'"));
            }
        }
        at += 1;
    }
    Ok((key, at))
}

fn hash_type(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    if line.arg(0) == Some("avalanche") {
        return Err(line.problem(0, "'hash-type avalanche' is an old spelling").help("write 'hash-type map-based sdbm avalanche'"));
    }
    let size = line.arg(0).and_then(|text| text.strip_prefix("maglev(")).map(|rest| rest.strip_suffix(')'));
    let mut hash = match size {
        Some(size) => {
            let size = size.and_then(|size| size.parse().ok()).filter(|size| (7..=lb_balance::MAX_MAGLEV_SIZE).contains(size));
            let size = size.ok_or_else(|| {
                line.problem(0, "'maglev(<size>)' wants the number of entries of its table")
                    .help(format!("write a number from 7 to {}; 100 per server are a good measure", lb_balance::MAX_MAGLEV_SIZE))
            })?;
            Hash { lookup: Lookup::Maglev { size }, ..Hash::maglev() }
        }
        None => line.choice(0, &[("map-based", Hash::map()), ("consistent", Hash::ring()), ("maglev", Hash::maglev())])?,
    };
    if line.arg(1).is_some() {
        let functions = [
            ("sdbm", Function::Sdbm),
            ("djb2", Function::Djb2),
            ("wt6", Function::Wt6),
            ("crc32", Function::Crc32),
            ("none", Function::None),
        ];
        // With a function avalanche has to be asked for.
        hash = Hash { function: line.choice(1, &functions)?, avalanche: false, ..hash };
    }
    if line.arg(2).is_some() {
        line.choice(2, &[("avalanche", ())])?;
        hash.avalanche = true;
    }
    cx.draft.proxy.hash_type = hash;
    no_effect(cx, line, 3);
    Ok(())
}

fn balance_factor(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let factor = line.count(0, 0)?;
    if (1..=100).contains(&factor) {
        return Err(line
            .problem(0, format!("{factor} percent of the average load cannot be kept by all servers"))
            .help("write 0 for no limit, or a number above 100; 125 to 200 are usual"));
    }
    cx.draft.proxy.hash_balance_factor = factor;
    no_effect(cx, line, 1);
    Ok(())
}

fn preserve_affinity(cx: &mut ProxyCx<'_, '_>, line: &Line<'_>) -> Outcome {
    let choices = [("always", Affinity::Always), ("maxconn", Affinity::MaxConn), ("maxqueue", Affinity::MaxQueue)];
    cx.draft.proxy.hash_preserve_affinity = line.choice(0, &choices)?;
    line.end(1)
}

/// What only requests have cannot be hashed in mode tcp.
pub(crate) fn finish_balance(draft: &mut Draft, world: &mut World<'_>) {
    let proxy = &mut draft.proxy;
    let needs_http = matches!(&proxy.balance, Balance::Hash(key) if key.needs_http());
    if !needs_http || proxy.mode == Mode::Http || !proxy.kind.is_backend() {
        return;
    }
    proxy.balance = Balance::RoundRobin;
    let (span, name) = (proxy.span, proxy.name.clone());
    let message = format!("'{name}' takes 'balance roundrobin' in its place: a hash of what is in requests needs 'mode http'");
    world.warn(draft.place("balance").unwrap_or(span), message, Some("add 'mode http', or write 'balance source'".into()));
}
