//! JSON Web Tokens: what they say, and whether their signature is right. Manual 7.3.1; RFC 7515, RFC 7518.
//!
//! Holds: the algorithm is the configuration's, never the token's. Keys are read when the configuration is.

use super::Out;
use super::crypto::Algorithm as Digest;
use super::encode::base64url;
use super::json::{Query, queried, query};
use crate::sample::{Arg, ArgKind, Args, Converter, Cx, Loader, Type, Value, args};

use rsa::pkcs8::DecodePublicKey as _;
use rsa::signature::Verifier;
use subtle::ConstantTimeEq as _;

const STR: ArgKind = ArgKind::Str;

pub(super) const TABLE: &[Converter] = &[
    Converter::new("jwt_header_query", &[STR, STR], 0, Type::Bin, Type::Any, |args, value, cx| part_query(args, value, 0, cx))
        .checked(queried),
    Converter::new("jwt_payload_query", &[STR, STR], 0, Type::Bin, Type::Any, |args, value, cx| part_query(args, value, 1, cx))
        .checked(queried),
    Converter::new("jwt_verify", &[STR, STR], 2, Type::Bin, Type::Int, verify).checked(algorithm_and_key),
];

// What `jwt_verify` gives.
const FAILED: i64 = 0;
const VERIFIED: i64 = 1;
const UNKNOWN_ALGORITHM: i64 = -1;
const INVALID_TOKEN: i64 = -3;
const UNKNOWN_KEY: i64 = -5;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    None,
    Hmac(Digest),
    Rsa(Digest),
    RsaPss(Digest),
    Ec(Digest),
}

impl Algorithm {
    fn of(name: &[u8]) -> Option<Self> {
        if name == b"none" {
            return Some(Self::None);
        }
        let (family, digest) = name.split_at_checked(2)?;
        let digest = match digest {
            b"256" => Digest::Sha256,
            b"384" => Digest::Sha384,
            b"512" => Digest::Sha512,
            _ => return None,
        };
        match family {
            b"HS" => Some(Self::Hmac(digest)),
            b"RS" => Some(Self::Rsa(digest)),
            b"PS" => Some(Self::RsaPss(digest)),
            b"ES" => Some(Self::Ec(digest)),
            _ => None,
        }
    }
}

/// The second argument: a secret, or the path of a public key, which is read if it is one.
struct Key {
    text: Box<[u8]>,
    public: Option<Public>,
}

enum Public {
    Rsa(Box<rsa::PublicKey>),
    P256(p256::ecdsa::VerifyingKey),
    P384(Box<p384::ecdsa::VerifyingKey>),
    P521(Box<p521::ecdsa::VerifyingKey>),
}

impl Public {
    fn read(pem: &str) -> Option<Self> {
        let rsa = || rsa::PublicKey::from_public_key_pem(pem).ok().map(|key| Self::Rsa(Box::new(key)));
        let p256 = || p256::PublicKey::from_public_key_pem(pem).ok().map(|key| Self::P256(key.into()));
        let p384 = || p384::PublicKey::from_public_key_pem(pem).ok().map(|key| Self::P384(Box::new(key.into())));
        let p521 = || p521::PublicKey::from_public_key_pem(pem).ok().map(|key| Self::P521(Box::new(key.into())));
        rsa().or_else(p256).or_else(p384).or_else(p521)
    }

    fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Option<bool> {
        use rsa::{pkcs1v15, pss};
        fn check<S, V: Verifier<S>>(key: &V, message: &[u8], signature: S) -> bool {
            key.verify(message, &signature).is_ok()
        }
        Some(match (self, algorithm) {
            (Self::Rsa(key), Algorithm::Rsa(digest)) => {
                let (key, signature) = (rsa::PublicKey::clone(key), pkcs1v15::Signature::try_from(signature).ok()?);
                match digest {
                    Digest::Sha384 => check(&pkcs1v15::VerifyingKey::<sha2::Sha384>::new(key), message, signature),
                    Digest::Sha512 => check(&pkcs1v15::VerifyingKey::<sha2::Sha512>::new(key), message, signature),
                    _ => check(&pkcs1v15::VerifyingKey::<sha2::Sha256>::new(key), message, signature),
                }
            }
            (Self::Rsa(key), Algorithm::RsaPss(digest)) => {
                let (key, signature) = (rsa::PublicKey::clone(key), pss::Signature::try_from(signature).ok()?);
                match digest {
                    Digest::Sha384 => check(&pss::VerifyingKey::<sha2::Sha384>::new_with_auto_salt_len(key), message, signature),
                    Digest::Sha512 => check(&pss::VerifyingKey::<sha2::Sha512>::new_with_auto_salt_len(key), message, signature),
                    _ => check(&pss::VerifyingKey::<sha2::Sha256>::new_with_auto_salt_len(key), message, signature),
                }
            }
            // Each of these has its curve.
            (Self::P256(key), Algorithm::Ec(Digest::Sha256)) => check(key, message, p256::ecdsa::Signature::from_slice(signature).ok()?),
            (Self::P384(key), Algorithm::Ec(Digest::Sha384)) => check(&**key, message, p384::ecdsa::Signature::from_slice(signature).ok()?),
            (Self::P521(key), Algorithm::Ec(Digest::Sha512)) => check(&**key, message, p521::ecdsa::Signature::from_slice(signature).ok()?),
            _ => return None,
        })
    }
}

/// Takes a variable, or whatever `otherwise` makes of the text.
fn variable_or(
    arg: &mut Arg,
    loader: &mut dyn Loader,
    otherwise: impl FnOnce(&str, &mut dyn Loader) -> Result<Arg, String>,
) -> Result<(), String> {
    let text = arg.text();
    *arg = match args::variable(text, loader) {
        Ok(variable) => Arg::Variable(variable),
        Err(_) => otherwise(text, loader)?,
    };
    Ok(())
}

fn algorithm_and_key(args: &mut Vec<Arg>, loader: &mut dyn Loader) -> Result<(), String> {
    let [algorithm, key, ..] = args.as_mut_slice() else { return Ok(()) };
    // A secret is no path.
    let secret = matches!(Algorithm::of(algorithm.text().as_bytes()), Some(Algorithm::Hmac(_) | Algorithm::None));
    variable_or(algorithm, loader, |name, _| {
        Algorithm::of(name.as_bytes()).map(Arg::made).ok_or_else(|| format!("unknown JWT algorithm: {name}"))
    })?;
    variable_or(key, loader, |text, loader| {
        let pem = if secret { None } else { loader.read(text).ok().and_then(|pem| String::from_utf8(pem).ok()) };
        Ok(Arg::made(Key { text: text.as_bytes().into(), public: pem.and_then(|pem| Public::read(&pem)) }))
    })
}

/// The three parts of a token.
fn parts(token: &[u8]) -> Option<[&[u8]; 3]> {
    let mut parts = token.split(|b| *b == b'.');
    let three = [parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(three)
}

fn decoded<'a>(text: &[u8], cx: Cx<'a>) -> Option<&'a [u8]> {
    let mut out = Out::new(cx, text.len());
    base64url(text, |bytes| out.put(bytes))?;
    Some(out.done())
}

fn part_query<'a>(args: &'a Args, value: Value<'a>, part: usize, cx: Cx<'a>) -> Option<Value<'a>> {
    let text = decoded(value.bytes()?.split(|b| *b == b'.').nth(part)?, cx)?;
    match args.made::<Query>(0) {
        Some(wanted) => query(wanted, text, cx),
        None => Some(Value::Str(text)),
    }
}

fn verify<'a>(args: &'a Args, value: Value<'a>, cx: Cx<'a>) -> Option<Value<'a>> {
    let token = value.bytes()?;
    let algorithm = match args.made::<Algorithm>(0) {
        Some(algorithm) => *algorithm,
        None => match Algorithm::of(super::text_of(args, 0, cx)?) {
            Some(algorithm) => algorithm,
            None => return Some(Value::Int(UNKNOWN_ALGORITHM)),
        },
    };
    let key = args.made::<Key>(1);
    let secret = match key {
        Some(key) => &key.text,
        None => super::text_of(args, 1, cx)?,
    };
    Some(Value::Int(verdict(token, algorithm, secret, key.and_then(|key| key.public.as_ref()), cx)))
}

fn verdict(token: &[u8], algorithm: Algorithm, secret: &[u8], public: Option<&Public>, cx: Cx<'_>) -> i64 {
    let Some([header, payload, signature]) = parts(token) else { return INVALID_TOKEN };
    if algorithm == Algorithm::None {
        return if signature.is_empty() { VERIFIED } else { FAILED };
    }
    let Some(signature) = decoded(signature, cx).filter(|signature| !signature.is_empty()) else { return INVALID_TOKEN };
    let message = &token[..header.len() + 1 + payload.len()];
    let right = match (algorithm, public) {
        (Algorithm::Hmac(digest), _) => digest.hmac(secret, message, cx).ct_eq(signature).into(),
        (_, None) => return UNKNOWN_KEY,
        (algorithm, Some(key)) => key.verifies(algorithm, message, signature).unwrap_or(false),
    };
    if right { VERIFIED } else { FAILED }
}
