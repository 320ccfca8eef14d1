//! UpdateParams, CancelParams: parameters change from a later epoch on, and what was opened before keeps its own.

use assay_common::event::Event;
use assay_common::ids::Epoch;
use assay_common::params::{Change, ParamError, Params, ParamsPatch};
use cosmwasm_std::{Api, Order, Response, Storage};
use cw_storage_plus::Bound;

use crate::batch;
use crate::error::ContractError;
use crate::state::{CHARTER, PAST_PARAMS};
use crate::tx::Tx;
use crate::versions::MAX_DROPPED;

/// Bit of a compressed point's first byte that says "infinity"; under such a key every signature would verify.
const INFINITY: u8 = 0x40;

/// Every rule that the parameters break, with what no change may touch.
pub fn broken(api: &dyn Api, now: u64, params: &Params, changes: &[Change]) -> Vec<ParamError> {
    let mut broken: Vec<ParamError> = changes.iter().filter_map(Change::check).collect();
    broken.extend(params.check().err().unwrap_or_default());
    broken.extend(check_beacon_key(api, &params.beacon.public_key));
    broken.extend(check_beacon_genesis(now, params));
    broken
}

/// # Errors
/// A rule is broken; all broken ones are named.
pub fn check(api: &dyn Api, now: u64, params: &Params, changes: &[Change]) -> Result<(), ContractError> {
    let broken = broken(api, now, params, changes);
    if broken.is_empty() {
        Ok(())
    } else {
        Err(ContractError::BadParams { broken })
    }
}

/// A key that is no point of the group would leave every batch without a draw.
fn check_beacon_key(api: &dyn Api, key: &[u8]) -> Option<ParamError> {
    let infinite = key.first().is_some_and(|first| first & INFINITY != 0);
    let bad = infinite || api.bls12_381_aggregate_g2(key).is_err();
    bad.then(|| ParamError {
        field: "beacon.public_key".into(),
        value: cosmwasm_std::HexBinary::from(key).to_hex(),
        rule: "a compressed point of G2 other than infinity".into(),
    })
}

/// A beacon that begins late draws late: with a time in another unit, never.
fn check_beacon_genesis(now: u64, params: &Params) -> Option<ParamError> {
    let genesis = params.beacon.genesis;
    (genesis > now.max(params.clock.start)).then(|| ParamError {
        field: "beacon.genesis".into(),
        value: genesis.to_string(),
        rule: "not in the future, seconds since 1970: the beacon must be running".into(),
    })
}

/// Plans the change that the patch makes to the parameters of now, from the beginning of `epoch` on.
///
/// # Errors
/// A change is pending, the epoch has begun, nothing would change, or a rule would be broken.
pub fn update(
    storage: &mut dyn Storage,
    api: &dyn Api,
    tx: &Tx,
    patch: &ParamsPatch,
    epoch: Epoch,
) -> Result<Response, ContractError> {
    let (now, mut charter) = (tx.time.epoch, CHARTER.load(storage)?);
    if let Some(pending) = charter.params.pending(now) {
        return Err(ContractError::ChangePending { version: pending.number, epoch: pending.from });
    }
    if epoch <= now {
        return Err(ContractError::EpochHasBegun { epoch, now });
    }
    let (params, changes) = tx.config.params.patched(patch);
    if changes.is_empty() {
        return Err(ContractError::NothingChanges);
    }
    check(api, tx.time.now, &params, &changes)?;
    if let Some((last, past)) = charter.params.plan(now, epoch, params) {
        PAST_PARAMS.save(storage, last.0, &past)?;
    }
    drop_unused(storage, now)?;
    CHARTER.save(storage, &charter)?;
    let version = charter.params.last;
    let changed = changes.into_iter().map(|Change { field, from, to }| Event::ParamChanged {
        version,
        epoch,
        field,
        before: from,
        after: to,
    });
    Ok(Response::new().add_events(changed))
}

/// Drops versions that no stored batch was committed under.
fn drop_unused(storage: &mut dyn Storage, now: Epoch) -> Result<(), ContractError> {
    let needed = batch::earliest_epoch(storage)?.unwrap_or(now);
    let end = Some(Bound::exclusive(needed.0));
    let unused: Vec<u64> =
        PAST_PARAMS.keys(storage, None, end, Order::Ascending).take(MAX_DROPPED).collect::<Result<_, _>>()?;
    for last in unused {
        PAST_PARAMS.remove(storage, last);
    }
    Ok(())
}

/// Takes the pending change back.
///
/// # Errors
/// None is pending.
pub fn cancel(storage: &mut dyn Storage, tx: &Tx) -> Result<Response, ContractError> {
    let mut charter = CHARTER.load(storage)?;
    let cancelled = charter.params.cancel(tx.time.epoch).ok_or(ContractError::NothingPending)?;
    CHARTER.save(storage, &charter)?;
    let event = Event::ParamsCancelled { version: cancelled.number, epoch: cancelled.from };
    Ok(Response::new().add_event(event))
}
