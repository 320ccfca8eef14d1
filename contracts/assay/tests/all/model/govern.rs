//! What governance does.

use assay_common::evidence::check_bins;
use assay_common::ids::{Epoch, ModelDigest};
use assay_common::msg::CalibrationRecord;
use assay_common::params::{Change, ParamError, Params, ParamsPatch};
use assay_common::session::ModelSpec;
use assay_contract::error::ContractError;

use super::juries::BEACONS;
use super::{Answer, Cx, History, Model, World};
use crate::suite::Beacon;

/// Seconds after which a pause lapses, and before the next one.
pub const WEEK: u64 = 7 * 24 * 3600;

impl World {
    pub fn register_model(
        &mut self,
        spec: &ModelSpec,
        reference_fee: u128,
        calibration: &CalibrationRecord,
    ) -> Answer {
        let bad = |field, rule| Err(ContractError::BadModel { field, rule });
        if !(1..=128).contains(&spec.name.len()) {
            return bad("name", "between 1 and 128 bytes");
        }
        if spec.vocabulary == 0 {
            return bad("vocabulary", "above 0");
        }
        if reference_fee == 0 {
            return bad("reference_fee", "above 0: stake and verdict pay follow from it");
        }
        check_bins(&calibration.bins).map_err(|broken| ContractError::BadBins { broken })?;
        let model = spec.digest();
        if self.models.contains_key(&model) {
            return Err(ContractError::ModelKnown { model });
        }
        let calibrations = History::first(calibration.clone());
        let spec = spec.clone();
        let known = Model { spec, reference_fee, calibrations, deprecated: false, guardians: Vec::new() };
        self.models.insert(model, known);
        Ok(())
    }

    pub fn update_calibration(
        &mut self,
        cx: &Cx,
        model: ModelDigest,
        calibration: &CalibrationRecord,
    ) -> Answer {
        check_bins(&calibration.bins).map_err(|broken| ContractError::BadBins { broken })?;
        let needed = self.earliest_needed(cx.epoch);
        let known = self.models.get_mut(&model).ok_or(ContractError::UnknownModel { model })?;
        let (now, next) = (cx.epoch, Epoch(cx.epoch.0 + 1));
        if known.calibrations.of(next).expect("one holds").value == *calibration {
            let calibration = calibration.digest;
            return Err(ContractError::CalibrationKnown { model, calibration });
        }
        known.calibrations.plan(now, next, calibration.clone(), needed);
        Ok(())
    }

    pub fn deprecate(&mut self, model: ModelDigest) -> Answer {
        self.check_open(&model)?;
        self.models.get_mut(&model).expect("it is known").deprecated = true;
        Ok(())
    }

    pub fn update_params(&mut self, cx: &Cx, patch: &ParamsPatch, epoch: Epoch) -> Answer {
        if let Some(pending) = self.params.pending(cx.epoch) {
            let (version, epoch) = (pending.number, pending.from);
            return Err(ContractError::ChangePending { version, epoch });
        }
        if epoch <= cx.epoch {
            return Err(ContractError::EpochHasBegun { epoch, now: cx.epoch });
        }
        let (params, changes) = cx.params.patched(patch);
        if changes.is_empty() {
            return Err(ContractError::NothingChanges);
        }
        let broken = broken(cx, &params, &changes);
        if !broken.is_empty() {
            return Err(ContractError::BadParams { broken });
        }
        let needed = self.earliest_needed(cx.epoch);
        self.params.plan(cx.epoch, epoch, params, needed);
        Ok(())
    }

    pub fn cancel_params(&mut self, cx: &Cx) -> Answer {
        if self.params.cancel(cx.epoch) {
            Ok(())
        } else {
            Err(ContractError::NothingPending)
        }
    }

    /// When the present pause lapses.
    pub fn paused_until(&self) -> Option<u64> {
        self.pauses.last().map(|(_, until)| *until).filter(|until| self.now < *until)
    }

    /// Seconds since 1970 less those of all pauses.
    pub fn running(&self) -> u64 {
        self.now - self.paused_so_far()
    }

    /// Seconds of all pauses up to now.
    pub fn paused_so_far(&self) -> u64 {
        self.pauses.iter().map(|(since, until)| self.now.min(*until) - since).sum()
    }

    pub fn begin_pause(&mut self, cx: &Cx) -> Answer {
        if let Some(until) = self.paused_until() {
            return Err(ContractError::Paused { until });
        }
        let from = self.pauses.last().map_or(0, |(_, until)| until + WEEK);
        if cx.now < from {
            return Err(ContractError::PauseTooSoon { from, now: cx.now });
        }
        self.pauses.push((cx.now, cx.now + WEEK));
        Ok(())
    }

    pub fn end_pause(&mut self, cx: &Cx) -> Answer {
        if self.paused_until().is_none() {
            return Err(ContractError::NotPaused);
        }
        self.pauses.last_mut().expect("there is one").1 = cx.now;
        Ok(())
    }
}

/// The rules that a change breaks: what may not change, the parameters' own, and what the beacon must be.
fn broken(cx: &Cx, params: &Params, changes: &[Change]) -> Vec<ParamError> {
    let error =
        |field: &str, value: String, rule: &str| ParamError { field: field.into(), value, rule: rule.into() };
    let mut broken: Vec<ParamError> = changes.iter().filter_map(Change::check).collect();
    broken.extend(params.check().err().unwrap_or_default());
    let beacon = &params.beacon;
    if BEACONS.iter().all(|seed| Beacon::new(*seed).public_key() != beacon.public_key) {
        let rule = "a compressed point of G2 other than infinity";
        broken.push(error("beacon.public_key", beacon.public_key.to_hex(), rule));
    }
    if beacon.genesis > cx.now.max(params.clock.start) {
        let rule = "not in the future, seconds since 1970: the beacon must be running";
        broken.push(error("beacon.genesis", beacon.genesis.to_string(), rule));
    }
    broken
}
