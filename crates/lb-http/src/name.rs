//! Field names that framing, hop-by-hop rules or logs ask for, recognised once. One list; everything derives from it.

macro_rules! names {
    ($($variant:ident = $text:literal,)+) => {
        /// A field name known by number, so that later look-ups compare one byte. `Other` is every name not listed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs)] // each variant is the name it spells
        pub enum FieldId { Other, $($variant,)+ }

        /// Every known name, in lower case.
        const ALL: &[(FieldId, &str)] = &[$((FieldId::$variant, $text),)+];

        impl FieldId {
            /// The name in lower case; empty for `Other`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { FieldId::Other => "", $(FieldId::$variant => $text,)+ }
            }
        }
    };
}

names! {
    Host = "host",
    Connection = "connection",
    ContentLength = "content-length",
    TransferEncoding = "transfer-encoding",
    Upgrade = "upgrade",
    Expect = "expect",
    KeepAlive = "keep-alive",
    ProxyConnection = "proxy-connection",
    Te = "te",
    Trailer = "trailer",
    Cookie = "cookie",
    SetCookie = "set-cookie",
    XForwardedFor = "x-forwarded-for",
    Authorization = "authorization",
    Date = "date",
    Server = "server",
    Via = "via",
    Accept = "accept",
    UserAgent = "user-agent",
    Referer = "referer",
    AcceptEncoding = "accept-encoding",
    AcceptLanguage = "accept-language",
    AcceptRanges = "accept-ranges",
    CacheControl = "cache-control",
    ContentType = "content-type",
    ContentEncoding = "content-encoding",
    LastModified = "last-modified",
    Etag = "etag",
    Location = "location",
    Vary = "vary",
    Origin = "origin",
    IfNoneMatch = "if-none-match",
    IfModifiedSince = "if-modified-since",
    Range = "range",
    Pragma = "pragma",
    Age = "age",
    Expires = "expires",
    Link = "link",
    XForwardedProto = "x-forwarded-proto",
    XRealIp = "x-real-ip",
    XRequestId = "x-request-id",
    SecChUa = "sec-ch-ua",
    SecChUaMobile = "sec-ch-ua-mobile",
    SecChUaPlatform = "sec-ch-ua-platform",
    SecFetchDest = "sec-fetch-dest",
    SecFetchMode = "sec-fetch-mode",
    SecFetchSite = "sec-fetch-site",
    SecFetchUser = "sec-fetch-user",
}

/// A name as three little-endian words, zero behind its end. Longest name: 24 bytes.
type Words = [u64; 3];
const MAX_LEN: usize = 24;
const BIT5: u64 = 0x2020_2020_2020_2020;
const SLOTS: usize = 256;

/// A known name: its words in lower case, and bit 5 where it has letters. A name is the same when its words with these
/// bits set are these words; no byte but the letter's other case can pass for another that way.
#[derive(Clone, Copy)]
struct Known {
    lower: Words,
    letters: Words,
    /// A NUL at the end of a name does not show in its words.
    len: usize,
    id: FieldId,
}

const fn words(name: &[u8]) -> Words {
    let mut w = [0u64; 3];
    let mut i = 0;
    while i < name.len() && i < MAX_LEN {
        w[i / 8] |= (name[i] as u64) << (8 * (i % 8));
        i += 1;
    }
    w
}

/// Fewer than eight bytes as a word.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        // Where both overlap they are the same.
        let (first, last) = (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)));
        return first | last << (8 * (bytes.len() - 4));
    }
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Where a name is looked for; case does not count.
#[inline]
const fn slot(w: &Words, factor: u64) -> usize {
    let key = (w[0] | BIT5) ^ (w[1] | BIT5).rotate_left(29) ^ (w[2] | BIT5).rotate_left(13);
    (key.wrapping_mul(factor) >> 56) as usize
}

/// More than there are names; a power of two, so that an index can be cut to fit.
const ENTRIES: usize = 64;
/// Known names by id; the other entries are nobody.
static KNOWN: [Known; ENTRIES] = KNOWN_CONST;
const KNOWN_CONST: [Known; ENTRIES] = {
    // No name has words of zero but the empty one, which is not looked up.
    let mut t = [Known { lower: [0; 3], letters: [0; 3], len: usize::MAX, id: FieldId::Other }; ENTRIES];
    let mut i = 0;
    while i < ALL.len() {
        let name = ALL[i].1.as_bytes();
        assert!(name.len() > 1 && name.len() <= MAX_LEN);
        let lower = words(name);
        let mut letters = [0u64; 3];
        let mut j = 0;
        while j < name.len() {
            if name[j].is_ascii_lowercase() {
                letters[j / 8] |= 0x20 << (8 * (j % 8));
            }
            j += 1;
        }
        t[ALL[i].0 as usize] = Known { lower, letters, len: name.len(), id: ALL[i].0 };
        i += 1;
    }
    t
};

/// A factor that gives each name a slot of its own, and the slots as indices of `KNOWN`.
const HASH: (u64, [u8; SLOTS]) = {
    let mut factor = 0x9e37_79b9_7f4a_7c15u64;
    loop {
        let mut slots = [0u8; SLOTS];
        let mut i = 1;
        while i <= ALL.len() {
            let s = slot(&KNOWN_CONST[i].lower, factor);
            if slots[s] != 0 {
                break;
            }
            slots[s] = i as u8;
            i += 1;
        }
        if i > ALL.len() {
            break (factor, slots);
        }
        factor = factor.wrapping_mul(0xd134_2543_de82_ef95) | 1;
    }
};
static SLOT: [u8; SLOTS] = HASH.1;

impl FieldId {
    /// Recognises `name`, in any case.
    #[must_use]
    pub fn of(name: &[u8]) -> FieldId {
        if name.len() > MAX_LEN {
            return FieldId::Other;
        }
        let (whole, rest) = name.as_chunks::<8>();
        let mut words = [0u64; 3];
        for (word, bytes) in words.iter_mut().zip(whole) {
            *word = u64::from_le_bytes(*bytes);
        }
        if let Some(word) = words.get_mut(whole.len()) {
            *word = short_word(rest);
        }
        FieldId::of_words(words, name.len())
    }

    /// Recognises a name of `len` bytes given as the words that it needs (or more), zero behind its end.
    #[inline(always)]
    pub(crate) fn of_words<const N: usize>(name: [u64; N], len: usize) -> FieldId {
        let all = [0, 1, 2].map(|i| name.get(i).copied().unwrap_or(0));
        let known = &KNOWN[usize::from(SLOT[slot(&all, HASH.0) & (SLOTS - 1)]) & (ENTRIES - 1)];
        // A known name of this length has no further words either.
        let same = (0..N).all(|i| name[i] | known.letters[i] == known.lower[i]);
        if same && known.len == len { known.id } else { FieldId::Other }
    }

    /// Writes the name in lower case over the front of `line`, where it stands in some case. False when it is not known or
    /// too few bytes follow.
    #[inline]
    pub(crate) fn write_lower(self, line: &mut [u8]) -> bool {
        if self == FieldId::Other {
            return false;
        }
        let letters = &KNOWN[usize::from(self as u8) & (ENTRIES - 1)].letters;
        let set = |word: &mut [u8; 8], i: usize| *word = (u64::from_le_bytes(*word) | letters[i]).to_le_bytes();
        let (words, _) = line.as_chunks_mut::<8>();
        match words {
            [a, ..] if letters[1] == 0 => set(a, 0),
            [a, b, ..] if letters[2] == 0 => {
                set(a, 0);
                set(b, 1);
            }
            [a, b, c, ..] => {
                set(a, 0);
                set(b, 1);
                set(c, 2);
            }
            _ => return false,
        }
        true
    }

    /// This name's bit in a set of names; 0 for `Other`.
    #[inline]
    pub(crate) fn bit(self) -> u64 {
        (1u64 << self as u8) & !1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_nothing_else() {
        assert!(ALL.len() < 64, "the set of names is one u64");
        for &(id, text) in ALL {
            assert_eq!(FieldId::of(text.as_bytes()), id);
            assert_eq!(FieldId::of(text.to_uppercase().as_bytes()), id);
            assert_eq!(id.name(), text);
            assert_eq!(FieldId::of(&text.as_bytes()[1..]), FieldId::Other);
            // '-' with bit 5 cleared is CR: it must not count as '-'.
            assert_eq!(FieldId::of(text.replace('-', "\r").as_bytes()) == id, !text.contains('-'));
            for spelled in [text.to_owned(), text.to_uppercase()] {
                let mut line = format!("{spelled}: VALUE that is long enough\r\nNext").into_bytes();
                assert!(id.write_lower(&mut line));
                assert_eq!(line, format!("{text}: VALUE that is long enough\r\nNext").into_bytes());
            }
            // Every byte counts.
            for at in 0..text.len() {
                for wrong in 0..=255u8 {
                    let mut name = text.to_owned().into_bytes();
                    name[at] = wrong;
                    assert_eq!(FieldId::of(&name) == id, name.eq_ignore_ascii_case(text.as_bytes()), "{text} {at} {wrong}");
                }
            }
        }
        assert_eq!(FieldId::of(b"host\0"), FieldId::Other);
        assert_eq!(FieldId::of(b"if-modified-since-when-is-it"), FieldId::Other);
        assert_eq!(FieldId::of(b""), FieldId::Other);
        assert_eq!(FieldId::of(&[b'a'; 300]), FieldId::Other);
        assert_eq!(FieldId::Other.bit(), 0);
    }
}
