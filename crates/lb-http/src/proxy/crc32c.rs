//! CRC32c (Castagnoli), as RFC 4960 Appendix B.

const TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
};

/// The checksum of the concatenation of `parts`.
///
/// ```
/// assert_eq!(lb_http::proxy::crc32c(&[b"1234", b"56789"]), 0xe306_9283);
/// ```
#[must_use]
pub fn crc32c(parts: &[&[u8]]) -> u32 {
    let step = |crc: u32, &b: &u8| crc >> 8 ^ TABLE[usize::from(crc as u8 ^ b)];
    !parts.iter().fold(!0, |crc, part| part.iter().fold(crc, step))
}
