//! MySQL and PostgreSQL: the packets of a login, and what their answers mean.

use super::{Judged, MysqlClient};
use crate::status::Status;

/// PostgreSQL's StartupMessage of protocol 3.0.
pub(super) fn startup(user: &str) -> Vec<u8> {
    let len = 4 + 4 + "user".len() + 1 + user.len() + 1 + 1;
    let mut bytes = (len as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(&[0, 3, 0, 0]);
    bytes.extend_from_slice(b"user\0");
    bytes.extend_from_slice(user.as_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes
}

/// A MySQL packet: three bytes of length, its number, the rest.
fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_le_bytes();
    [&len[..3], &[number], payload].concat()
}

/// A login without a password, and `QUIT` right behind it.
pub(super) fn login_and_quit(user: &str, client: MysqlClient) -> Vec<u8> {
    const SECURE_CONNECTION: u16 = 0x8000;
    const PROTOCOL_41: u16 = 0x0200;
    const UTF8: u8 = 0x21;
    let mut login = Vec::new();
    match client {
        MysqlClient::Post41 => {
            login.extend_from_slice(&(SECURE_CONNECTION | PROTOCOL_41).to_le_bytes());
            // Other capabilities, largest packet, character set, and what is reserved.
            login.extend_from_slice(&[0, 0, 0, 0x80, 0, 1, UTF8]);
            login.extend_from_slice(&[0; 23]);
        }
        MysqlClient::Pre41 => {
            login.extend_from_slice(&SECURE_CONNECTION.to_le_bytes());
            login.extend_from_slice(&[0, 0, 1]);
        }
    }
    login.extend_from_slice(user.as_bytes());
    // The end of the name, and an empty password.
    login.extend_from_slice(&[0, 0]);
    const QUIT: &[u8] = &[1];
    [packet(1, &login), packet(0, QUIT)].concat()
}

/// The payload of the first packet, and what stands behind it.
fn first_packet(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [a, b, c, _, rest @ ..] = bytes else { return None };
    let len = u32::from_le_bytes([*a, *b, *c, 0]) as usize;
    rest.split_at_checked(len)
}

fn incomplete(last: bool) -> Judged {
    if last { Judged::failed(0, "") } else { Judged::Wait }
}

/// An error packet: its number and its text.
fn error(payload: &[u8]) -> Option<Judged> {
    let [0xff, rest @ ..] = payload else { return None };
    let byte = |n: usize| u32::from(rest.get(n).copied().unwrap_or_default());
    let info = rest.get(2..).unwrap_or_default().to_vec();
    Some(Judged::Failed { status: Some(Status::L7Sts), code: byte(0) | byte(1) << 8, info })
}

/// The packet that a MySQL server begins with: its version becomes the info.
pub(super) fn handshake(bytes: &[u8], last: bool) -> Judged {
    let Some((payload, _)) = first_packet(bytes) else { return incomplete(last) };
    error(payload).unwrap_or_else(|| {
        let version = payload.get(1..).unwrap_or_default();
        let end = version.iter().position(|b| *b == 0).unwrap_or(version.len());
        Judged::Passed { code: 0, info: Some(version[..end].to_vec()) }
    })
}

/// The answer to a login stands behind the handshake.
pub(super) fn login(bytes: &[u8], last: bool) -> Judged {
    let Some((payload, _)) = first_packet(bytes).and_then(|(_, rest)| first_packet(rest)) else { return incomplete(last) };
    error(payload).unwrap_or(Judged::Passed { code: 0, info: None })
}
