//! From a key to a number: HAProxy's hash functions, its treatment of addresses, the seeds of servers on a ring.
//!
//! Holds: the same key gives the same number as in HAProxy (2.6 and 3.0 were asked for theirs); keys of any length and content are
//! hashed in one pass.

use crate::Key;
use std::net::IpAddr;

/// How a hash names a server (manual section 4.2, `hash-type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hash {
    /// Where the number is looked up.
    pub lookup: Lookup,
    /// How the bytes of a key become a number. Addresses have a way of their own.
    pub function: Function,
    /// Mix the number once more, so that all of its bits depend on all of the key's.
    pub avalanche: bool,
}

impl Hash {
    /// `hash-type map-based`: sdbm without avalanche.
    pub const fn map() -> Self {
        Hash { lookup: Lookup::Map, function: Function::Sdbm, avalanche: false }
    }

    /// `hash-type consistent`: sdbm with avalanche.
    pub const fn ring() -> Self {
        Hash { lookup: Lookup::Ring, function: Function::Sdbm, avalanche: true }
    }

    /// Maglev with the paper's smaller table: sdbm with avalanche.
    pub const fn maglev() -> Self {
        Hash { lookup: Lookup::Maglev { size: crate::MAGLEV_SIZE }, ..Self::ring() }
    }

    /// The number of a key; `None` for a key that says nothing of the request.
    pub fn of(&self, key: Key<'_>) -> Option<u32> {
        let raw = match key {
            Key::Hash(hash) => return Some(hash),
            Key::Addr(addr) => fold(addr),
            Key::Bytes(bytes) => self.function.apply(bytes),
            Key::None | Key::Random(_) => return None,
        };
        Some(if self.avalanche { full(raw) } else { raw })
    }
}

/// Where the number of a key is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lookup {
    /// HAProxy's `map-based`: a table with one entry per unit of weight. The evenest, but a server that comes or goes moves
    /// nearly all keys. Weights are 0 or what was configured. O(1), lock-free; a change rebuilds the table off the pick,
    /// O(W log n) for W units of weight, O(n) when all weights are equal. 4 bytes per unit of weight (without their common divisor).
    Map,
    /// HAProxy's `consistent`: a ring with 16 points per unit of weight; the nearest point takes the key. A server that comes or
    /// goes moves its own keys only. Weights change at run time. O(1) on average, lock-free, and at most
    /// 4,096 further points past servers that are full or over the load bound; a change of state or weight is one atomic store
    /// (O(1)), except that a weight above all before, and the loss of 15 of 16 points, make the ring anew in O(points).
    /// 145 bytes per unit of weight. Source: Karger et al. 1997; bounded load: Mirrokni et al. 2016.
    Ring,
    /// Maglev's table: nearly as even as the map, nearly as steady as the ring. Weights change at run time. O(1), lock-free; a
    /// change rebuilds the table off the pick in O(size · log size) on average. 4 bytes per entry. Source: Eisenbud et al., "Maglev:
    /// A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4.
    Maglev {
        /// Entries of the table; the next prime is taken, at most [`crate::MAX_MAGLEV_SIZE`]. The paper wants 100 per server at least.
        size: u32,
    },
    /// LVS's `sh` (with `weighted`) and `dh`: 256 buckets, dealt out to the servers in turn. With more than 256 units of weight
    /// the last servers get none. O(1), lock-free; a change deals anew, O(256). Source: ipvsadm(8), the kernel's ip_vs_sh.
    Buckets {
        /// A server takes as many buckets in a row as its weight says.
        weighted: bool,
    },
}

/// From bytes to 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// Multiplies by 65599 and adds; from the sdbm database library.
    Sdbm,
    /// Multiplies by 33 and adds; Daniel J. Bernstein's.
    Djb2,
    /// HAProxy's own, with rotations that depend on the data.
    Wt6,
    /// CRC-32 as in Ethernet and gzip (IEEE 802.3).
    Crc32,
    /// The key is a decimal number already: the low 32 bits of it. What is no digit ends it.
    None,
}

impl Function {
    /// The hash of a key, without avalanche.
    pub fn apply(self, key: &[u8]) -> u32 {
        match self {
            Function::Sdbm => key.iter().fold(0, |h: u32, &b| h.wrapping_mul(65_599).wrapping_add(b.into())),
            Function::Djb2 => key.iter().fold(5_381, |h: u32, &b| h.wrapping_mul(33).wrapping_add(b.into())),
            Function::Wt6 => wt6(key),
            Function::Crc32 => !key.iter().fold(u32::MAX, |h, &b| (h >> 8) ^ CRC32[((h ^ u32::from(b)) & 0xff) as usize]),
            Function::None => number(key),
        }
    }
}

fn wt6(key: &[u8]) -> u32 {
    let (mut a, mut b) = (0xa53c_965a_u32, 0x5ca6_953a_u32);
    let (mut left, mut right) = (6, 18);
    for &byte in key {
        a = !(a ^ u32::from(byte));
        b = !b.wrapping_add(u32::from(byte));
        (a, b) = (b.rotate_left(left), a.rotate_left(right));
        let mixed = ((a >> 16) ^ b) & 0xffff;
        (left, right) = (mixed & 31, mixed >> 11);
    }
    a ^ b
}

/// Of the reflected polynomial 0xEDB88320.
const CRC32: [u32; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let (mut rest, mut bit) = (n as u32, 0);
        while bit < 8 {
            rest = if rest & 1 == 0 { rest >> 1 } else { (rest >> 1) ^ 0xedb8_8320 };
            bit += 1;
        }
        table[n] = rest;
        n += 1;
    }
    table
};

/// A decimal number with an optional sign; one that is out of the range of 64 bits is its nearest end.
fn number(key: &[u8]) -> u32 {
    let (negative, digits) = match key.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, key),
    };
    let magnitude =
        digits.iter().take_while(|b| b.is_ascii_digit()).fold(0i64, |n, b| n.saturating_mul(10).saturating_add(i64::from(b - b'0')));
    (if negative { -magnitude } else { magnitude }) as u32
}

/// Bob Jenkins' 32-bit integer mix (burtleburtle.net/bob/hash/integer.html), spread over the ring by the factor 3·2^30 + 1. It
/// maps the numbers one to one.
pub(crate) fn full(n: u32) -> u32 {
    let n = n.wrapping_add(0x7ed5_5d16).wrapping_add(n << 12);
    let n = n ^ 0xc761_c23c ^ (n >> 19);
    let n = n.wrapping_add(0x1656_67b1).wrapping_add(n << 5);
    let n = n.wrapping_add(0xd3a2_646c) ^ (n << 9);
    let n = n.wrapping_add(0xfd70_46c5).wrapping_add(n << 3);
    let n = n ^ 0xb55a_4f09 ^ (n >> 16);
    n.wrapping_mul(3_221_225_473)
}

/// HAProxy's number for a client's address: the exclusive or of its 32-bit words, most significant byte first.
fn fold(addr: IpAddr) -> u32 {
    match addr {
        IpAddr::V4(v4) => u32::from(v4),
        IpAddr::V6(v6) => {
            let bits = u128::from(v6);
            (bits >> 96) as u32 ^ (bits >> 64) as u32 ^ (bits >> 32) as u32 ^ bits as u32
        }
    }
}

/// Where a server's points on a ring begin: servers with the same seed stand at the same places in every proxy. For
/// [`crate::ServerSpec::seed`].
pub mod seed {
    use super::full;
    use std::net::IpAddr;

    /// By the server's numeric id, as HAProxy up to 2.6 does.
    pub fn by_id(id: u32) -> u32 {
        id.wrapping_mul(4096)
    }

    /// By the server's numeric id, as HAProxy 3.0 does (`hash-key id`): most keys are elsewhere than with [`by_id`].
    pub fn by_mixed_id(id: u32) -> u32 {
        full(id)
    }

    /// By address, or by address and port: HAProxy 3.0's `hash-key addr` and `hash-key addr-port`.
    pub fn by_addr(addr: IpAddr, port: Option<u16>) -> u32 {
        let port = port.map_or(0, |port| full(port.into()));
        match addr {
            // The address as a little-endian machine holds it.
            IpAddr::V4(v4) => full(u32::from_le_bytes(v4.octets()).wrapping_add(port)),
            IpAddr::V6(v6) => super::xxh32(&v6.octets(), port),
        }
    }
}

/// XXH32 (github.com/Cyan4973/xxHash, its specification): the seeds of IPv6 addresses are made with it, and HAProxy's marks for names
/// that are hidden.
pub fn xxh32(bytes: &[u8], seed: u32) -> u32 {
    const P: [u32; 5] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1];
    let word = |four: &[u8]| u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    let mut stripes = bytes.chunks_exact(16);
    let mut hash = if bytes.len() < 16 {
        seed.wrapping_add(P[4])
    } else {
        let mut lanes = [seed.wrapping_add(P[0]).wrapping_add(P[1]), seed.wrapping_add(P[1]), seed, seed.wrapping_sub(P[0])];
        for stripe in &mut stripes {
            for (lane, four) in lanes.iter_mut().zip(stripe.chunks_exact(4)) {
                *lane = lane.wrapping_add(word(four).wrapping_mul(P[1])).rotate_left(13).wrapping_mul(P[0]);
            }
        }
        lanes.into_iter().zip([1, 7, 12, 18]).fold(0u32, |hash, (lane, turn)| hash.wrapping_add(lane.rotate_left(turn)))
    };
    // The length counts modulo 2^32.
    hash = hash.wrapping_add(bytes.len() as u32);
    let mut rest = stripes.remainder().chunks_exact(4);
    for four in &mut rest {
        hash = hash.wrapping_add(word(four).wrapping_mul(P[2])).rotate_left(17).wrapping_mul(P[3]);
    }
    for &byte in rest.remainder() {
        hash = hash.wrapping_add(u32::from(byte).wrapping_mul(P[4])).rotate_left(11).wrapping_mul(P[0]);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(P[1]);
    hash = (hash ^ (hash >> 13)).wrapping_mul(P[2]);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Debian's haproxy 2.6 was asked with its converters of the same names, the last two with avalanche.
    #[test]
    fn functions_as_haproxys() {
        let seen: [(&[u8], [u32; 6]); 5] = [
            (b"a", [97, 177670, 1900802597, 3904355907, 1830748055, 1986649387]),
            (b"abc", [807794786, 193485963, 2483038440, 891568578, 659243622, 266135527]),
            (b"hello-world", [971994359, 1403312366, 2238057508, 2983461467, 758954906, 1142189580]),
            (b"123456", [3780441283, 2110877786, 2133271205, 158520161, 4106334239, 3466091022]),
            (b"/some/long/path?with=query&and=more", [2359628733, 2654677050, 3400553952, 3737769818, 3668164059, 989053168]),
        ];
        for (key, [sdbm, djb2, wt6, crc32, mixed_sdbm, mixed_wt6]) in seen {
            assert_eq!(Function::Sdbm.apply(key), sdbm);
            assert_eq!(Function::Djb2.apply(key), djb2);
            assert_eq!(Function::Wt6.apply(key), wt6);
            assert_eq!(Function::Crc32.apply(key), crc32);
            assert_eq!((full(sdbm), full(wt6)), (mixed_sdbm, mixed_wt6));
        }
    }

    #[test]
    fn numbers() {
        for (key, hash) in
            [("", 0), ("7", 7), ("4294967297", 1), ("-1", u32::MAX), ("12x", 12), ("x", 0), ("99999999999999999999", u32::MAX)]
        {
            assert_eq!(Function::None.apply(key.as_bytes()), hash, "{key}");
        }
    }

    /// Found by asking haproxy 3.0 where on its ring a server's keys begin and end.
    #[test]
    fn seeds_by_address() {
        let by = |addr: &str, port| seed::by_addr(addr.parse().expect("an address"), port);
        assert_eq!(by("127.0.0.12", None), 0x06af_ac70);
        assert!((0x5b0a_7679..=0x5b0a_7684).contains(&by("127.0.0.12", Some(1))));
        assert!((0x4f43_4d62..=0x4f43_4d69).contains(&by("127.0.0.12", Some(256))));
        assert!((0x7f2f_367c..=0x7f2f_367f).contains(&by("::1", None)));
        assert!((0x0f74_e663..=0x0f74_e66a).contains(&by("::1", Some(80))));
    }

    #[test]
    fn xxh32_as_haproxys() {
        // As haproxy's converter of this name says, and its marks of 24 bits.
        assert_eq!(xxh32(b"abcdefghijklmnop", 0), 0x9d2d_8b62);
        for (name, key, mark) in
            [("b", 5, 0xef_508c), ("www", 12_345, 0xf0_c62e), ("10.1.2.3", 5, 0xee_3025), ("${HOST-127.0.0.1}:80", 5, 0x98_5ff9)]
        {
            assert_eq!(xxh32(name.as_bytes(), key) & 0xff_ffff, mark, "{name}");
        }
    }
}
