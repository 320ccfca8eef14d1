//! Models that governance makes known, the calibrations that judge them, and their end.

use assay_common::event::Event;
use assay_common::evidence::check_bins;
use assay_common::ids::{Epoch, ModelDigest};
use assay_common::msg::CalibrationRecord;
use assay_common::session::ModelSpec;
use cosmwasm_std::{Order, Response, Storage, Uint128};
use cw_storage_plus::Bound;

use crate::batch;
use crate::error::ContractError;
use crate::state::{Batch, Model, MODELS, PAST_CALIBRATIONS};
use crate::tx::Tx;
use crate::versions::{Version, Versions, MAX_DROPPED};

/// Bytes of a model's name.
const MAX_NAME: usize = 128;

/// # Errors
/// The model is known, or its specification breaks a rule.
pub fn register(
    storage: &mut dyn Storage,
    spec: ModelSpec,
    reference_fee: Uint128,
    calibration: CalibrationRecord,
) -> Result<Response, ContractError> {
    check(&spec, reference_fee)?;
    check_calibration(&calibration)?;
    let model = spec.digest();
    if MODELS.has(storage, model.0) {
        return Err(ContractError::ModelKnown { model });
    }
    let digest = calibration.digest;
    let calibrations = Versions::first(calibration);
    let known = Model { spec, reference_fee, calibrations, deprecated: false, guardians: Vec::new() };
    MODELS.save(storage, model.0, &known)?;
    Ok(Response::new().add_event(Event::ModelRegistered { model, reference_fee, calibration: digest }))
}

/// Lets another calibration judge what is committed from the next epoch on; it takes the place of one that still waits for
/// that epoch, under which nothing was committed.
///
/// # Errors
/// The model is not known, or has this calibration, or its bins break a rule.
pub fn calibrate(
    storage: &mut dyn Storage,
    tx: &Tx,
    model: ModelDigest,
    calibration: CalibrationRecord,
) -> Result<Response, ContractError> {
    check_calibration(&calibration)?;
    let mut known = load(storage, &model)?;
    let (now, epoch) = (tx.time.epoch, tx.time.epoch.next());
    let before = calibration_of(storage, &known, epoch)?.value;
    if before == calibration {
        return Err(ContractError::CalibrationKnown { model, calibration: calibration.digest });
    }
    let (before, after) = (before.digest, calibration.digest);
    if let Some((last, past)) = known.calibrations.plan(now, epoch, calibration) {
        PAST_CALIBRATIONS.save(storage, (&model.0, last.0), &past)?;
    }
    drop_unused(storage, &model, now)?;
    MODELS.save(storage, model.0, &known)?;
    let version = known.calibrations.last;
    let event = Event::CalibrationUpdated { model, version, epoch, before, after };
    Ok(Response::new().add_event(event))
}

/// Drops calibrations that no stored batch was committed under.
fn drop_unused(storage: &mut dyn Storage, model: &ModelDigest, now: Epoch) -> Result<(), ContractError> {
    let needed = batch::earliest_epoch(storage)?.unwrap_or(now);
    let past = PAST_CALIBRATIONS.prefix(&model.0);
    let ended = past.keys(storage, None, Some(Bound::exclusive(needed.0)), Order::Ascending);
    let unused: Vec<u64> = ended.take(MAX_DROPPED).collect::<Result<_, _>>()?;
    for last in unused {
        PAST_CALIBRATIONS.remove(storage, (&model.0, last));
    }
    Ok(())
}

/// The calibration that judges what was committed in an epoch.
///
/// # Errors
/// The epoch is earlier than every stored batch, and the calibration is not kept any more.
pub fn calibration_of(
    storage: &dyn Storage,
    model: &Model,
    epoch: Epoch,
) -> Result<Version<CalibrationRecord>, ContractError> {
    if let Some(version) = model.calibrations.of(epoch) {
        return Ok(version.clone());
    }
    let digest = model.spec.digest();
    let later = PAST_CALIBRATIONS.prefix(&digest.0);
    let found = later.range(storage, Some(Bound::inclusive(epoch.0)), None, Order::Ascending).next();
    let version = found.transpose()?.map(|(_, version)| version).filter(|version| version.from <= epoch);
    version.ok_or(ContractError::CalibrationGone { model: digest, epoch })
}

/// What judges the inferences of a batch.
///
/// # Errors
/// The model is not known: a fault of the contract.
pub fn judging(storage: &dyn Storage, batch: &Batch) -> Result<CalibrationRecord, ContractError> {
    Ok(calibration_of(storage, &load(storage, &batch.model)?, batch.epoch)?.value)
}

/// # Errors
/// The bins break a rule.
pub fn check_calibration(calibration: &CalibrationRecord) -> Result<(), ContractError> {
    check_bins(&calibration.bins).map_err(|broken| ContractError::BadBins { broken })
}

/// Takes no new sessions and nodes for a model; what is in flight goes on.
///
/// # Errors
/// The model is not known, or deprecated already.
pub fn deprecate(storage: &mut dyn Storage, model: ModelDigest) -> Result<Response, ContractError> {
    let known = open(storage, &model)?;
    MODELS.save(storage, model.0, &Model { deprecated: true, ..known })?;
    Ok(Response::new().add_event(Event::ModelDeprecated { model }))
}

fn check(spec: &ModelSpec, reference_fee: Uint128) -> Result<(), ContractError> {
    let bad = |field, rule| Err(ContractError::BadModel { field, rule });
    if spec.name.is_empty() || spec.name.len() > MAX_NAME {
        bad("name", "between 1 and 128 bytes")
    } else if spec.vocabulary == 0 {
        bad("vocabulary", "above 0")
    } else if reference_fee.is_zero() {
        bad("reference_fee", "above 0: stake and verdict pay follow from it")
    } else {
        Ok(())
    }
}

/// # Errors
/// The model is not known.
pub fn load(storage: &dyn Storage, model: &ModelDigest) -> Result<Model, ContractError> {
    MODELS.may_load(storage, model.0)?.ok_or(ContractError::UnknownModel { model: *model })
}

/// A model that takes new sessions and nodes.
///
/// # Errors
/// The model is not known, or deprecated.
pub fn open(storage: &dyn Storage, model: &ModelDigest) -> Result<Model, ContractError> {
    let known = load(storage, model)?;
    if known.deprecated {
        return Err(ContractError::ModelDeprecated { model: *model });
    }
    Ok(known)
}
