//! Hashes of 32 and 64 bits, with haproxy's values. Manual 7.3.1.
//!
//! Four of them are in `lb-balance` too: neither crate is one that users of the other would expect beneath it, and a crate for
//! forty lines would be one more for both.

use crate::sample::{ArgKind, Args, Convert, Converter, Type, Value};
use xxhash_rust::{xxh3, xxh32, xxh64};

pub(super) const TABLE: &[Converter] = &[
    hash("crc32", |args, value, _| mixed(args, !crc(&CRC32, value.bytes()?))),
    hash("crc32c", |args, value, _| mixed(args, !crc(&CRC32C, value.bytes()?))),
    hash("djb2", |args, value, _| mixed(args, multiplied(5_381, 33, value.bytes()?))),
    hash("sdbm", |args, value, _| mixed(args, multiplied(0, 65_599, value.bytes()?))),
    hash("wt6", |args, value, _| mixed(args, wt6(value.bytes()?))),
    hash("xxh32", |args, value, _| Some(Value::Int(xxh32::xxh32(value.bytes()?, seed(args) as u32).into()))),
    hash("xxh64", |args, value, _| Some(Value::Int(xxh64::xxh64(value.bytes()?, seed(args)) as i64))),
    hash("xxh3", |args, value, _| Some(Value::Int(xxh3::xxh3_64_with_seed(value.bytes()?, seed(args)) as i64))),
];

const fn hash(name: &'static str, call: Convert) -> Converter {
    Converter::new(name, &[ArgKind::Int], 0, Type::Bin, Type::Int, call)
}

fn seed(args: &Args) -> u64 {
    args.int(0).unwrap_or(0) as u64
}

/// The hash itself, or with an argument other than 0 after an avalanche.
fn mixed<'a>(args: &Args, hash: u32) -> Option<Value<'a>> {
    let hash = if args.int(0).unwrap_or(0) == 0 { hash } else { avalanche(hash) };
    Some(Value::Int(hash.into()))
}

/// Bob Jenkins' 32-bit integer mix, times 3·2^30 + 1: what `hash-type … avalanche` does.
fn avalanche(n: u32) -> u32 {
    let n = n.wrapping_add(0x7ed5_5d16).wrapping_add(n << 12);
    let n = n ^ 0xc761_c23c ^ (n >> 19);
    let n = n.wrapping_add(0x1656_67b1).wrapping_add(n << 5);
    let n = n.wrapping_add(0xd3a2_646c) ^ (n << 9);
    let n = n.wrapping_add(0xfd70_46c5).wrapping_add(n << 3);
    let n = n ^ 0xb55a_4f09 ^ (n >> 16);
    n.wrapping_mul(3_221_225_473)
}

fn multiplied(begin: u32, factor: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(begin, |n, b| n.wrapping_mul(factor).wrapping_add(u32::from(*b)))
}

/// SDBM with an avalanche: `sdbm(1)`, and what `base32` and `url32` are.
pub(crate) fn mixed_sdbm(bytes: &[u8]) -> u32 {
    avalanche(multiplied(0, 65_599, bytes))
}

/// HAProxy's own, with rotations that depend on the data.
fn wt6(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (0xa53c_965a_u32, 0x5ca6_953a_u32);
    let (mut left, mut right) = (6, 18);
    for byte in bytes {
        a = !(a ^ u32::from(*byte));
        b = !b.wrapping_add(u32::from(*byte));
        (a, b) = (b.rotate_left(left), a.rotate_left(right));
        let mixed = ((a >> 16) ^ b) & 0xffff;
        (left, right) = (mixed & 31, mixed >> 11);
    }
    a ^ b
}

fn crc(table: &[u32; 256], bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |n, b| (n >> 8) ^ table[((n ^ u32::from(*b)) & 0xff) as usize])
}

/// Of Ethernet and gzip.
static CRC32: [u32; 256] = reflected(0xedb8_8320);
/// Castagnoli's, RFC 4960 appendix B.
static CRC32C: [u32; 256] = reflected(0x82f6_3b78);

const fn reflected(polynomial: u32) -> [u32; 256] {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let (mut rest, mut bit) = (n as u32, 0);
        while bit < 8 {
            rest = if rest & 1 == 0 { rest >> 1 } else { (rest >> 1) ^ polynomial };
            bit += 1;
        }
        table[n] = rest;
        n += 1;
    }
    table
}
