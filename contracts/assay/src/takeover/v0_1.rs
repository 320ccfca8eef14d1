//! What version 0.1.0 stored, as far as it is carried over.

use std::collections::BTreeMap;

use assay_common::digest::Domain;
use assay_common::evidence::Cusum;
use assay_common::ids::{Digest, Epoch, ModelDigest, Nonce, UserSeed};
use assay_common::msg::{EpochStatus, SessionStatus};
use assay_common::params::ClockParams;
use assay_common::reputation::Reputation;
use cosmwasm_schema::cw_serde;
use cosmwasm_std::{Addr, Empty, HexBinary, Order, Storage, Uint128};
use cw_storage_plus::{Item, Map};

use crate::error::ContractError;
use crate::pools::{self, Pools};
use crate::state::Session;

#[cw_serde]
pub struct Params {
    pub denom: String,
    pub clock: ClockParams,
}

#[cw_serde]
pub struct Config {
    pub governance: Addr,
    pub params: Params,
    pub domain: Domain,
}

/// The one scheme of 0.1.0; nobody computes in it any more.
#[cw_serde]
pub enum NumericScheme {
    F32,
}

#[cw_serde]
pub struct ModelSpec {
    pub name: String,
    pub weights: Digest,
    pub scheme: NumericScheme,
    pub vocabulary: u32,
}

#[cw_serde]
pub struct Model {
    pub spec: ModelSpec,
    pub reference_fee: Uint128,
}

#[cw_serde]
pub struct Node {
    pub models: Vec<ModelDigest>,
    pub endpoint: String,
    pub stake: Uint128,
    pub reputation: Reputation,
    pub cusum: Cusum,
}

#[cw_serde]
struct Slot {
    epoch: Epoch,
    amount: Uint128,
}

#[cw_serde]
struct OldSession {
    requester: Addr,
    executor: Addr,
    model: ModelDigest,
    user_seed: UserSeed,
    session_key: HexBinary,
    fee: Uint128,
    max_prompt: u32,
    max_new: u32,
    expires: Epoch,
    escrow: Uint128,
    nonce: Nonce,
    mark: u64,
    slots: Vec<Slot>,
}

/// What an account owes to the sessions that paid in its epoch.
#[cw_serde]
struct Account {
    status: EpochStatus,
    refund_fees_left: Uint128,
    refund_pool_left: Uint128,
}

const CONFIG: Item<Config> = Item::new("config");
const POOLS: Item<Pools> = Item::new("pools");
const LAST_SESSION: Item<u64> = Item::new("last_session");
const LAST_BATCH: Item<u64> = Item::new("last_batch");
const MODELS: Map<[u8; 32], Model> = Map::new("model");
const NODES: Map<&Addr, Node> = Map::new("node");
const SESSIONS: Map<u64, OldSession> = Map::new("session");
const EPOCHS: Map<(&Addr, u64), Account> = Map::new("epoch");
const CLAIMABLE: Map<&Addr, Uint128> = Map::new("claimable");
const UNDRAWN: Map<(u64, u64), Empty> = Map::new("undrawn");
const UNTALLIED: Map<(u64, u64), u32> = Map::new("untallied");
const UNSETTLED: Map<(u64, &Addr), Empty> = Map::new("unsettled");

/// Everything that is carried over; the caller bounds how much there may be.
pub struct State {
    pub config: Config,
    pub pools: Pools,
    pub last_session: u64,
    pub last_batch: u64,
    pub models: Vec<([u8; 32], Model)>,
    /// In the order of their addresses.
    pub nodes: Vec<(Addr, Node)>,
    /// With their refunds, and no slots: nothing is unsettled.
    pub sessions: Vec<(u64, Session)>,
    pub claimable: Vec<(Addr, Uint128)>,
}

impl State {
    /// # Errors
    /// Something is not settled, or an entry is not what this version stored.
    pub fn read(storage: &dyn Storage) -> Result<Self, ContractError> {
        check_settled(storage)?;
        let all = Order::Ascending;
        let mut state = Self {
            config: CONFIG.load(storage)?,
            pools: POOLS.load(storage)?,
            last_session: LAST_SESSION.may_load(storage)?.unwrap_or(0),
            last_batch: LAST_BATCH.may_load(storage)?.unwrap_or(0),
            models: MODELS.range(storage, None, None, all).collect::<Result<_, _>>()?,
            nodes: NODES.range(storage, None, None, all).collect::<Result<_, _>>()?,
            sessions: Vec::new(),
            claimable: CLAIMABLE.range(storage, None, None, all).collect::<Result<_, _>>()?,
        };
        let mut accounts = BTreeMap::new();
        for entry in SESSIONS.range(storage, None, None, all) {
            let (id, session) = entry?;
            let credit = refunds(storage, &session, &mut accounts)?;
            pools::shift(&mut state.pools.refunds, &mut state.pools.escrow, credit)?;
            state.sessions.push((id, session.carried(credit)?));
        }
        Ok(state)
    }
}

fn check_settled(storage: &dyn Storage) -> Result<(), ContractError> {
    let all = Order::Ascending;
    let undrawn = UNDRAWN.keys(storage, None, None, all).next().transpose()?.is_some();
    let untallied = UNTALLIED.keys(storage, None, None, all).next().transpose()?.is_some();
    let unsettled = UNSETTLED.keys(storage, None, None, all).next().transpose()?.is_some();
    let open = [("Draw", undrawn), ("Tally", untallied), ("Settle", unsettled)];
    match open.into_iter().find(|(_, open)| *open) {
        Some((step, _)) => Err(ContractError::WorkInFlight { step }),
        None => Ok(()),
    }
}

/// What forfeited epochs owe a session: its part of their fees, rounded down; the last session takes the rest.
fn refunds(
    storage: &dyn Storage,
    session: &OldSession,
    accounts: &mut BTreeMap<(Addr, u64), Account>,
) -> Result<Uint128, ContractError> {
    let mut credit = Uint128::zero();
    for Slot { epoch, amount } in &session.slots {
        let key = (session.executor.clone(), epoch.0);
        let mut account = match accounts.get(&key) {
            Some(known) => known.clone(),
            None => EPOCHS.load(storage, (&session.executor, epoch.0))?,
        };
        if account.status == EpochStatus::Forfeited && !amount.is_zero() {
            let share = account.refund_pool_left.checked_multiply_ratio(*amount, account.refund_fees_left)?;
            account.refund_fees_left = account.refund_fees_left.checked_sub(*amount)?;
            account.refund_pool_left = account.refund_pool_left.checked_sub(share)?;
            pools::add(&mut credit, share)?;
        }
        accounts.insert(key, account);
    }
    Ok(credit)
}

impl OldSession {
    fn carried(self, credit: Uint128) -> Result<Session, ContractError> {
        Ok(Session {
            requester: self.requester,
            executor: self.executor,
            model: self.model,
            user_seed: self.user_seed,
            session_key: self.session_key.into(),
            fee: self.fee,
            max_prompt: self.max_prompt,
            max_new: self.max_new,
            expires: self.expires,
            closes: self.expires,
            status: SessionStatus::Open,
            escrow: self.escrow.checked_add(credit)?,
            nonce: self.nonce,
            mark: self.mark,
            slots: Vec::new(),
        })
    }
}
