//! PostBeacon: randomness that nobody chose, verified on chain in drand quicknet's scheme.

use assay_common::digest::sha256;
use assay_common::event::Event;
use assay_common::ids::{Randomness, Round, Window};
use assay_common::params::Params;
use cosmwasm_std::{Api, HashFunction, HexBinary, Response, Storage, BLS12_381_G2_GENERATOR};

use crate::error::ContractError;
use crate::state::BEACONS;
use crate::sweep;
use crate::tx::Tx;

/// Bytes of a compressed point of G1.
const SIGNATURE_BYTES: usize = 48;
/// Domain separation tag of drand's schemes with signatures in G1 (RFC 9380, bls-unchained-g1-rfc9380).
const DST: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

/// Stores a round's randomness, SHA-256 of its signature.
///
/// # Errors
/// The round draws for no window, is known, or is not signed by the beacon's key.
pub fn post(
    storage: &mut dyn Storage,
    api: &dyn Api,
    tx: &Tx,
    round: Round,
    signature: &HexBinary,
) -> Result<Response, ContractError> {
    let params = &tx.config.params;
    if !draws_for_a_window(params, round) {
        return Err(ContractError::NotABeaconRound { round });
    }
    if BEACONS.has(storage, round.0) {
        return Err(ContractError::BeaconKnown { round });
    }
    if !verify(api, &params.beacon.public_key, round, signature) {
        return Err(ContractError::BadSignature { round });
    }
    let randomness = Randomness(sha256(&[signature]));
    BEACONS.save(storage, round.0, &randomness)?;
    sweep::schedule(storage, sweep::kept_until(params, tx.time.epoch), &sweep::Item::Beacon(round))?;
    Ok(Response::new().add_event(Event::BeaconPosted { round, randomness }))
}

/// Whether the round is Beacon(w) of a window w ≥ 0; the last window whose delay is over at the round's time tells.
fn draws_for_a_window(params: &Params, round: Round) -> bool {
    let (clock, beacon) = (&params.clock, &params.beacon);
    let ended = beacon
        .time(round)
        .checked_sub(u64::from(beacon.delay_seconds))
        .and_then(|latest_end| clock.window(latest_end));
    match ended.and_then(|after| after.0.checked_sub(1)) {
        Some(window) => beacon.round(clock, Window(window)) == round,
        None => false,
    }
}

/// e(signature, g2) = e(H(SHA-256(round)), key); a signature that is no point of G1 verifies nothing.
fn verify(api: &dyn Api, key: &[u8], round: Round, signature: &[u8]) -> bool {
    if signature.len() != SIGNATURE_BYTES {
        return false;
    }
    let message = sha256(&[&round.0.to_be_bytes()]);
    api.bls12_381_hash_to_g1(HashFunction::Sha256, &message, DST)
        .and_then(|point| api.bls12_381_pairing_equality(signature, &BLS12_381_G2_GENERATOR, &point, key))
        .is_ok_and(|equal| equal)
}
