//! Entry points; they do nothing but dispatch.

use assay_common::msg::{ExecuteMsg, InstantiateMsg, MigrateMsg, QueryMsg};
#[cfg(not(any(feature = "library", feature = "takeover")))]
use cosmwasm_std::entry_point;
use cosmwasm_std::{Binary, Deps, DepsMut, Env, MessageInfo, Response};

use crate::error::ContractError;
use crate::tx::Tx;
use crate::{
    auth, batch, beacon, claim, close, draw, guardian, migrate, model, node, params, pause, proof, query,
    session, settle, setup, stake, sweep, tally, verdicts,
};

#[cfg_attr(not(any(feature = "library", feature = "takeover")), entry_point)]
pub fn instantiate(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    msg: InstantiateMsg,
) -> Result<Response, ContractError> {
    setup::instantiate(deps, env, info, msg)
}

#[cfg_attr(not(any(feature = "library", feature = "takeover")), entry_point)]
pub fn execute(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    msg: ExecuteMsg,
) -> Result<Response, ContractError> {
    let (storage, api) = (deps.storage, deps.api);
    let tx = Tx::new(storage, &env, info)?;
    auth::check(storage, &tx, &msg)?;
    match msg {
        ExecuteMsg::RegisterModel { spec, reference_fee, calibration } => {
            model::register(storage, spec, reference_fee, calibration)
        }
        ExecuteMsg::RegisterNode { models, endpoint } => node::register(storage, &tx, models, endpoint),
        ExecuteMsg::OpenSession {
            executor,
            model,
            user_seed,
            session_key,
            fee,
            max_prompt,
            max_new,
            expires,
        } => {
            let executor = api.addr_validate(&executor)?;
            let terms = session::Terms { model, user_seed, session_key, fee, max_prompt, max_new, expires };
            session::open(storage, &tx, executor, terms)
        }
        ExecuteMsg::UpdateNode { models, endpoint } => node::update(storage, &tx, models, endpoint),
        ExecuteMsg::Unbond { amount } => stake::unbond(storage, &tx, amount),
        ExecuteMsg::Withdraw {} => stake::withdraw(storage, &tx),
        ExecuteMsg::TopUp { session } => session::top_up(storage, &tx, session),
        ExecuteMsg::CloseSession { session } => close::close(storage, &tx, session),
        ExecuteMsg::CommitBatch { model, root, claims } => {
            batch::commit(storage, api, &tx, batch::Commitment { model, root, claims })
        }
        ExecuteMsg::PostBeacon { window, signature } => beacon::post(storage, api, &tx, window, &signature),
        ExecuteMsg::Draw { batch, limit } => draw::page(storage, &tx, batch, limit),
        ExecuteMsg::CommitVerdicts { window, page, hash } => {
            verdicts::commit(storage, &tx, window, page, hash)
        }
        ExecuteMsg::RevealVerdicts { window, page, salt, verdicts } => {
            verdicts::reveal(storage, &tx, verdicts::page(&tx, window, page, verdicts), &salt)
        }
        ExecuteMsg::Tally { batch, from, limit } => tally::page(storage, &tx, batch, from, limit),
        ExecuteMsg::CommitFraud { hash } => proof::commit(storage, &tx, hash),
        ExecuteMsg::ProveFraud { proof, salt } => proof::fraud(storage, &tx, &proof, &salt),
        ExecuteMsg::ProveEquivocation { proof, salt } => {
            proof::equivocation(storage, api, &tx, &proof, &salt)
        }
        ExecuteMsg::Settle { executor, epoch, limit } => {
            let executor = api.addr_validate(&executor)?;
            settle::settle(storage, &tx, &executor, epoch, limit)
        }
        ExecuteMsg::Sweep { limit } => sweep::sweep(storage, &tx, limit),
        ExecuteMsg::Claim {} => claim::pay_out(storage, &tx),
        ExecuteMsg::UpdateCalibration { model, calibration } => {
            model::calibrate(storage, &tx, model, calibration)
        }
        ExecuteMsg::DeprecateModel { model } => model::deprecate(storage, model),
        ExecuteMsg::SetGuardians { model, guardians } => guardian::set(storage, api, &tx, model, &guardians),
        ExecuteMsg::UpdateParams { patch, epoch } => params::update(storage, api, &tx, &patch, epoch),
        ExecuteMsg::CancelParams {} => params::cancel(storage, &tx),
        ExecuteMsg::Pause {} => pause::begin(storage, &tx),
        ExecuteMsg::Unpause {} => pause::end(storage, &tx),
    }
}

#[cfg_attr(not(any(feature = "library", feature = "takeover")), entry_point)]
pub fn migrate(deps: DepsMut, _env: Env, _msg: MigrateMsg) -> Result<Response, ContractError> {
    migrate::finish(deps.storage)
}

#[cfg_attr(not(any(feature = "library", feature = "takeover")), entry_point)]
pub fn query(deps: Deps, env: Env, msg: QueryMsg) -> Result<Binary, ContractError> {
    query::answer(deps, &env, msg)
}
