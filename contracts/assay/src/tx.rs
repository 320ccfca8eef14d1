//! What every action knows of the transaction that it is part of.

use assay_common::ids::{Epoch, Window};
use cosmwasm_std::{Addr, Coin, Env, MessageInfo, Storage, Uint128};

use crate::error::ContractError;
use crate::state::{Config, CONFIG};

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
    pub fn new(env: &Env, config: &Config) -> Self {
        let (now, clock) = (env.block.time.seconds(), &config.params.clock);
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

impl Tx {
    /// # Errors
    /// Funds of another denomination than the one of the parameters, or of several.
    pub fn new(storage: &dyn Storage, env: &Env, info: MessageInfo) -> Result<Self, ContractError> {
        let config = CONFIG.load(storage)?;
        let funds = sum_of(&info.funds, &config.params.denom)?;
        Ok(Self {
            sender: info.sender,
            funds,
            time: Time::new(env, &config),
            height: env.block.height,
            config,
        })
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
