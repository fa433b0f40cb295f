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
}

const MAX_LEN: usize = 17;
/// Most names of one length.
const PER_LEN: usize = 6;

/// Names by length, so that a look-up compares a few candidates at most.
const BY_LEN: [[u8; PER_LEN]; MAX_LEN + 1] = {
    let mut t = [[0u8; PER_LEN]; MAX_LEN + 1];
    let mut i = 0;
    while i < ALL.len() {
        let row = &mut t[ALL[i].1.len()];
        let mut j = 0;
        while row[j] != 0 {
            j += 1; // a row that is too short fails to compile here
        }
        row[j] = i as u8 + 1;
        i += 1;
    }
    t
};

impl FieldId {
    /// Recognises `name`, in any case.
    #[must_use]
    #[inline]
    pub fn of(name: &[u8]) -> FieldId {
        let (Some(row), Some(first)) = (BY_LEN.get(name.len()), name.first()) else { return FieldId::Other };
        for &slot in row {
            if slot == 0 {
                break;
            }
            let (id, text) = ALL[slot as usize - 1];
            if text.as_bytes()[0] == first | 0x20 && text.as_bytes().eq_ignore_ascii_case(name) {
                return id;
            }
        }
        FieldId::Other
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
        }
        assert_eq!(FieldId::of(b""), FieldId::Other);
        assert_eq!(FieldId::of(&[b'a'; 300]), FieldId::Other);
        assert_eq!(FieldId::Other.bit(), 0);
    }
}
