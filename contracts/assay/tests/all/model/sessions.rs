//! Sessions: escrow, closing, and what comes back of forfeited epochs.

use std::collections::BTreeMap;

use assay_common::ids::{Epoch, Nonce, SessionId};
use assay_common::msg::{EpochStatus, ExecuteMsg, SessionStatus};
use assay_contract::error::ContractError;
use assay_contract::sweep::Item;
use cosmwasm_std::HexBinary;

use super::{check_address, Answer, Cx, Session, Touched, World};

/// What a session would be once its settled epochs are taken note of.
pub struct Credited {
    pub session: Session,
    /// By epoch: its fees there, and the share of the refunds.
    pub returns: BTreeMap<u64, (u128, u128)>,
}

impl World {
    pub fn open_session(&mut self, cx: &Cx, msg: &ExecuteMsg) -> Answer {
        let ExecuteMsg::OpenSession {
            executor,
            model,
            user_seed,
            session_key,
            fee,
            max_prompt,
            max_new,
            expires,
        } = msg
        else {
            unreachable!("it opens a session")
        };
        check_address(executor)?;
        let limits = &cx.params.limits;
        if cx.funds == 0 {
            return Err(ContractError::NoFunds { denom: cx.params.denom.clone() });
        }
        if fee.is_zero() {
            return Err(ContractError::ZeroFee);
        }
        check_key(session_key)?;
        check_cap("max_prompt", *max_prompt, limits.max_prompt)?;
        check_cap("max_new", *max_new, limits.max_new)?;
        let (earliest, latest) = (cx.epoch, Epoch(cx.epoch.0 + u64::from(limits.session_epochs)));
        if *expires < earliest || *expires > latest {
            return Err(ContractError::BadExpiry { expires: *expires, earliest, latest });
        }
        let node = self.serving(executor, model)?;
        self.check_open(model)?;
        let needed = self.least_stake(cx, model);
        if node.stake < needed {
            return Err(ContractError::StakeTooLow { stake: node.stake.into(), needed: needed.into() });
        }
        let session = Session {
            requester: cx.sender.clone(),
            executor: executor.clone(),
            model: *model,
            user_seed: *user_seed,
            key: session_key.to_vec(),
            fee: fee.u128(),
            max_prompt: *max_prompt,
            max_new: *max_new,
            expires: *expires,
            closes: Epoch(expires.0 + u64::from(limits.close_delay_epochs)),
            status: SessionStatus::Open,
            escrow: cx.funds,
            nonce: Nonce(0),
            mark: rate(cx, self.trusted(executor)),
            payments: BTreeMap::new(),
            swept: false,
        };
        let id = SessionId(self.sessions.len() as u64 + 1);
        self.schedule(session.closes.0 + 1, Item::Session(id));
        self.sessions.insert(id, session);
        self.touched.insert(Touched::Session(id));
        Ok(())
    }

    pub fn session(&self, id: SessionId) -> Result<&Session, ContractError> {
        let known = self.sessions.get(&id).filter(|session| !session.swept);
        known.ok_or(ContractError::UnknownSession { session: id })
    }

    pub fn top_up(&mut self, cx: &Cx, id: SessionId) -> Answer {
        if cx.funds == 0 {
            return Err(ContractError::NoFunds { denom: cx.params.denom.clone() });
        }
        if !self.session(id)?.is_open(cx.epoch) {
            return Err(ContractError::SessionNotOpen { session: id });
        }
        self.sessions.get_mut(&id).expect("it is open").escrow += cx.funds;
        self.touched.insert(Touched::Session(id));
        Ok(())
    }

    pub fn close_session(&mut self, cx: &Cx, id: SessionId) -> Answer {
        let session = self.session(id)?.clone();
        if session.status == SessionStatus::Closed {
            return Err(ContractError::SessionClosed { session: id });
        }
        if session.is_open(cx.epoch) {
            if cx.sender != session.requester {
                return Err(ContractError::NotRequester { session: id, requester: session.requester });
            }
            let closes = session.closes.0.min(cx.epoch.0 + u64::from(cx.params.limits.close_delay_epochs));
            self.unschedule(session.closes.0 + 1, &Item::Session(id));
            self.schedule(closes + 1, Item::Session(id));
            let stored = self.sessions.get_mut(&id).expect("it is open");
            (stored.status, stored.closes) = (SessionStatus::Closing, Epoch(closes));
            self.touched.insert(Touched::Session(id));
            return Ok(());
        }
        if cx.epoch <= session.closes {
            return Err(ContractError::SessionClosing { session: id, closes: session.closes, now: cx.epoch });
        }
        let first = session.payments.keys().next().map_or(cx.epoch, |epoch| Epoch(*epoch));
        if self.finish_session(id) {
            Ok(())
        } else {
            Err(ContractError::SessionUnsettled { session: id, epoch: first })
        }
    }

    /// Pays out what a session has left, unless all of it waits for an unsettled epoch.
    pub fn finish_session(&mut self, id: SessionId) -> bool {
        let Credited { mut session, returns } = self.credited(&self.sessions[&id]);
        let amount = std::mem::take(&mut session.escrow);
        if amount == 0 && !session.payments.is_empty() {
            return false;
        }
        session.status =
            if session.payments.is_empty() { SessionStatus::Closed } else { SessionStatus::Closing };
        self.take_returns(&session.executor, &returns);
        self.earn(&session.requester, amount);
        self.sessions.insert(id, session);
        self.touched.insert(Touched::Session(id));
        true
    }

    pub fn credited(&self, session: &Session) -> Credited {
        let mut credited = Credited { session: session.clone(), returns: BTreeMap::new() };
        for (epoch, paid) in &session.payments {
            let account = self.accounts.get(&(session.executor.clone(), *epoch));
            let account = account.filter(|account| !account.swept);
            match account.map(|account| account.status) {
                Some(EpochStatus::Open | EpochStatus::Condemned) => continue,
                Some(EpochStatus::Forfeited) => {
                    let (fees, money) = self.refund_left(account.expect("it is forfeited"));
                    let share = if *paid == 0 { 0 } else { money * paid / fees };
                    credited.session.escrow += share;
                    credited.returns.insert(*epoch, (*paid, share));
                }
                Some(EpochStatus::Paid) | None => {}
            }
            credited.session.payments.remove(epoch);
        }
        credited
    }

    pub fn take_returns(&mut self, executor: &str, returns: &BTreeMap<u64, (u128, u128)>) {
        for (epoch, (paid, share)) in returns {
            let account = self.accounts.get_mut(&(executor.to_string(), *epoch)).expect("it is stored");
            account.returned.0 += paid;
            account.returned.1 += share;
            self.touched.insert(Touched::Account(executor.into(), *epoch));
        }
    }
}

fn check_key(key: &HexBinary) -> Answer {
    match key.first() {
        Some(2 | 3) if key.len() == 33 => Ok(()),
        _ => Err(ContractError::BadSessionKey { key: key.to_hex() }),
    }
}

fn check_cap(cap: &'static str, value: u32, most: u32) -> Answer {
    if (1..=most).contains(&value) {
        Ok(())
    } else {
        Err(ContractError::BadCap { cap, value, most })
    }
}

/// Share of inferences that are checked, of 2³²: b + (1 − b)(1 − r)², rounded up.
pub fn rate(cx: &Cx, reputation: u32) -> u64 {
    let base = u128::from(cx.params.reputation.base_rate_ppm);
    let missing = 1_000_000 - u128::from(reputation);
    let trillionths = base * 1_000_000_000_000 + (1_000_000 - base) * missing * missing;
    u64::try_from((trillionths << 32).div_ceil(1_000_000_000_000_000_000)).expect("at most one")
}
