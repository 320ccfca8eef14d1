//! Who may send what, with funds or without, before the start or only after it, during a pause or not: one table.

use assay_common::msg::ExecuteMsg;
use cosmwasm_std::{Coin, Storage};

use crate::error::ContractError;
use crate::pause;
use crate::state::NODES;
use crate::tx::Tx;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Anyone,
    Governance,
    /// A registered node that has not left; which session, batch or seat is its own is for the action to say.
    Node,
}

/// The conditions of one kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub who: Who,
    pub takes_funds: bool,
    pub before_start: bool,
    /// Whether it is taken while payouts are paused.
    pub while_paused: bool,
}

impl Rule {
    /// It pays out, or takes what cannot be given back: not during a pause.
    const fn frozen_by_pause(self) -> Self {
        Self { while_paused: false, ..self }
    }
}

/// The table.
pub fn rule(msg: &ExecuteMsg) -> Rule {
    let rule = |who, takes_funds, before_start| Rule { who, takes_funds, before_start, while_paused: true };
    match msg {
        ExecuteMsg::RegisterModel { .. } => rule(Who::Governance, false, true),
        ExecuteMsg::RegisterNode { .. } => rule(Who::Anyone, true, true),
        ExecuteMsg::OpenSession { .. } => rule(Who::Anyone, true, true),
        ExecuteMsg::UpdateNode { .. } => rule(Who::Node, true, true),
        ExecuteMsg::Unbond { .. } => rule(Who::Node, false, true),
        ExecuteMsg::Withdraw {} => rule(Who::Node, false, true).frozen_by_pause(),
        ExecuteMsg::TopUp { .. } => rule(Who::Anyone, true, true),
        ExecuteMsg::CloseSession { .. } => rule(Who::Anyone, false, true),
        ExecuteMsg::CommitBatch { .. } => rule(Who::Node, true, false),
        ExecuteMsg::PostBeacon { .. } => rule(Who::Anyone, false, false),
        ExecuteMsg::Draw { .. } => rule(Who::Anyone, false, false),
        ExecuteMsg::CommitVerdicts { .. } => rule(Who::Node, false, false),
        ExecuteMsg::RevealVerdicts { .. } => rule(Who::Node, false, false),
        ExecuteMsg::Tally { .. } => rule(Who::Anyone, false, false),
        ExecuteMsg::CommitFraud { .. } => rule(Who::Anyone, false, false),
        ExecuteMsg::ProveFraud { .. } => rule(Who::Anyone, false, false).frozen_by_pause(),
        ExecuteMsg::ProveEquivocation { .. } => rule(Who::Anyone, false, false).frozen_by_pause(),
        ExecuteMsg::Settle { .. } => rule(Who::Anyone, false, false).frozen_by_pause(),
        ExecuteMsg::Sweep { .. } => rule(Who::Anyone, false, false),
        ExecuteMsg::Claim {} => rule(Who::Anyone, false, false).frozen_by_pause(),
        ExecuteMsg::UpdateCalibration { .. } => rule(Who::Governance, false, true),
        ExecuteMsg::DeprecateModel { .. } => rule(Who::Governance, false, true),
        ExecuteMsg::SetGuardians { .. } => rule(Who::Governance, false, true),
        ExecuteMsg::UpdateParams { .. } => rule(Who::Governance, false, true),
        ExecuteMsg::CancelParams {} => rule(Who::Governance, false, true),
        ExecuteMsg::Pause {} => rule(Who::Governance, false, true),
        ExecuteMsg::Unpause {} => rule(Who::Governance, false, true),
    }
}

/// # Errors
/// The message breaks its rule.
pub fn check(storage: &dyn Storage, tx: &Tx, msg: &ExecuteMsg) -> Result<(), ContractError> {
    let rule = rule(msg);
    if !rule.before_start {
        tx.window()?;
    }
    if !rule.takes_funds && !tx.funds.is_zero() {
        let sent = Coin::new(tx.funds, &tx.config.params.denom);
        return Err(ContractError::FundsNotAccepted { sent: sent.to_string() });
    }
    if !rule.while_paused {
        if let Some(until) = pause::paused(storage, tx.time.now)? {
            return Err(ContractError::Paused { until });
        }
    }
    match rule.who {
        Who::Governance if tx.sender != tx.config.governance => {
            Err(ContractError::NotGovernance { sender: tx.sender.to_string() })
        }
        Who::Node => match NODES.may_load(storage, &tx.sender)? {
            Some(node) if !node.has_left() => Ok(()),
            _ => Err(ContractError::NotRegistered { address: tx.sender.to_string() }),
        },
        Who::Anyone | Who::Governance => Ok(()),
    }
}
