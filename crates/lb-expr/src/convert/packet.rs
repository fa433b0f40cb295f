//! Headers of packets, as the kernel keeps them of the SYN of a connection: `eth.*`, `ip.*`, `tcp.*`. Manual 7.3.1 of 3.4; IEEE 802.1Q,
//! RFC 791, RFC 8200, RFC 9293.
//!
//! Holds: whatever the bytes are, nothing is read behind their end; a header that is not complete is an absent sample.

use super::Out;
use crate::sample::{Arg, ArgKind, Args, Converter, Cx, Type, Value};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An entry whose value is made of the bytes alone.
const fn of(name: &'static str, out: Type, call: crate::sample::Convert) -> Converter {
    Converter::new(name, &[], 0, Type::Bin, out, call)
}

pub(super) const TABLE: &[Converter] = &[
    of("eth.data", Type::Bin, |_, value, _| Some(Value::Bin(Frame::read(value.bytes()?)?.data))),
    of("eth.dst", Type::Bin, |_, value, _| Some(Value::Bin(value.bytes()?.get(..6)?))),
    of("eth.hdr", Type::Bin, |_, value, _| Some(Value::Bin(Frame::read(value.bytes()?)?.header))),
    of("eth.proto", Type::Int, |_, value, _| Some(Value::Int(Frame::read(value.bytes()?)?.protocol.into()))),
    of("eth.src", Type::Bin, |_, value, _| Some(Value::Bin(value.bytes()?.get(6..12)?))),
    of("eth.vlan", Type::Int, |_, value, _| Frame::read(value.bytes()?)?.vlan.map(|id| Value::Int(id.into()))),
    of("ip.data", Type::Bin, |_, value, _| Some(Value::Bin(Packet::read(value.bytes()?)?.data))),
    of("ip.df", Type::Int, |_, value, _| Some(Value::Int(Packet::read(value.bytes()?)?.whole.into()))),
    of("ip.dst", Type::Addr, |_, value, _| Some(Value::Ip(Packet::read(value.bytes()?)?.to))),
    Converter::new("ip.fp", &[ArgKind::Int], 0, Type::Bin, Type::Bin, fingerprint).checked(|args, _| match args.first() {
        Some(Arg::Int(mode)) if !(0..=7).contains(mode) => Err(format!("mode must be between 0 and 7, got {mode}")),
        _ => Ok(()),
    }),
    of("ip.hdr", Type::Bin, |_, value, _| Some(Value::Bin(Packet::read(value.bytes()?)?.header))),
    of("ip.proto", Type::Int, |_, value, _| Some(Value::Int(Packet::read(value.bytes()?)?.protocol.into()))),
    of("ip.src", Type::Addr, |_, value, _| Some(Value::Ip(Packet::read(value.bytes()?)?.from))),
    of("ip.tos", Type::Int, |_, value, _| Some(Value::Int(Packet::read(value.bytes()?)?.class.into()))),
    of("ip.ttl", Type::Int, |_, value, _| Some(Value::Int(Packet::read(value.bytes()?)?.hops.into()))),
    of("ip.ver", Type::Int, |_, value, _| Some(Value::Int((value.bytes()?.first()? >> 4).into()))),
    of("tcp.dst", Type::Int, |_, value, _| Some(Value::Int(Segment::read(value.bytes()?)?.word(2).into()))),
    of("tcp.flags", Type::Int, |_, value, _| Some(Value::Int(Segment::read(value.bytes()?)?.flags().into()))),
    of("tcp.options.mss", Type::Int, |_, value, _| Some(Value::Int(Segment::whole(value.bytes()?)?.mss().into()))),
    of("tcp.options.sack", Type::Int, |_, value, _| has(value, SACK_PERMITTED)),
    of("tcp.options.tsopt", Type::Int, |_, value, _| has(value, TIMESTAMP)),
    of("tcp.options.tsval", Type::Int, |_, value, _| {
        let at = Segment::whole(value.bytes()?)?.option(TIMESTAMP)?.first_chunk::<4>()?;
        Some(Value::Int(u32::from_be_bytes(*at).into()))
    }),
    of("tcp.options.wscale", Type::Int, |_, value, _| Some(Value::Int(Segment::whole(value.bytes()?)?.scale().unwrap_or(0).into()))),
    of("tcp.options.wsopt", Type::Int, |_, value, _| has(value, WINDOW_SCALE)),
    of("tcp.options_list", Type::Bin, |_, value, cx| {
        let mut out = Out::new(cx, 40);
        Segment::whole(value.bytes()?)?.options().try_for_each(|(kind, _)| out.put(&[kind]))?;
        Some(Value::Bin(out.done()))
    }),
    of("tcp.seq", Type::Int, |_, value, _| {
        let segment = Segment::read(value.bytes()?)?;
        Some(Value::Int(i64::from(segment.word(4)) << 16 | i64::from(segment.word(6))))
    }),
    of("tcp.src", Type::Int, |_, value, _| Some(Value::Int(Segment::read(value.bytes()?)?.word(0).into()))),
    of("tcp.win", Type::Int, |_, value, _| Some(Value::Int(Segment::read(value.bytes()?)?.word(14).into()))),
];

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// An Ethernet frame.
struct Frame<'a> {
    /// To the type of what it carries, tags of VLANs included.
    header: &'a [u8],
    data: &'a [u8],
    protocol: u16,
    /// The last of the tags; 0 is none.
    vlan: Option<u16>,
}

impl<'a> Frame<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (mut at, mut vlan) = (12, None);
        loop {
            let protocol = word(bytes, at)?;
            at += 2;
            // 802.1Q, and the outer tag of 802.1ad.
            if !matches!(protocol, 0x8100 | 0x88a8) {
                let (header, data) = bytes.split_at(at);
                return Some(Self { header, data, protocol, vlan });
            }
            vlan = Some(word(bytes, at)? & 0x0fff).filter(|id| *id != 0);
            at += 2;
        }
    }
}

/// An IP packet.
struct Packet<'a> {
    /// With options and extensions.
    header: &'a [u8],
    data: &'a [u8],
    from: IpAddr,
    to: IpAddr,
    /// Traffic class, or type of service.
    class: u8,
    /// Time to live, or hop limit.
    hops: u8,
    /// It may not be taken apart; one of IPv6 never is on its way.
    whole: bool,
    protocol: u8,
    /// There are options or extensions.
    options: bool,
    /// Bytes behind the header that the packet has had, whether or not they are there.
    carried: usize,
}

impl<'a> Packet<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::v4(bytes),
            6 => Self::v6(bytes),
            _ => None,
        }
    }

    fn v4(bytes: &'a [u8]) -> Option<Self> {
        let fixed = bytes.first_chunk::<20>()?;
        let len = usize::from(fixed[0] & 0x0f) * 4;
        let (header, data) = bytes.split_at_checked(len).filter(|_| len >= 20)?;
        let address = |at: usize| Some(IpAddr::V4(Ipv4Addr::from(*fixed[at..].first_chunk::<4>()?)));
        Some(Self {
            header,
            data,
            from: address(12)?,
            to: address(16)?,
            class: fixed[1],
            hops: fixed[8],
            whole: fixed[6] & 0x40 != 0,
            protocol: fixed[9],
            options: len > 20,
            carried: usize::from(word(fixed, 2)?).saturating_sub(len),
        })
    }

    fn v6(bytes: &'a [u8]) -> Option<Self> {
        let fixed = bytes.first_chunk::<40>()?;
        let (mut next, mut len) = (fixed[6], 40);
        loop {
            let extension = bytes.get(len..).unwrap_or_default();
            // Hop-by-hop, routing, destination; fragment; authentication. RFC 8200 §4, RFC 4302 §2.2.
            let size = match next {
                0 | 43 | 60 => usize::from(*extension.get(1)?) * 8 + 8,
                44 => 8,
                51 => usize::from(*extension.get(1)?) * 4 + 8,
                _ => break,
            };
            next = *extension.first()?;
            len += size;
        }
        let (header, data) = bytes.split_at_checked(len)?;
        let address = |at: usize| Some(IpAddr::V6(Ipv6Addr::from(*fixed[at..].first_chunk::<16>()?)));
        Some(Self {
            header,
            data,
            from: address(8)?,
            to: address(24)?,
            class: fixed[0] << 4 | fixed[1] >> 4,
            hops: fixed[7],
            whole: true,
            protocol: next,
            options: len > 40,
            carried: (usize::from(word(fixed, 4)?) + 40).saturating_sub(len),
        })
    }
}

const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const TIMESTAMP: u8 = 8;

/// A TCP segment, with at least the part of its header that does not vary.
struct Segment<'a> {
    bytes: &'a [u8],
    /// Of the whole header.
    len: usize,
}

impl<'a> Segment<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        Some(Self { bytes, len: usize::from(bytes.first_chunk::<20>()?[12] >> 4) * 4 })
    }

    /// One whose header is there to its end.
    fn whole(bytes: &'a [u8]) -> Option<Self> {
        Self::read(bytes).filter(|segment| (20..=bytes.len()).contains(&segment.len))
    }

    /// Two bytes of the part that does not vary.
    fn word(&self, at: usize) -> u16 {
        word(self.bytes, at).unwrap_or_default()
    }

    fn flags(&self) -> u8 {
        self.bytes[13]
    }

    /// Kind and content of each option, up to the end of the list or to what is none.
    fn options(&self) -> impl Iterator<Item = (u8, &'a [u8])> {
        let mut rest = self.bytes.get(20..self.len).unwrap_or_default();
        std::iter::from_fn(move || {
            let (kind, behind) = rest.split_first()?;
            let (content, behind) = match kind {
                0 => return None,
                1 => (&[][..], behind),
                _ => {
                    let len = usize::from(*behind.first()?);
                    let option = rest.get(2..len)?;
                    (option, &rest[len..])
                }
            };
            rest = behind;
            Some((*kind, content))
        })
    }

    fn option(&self, wanted: u8) -> Option<&'a [u8]> {
        self.options().find(|(kind, _)| *kind == wanted).map(|(_, content)| content)
    }

    /// Largest segment that the peer takes; 0: it does not say.
    fn mss(&self) -> u16 {
        self.option(MSS).and_then(|content| word(content, 0)).unwrap_or(0)
    }

    fn scale(&self) -> Option<u8> {
        self.option(WINDOW_SCALE)?.first().copied()
    }
}

/// 1 or 0: whether there is an option of this kind.
fn has<'a>(value: Value<'a>, kind: u8) -> Option<Value<'a>> {
    Some(Value::Int(Segment::whole(value.bytes()?)?.option(kind).is_some().into()))
}

/// What of a SYN tells hosts apart that share an address, in the order of bytes of the manual.
fn fingerprint<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    const CWR: u8 = 0x80;
    const ECE: u8 = 0x40;
    let mode = args.int(0).unwrap_or(0);
    let packet = Packet::read(value.bytes()?)?;
    let segment = Segment::whole(packet.data).filter(|_| packet.protocol == 6)?;
    let mut out = Out::new(cx, 64);
    let hops = match packet.hops {
        0..=32 => 0,
        33..=64 => 1,
        65..=128 => 2,
        129.. => 3,
    };
    let bits = [
        (packet.from.is_ipv6(), 7),
        (packet.whole, 6),
        (packet.options, 3),
        (packet.carried > segment.len, 2),
        (segment.flags() & CWR != 0, 1),
        (segment.flags() & ECE != 0, 0),
    ];
    let bits = bits.iter().filter(|(set, _)| *set).fold(hops << 4, |all, (_, bit)| all | 1 << bit);
    let scale = segment.scale().map_or(0, |scale| scale.saturating_add(1).min(15));
    let kinds = segment.options().fold(0, |all, (kind, _)| match kind {
        2..=8 => all | 1 << (kind - 2),
        9.. => all | 0x80,
        _ => all,
    });
    out.put(&[packet.class, bits, (segment.len as u8 / 4) << 4 | scale])?;
    out.put(&segment.word(14).to_be_bytes())?;
    out.put(&segment.mss().to_be_bytes())?;
    out.put(&[kinds])?;
    if mode & 1 != 0 {
        out.put(&[packet.hops])?;
    }
    if mode & 2 != 0 {
        segment.options().try_for_each(|(kind, _)| out.put(&[kind]))?;
    }
    if mode & 4 != 0 {
        match packet.from {
            IpAddr::V4(ip) => out.put(&ip.octets())?,
            IpAddr::V6(ip) => out.put(&ip.octets())?,
        }
    }
    Some(Value::Bin(out.done()))
}
