//! Proofs of fraud: committed to, shown, and what they condemn.

use assay_common::ids::{BatchId, Digest, Epoch};
use assay_common::msg::EpochStatus;
use assay_common::proof::{accusation, Finding};
use assay_contract::error::ContractError;
use assay_contract::sweep::Item;
use cosmwasm_std::{Addr, HexBinary};

use super::settle::bounty;
use super::{Answer, Cx, Exhibit, Touched, World};

impl World {
    pub fn commit_fraud(&mut self, cx: &Cx, hash: Digest) -> Answer {
        if let Some((_, height)) = self.standing(cx, hash) {
            return Err(ContractError::FraudCommitted { accuser: cx.sender.clone(), hash, height });
        }
        self.accusations.insert((cx.epoch.0, cx.sender.clone(), hash), cx.height);
        self.schedule(cx.epoch.0 + 2, lapsed(cx, cx.epoch.0, hash));
        Ok(())
    }

    /// Epoch and block of a commitment of this epoch or the one before.
    fn standing(&self, cx: &Cx, hash: Digest) -> Option<(u64, u64)> {
        let epochs = [Some(cx.epoch.0), cx.epoch.0.checked_sub(1)];
        epochs.into_iter().flatten().find_map(|epoch| {
            let height = self.accusations.get(&(epoch, cx.sender.clone(), hash))?;
            Some((epoch, *height))
        })
    }

    /// `exhibit` is what the proof comes to against the leaf that it names.
    pub fn prove(
        &mut self,
        cx: &Cx,
        (proof, salt): (Digest, &HexBinary),
        (id, index): (BatchId, u32),
        exhibit: Option<Exhibit>,
    ) -> Answer {
        let accuser = cx.sender.clone();
        let hash = accusation(&self.domain, &accuser, &proof, salt);
        let Some((epoch, height)) = self.standing(cx, hash) else {
            return Err(ContractError::FraudNotCommitted { accuser, hash });
        };
        if height == cx.height {
            return Err(ContractError::FraudTooEarly { hash, height });
        }
        let batch = self.batch(id)?.clone();
        let (now, until) = (self.running(), batch.accusable);
        if now > until {
            return Err(ContractError::FraudWindowOver { batch: id, until, now });
        }
        let Some((session, _)) = batch.inference(index) else {
            return Err(ContractError::NoSuchLeaf { batch: id, index, count: batch.count() });
        };
        self.session(session)?;
        let finding = exhibit.expect("the driver says what its proofs are")?;
        self.condemn(cx, (id, index), finding)?;
        self.accusations.remove(&(epoch, accuser, hash));
        self.unschedule(epoch + 2, &lapsed(cx, epoch, hash));
        Ok(())
    }

    fn condemn(&mut self, cx: &Cx, (id, index): (BatchId, u32), finding: Finding) -> Answer {
        let batch = self.batches[&id].clone();
        let (executor, epoch) = (batch.executor.clone(), batch.epoch);
        let mut account = self.account(&executor, epoch)?.clone();
        if account.accusation.is_some() || account.slashed > 0 {
            return Err(ContractError::EpochSlashed { executor, epoch });
        }
        let params = self.params_of(epoch)?;
        account.accusation = Some((cx.sender.clone(), finding, id, index));
        if account.status.is_settled() {
            self.nodes.get_mut(&executor).expect("an executor is a node").reputation = 0;
            account.slashed = self.slash(cx, &params, &executor);
            let (accuser, due) = bounty(&params, account.slashed, &executor, &account);
            account.bounty = due;
            self.burned += account.slashed - due;
            if let Some(accuser) = accuser {
                self.earn(&accuser, due);
            }
        } else {
            account.status = EpochStatus::Condemned;
        }
        self.touched.insert(Touched::Account(executor.clone(), epoch.0));
        self.accounts.insert((executor, epoch.0), account);
        Ok(())
    }
}

impl World {
    /// A node's reputation, which is worth nothing while an epoch of it is condemned.
    pub fn trusted(&self, executor: &str) -> u32 {
        let mut own = self.accounts.iter().filter(|((of, _), _)| of == executor);
        if own.any(|(_, account)| account.status == EpochStatus::Condemned) {
            0
        } else {
            self.nodes[executor].reputation
        }
    }
}

fn lapsed(cx: &Cx, epoch: u64, hash: Digest) -> Item {
    Item::FraudCommitment { epoch: Epoch(epoch), accuser: Addr::unchecked(&cx.sender), hash }
}
