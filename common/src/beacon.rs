//! A round of the randomness beacon, in the scheme of drand quicknet (`bls-unchained-g1-rfc9380`): what its key signs, and the
//! randomness that the signature gives. <https://drand.love/docs/specification/>

use crate::digest::sha256;
use crate::ids::{Randomness, Round};

/// Bytes of a signature, a compressed point of G1.
pub const SIGNATURE_BYTES: usize = 48;
/// Domain separation tag of the hash to G1 (RFC 9380).
pub const DST: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

/// The message of a round, which is hashed to G1: SHA-256 of its number as eight bytes, big-endian.
pub fn message(round: Round) -> [u8; 32] {
    sha256(&[&round.0.to_be_bytes()])
}

/// SHA-256 of a round's signature.
pub fn randomness(signature: &[u8]) -> Randomness {
    Randomness(sha256(&[signature]))
}
