//! Queries; every collection comes in pages.

mod batches;
mod by_id;
mod due;
mod jurors;
mod nodes;
mod paging;
mod params;
mod sessions;

use assay_common::ids::{Epoch, Window};
use assay_common::msg::{
    BeaconResponse, ClaimableResponse, ClockResponse, EpochKey, EpochResponse, FraudCommitmentResponse,
    PoolsResponse, QueryMsg, SampleKey,
};
use assay_common::proof::Accusation;
use cosmwasm_std::{to_json_binary, Addr, Binary, Deps, Env, Storage};

use self::by_id::each;
use crate::error::ContractError;
use crate::state::{ExecutorEpoch, ACCUSATIONS, POOLS};
use crate::tx::{Config, Time};
use crate::{claim, epoch, proof};

/// Answers a query as JSON.
///
/// # Errors
/// What is asked for does not exist, or an address cannot be one.
pub fn answer(deps: Deps, env: &Env, msg: QueryMsg) -> Result<Binary, ContractError> {
    let (config, time) = Config::load(deps.storage, env)?;
    single(&Asked { deps, config, time }, msg)
}

/// What every answer is read from.
struct Asked<'a> {
    deps: Deps<'a>,
    config: Config,
    time: Time,
}

fn single(asked: &Asked, msg: QueryMsg) -> Result<Binary, ContractError> {
    let Asked { deps, config, time } = asked;
    let (storage, time) = (deps.storage, *time);
    let at = (config, time);
    let address = |text: &str| deps.api.addr_validate(text);
    let json = match msg {
        QueryMsg::Params {} => to_json_binary(&params::params(storage, config, time.epoch)?),
        QueryMsg::ParamsOf { epoch } => to_json_binary(&params::params_of(storage, config, epoch)?),
        QueryMsg::ValidateParams { patch } => to_json_binary(&params::validate(deps.api, at, &patch)),
        QueryMsg::PauseStatus {} => to_json_binary(&params::pause(storage, time.now)?),
        QueryMsg::Clock {} => to_json_binary(&clock(time)),
        QueryMsg::Pools {} => to_json_binary(&PoolsResponse::from(POOLS.load(storage)?)),
        QueryMsg::Model { model } => to_json_binary(&nodes::model(storage, at, model)?),
        QueryMsg::Models { start_after, limit } => {
            to_json_binary(&nodes::models(storage, at, start_after, limit)?)
        }
        QueryMsg::ModelsById { models } => return each(asked, models, |model| QueryMsg::Model { model }),
        QueryMsg::Node { address: of } => to_json_binary(&nodes::node(storage, at, &address(&of)?)?),
        QueryMsg::Nodes { start_after, limit } => {
            to_json_binary(&nodes::nodes(storage, at, start_after, limit)?)
        }
        QueryMsg::NodesById { addresses } => {
            return each(asked, addresses, |address| QueryMsg::Node { address })
        }
        QueryMsg::Session { session } => to_json_binary(&sessions::session(storage, time.epoch, session)?),
        QueryMsg::Sessions { start_after, limit } => {
            to_json_binary(&sessions::sessions(storage, time.epoch, start_after, limit)?)
        }
        QueryMsg::SessionsById { sessions } => {
            return each(asked, sessions, |session| QueryMsg::Session { session })
        }
        QueryMsg::Batch { batch } => to_json_binary(&batches::batch(storage, (config, time.epoch), batch)?),
        QueryMsg::Batches { start_after, limit } => {
            to_json_binary(&batches::batches(storage, (config, time.epoch), start_after, limit)?)
        }
        QueryMsg::BatchesById { batches } => return each(asked, batches, |batch| QueryMsg::Batch { batch }),
        QueryMsg::Sample { batch, draw } => to_json_binary(&batches::sample(storage, config, batch, draw)?),
        QueryMsg::Samples { batch, start_after, limit } => {
            to_json_binary(&batches::samples(storage, config, batch, start_after, limit)?)
        }
        QueryMsg::SamplesById { samples } => {
            return each(asked, samples, |SampleKey { batch, draw }| QueryMsg::Sample { batch, draw })
        }
        QueryMsg::Assignments { juror, window, start_after, limit } => {
            to_json_binary(&jurors::assignments(storage, &address(&juror)?, window, start_after, limit)?)
        }
        QueryMsg::Verdicts { juror, window, start_after, limit } => {
            to_json_binary(&jurors::verdicts(storage, &address(&juror)?, window, start_after, limit)?)
        }
        QueryMsg::Commitment { juror, window, page } => {
            to_json_binary(&jurors::commitment(storage, &address(&juror)?, window, page)?)
        }
        QueryMsg::Evidence { executor } => {
            to_json_binary(&nodes::evidence(storage, config, &address(&executor)?)?)
        }
        QueryMsg::EvidenceById { executors } => {
            return each(asked, executors, |executor| QueryMsg::Evidence { executor })
        }
        QueryMsg::Epoch { executor, epoch } => {
            let executor = address(&executor)?;
            to_json_binary(&account(storage, (&executor, epoch), epoch::load(storage, &executor, epoch)?)?)
        }
        QueryMsg::FraudCommitment { accuser, hash } => {
            let height = proof::committed(storage, time.epoch, &address(&accuser)?, hash)?;
            to_json_binary(&FraudCommitmentResponse { height: height.map(|(_, height)| height) })
        }
        QueryMsg::Epochs { executor, start_after, limit } => {
            to_json_binary(&nodes::epochs(storage, &address(&executor)?, start_after, limit)?)
        }
        QueryMsg::EpochsById { epochs } => {
            return each(asked, epochs, |EpochKey { executor, epoch }| QueryMsg::Epoch { executor, epoch })
        }
        QueryMsg::Claimable { address: of } => to_json_binary(&claimable(storage, &address(&of)?)?),
        QueryMsg::Beacon { window } => to_json_binary(&beacon(storage, config, (window, time.epoch))?),
        QueryMsg::Due { limit } => to_json_binary(&due::due(storage, config, time, limit)?),
    };
    Ok(json?)
}

fn clock(time: Time) -> ClockResponse {
    ClockResponse { now: time.now, window: time.window, epoch: time.window.map(|_| time.epoch) }
}

fn claimable(storage: &dyn Storage, address: &Addr) -> Result<ClaimableResponse, ContractError> {
    Ok(ClaimableResponse { amount: claim::earned(storage, address)? })
}

fn beacon(
    storage: &dyn Storage,
    config: &Config,
    at: (Window, Epoch),
) -> Result<BeaconResponse, ContractError> {
    let (round, randomness) = crate::beacon::known(storage, config, at)?;
    Ok(BeaconResponse { round, randomness })
}

fn account(
    storage: &dyn Storage,
    (executor, number): (&Addr, Epoch),
    account: ExecutorEpoch,
) -> Result<EpochResponse, ContractError> {
    let status = epoch::status(storage, (executor, number), &account);
    let standing = ACCUSATIONS.may_load(storage, (executor, number.0))?;
    Ok(EpochResponse {
        executor: executor.to_string(),
        epoch: number,
        status,
        batches: account.batches,
        inferences: account.inferences,
        sampled: account.sampled,
        closed: account.closed,
        folded: account.folded,
        fees: account.fees,
        reserve: account.reserve,
        checks: account.checks,
        pending: account.pending,
        reward: account.reward,
        refunded: account.refunded,
        slashed: account.slashed,
        bounty: account.bounty,
        accusation: account.accusation.or(standing).map(|accusation| Accusation {
            accuser: accusation.accuser.into_string(),
            finding: accusation.finding,
            batch: accusation.batch,
            index: accusation.index,
        }),
    })
}
