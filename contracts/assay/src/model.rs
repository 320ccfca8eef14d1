//! Models that governance makes known.

use assay_common::event::Event;
use assay_common::evidence::check_bins;
use assay_common::ids::ModelDigest;
use assay_common::msg::CalibrationRecord;
use assay_common::session::ModelSpec;
use cosmwasm_std::{Response, Storage, Uint128};

use crate::error::ContractError;
use crate::state::{Model, MODELS};

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
    check_bins(&calibration.bins).map_err(|broken| ContractError::BadBins { broken })?;
    let model = spec.digest();
    if MODELS.has(storage, model.0) {
        return Err(ContractError::ModelKnown { model });
    }
    MODELS.save(storage, model.0, &Model { spec, reference_fee, calibration })?;
    Ok(Response::new().add_event(Event::ModelRegistered { model, reference_fee }))
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
