//! Parameters: in force, pending, of an epoch, and what a patch would do; and whether payouts are paused.

use assay_common::ids::Epoch;
use assay_common::msg::{ParamsResponse, ParamsVersion, PauseResponse, ValidateParamsResponse};
use assay_common::params::{Params, ParamsPatch};
use cosmwasm_std::{Api, Storage};

use crate::error::ContractError;
use crate::pause as pauses;
use crate::tx::{Config, Time};
use crate::versions::Version;

pub fn params(storage: &dyn Storage, config: &Config, now: Epoch) -> Result<ParamsResponse, ContractError> {
    let pending = config.pending(now).cloned().map(version);
    Ok(ParamsResponse { in_force: params_of(storage, config, now)?, pending })
}

pub fn params_of(
    storage: &dyn Storage,
    config: &Config,
    epoch: Epoch,
) -> Result<ParamsVersion, ContractError> {
    Ok(version(config.version_of(storage, epoch)?.into_owned()))
}

fn version(version: Version<Params>) -> ParamsVersion {
    ParamsVersion { version: version.number, from: version.from, params: version.value }
}

pub fn validate(
    api: &dyn Api,
    (config, time): (&Config, Time),
    patch: &ParamsPatch,
) -> ValidateParamsResponse {
    let (params, changes) = config.params.patched(patch);
    ValidateParamsResponse { errors: crate::params::broken(api, time.now, &params, &changes), changes }
}

pub fn pause(storage: &dyn Storage, now: u64) -> Result<PauseResponse, ContractError> {
    Ok(PauseResponse {
        until: pauses::paused(storage, now)?,
        next_from: pauses::next_from(storage)?,
        running: pauses::running(storage, now)?,
    })
}
