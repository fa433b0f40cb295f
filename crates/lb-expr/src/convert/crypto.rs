//! Digests, message authentication, AES in GCM and CBC. Manual 7.3.1; CBC as in that of 3.4.
//!
//! Digests are those of OpenSSL's names that are still worth something, and MD5, SHA-1, RIPEMD-160, which others still send.

use super::Out;
use super::encode::base64;
use crate::sample::{Arg, ArgKind, Args, Converter, Cx, Loader, OwnedValue, Type, Value, args};
use aes_gcm::aead::array::{Array, ArraySize};
use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, BlockSizeUser};
use aes_gcm::aes::{Aes128, Aes192, Aes256};
use aes_gcm::{AeadInOut, AesGcm, KeyInit};
use sha2::Digest;
use subtle::ConstantTimeEq as _;

const STR: ArgKind = ArgKind::Str;
const INT: ArgKind = ArgKind::Int;

pub(super) const TABLE: &[Converter] = &[
    Converter::new("sha1", &[], 0, Type::Bin, Type::Bin, |_, value, cx| Some(Value::Bin(Algorithm::Sha1.digest(&[value.bytes()?], cx)))),
    Converter::new("sha2", &[INT], 0, Type::Bin, Type::Bin, digest).checked(|args, _| {
        let algorithm = match args.first() {
            Some(Arg::Int(224)) => Algorithm::Sha224,
            None | Some(Arg::Absent | Arg::Int(256)) => Algorithm::Sha256,
            Some(Arg::Int(384)) => Algorithm::Sha384,
            Some(Arg::Int(512)) => Algorithm::Sha512,
            Some(Arg::Int(other)) => return Err(format!("Unsupported number of bits: '{other}'")),
            _ => return Ok(()),
        };
        *args = vec![Arg::made(algorithm)];
        Ok(())
    }),
    Converter::new("digest", &[STR], 1, Type::Bin, Type::Bin, digest).checked(algorithm),
    Converter::new("hmac", &[STR, STR], 2, Type::Bin, Type::Bin, hmac).checked(|args, loader| {
        algorithm(args, loader)?;
        args.get_mut(1).map_or(Ok(()), |arg| secret(arg, "key", loader))
    }),
    Converter::new("secure_memcmp", &[STR], 1, Type::Bin, Type::Bool, secure_memcmp)
        .checked(|args, loader| args.first_mut().map_or(Ok(()), |arg| super::variable_name(arg, false, loader))),
    Converter::new("aes_cbc_dec", &[INT, STR, STR], 3, Type::Bin, Type::Bin, |args, value, cx| cbc(args, value, cx, false))
        .checked(cbc_args),
    Converter::new("aes_cbc_enc", &[INT, STR, STR], 3, Type::Bin, Type::Bin, |args, value, cx| cbc(args, value, cx, true))
        .checked(cbc_args),
    Converter::new("aes_gcm_dec", &[INT, STR, STR, STR], 4, Type::Bin, Type::Bin, aes_gcm_dec).checked(|args, loader| {
        key_bits(args)?;
        for (arg, name) in args.iter_mut().skip(1).zip(["nonce", "key", "aead_tag"]) {
            secret(arg, name, loader)?;
        }
        Ok(())
    }),
    Converter::new("aes_gcm_enc", &[INT, STR, STR, STR], 4, Type::Bin, Type::Bin, aes_gcm_enc).checked(|args, loader| {
        key_bits(args)?;
        for (arg, name) in args.iter_mut().skip(1).zip(["nonce", "key"]) {
            secret(arg, name, loader)?;
        }
        let Some(tag) = args.get_mut(3) else { return Ok(()) };
        let variable = args::variable(tag.text(), loader).map_err(|why| format!("failed to parse aead_tag : {why}"))?;
        *tag = Arg::Variable(variable);
        Ok(())
    }),
];

/// A digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512_224,
    Sha512_256,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
    Blake2b512,
    Blake2s256,
    Ripemd160,
}

impl Algorithm {
    /// By a name of OpenSSL.
    fn of(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = name.strip_prefix("rsa-").unwrap_or(&name);
        Some(match name {
            "md5" | "ssl3-md5" => Self::Md5,
            "sha1" | "sha-1" | "ssl3-sha1" => Self::Sha1,
            "sha224" | "sha-224" | "sha2-224" => Self::Sha224,
            "sha256" | "sha-256" | "sha2-256" => Self::Sha256,
            "sha384" | "sha-384" | "sha2-384" => Self::Sha384,
            "sha512" | "sha-512" | "sha2-512" => Self::Sha512,
            "sha512-224" | "sha-512/224" | "sha2-512/224" | "sha512/224" => Self::Sha512_224,
            "sha512-256" | "sha-512/256" | "sha2-512/256" | "sha512/256" => Self::Sha512_256,
            "sha3-224" => Self::Sha3_224,
            "sha3-256" => Self::Sha3_256,
            "sha3-384" => Self::Sha3_384,
            "sha3-512" => Self::Sha3_512,
            "blake2b512" | "blake2b-512" => Self::Blake2b512,
            "blake2s256" | "blake2s-256" => Self::Blake2s256,
            "ripemd" | "ripemd160" | "ripemd-160" | "rmd160" => Self::Ripemd160,
            _ => return None,
        })
    }

    /// Bytes of a block, for HMAC.
    fn block(self) -> usize {
        match self {
            Self::Sha384 | Self::Sha512 | Self::Sha512_224 | Self::Sha512_256 | Self::Blake2b512 => 128,
            Self::Sha3_224 => 144,
            Self::Sha3_256 => 136,
            Self::Sha3_384 => 104,
            Self::Sha3_512 => 72,
            _ => 64,
        }
    }

    /// Digest of the parts one after the other.
    fn digest<'a>(self, parts: &[&[u8]], cx: Cx<'a>) -> &'a [u8] {
        fn of<'a, D: Digest>(parts: &[&[u8]], cx: Cx<'a>) -> &'a [u8] {
            let mut digest = D::new();
            parts.iter().for_each(|part| digest.update(part));
            cx.keep(&digest.finalize())
        }
        match self {
            Self::Md5 => of::<md5::Md5>(parts, cx),
            Self::Sha1 => of::<sha1::Sha1>(parts, cx),
            Self::Sha224 => of::<sha2::Sha224>(parts, cx),
            Self::Sha256 => of::<sha2::Sha256>(parts, cx),
            Self::Sha384 => of::<sha2::Sha384>(parts, cx),
            Self::Sha512 => of::<sha2::Sha512>(parts, cx),
            Self::Sha512_224 => of::<sha2::Sha512_224>(parts, cx),
            Self::Sha512_256 => of::<sha2::Sha512_256>(parts, cx),
            Self::Sha3_224 => of::<sha3::Sha3_224>(parts, cx),
            Self::Sha3_256 => of::<sha3::Sha3_256>(parts, cx),
            Self::Sha3_384 => of::<sha3::Sha3_384>(parts, cx),
            Self::Sha3_512 => of::<sha3::Sha3_512>(parts, cx),
            Self::Blake2b512 => of::<blake2::Blake2b512>(parts, cx),
            Self::Blake2s256 => of::<blake2::Blake2s256>(parts, cx),
            Self::Ripemd160 => of::<ripemd::Ripemd160>(parts, cx),
        }
    }

    /// RFC 2104.
    pub(super) fn hmac<'a>(self, key: &[u8], message: &[u8], cx: Cx<'a>) -> &'a [u8] {
        let key = if key.len() > self.block() { self.digest(&[key], cx) } else { key };
        let mut padded = [0u8; 144];
        padded[..key.len()].copy_from_slice(key);
        let inner = padded.map(|b| b ^ 0x36);
        let outer = padded.map(|b| b ^ 0x5c);
        let inner = self.digest(&[&inner[..self.block()], message], cx);
        self.digest(&[&outer[..self.block()], inner], cx)
    }
}

fn algorithm(args: &mut Vec<Arg>, _: &mut dyn Loader) -> Result<(), String> {
    let Some(arg) = args.first_mut() else { return Ok(()) };
    let algorithm = Algorithm::of(arg.text()).ok_or("algorithm must be a valid OpenSSL message digest name.")?;
    *arg = Arg::made(algorithm);
    Ok(())
}

fn digest<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    Some(Value::Bin(args.made::<Algorithm>(0)?.digest(&[value.bytes()?], cx)))
}

fn hmac<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let key = revealed(args, 1, cx)?;
    Some(Value::Bin(args.made::<Algorithm>(0)?.hmac(key, value.bytes()?, cx)))
}

/// Bytes that the configuration has in base64.
struct Secret(Box<[u8]>);

/// Takes a variable, or bytes in base64.
fn secret(arg: &mut Arg, name: &str, loader: &mut dyn Loader) -> Result<(), String> {
    let text = arg.text();
    *arg = match args::variable(text, loader) {
        Ok(variable) => Arg::Variable(variable),
        Err(_) => {
            let mut bytes = Vec::new();
            let read = base64(text.as_bytes(), |part| {
                bytes.extend_from_slice(part);
                Some(())
            });
            read.ok_or_else(|| {
                format!("failed to parse {name} : argument needs to be base64 encoded, and can either be a string or a variable")
            })?;
            Arg::made(Secret(bytes.into()))
        }
    };
    Ok(())
}

/// The bytes of such an argument; a variable has them in base64 too.
fn revealed<'a>(args: &'a Args, n: usize, cx: Cx<'a>) -> Option<&'a [u8]> {
    if let Some(Secret(bytes)) = args.made(n) {
        return Some(bytes);
    }
    let text = super::text_of(args, n, cx)?;
    let mut out = Out::new(cx, text.len());
    base64(text, |bytes| out.put(bytes))?;
    Some(out.done())
}

fn secure_memcmp<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let other = cx.source.variable(args.variable(0)?, cx.scratch)?.cast(Type::Bin, cx.scratch)?;
    Some(Value::Bool(value.bytes()?.ct_eq(other.bytes()?).into()))
}

fn key_bits(args: &[Arg]) -> Result<(), String> {
    match args.first() {
        Some(Arg::Int(128 | 192 | 256)) => Ok(()),
        _ => Err("key size must be 128, 192 or 256 (bits).".into()),
    }
}

/// Which way.
enum Gcm<'t> {
    Encrypt,
    Decrypt(&'t [u8]),
}

/// Works on the bytes in place; gives the tag. Nonces of 12 bytes, as everybody has them, and of 16.
fn gcm(bits: i64, nonce: &[u8], key: &[u8], bytes: &mut [u8], way: &Gcm<'_>) -> Option<[u8; 16]> {
    fn with<C, N: ArraySize>(nonce: &[u8], key: &[u8], bytes: &mut [u8], way: &Gcm<'_>) -> Option<[u8; 16]>
    where
        C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + KeyInit,
        AesGcm<C, N>: KeyInit + AeadInOut<NonceSize = N, TagSize = U16>,
    {
        let cipher = <AesGcm<C, N> as KeyInit>::new_from_slice(key).ok()?;
        let nonce = <&Array<u8, N>>::try_from(nonce).ok()?;
        match way {
            Gcm::Encrypt => cipher.encrypt_inout_detached(nonce, b"", bytes.into()).ok().map(Into::into),
            Gcm::Decrypt(tag) => {
                let tag = <&Array<u8, U16>>::try_from(*tag).ok()?;
                cipher.decrypt_inout_detached(nonce, b"", bytes.into(), tag).ok()?;
                Some((*tag).into())
            }
        }
    }
    match (bits, nonce.len()) {
        (128, 12) => with::<Aes128, U12>(nonce, key, bytes, way),
        (192, 12) => with::<Aes192, U12>(nonce, key, bytes, way),
        (256, 12) => with::<Aes256, U12>(nonce, key, bytes, way),
        (128, 16) => with::<Aes128, U16>(nonce, key, bytes, way),
        (192, 16) => with::<Aes192, U16>(nonce, key, bytes, way),
        (256, 16) => with::<Aes256, U16>(nonce, key, bytes, way),
        _ => None,
    }
}

fn aes_gcm_dec<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let bytes = cx.scratch.alloc_slice_copy(value.bytes()?);
    gcm(args.int(0)?, revealed(args, 1, cx)?, revealed(args, 2, cx)?, bytes, &Gcm::Decrypt(revealed(args, 3, cx)?))?;
    Some(Value::Bin(bytes))
}

/// The tag goes to its variable, in base64.
fn aes_gcm_enc<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let bytes = cx.scratch.alloc_slice_copy(value.bytes()?);
    let tag = gcm(args.int(0)?, revealed(args, 1, cx)?, revealed(args, 2, cx)?, bytes, &Gcm::Encrypt)?;
    let tag = super::encode::padded(&tag, cx)?;
    cx.source.set_variable(args.variable(3)?, Some(OwnedValue::Str(tag.into())));
    Some(Value::Bin(bytes))
}

fn cbc_args(args: &mut Vec<Arg>, loader: &mut dyn Loader) -> Result<(), String> {
    key_bits(args)?;
    args.iter_mut().skip(1).zip(["nonce", "key"]).try_for_each(|(arg, name)| secret(arg, name, loader))
}

/// AES-CBC with the padding of PKCS #7 (RFC 5652 §6.3). Bytes that do not decrypt to such a padding are no sample.
fn cbc<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>, encrypt: bool) -> Option<Value<'a>> {
    const BLOCK: usize = 16;
    fn with<'a, C>(key: &[u8], nonce: &[u8], text: &[u8], encrypt: bool, cx: Cx<'a>) -> Option<&'a [u8]>
    where
        C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + BlockCipherDecrypt + KeyInit,
    {
        let cipher = C::new_from_slice(key).ok()?;
        let mut before = <[u8; BLOCK]>::try_from(nonce).ok()?;
        let mut out = Out::new(cx, text.len() + BLOCK);
        let xor = |block: &mut [u8], other: &[u8]| block.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
        if encrypt {
            let padding = BLOCK - text.len() % BLOCK;
            let (blocks, rest) = text.as_chunks::<BLOCK>();
            let mut last = [padding as u8; BLOCK];
            last[..rest.len()].copy_from_slice(rest);
            for block in blocks.iter().chain([&last]) {
                xor(&mut before, block);
                cipher.encrypt_block((&mut before).into());
                out.put(&before)?;
            }
            return Some(out.done());
        }
        let (blocks, rest) = text.as_chunks::<BLOCK>();
        if !rest.is_empty() {
            return None;
        }
        for block in blocks {
            let mut plain = *block;
            cipher.decrypt_block((&mut plain).into());
            xor(&mut plain, &before);
            before = *block;
            out.put(&plain)?;
        }
        let plain = out.done();
        let padding = usize::from(*plain.last()?);
        let (text, padded) = plain.split_at(plain.len().checked_sub(padding)?);
        ((1..=BLOCK).contains(&padding) && padded.iter().all(|byte| usize::from(*byte) == padding)).then_some(text)
    }
    let (nonce, key, text) = (revealed(args, 1, cx)?, revealed(args, 2, cx)?, value.bytes()?);
    let made = match args.int(0)? {
        128 => with::<Aes128>(key, nonce, text, encrypt, cx),
        192 => with::<Aes192>(key, nonce, text, encrypt, cx),
        _ => with::<Aes256>(key, nonce, text, encrypt, cx),
    };
    made.map(Value::Bin)
}
