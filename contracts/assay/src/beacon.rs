//! PostBeacon: randomness that nobody chose, verified on chain in drand quicknet's scheme.

use std::borrow::Cow;

use assay_common::beacon::{message, randomness, DST, SIGNATURE_BYTES};
use assay_common::event::Event;
use assay_common::ids::{Epoch, Randomness, Round, Window};
use assay_common::params::BeaconParams;
use cosmwasm_std::{Api, HashFunction, HexBinary, Response, Storage, BLS12_381_G2_GENERATOR};

use crate::error::ContractError;
use crate::state::{Beacon, BEACONS};
use crate::sweep;
use crate::tx::{Config, Tx};

/// Epochs after its own in which a window waits for its beacon; then it takes that of the parameters in force.
const RESCUE_AFTER: u64 = 2;

/// Stores the randomness of Beacon(`window`), SHA-256 of the signature of its round.
///
/// A window of the present epoch may be yet to end: where the chain's clock is that late, whoever posts keeps others from
/// committing to what they can see drawn.
///
/// # Errors
/// The window's epoch has not begun, its beacon is known, or its round is not signed by the beacon's key.
pub fn post(
    storage: &mut dyn Storage,
    api: &dyn Api,
    tx: &Tx,
    window: Window,
    signature: &HexBinary,
) -> Result<Response, ContractError> {
    let (epoch, now) = (tx.config.params.clock.epoch(window), tx.time.epoch);
    if epoch > now {
        return Err(ContractError::EpochNotBegun { window, epoch, now });
    }
    if BEACONS.has(storage, window.0) {
        return Err(ContractError::BeaconKnown { window });
    }
    let (round, beacon) = of_window(storage, &tx.config, (window, now))?;
    if !verify(api, &beacon.public_key, round, signature) {
        return Err(ContractError::BadSignature { window, round });
    }
    let randomness = randomness(signature);
    BEACONS.save(storage, window.0, &Beacon { round, randomness })?;
    let kept = sweep::kept_until(&tx.config.params, now);
    sweep::schedule(storage, kept, &sweep::Item::Beacon(window))?;
    Ok(Response::new().add_event(Event::BeaconPosted { window, round, randomness }))
}

/// The round that is Beacon(`window`) in epoch `now`, and the schedule and key that it is of.
///
/// They are those of the window's epoch, whatever they are now: a batch is drawn by the beacon under which it was committed. But a
/// key that governance got wrong signs nothing, and would leave the batches of its epochs without a draw for ever; so a window
/// for which nobody has posted until its epoch is long over takes the beacon of the parameters in force. At each time one
/// beacon draws for a window, and none that is posted is posted again under another.
///
/// # Errors
/// The window is earlier than every stored batch.
pub fn of_window(
    storage: &dyn Storage,
    config: &Config,
    (window, now): (Window, Epoch),
) -> Result<(Round, BeaconParams), ContractError> {
    let own = config.params.clock.epoch(window);
    let params = if now.0 > own.0.saturating_add(RESCUE_AFTER) {
        Cow::Borrowed(&config.params)
    } else {
        config.params_of(storage, own)?
    };
    Ok((params.beacon.round(&params.clock, window), params.beacon.clone()))
}

/// The round that drew for a window, or that would if it were posted in epoch `now`, and its randomness.
///
/// # Errors
/// As [`of_window`].
pub fn known(
    storage: &dyn Storage,
    config: &Config,
    at: (Window, Epoch),
) -> Result<(Round, Option<Randomness>), ContractError> {
    Ok(match BEACONS.may_load(storage, at.0 .0)? {
        Some(Beacon { round, randomness }) => (round, Some(randomness)),
        None => (of_window(storage, config, at)?.0, None),
    })
}

/// e(signature, g2) = e(H(SHA-256(round)), key); a signature that is no point of G1 verifies nothing.
fn verify(api: &dyn Api, key: &[u8], round: Round, signature: &[u8]) -> bool {
    if signature.len() != SIGNATURE_BYTES {
        return false;
    }
    api.bls12_381_hash_to_g1(HashFunction::Sha256, &message(round), DST)
        .and_then(|point| api.bls12_381_pairing_equality(signature, &BLS12_381_G2_GENERATOR, &point, key))
        .is_ok_and(|equal| equal)
}
