//! Keys by number: the same for both programs and in every run.

use std::net::{Ipv4Addr, Ipv6Addr};

/// SplitMix64 of a number.
fn random(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A client's address.
pub(super) fn v4(number: usize) -> Ipv4Addr {
    let bits = random(number as u64) as u32;
    // Some are neighbours, as in life.
    if number.is_multiple_of(4) { Ipv4Addr::from(0x0a00_0001 + number as u32) } else { Ipv4Addr::from(bits | 0x0100_0000) }
}

/// The same of IPv6.
pub(super) fn v6(number: usize) -> Ipv6Addr {
    let (high, low) = (random(number as u64), random(number as u64 ^ 0x5555));
    if number.is_multiple_of(4) {
        Ipv6Addr::from((0x2001_0db8_u128 << 96) | (number as u128 + 1))
    } else {
        Ipv6Addr::from(u128::from(high) << 64 | u128::from(low))
    }
}

/// A word: digits, hexadecimal numbers, text, long and short.
pub(super) fn word(number: usize) -> String {
    let r = random(number as u64);
    match number % 5 {
        0 => number.to_string(),
        1 => format!("{r:016x}"),
        2 => (r as u32).to_string(),
        3 => format!("user-{}@example.com", r % 100_000),
        _ => format!("{:0width$x}", r, width = 1 + (r % 60) as usize),
    }
}

/// Decimal numbers of up to 20 digits, with signs and what is none.
pub(super) fn number(number: usize) -> String {
    let r = random(number as u64);
    match number % 6 {
        0 => number.to_string(),
        1 => (r as u32).to_string(),
        2 => r.to_string(),
        3 => format!("-{}", r % 1_000_000),
        4 => format!("{}x{}", r % 10_000, r % 7),
        _ => format!("{}", r >> 1),
    }
}

/// Targets of requests.
pub(super) fn target(number: usize) -> String {
    let r = random(number as u64);
    let path: String = (0..r % 6).map(|n| format!("/{:x}", random(r ^ n) % 5_000)).collect();
    let query = match r >> 20 & 3 {
        0 => String::new(),
        1 => format!("?q={}", r >> 40),
        2 => format!("?a/b={}/{}", r >> 50, r >> 44),
        _ => "?".to_owned(),
    };
    let slash = if path.is_empty() || r >> 23 & 1 == 0 { "/" } else { "" };
    match r >> 30 & 7 {
        0 => format!("http://host{}.example.com{path}{slash}{query}", r >> 60),
        1 => format!("http://host{}:8080/{path}{slash}{query}", r >> 60),
        _ => format!("{path}{slash}{query}"),
    }
}

/// Targets with the parameter `uid`, nearly all of them.
pub(super) fn parameter(number: usize) -> String {
    let value = word(number).replace('@', "%40");
    match number % 8 {
        0 => format!("/?a=1&uid={value}&b=2"),
        1 => format!("/x/y?uid={value}&uid=other"),
        2 => format!("/?xuid=1&uid={value}"),
        3 => format!("/?uid&uid={value}"),
        4 => format!("/?&&uid={value}"),
        5 => format!("/?uid={value}?uid=3"),
        _ => format!("/?uid={value}"),
    }
}

/// Values of a field `Host`.
pub(super) fn host(number: usize) -> String {
    let r = random(number as u64);
    match number % 8 {
        0 => format!("site{}", r % 10_000),
        1 => format!("www.site{}.com", r % 10_000),
        2 => format!("a.b.site{}.co.uk", r % 10_000),
        3 => format!("site{}.", r % 10_000),
        4 => format!(".site{}", r % 10_000),
        5 => format!("site{}..x", r % 10_000),
        6 => format!("site{}.org:8080", r % 10_000),
        _ => format!("10.{}.{}.1", r % 256, r >> 8 & 255),
    }
}

/// Values of which the first of a list counts.
pub(super) fn list(number: usize) -> String {
    let word = word(number);
    match number % 4 {
        0 => format!("{word},second"),
        1 => format!("  {word}  , second"),
        2 => format!("\"{word},x\",second"),
        _ => word,
    }
}
