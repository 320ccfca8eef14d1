//! What every action knows of the transaction that it is part of.

use std::borrow::Cow;

use assay_common::digest::Domain;
use assay_common::ids::{Epoch, Window};
use assay_common::params::{ClockParams, Params};
use cosmwasm_std::{Addr, Coin, Env, MessageInfo, Order, Storage, Uint128};
use cw_storage_plus::Bound;

use crate::error::ContractError;
use crate::state::{Charter, CHARTER, PAST_PARAMS};
use crate::versions::{Version, Versions};

/// Sender, funds, time and configuration of one transaction, as plain values.
pub struct Tx {
    pub sender: Addr,
    /// Units of the one denomination that came with the message.
    pub funds: Uint128,
    pub time: Time,
    /// The block that holds it.
    pub height: u64,
    pub config: Config,
}

/// Chain time and the protocol time that follows from it.
#[derive(Clone, Copy)]
pub struct Time {
    /// Seconds since 1970.
    pub now: u64,
    /// None before the start.
    pub window: Option<Window>,
    /// 0 before the start.
    pub epoch: Epoch,
}

impl Time {
    fn new(env: &Env, clock: &ClockParams) -> Self {
        let now = env.block.time.seconds();
        let window = clock.window(now);
        Self { now, window, epoch: window.map_or(Epoch(0), |w| clock.epoch(w)) }
    }

    /// The first epoch whose stake table a change of now enters: the next one, before the start epoch 0.
    pub fn next_table(&self) -> Epoch {
        if self.window.is_some() {
            self.epoch.next()
        } else {
            self.epoch
        }
    }
}

/// Who governs, which contract this is, and the parameters.
pub struct Config {
    pub governance: Addr,
    pub domain: Domain,
    /// In force now; what was opened earlier has those of [`Config::params_of`] its epoch.
    pub params: Params,
    versions: Versions<Params>,
}

impl Config {
    /// The configuration of now, and the time.
    ///
    /// # Errors
    /// Storage cannot be read.
    pub fn load(storage: &dyn Storage, env: &Env) -> Result<(Self, Time), ContractError> {
        let Charter { governance, domain, params: versions } = CHARTER.load(storage)?;
        // The clock is the same in all versions.
        let time = Time::new(env, &versions.current.value.clock);
        let in_force = versions.of(time.epoch).ok_or(ContractError::ParamsGone { epoch: time.epoch })?;
        let params = in_force.value.clone();
        Ok((Self { governance, domain, params, versions }, time))
    }

    /// The version of an epoch, which holds for ever for what was opened in it.
    ///
    /// # Errors
    /// The epoch is earlier than every stored batch, and the version is not kept any more.
    pub fn version_of(
        &self,
        storage: &dyn Storage,
        epoch: Epoch,
    ) -> Result<Cow<'_, Version<Params>>, ContractError> {
        if let Some(version) = self.versions.of(epoch) {
            return Ok(Cow::Borrowed(version));
        }
        let start = Some(Bound::inclusive(epoch.0));
        let past = PAST_PARAMS.range(storage, start, None, Order::Ascending).next().transpose()?;
        past.map(|(_, version)| version)
            .filter(|version| version.from <= epoch)
            .map(Cow::Owned)
            .ok_or(ContractError::ParamsGone { epoch })
    }

    /// The parameters of an epoch, which hold for ever for what was opened in it.
    ///
    /// # Errors
    /// Those of [`Config::version_of`].
    pub fn params_of(&self, storage: &dyn Storage, epoch: Epoch) -> Result<Cow<'_, Params>, ContractError> {
        Ok(match self.version_of(storage, epoch)? {
            Cow::Borrowed(version) => Cow::Borrowed(&version.value),
            Cow::Owned(version) => Cow::Owned(version.value),
        })
    }

    /// The change that is not in force yet.
    pub fn pending(&self, now: Epoch) -> Option<&Version<Params>> {
        self.versions.pending(now)
    }
}

impl Tx {
    /// # Errors
    /// Funds of another denomination than the one of the parameters, or of several.
    pub fn new(storage: &dyn Storage, env: &Env, info: MessageInfo) -> Result<Self, ContractError> {
        let (config, time) = Config::load(storage, env)?;
        let funds = sum_of(&info.funds, &config.params.denom)?;
        Ok(Self { sender: info.sender, funds, time, height: env.block.height, config })
    }

    /// The current window.
    ///
    /// # Errors
    /// The protocol has not begun.
    pub fn window(&self) -> Result<Window, ContractError> {
        self.time.window.ok_or(ContractError::NotStarted { start: self.config.params.clock.start })
    }
}

fn sum_of(funds: &[Coin], denom: &str) -> Result<Uint128, ContractError> {
    match funds {
        [] => Ok(Uint128::zero()),
        [coin] if coin.denom == denom => Ok(coin.amount.try_into()?),
        [first, rest @ ..] => {
            let wrong = rest.iter().chain([first]).find(|c| c.denom != denom).unwrap_or(first);
            Err(ContractError::WrongFunds { sent: wrong.to_string(), denom: denom.into() })
        }
    }
}
