//! LDAP: an anonymous bind and its answer (RFC 4511 §4.2).

use super::Judged;
use crate::status::Status;

/// BindRequest number 1, version 3, no name, simple and empty password.
pub(super) const BIND: [u8; 14] = [0x30, 0x0c, 2, 1, 1, 0x60, 7, 2, 1, 3, 4, 0, 0x80, 0];

/// Shortest answer there is.
const LEAST: usize = 14;

const NOT_LDAP: &str = "Not LDAPv3 protocol";

/// A length in BER, and what stands behind it.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if first & 0x80 == 0 {
        return Some((usize::from(*first), rest));
    }
    let digits = usize::from(first & 0x7f);
    if digits > 4 {
        return None;
    }
    let (digits, rest) = rest.split_at_checked(digits)?;
    Some((digits.iter().fold(0, |n, d| n << 8 | usize::from(*d)), rest))
}

pub(super) fn bind(bytes: &[u8], last: bool) -> Judged {
    let incomplete = || if last { Judged::failed(0, "") } else { Judged::Wait };
    if bytes.len() < LEAST {
        return incomplete();
    }
    let Some((len, message)) = bytes.strip_prefix(&[0x30]).and_then(length) else { return Judged::failed(0, NOT_LDAP) };
    let Some(message) = message.get(..len) else { return incomplete() };
    // Message 1, BindResponse.
    let answer = message.strip_prefix(&[2, 1, 1, 0x61]).and_then(length);
    match answer {
        Some((_, [0x0a, 1, 0, ..])) => Judged::ok("Success"),
        Some((_, [0x0a, 1, code, ..])) => {
            let info = "See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9".into();
            Judged::Failed { status: Some(Status::L7Sts), code: u32::from(*code), info }
        }
        _ => Judged::failed(0, NOT_LDAP),
    }
}
