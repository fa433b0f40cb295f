//! What the fields say about body and connection, gathered while a head is decoded and settled when it is complete.
//!
//! Holds: after `frame_request` or `frame_response` the head says the same as the framing that was computed: a redundant or
//! overruled length is gone, a length is a plain number, `Host` is the authority of the target.

use super::{Body, ErrorKind, Limits, RequestFraming, ResponseFraming, ResponseTo};
use crate::head::{Head, Method, Version};
use crate::host::{is_sound_host, same_authority, split_port};
use crate::name::FieldId;
use crate::token::{comma_list, trim_ows};

/// What was seen so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    length: Option<u64>,
    /// The length field that was kept is not its number in plain digits.
    odd_length: bool,
    te: bool,
    chunked: bool,
    other_coding: bool,
    bad_coding: bool,
    close: bool,
    keep_alive: bool,
    upgrade_token: bool,
    upgrade: bool,
    expect: bool,
    host: bool,
    /// There is more than one `Host`.
    hosts: bool,
    pub(super) restricted_name: bool,
}

impl Seen {
    /// True for the names that `note` has to see.
    #[inline]
    pub(super) fn wants(id: FieldId) -> bool {
        const _: () = assert!(FieldId::Host as u8 == 1 && FieldId::Expect as u8 == 6);
        id as u8 <= FieldId::Expect as u8
    }

    /// Gathers what a well-known field says. False: the field is redundant and not kept.
    pub(super) fn note(&mut self, id: FieldId, value: &[u8], response: bool) -> Result<bool, ErrorKind> {
        match id {
            FieldId::ContentLength => return self.note_length(value),
            FieldId::TransferEncoding => self.note_coding(value),
            FieldId::Connection => return Ok(self.note_connection(value)),
            FieldId::Upgrade => self.upgrade = true,
            FieldId::Expect => self.expect |= value.eq_ignore_ascii_case(b"100-continue"),
            FieldId::Host if !response => self.hosts |= std::mem::replace(&mut self.host, true),
            _ => {}
        }
        Ok(true)
    }

    /// `close` and `keep-alive` are about this hop alone: a field that says nothing else is not kept.
    #[inline]
    fn note_connection(&mut self, value: &[u8]) -> bool {
        if is_keep_alive(value) {
            self.keep_alive = true;
            return false;
        }
        if value.eq_ignore_ascii_case(b"close") {
            self.close = true;
            return false;
        }
        self.note_connection_list(value);
        true
    }

    #[cold]
    fn note_connection_list(&mut self, value: &[u8]) {
        for token in comma_list(value) {
            if token.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if token.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if token.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade_token = true;
            }
        }
    }

    /// RFC 9110 §8.6: digits, or a list of equal numbers.
    fn note_length(&mut self, value: &[u8]) -> Result<bool, ErrorKind> {
        let first = self.length.is_none();
        if first && let Some(n) = parse_length(value) {
            self.length = Some(n);
            self.odd_length = value.len() > 1 && value[0] == b'0';
            return Ok(true);
        }
        for part in value.split(|&b| b == b',') {
            let n = parse_length(trim_ows(part)).ok_or(ErrorKind::ContentLength)?;
            if self.length.is_some_and(|seen| seen != n) {
                return Err(ErrorKind::ContentLength);
            }
            self.length = Some(n);
        }
        self.odd_length |= first && (value.contains(&b',') || (value.len() > 1 && value[0] == b'0'));
        Ok(first)
    }

    /// RFC 9112 §6.1. An empty element, or anything after chunked, is fatal; which status it gets is settled later.
    fn note_coding(&mut self, value: &[u8]) {
        self.te = true;
        for coding in value.split(|&b| b == b',') {
            let coding = trim_ows(coding);
            if coding.is_empty() || self.chunked {
                self.bad_coding = true;
            } else if coding.eq_ignore_ascii_case(b"chunked") {
                self.chunked = true;
            } else {
                self.other_coding = true;
            }
        }
    }

    /// RFC 9112 §6.3 for requests, and §3.2 for the target and `Host`.
    #[inline]
    pub(super) fn frame_request(&self, head: &mut Head, limits: &Limits) -> Result<RequestFraming, ErrorKind> {
        let http11 = head.version == Version::Http11;
        let mut framing = RequestFraming {
            body: Body::None,
            keep_alive: !self.close && (http11 || self.keep_alive),
            close: self.close,
            expect_continue: self.expect && http11,
            upgrade: self.upgrade && self.upgrade_token && http11,
            connect: head.method == Method::Connect,
            restricted_name: self.restricted_name,
        };
        self.check_target(head, limits)?;
        if self.te {
            self.frame_request_coding(head, limits, &mut framing)?;
        } else if let Some(n) = self.length {
            framing.body = if n == 0 { Body::None } else { Body::Length(n) };
            self.plain_length(head, n);
        }
        if !http11
            && framing.body != Body::None
            && !limits.payload_with_any_method
            && matches!(head.method, Method::Get | Method::Head | Method::Delete)
        {
            return Err(ErrorKind::UnexpectedBody);
        }
        if framing.connect {
            // The bytes after the head belong to the tunnel (RFC 9110 §9.3.6).
            framing.body = Body::None;
            framing.upgrade = false;
            head.remove_id(FieldId::ContentLength);
            head.remove_id(FieldId::TransferEncoding);
        }
        Ok(framing)
    }

    #[cold]
    fn frame_request_coding(&self, head: &mut Head, limits: &Limits, framing: &mut RequestFraming) -> Result<(), ErrorKind> {
        if self.bad_coding || !self.chunked {
            return Err(ErrorKind::TransferEncoding);
        }
        if self.other_coding {
            return Err(ErrorKind::UnsupportedCoding);
        }
        framing.body = Body::Chunked;
        head.remove_id(FieldId::ContentLength);
        if head.version == Version::Http10 || (self.length.is_some() && !limits.keep_alive_with_both_lengths) {
            framing.keep_alive = false;
        }
        Ok(())
    }

    /// RFC 9112 §6.3 for responses.
    #[inline]
    pub(super) fn frame_response(&self, head: &mut Head, limits: &Limits, to: ResponseTo) -> Result<ResponseFraming, ErrorKind> {
        let http11 = head.version == Version::Http11;
        let status = head.status;
        let keep_alive = !self.close && (http11 || self.keep_alive);
        let mut framing = ResponseFraming { body: Body::None, keep_alive, close: self.close, interim: false };
        if self.te && (self.bad_coding || self.other_coding || !self.chunked) {
            return Err(ErrorKind::TransferEncoding);
        }
        let tunnel = if status == 101 {
            if !to.upgrade {
                return Err(ErrorKind::UnexpectedUpgrade);
            }
            true
        } else {
            to.connect && (200..300).contains(&status)
        };
        framing.interim = status < 200 && status != 101;
        if status < 200 || status == 204 || tunnel {
            // These must not have them (RFC 9110 §8.6, RFC 9112 §6.1).
            head.remove_id(FieldId::ContentLength);
            head.remove_id(FieldId::TransferEncoding);
            if tunnel {
                framing.body = Body::Tunnel;
                framing.keep_alive = false;
            }
            return Ok(framing);
        }
        if self.te && (self.length.is_some() || !http11) {
            head.remove_id(FieldId::ContentLength);
            framing.keep_alive &= http11 && limits.keep_alive_with_both_lengths;
            // Chunks in an HTTP/1.0 response: nobody further on shall wonder whether they count.
            head.set_version(Version::Http11);
        }
        match self.length {
            _ if to.head || status == 304 => {}
            _ if self.te => framing.body = Body::Chunked,
            Some(0) => {}
            Some(n) => framing.body = Body::Length(n),
            None => {
                framing.body = Body::UntilClose;
                framing.keep_alive = false;
            }
        }
        if let Some(n) = self.length {
            self.plain_length(head, n);
        }
        Ok(framing)
    }

    /// The length that goes out is its number and nothing else: nobody reads `010` as eight.
    #[inline]
    fn plain_length(&self, head: &mut Head, n: u64) {
        if self.odd_length
            && let Some(at) = head.fields.iter().position(|f| f.id == FieldId::ContentLength)
        {
            head.set_value(at, itoa::Buffer::new().format(n).as_bytes());
        }
    }

    /// RFC 9112 §3.2: form of the target, soundness of `Host`, and that both say the same. A missing `Host` has one meaning, and
    /// health checkers (haproxy's own among them) leave it out: the request passes, against that section's word.
    #[inline]
    fn check_target(&self, head: &mut Head, limits: &Limits) -> Result<(), ErrorKind> {
        if self.hosts {
            merge_hosts(head)?;
        }
        if self.host && head.get_id(FieldId::Host).is_some_and(|host| !is_sound_host(host)) {
            return Err(ErrorKind::Host);
        }
        let target = head.target();
        if head.method != Method::Connect && target.first() == Some(&b'/') {
            return Ok(());
        }
        check_odd_target(head, limits.relaxed)
    }
}

/// Several `Host` fields that are the same to the letter go on as one; others are refused.
#[cold]
fn merge_hosts(head: &mut Head) -> Result<(), ErrorKind> {
    let first = head.get_id(FieldId::Host);
    if head.get_all_id(FieldId::Host).any(|value| Some(value) != first) {
        return Err(ErrorKind::Host);
    }
    let mut kept = false;
    head.fields.retain(|field| field.id != FieldId::Host || !std::mem::replace(&mut kept, true));
    Ok(())
}

/// Compares two words instead of ten letters. A value has no CR, the only byte that bit 5 makes a `-`.
#[inline]
fn is_keep_alive(value: &[u8]) -> bool {
    let Some((front, &[b8, b9])) = value.split_first_chunk::<8>() else { return false };
    u64::from_le_bytes(*front) | 0x2020_2020_2020_2020 == u64::from_le_bytes(*b"keep-ali") && b8 | 0x20 == b'v' && b9 | 0x20 == b'e'
}

/// Digits, up to 2^63 - 1.
#[inline]
fn parse_length(digits: &[u8]) -> Option<u64> {
    let mut n: u64 = 0;
    for &d in digits {
        let d = d.wrapping_sub(b'0');
        if d > 9 {
            return None;
        }
        n = n.checked_mul(10)?.checked_add(u64::from(d))?;
    }
    (!digits.is_empty() && n <= i64::MAX as u64).then_some(n)
}

/// Targets other than a path: `*`, an authority, an absolute URI.
#[cold]
fn check_odd_target(head: &mut Head, relaxed: bool) -> Result<(), ErrorKind> {
    let target = head.target();
    let host = head.get_id(FieldId::Host);
    if head.method == Method::Connect {
        let (name, port) = split_port(target).ok_or(ErrorKind::Target)?;
        if name.is_empty() || (port.is_empty() && !relaxed) {
            return Err(ErrorKind::Target);
        }
        let same = |host: &[u8]| same_authority(host, target, Some(b"80")) || same_authority(host, target, Some(b"443"));
        return if host.is_none_or(same) { Ok(()) } else { Err(ErrorKind::Host) };
    }
    if target == b"*" {
        return if head.method == Method::Options { Ok(()) } else { Err(ErrorKind::Target) };
    }
    let colon = target.iter().position(|&b| b == b':').ok_or(ErrorKind::Target)?;
    let (scheme, rest) = target.split_at(colon);
    let sound = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let rest = rest.strip_prefix(b"://").filter(|_| sound).ok_or(ErrorKind::Target)?;
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (name, port) = split_port(authority).ok_or(ErrorKind::Target)?;
    if name.is_empty() {
        return Err(ErrorKind::Target);
    }
    let default: Option<&[u8]> = match scheme.to_ascii_lowercase().as_slice() {
        b"http" => Some(b"80"),
        b"https" => Some(b"443"),
        _ => None,
    };
    if host.is_some_and(|host| !same_authority(host, authority, default)) && !relaxed {
        return Err(ErrorKind::Host);
    }
    // One meaning further on: the target's authority without a default port, and Host the same (RFC 9112 §3.2.2).
    let plain = if Some(port) == default { name } else { authority };
    let new_host = host.filter(|&host| host != plain).map(|_| plain.to_vec());
    let new_target = (plain != authority).then(|| [scheme, b"://", plain, path].concat());
    if let Some(target) = new_target {
        head.set_target(&target);
    }
    if let Some(host) = new_host
        && let Some(at) = head.fields.iter().position(|f| f.id == FieldId::Host)
    {
        head.set_value(at, &host);
    }
    Ok(())
}
