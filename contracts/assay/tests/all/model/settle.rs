//! Settle: the evidence in its order, and what an epoch ends with.

use assay_common::evidence::{Audit, Scheme};
use assay_common::ids::{BatchId, Epoch};
use assay_common::msg::EpochStatus;
use assay_common::params::Params;
use assay_common::verdict::FinalOutcome;
use assay_contract::error::ContractError;
use assay_contract::sweep::Item;

use super::money::share;
use super::{check_address, check_limit, Account, Answer, Cx, Touched, World};

/// Where a fold of the evidence ends.
enum End {
    Open,
    Whole,
    Condemned(BatchId),
}

impl World {
    pub fn account(&self, executor: &str, epoch: Epoch) -> Result<&Account, ContractError> {
        let known = self.accounts.get(&(executor.to_string(), epoch.0)).filter(|account| !account.swept);
        known.ok_or_else(|| ContractError::UnknownEpoch { executor: executor.into(), epoch })
    }

    pub fn settle(&mut self, cx: &Cx, executor: &str, epoch: Epoch, limit: u32) -> Answer {
        check_address(executor)?;
        check_limit(limit, cx.params.limits.settle_page)?;
        let mut account = self.account(executor, epoch)?.clone();
        if epoch >= cx.epoch {
            return Err(ContractError::EpochNotOver { epoch, now: cx.epoch });
        }
        if account.status.is_settled() {
            return Err(ContractError::EpochSettled { executor: executor.into(), epoch });
        }
        if let Some(earlier) = account.previous.filter(|earlier| self.is_unsettled(executor, *earlier)) {
            return Err(ContractError::EarlierEpochOpen { epoch, earlier });
        }
        let params = self.params_of(epoch)?;
        let key = (executor.to_string(), epoch.0);
        if account.status == EpochStatus::Condemned {
            self.forfeit(cx, &params, (executor, true), account, &key);
        } else {
            let before = account.folded;
            let (evidence, end) = self.fold(&params, executor, &mut account, limit);
            if matches!(end, End::Open) && account.folded == before {
                return Err(ContractError::NothingToSettle { executor: executor.into(), epoch });
            }
            self.nodes.get_mut(executor).expect("an executor is a node").evidence = evidence;
            match end {
                End::Open => {
                    self.accounts.insert(key.clone(), account);
                }
                End::Whole => self.reward(&params, executor, account, &key),
                End::Condemned(batch) => {
                    let batch = &self.batches[&batch];
                    let number = self.nodes[executor].number;
                    let others = self.others(&batch.model, batch.epoch, number);
                    let may_slash = others >= params.jury.min_others_to_slash;
                    self.forfeit(cx, &params, (executor, may_slash), account, &key);
                }
            }
        }
        if self.accounts[&key].status.is_settled() {
            let kept = self.kept_until(&params, epoch.0);
            let item = Item::Account { executor: cosmwasm_std::Addr::unchecked(executor), epoch };
            self.schedule(kept, item);
        }
        self.touched.insert(Touched::Account(key.0, key.1));
        Ok(())
    }

    /// Takes in closed samples, in the order of batches and draws, up to the first that is open.
    fn fold(&self, params: &Params, executor: &str, account: &mut Account, limit: u32) -> ([i64; 3], End) {
        let mut evidence = self.nodes[executor].evidence;
        let most = account.folded + limit;
        let all = account.batches.iter().flat_map(|id| {
            let batch = &self.batches[id];
            (0..batch.planned as usize).map(move |draw| (*id, batch, batch.samples.get(draw)))
        });
        for (id, batch, sample) in all.skip(account.folded as usize) {
            let Some((outcome, class, bin)) = sample.and_then(|sample| sample.closed) else {
                return (evidence, End::Open);
            };
            if account.folded == most {
                return (evidence, End::Open);
            }
            account.folded += 1;
            let bins =
                &self.models[&batch.model].calibrations.of(batch.epoch).expect("it is kept").value.bins;
            let scheme = Scheme::new(&params.evidence, bins);
            let audit = match outcome {
                FinalOutcome::Valid => Some(Audit::Pass { class, bin }),
                FinalOutcome::Fail { .. } => Some(Audit::Fail { class }),
                _ => None,
            };
            let Some(audit) = audit else { continue };
            let mut reached = false;
            for (counter, step) in evidence.iter_mut().zip(scheme.step(audit)) {
                *counter = (*counter).max(0) + step;
                reached |= step > 0 && *counter >= scheme.bound;
            }
            if reached {
                return (evidence, End::Condemned(id));
            }
        }
        (evidence, End::Whole)
    }

    fn reward(&mut self, params: &Params, executor: &str, account: Account, key: &(String, u64)) {
        let reward = self.pending(&account);
        let outcomes = self.outcomes(&account);
        let count = |of: fn(&FinalOutcome) -> bool| outcomes.iter().filter(|outcome| of(outcome)).count();
        let void = count(|outcome| *outcome == FinalOutcome::Void);
        let conclusive =
            count(|outcome| matches!(outcome, FinalOutcome::Valid | FinalOutcome::Fail { .. })) as u64;
        let checked = (outcomes.len() - void) as u64;
        let rules = &params.reputation;
        let enough = checked >= u64::from(rules.min_checked);
        if enough && conclusive * 1_000_000 >= checked * u64::from(rules.min_conclusive_ppm) {
            let node = self.nodes.get_mut(executor).expect("an executor is a node");
            node.reputation = (node.reputation + rules.step_ppm).min(1_000_000);
        }
        self.accounts.insert(key.clone(), Account { status: EpochStatus::Paid, reward, ..account });
        self.earn(executor, reward);
    }

    /// What the closed samples of an epoch came to.
    pub fn outcomes(&self, account: &Account) -> Vec<FinalOutcome> {
        let samples = account.batches.iter().flat_map(|id| &self.batches[id].samples);
        samples.filter_map(|sample| sample.closed.map(|(outcome, ..)| outcome)).collect()
    }

    fn forfeit(
        &mut self,
        cx: &Cx,
        params: &Params,
        (executor, may_slash): (&str, bool),
        mut account: Account,
        key: &(String, u64),
    ) {
        let slashed = if may_slash { self.slash(cx, params, executor) } else { 0 };
        let (fees, pending) = (self.fees(&account), self.pending(&account));
        let repaid = slashed.min(account.advanced);
        let top_up = (slashed - repaid).min(fees - pending);
        let (accuser, bounty) = bounty(params, slashed, executor, &account);
        let bounty = bounty.min(slashed - repaid - top_up);
        self.reserve += repaid;
        self.burned += slashed - repaid - top_up - bounty;
        if let Some(accuser) = accuser {
            self.earn(&accuser, bounty);
        }
        account.status = EpochStatus::Forfeited;
        (account.slashed, account.bounty, account.refunded) = (slashed, bounty, pending + top_up);
        self.accounts.insert(key.clone(), account);
        let node = self.nodes.get_mut(executor).expect("an executor is a node");
        (node.reputation, node.evidence) = (0, [0; 3]);
    }

    /// Takes the share of a stake that a forfeit costs.
    pub fn slash(&mut self, cx: &Cx, params: &Params, executor: &str) -> u128 {
        let node = self.nodes.get_mut(executor).expect("an executor is a node");
        let slashed = node.take(share(node.at_stake(), params.fees.slash_ppm));
        self.follow_stake(cx, executor);
        slashed
    }
}

/// Who accused another than himself, and the share of a slash that is his.
pub fn bounty(params: &Params, slashed: u128, executor: &str, account: &Account) -> (Option<String>, u128) {
    let accuser = account.accusation.as_ref().map(|(accuser, ..)| accuser.clone());
    match accuser.filter(|accuser| accuser != executor) {
        Some(accuser) => (Some(accuser), share(slashed, params.fraud.bounty_ppm)),
        None => (None, 0),
    }
}
