//! MQTT: the first packet of a client and the answer to it. Manual 7.3.1; MQTT 3.1, 3.1.1 and 5.0.
//!
//! Holds: one pass over the packet.

use crate::sample::{Arg, ArgKind, Args, Converter, Cx, Loader, Type, Value};

pub(super) const TABLE: &[Converter] = &[
    Converter::new("mqtt_is_valid", &[], 0, Type::Bin, Type::Bool, is_valid),
    Converter::new("mqtt_field_value", &[ArgKind::Str, ArgKind::Str], 2, Type::Bin, Type::Str, field_value).checked(wanted),
];

const CONNECT: u8 = 1;
const CONNACK: u8 = 2;

/// Which field of which packet.
struct Wanted {
    packet: u8,
    field: Field,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Flags,
    ProtocolName,
    ProtocolVersion,
    ClientIdentifier,
    WillTopic,
    WillPayload,
    Username,
    Password,
    Keepalive,
    ReasonCode,
    Property(u8),
}

/// How a property is written.
#[derive(Clone, Copy)]
enum Kind {
    Byte,
    Two,
    Four,
    Text,
    /// Two texts, any number of times; asked for, there is none.
    Pair,
}

fn property(id: u8, packet: u8, will: bool) -> Option<Kind> {
    let in_connect = packet == CONNECT;
    Some(match id {
        1 if will => Kind::Byte,
        2 | 24 if will => Kind::Four,
        3 | 8 | 9 if will => Kind::Text,
        38 => Kind::Pair,
        _ if will => return None,
        17 | 39 => Kind::Four,
        33 | 34 => Kind::Two,
        21 | 22 => Kind::Text,
        23 | 25 if in_connect => Kind::Byte,
        19 if !in_connect => Kind::Two,
        18 | 26 | 28 | 31 if !in_connect => Kind::Text,
        36 | 37 | 40 | 41 | 42 if !in_connect => Kind::Byte,
        _ => return None,
    })
}

fn wanted(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    let [kind, name, ..] = args.as_slice() else { return Ok(()) };
    let (kind, name) = (kind.text(), name.text());
    const TYPES: [&str; 15] = [
        "connect",
        "connack",
        "publish",
        "puback",
        "pubrec",
        "pubrel",
        "pubcomp",
        "subscribe",
        "suback",
        "unsubscribe",
        "unsuback",
        "pingreq",
        "pingresp",
        "disconnect",
        "auth",
    ];
    let by_name = TYPES.iter().position(|known| known.eq_ignore_ascii_case(kind)).map(|n| n as u8 + 1);
    let packet = by_name.or_else(|| kind.parse().ok().filter(|n| (1..=15).contains(n)));
    let packet = packet.ok_or_else(|| format!("Unknown MQTT type '{kind}'"))?;
    let connect = packet == CONNECT;
    let field = match name.to_ascii_lowercase().as_str() {
        "flags" => Some(Field::Flags),
        "protocol_version" => Some(Field::ProtocolVersion),
        "protocol_name" if connect => Some(Field::ProtocolName),
        "client_identifier" if connect => Some(Field::ClientIdentifier),
        "will_topic" if connect => Some(Field::WillTopic),
        "will_payload" if connect => Some(Field::WillPayload),
        "username" if connect => Some(Field::Username),
        "password" if connect => Some(Field::Password),
        "keepalive" if connect => Some(Field::Keepalive),
        "reason_code" if packet == CONNACK => Some(Field::ReasonCode),
        number => number
            .parse()
            .ok()
            .filter(|id| {
                let known = |will| property(*id, packet, will).is_some();
                known(false) || (connect && known(true))
            })
            .map(Field::Property),
    };
    let field = field.filter(|_| matches!(packet, CONNECT | CONNACK));
    let field = field.ok_or_else(|| format!("Unknown MQTT field name '{name}' for packet type '{kind}'"))?;
    *args = vec![Arg::made(Wanted { packet, field })];
    Ok(())
}

enum Missing {
    Invalid,
    Incomplete,
}

/// Bytes of a packet, read from the front.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, len: usize) -> Option<u32> {
        Some(self.take(len)?.iter().fold(0, |n, b| n << 8 | u32::from(*b)))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let len = self.number(2)?;
        self.take(len as usize)
    }

    /// Up to four bytes of seven bits. `Ok(None)`: they are not all there.
    fn length(&mut self) -> Result<Option<usize>, ()> {
        let mut n = 0;
        for shift in [0, 7, 14, 21] {
            let Some(byte) = self.number(1) else { return Ok(None) };
            n |= (byte as usize & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(Some(n));
            }
        }
        Err(())
    }
}

/// What a packet says, with the one property that is asked for.
#[derive(Default)]
struct Packet<'a> {
    kind: u8,
    flags: u8,
    version: u8,
    name: &'a [u8],
    keepalive: u32,
    reason: u8,
    client: &'a [u8],
    will: Option<(&'a [u8], &'a [u8])>,
    username: Option<&'a [u8]>,
    password: Option<&'a [u8]>,
    property: Option<Value<'a>>,
}

/// Version 5 of the protocol.
const WITH_PROPERTIES: u8 = 5;

impl<'a> Packet<'a> {
    fn read(bytes: &'a [u8], asked: Option<u8>) -> Result<Self, Missing> {
        let mut reader = Reader(bytes);
        let first = reader.number(1).ok_or(Missing::Incomplete)?;
        let kind = (first >> 4) as u8;
        // Publish carries flags in these bits, and is not read anyway.
        if first & 15 != 0 || !matches!(kind, CONNECT | CONNACK) {
            return Err(Missing::Invalid);
        }
        let len = reader.length().map_err(|()| Missing::Invalid)?.ok_or(Missing::Incomplete)?;
        let body = reader.take(len).ok_or(Missing::Incomplete)?;
        // A client may have sent more at once, the answer to the first packet is alone.
        if kind == CONNACK && !reader.0.is_empty() {
            return Err(Missing::Invalid);
        }
        let mut packet = Self { kind, ..Self::default() };
        let mut body = Reader(body);
        let read = if kind == CONNECT { packet.connect(&mut body, asked) } else { packet.connack(&mut body, asked) };
        match read {
            Some(()) if body.0.is_empty() => Ok(packet),
            _ => Err(Missing::Invalid),
        }
    }

    fn connect(&mut self, body: &mut Reader<'a>, asked: Option<u8>) -> Option<()> {
        self.name = body.text()?;
        self.version = body.number(1)? as u8;
        match (self.name, self.version) {
            (b"MQIsdp", 3) | (b"MQTT", 4 | 5) => {}
            _ => return None,
        }
        self.flags = body.number(1)? as u8;
        let (user, pass, will) = (self.flags & 0x80 != 0, self.flags & 0x40 != 0, self.flags & 4 != 0);
        let quality = self.flags >> 3 & 3;
        if self.flags & 1 != 0 || quality == 3 || (pass && !user) {
            return None;
        }
        self.keepalive = body.number(2)?;
        self.properties(body, asked, false)?;
        self.client = body.text()?;
        if will {
            self.properties(body, asked, true)?;
            self.will = Some((body.text()?, body.text()?));
        }
        self.username = if user { Some(body.text()?) } else { None };
        self.password = if pass { Some(body.text()?) } else { None };
        Some(())
    }

    fn connack(&mut self, body: &mut Reader<'a>, asked: Option<u8>) -> Option<()> {
        self.flags = body.number(1)? as u8;
        self.reason = body.number(1)? as u8;
        if self.flags & 0xfe != 0 {
            return None;
        }
        // Only version 5 has more.
        self.version = if body.0.is_empty() { 4 } else { WITH_PROPERTIES };
        self.properties(body, asked, false)
    }

    fn properties(&mut self, body: &mut Reader<'a>, asked: Option<u8>, will: bool) -> Option<()> {
        if self.version < WITH_PROPERTIES {
            return Some(());
        }
        let len = body.length().ok()??;
        let mut list = Reader(body.take(len)?);
        let mut seen = 0u64;
        while !list.0.is_empty() {
            let id = list.number(1)? as u8;
            let kind = property(id, self.kind, will)?;
            let value = match kind {
                Kind::Byte => Value::Int(list.number(1)?.into()),
                Kind::Two => Value::Int(list.number(2)?.into()),
                Kind::Four => Value::Int(list.number(4)?.into()),
                Kind::Text => Value::Str(list.text()?),
                Kind::Pair => {
                    list.text()?;
                    list.text()?;
                    continue;
                }
            };
            if seen & 1 << id != 0 {
                return None;
            }
            seen |= 1 << id;
            if asked == Some(id) {
                self.property = Some(value);
            }
        }
        Some(())
    }
}

/// False when it is wrong, absent when it is not all there.
fn is_valid<'a>(_: &'a Args, value: Value<'a>, _: Cx<'a>) -> Option<Value<'a>> {
    match Packet::read(value.bytes()?, None) {
        Ok(_) => Some(Value::Bool(true)),
        Err(Missing::Invalid) => Some(Value::Bool(false)),
        Err(Missing::Incomplete) => None,
    }
}

fn field_value<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let Wanted { packet: kind, field } = args.made::<Wanted>(0)?;
    let asked = if let Field::Property(id) = field { Some(*id) } else { None };
    let packet = Packet::read(value.bytes()?, asked).ok().filter(|packet| packet.kind == *kind)?;
    let number = |n: u32| Value::Int(n.into());
    let found = match field {
        Field::Flags => number(packet.flags.into()),
        Field::ProtocolVersion => number(packet.version.into()),
        Field::ProtocolName => Value::Str(packet.name),
        Field::Keepalive => number(packet.keepalive),
        Field::ReasonCode => number(packet.reason.into()),
        Field::ClientIdentifier => Value::Str(packet.client),
        Field::WillTopic => Value::Str(packet.will?.0),
        Field::WillPayload => Value::Str(packet.will?.1),
        Field::Username => Value::Str(packet.username?),
        Field::Password => Value::Str(packet.password?),
        Field::Property(_) if packet.version < WITH_PROPERTIES => return None,
        // A number that is not there is 0, as in haproxy.
        Field::Property(id) => match packet.property {
            Some(value) => value,
            None => match property(*id, *kind, false).or_else(|| property(*id, *kind, true))? {
                Kind::Text | Kind::Pair => return None,
                _ => number(0),
            },
        },
    };
    Some(Value::Str(found.to_text(cx.scratch))).filter(|text| text.bytes() != Some(b""))
}
