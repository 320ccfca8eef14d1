//! CommitBatch.

use std::collections::BTreeMap;

use assay_common::ids::{BatchId, BatchRoot, ModelDigest, SessionId};
use assay_common::msg::{Claim, ClaimedRange, EpochStatus};
use assay_common::session::voucher_digest;
use assay_contract::error::ContractError;
use k256::ecdsa::signature::hazmat::PrehashVerifier;
use k256::ecdsa::{Signature, VerifyingKey};

use super::money::share;
use super::sessions::{rate, Credited};
use super::{Account, Answer, Batch, Cx, Session, Touched, World};

const RING: usize = 3;

/// What the claims of a batch come to.
#[derive(Default)]
struct Claimed {
    sessions: BTreeMap<SessionId, Session>,
    /// By epoch, what the sessions take of its refunds.
    returns: Vec<BTreeMap<u64, (u128, u128)>>,
    ranges: Vec<ClaimedRange>,
    count: u64,
    fees: u128,
    mark: u64,
}

impl World {
    pub fn commit_batch(
        &mut self,
        cx: &Cx,
        (model, root): (ModelDigest, BatchRoot),
        claims: &[Claim],
    ) -> Answer {
        let window = cx.window.expect("it has begun");
        if self.beacons.contains_key(&window.0) {
            return Err(ContractError::DrawKnown { window });
        }
        let node = self.serving(&cx.sender, &model)?.clone();
        let needed = self.least_stake(cx, &model);
        if node.stake < needed {
            return Err(ContractError::StakeTooLow { stake: node.stake.into(), needed: needed.into() });
        }
        let others = self.others(&model, cx.epoch, node.number);
        let needed = cx.params.jury.min_others_to_commit;
        if others < needed {
            return Err(ContractError::TooFewOthers { model, others, needed });
        }
        let rate_now = rate(cx, self.trusted(&cx.sender));
        let claimed = self.claim_all(cx, &model, rate_now, claims)?;
        let rate = claimed.mark.max(rate_now);
        let planned = (u128::from(rate) * u128::from(claimed.count)).div_ceil(1 << 32);
        let fee = self.models[&model].reference_fee;
        let mut batch = Batch {
            executor: cx.sender.clone(),
            model,
            root,
            ranges: claimed.ranges.clone(),
            window,
            epoch: cx.epoch,
            rate,
            accusable: self.end_of(window) + u64::from(cx.params.fraud.window_seconds) - self.paused_so_far(),
            fees: claimed.fees,
            verdict_fee: share(fee, cx.params.fees.verdict_ppm),
            seats: cx.params.jury.seats,
            planned: u32::try_from(planned).expect("a batch is bounded"),
            reserve: share(claimed.fees, cx.params.fees.reserve_ppm),
            pending: 0,
            samples: Vec::new(),
            swept: 0,
            gone: false,
        };
        let due = batch.reserve + batch.prepaid() * u128::from(batch.planned);
        let (needed, sent) = (due.saturating_sub(batch.fees), cx.funds);
        batch.pending = batch.fees.saturating_sub(due);
        if sent < needed {
            return Err(ContractError::CheckPoolShort { needed: needed.into(), sent: sent.into() });
        }
        if sent > needed {
            return Err(ContractError::SurplusFunds { needed: needed.into(), sent: sent.into() });
        }
        self.check_samples(cx, &batch)?;
        self.store_batch(cx, claimed, batch);
        Ok(())
    }

    fn claim_all(
        &self,
        cx: &Cx,
        model: &ModelDigest,
        rate_now: u64,
        claims: &[Claim],
    ) -> Result<Claimed, ContractError> {
        let (count, most) = (u32::try_from(claims.len()).expect("few"), cx.params.limits.claims_per_batch);
        if count == 0 || count > most {
            return Err(ContractError::BadClaimCount { count, most });
        }
        let mut all = Claimed::default();
        // Refunds are taken one session after the other, so each sees what the one before left.
        let mut ahead = self.accounts_of(&cx.sender);
        for (place, claim) in claims.iter().enumerate() {
            if let Some(before) = place.checked_sub(1).map(|before| claims[before].session) {
                if claim.session <= before {
                    return Err(ContractError::ClaimsUnordered { before, session: claim.session });
                }
            }
            let session = self.session(claim.session)?;
            check_session(cx, model, session, claim)?;
            self.check_voucher(session, claim)?;
            let Credited { mut session, returns } = ahead.credited(session);
            ahead.take_returns(&cx.sender, &returns);
            all.returns.push(returns);
            let inferences = claim.nonce_to.0 - session.nonce.0;
            charge(cx, claim.session, &mut session, inferences)?;
            all.fees += session.fee * u128::from(inferences);
            all.count = all.count.saturating_add(inferences);
            let most = cx.params.limits.inferences_per_batch;
            if all.count > u64::from(most) {
                return Err(ContractError::TooManyInferences { count: all.count, most });
            }
            all.mark = all.mark.max(session.mark);
            let (from, to) = (session.nonce.next(), claim.nonce_to);
            all.ranges.push(ClaimedRange { session: claim.session, from, to });
            (session.mark, session.nonce) = (rate_now, claim.nonce_to);
            all.sessions.insert(claim.session, session);
        }
        Ok(all)
    }

    /// A world that knows nothing but one executor's accounts.
    fn accounts_of(&self, executor: &str) -> Self {
        let first = self.params.first_value().clone();
        let mut world = Self::new(self.domain.clone(), self.governance.clone(), first, self.now);
        let accounts = self.accounts.iter().filter(|((owner, _), _)| owner == executor);
        world.accounts = accounts.map(|(key, account)| (key.clone(), account.clone())).collect();
        let batches = self.batches.iter().filter(|(_, batch)| batch.executor == executor);
        world.batches = batches.map(|(id, batch)| (*id, batch.clone())).collect();
        world
    }

    fn check_voucher(&self, session: &Session, claim: &Claim) -> Answer {
        let digest = voucher_digest(&self.domain, claim.session, claim.nonce_to, &claim.request);
        let key = VerifyingKey::from_sec1_bytes(&session.key);
        let signature = Signature::from_slice(&claim.signature);
        match (key, signature) {
            (Ok(key), Ok(signature)) if key.verify_prehash(&digest.0, &signature).is_ok() => Ok(()),
            _ => Err(ContractError::BadVoucher { session: claim.session, nonce: claim.nonce_to }),
        }
    }

    fn check_samples(&self, cx: &Cx, batch: &Batch) -> Answer {
        let own = self.batches.values().filter(|other| other.executor == cx.sender);
        let before: u32 = own.filter(|other| other.window == batch.window).map(|other| other.planned).sum();
        let (samples, most) = (before + batch.planned, cx.params.jury.max_samples_per_window);
        if samples > most {
            return Err(ContractError::TooManySamples { window: batch.window, samples, most });
        }
        Ok(())
    }

    fn store_batch(&mut self, cx: &Cx, claimed: Claimed, batch: Batch) {
        for returns in &claimed.returns {
            self.take_returns(&cx.sender, returns);
        }
        for (id, session) in claimed.sessions {
            self.touched.insert(Touched::Session(id));
            self.sessions.insert(id, session);
        }
        let id = BatchId(self.batches.len() as u64 + 1);
        let node = self.nodes.get_mut(&cx.sender).expect("the sender is a node");
        let previous = node.last_epoch.replace(cx.epoch);
        let key = (cx.sender.clone(), cx.epoch.0);
        let account = self.accounts.entry(key).or_insert_with(|| Account::new(previous));
        account.batches.push(id);
        self.touched.insert(Touched::Account(cx.sender.clone(), cx.epoch.0));
        self.touched.insert(Touched::Batch(id));
        self.reserve += batch.reserve;
        self.batches.insert(id, batch);
    }
}

impl Account {
    fn new(previous: Option<assay_common::ids::Epoch>) -> Self {
        Self {
            status: EpochStatus::Open,
            previous,
            batches: Vec::new(),
            folded: 0,
            taken: 0,
            advanced: 0,
            split_costs: 0,
            reward: 0,
            refunded: 0,
            slashed: 0,
            bounty: 0,
            accusation: None,
            returned: (0, 0),
            swept: false,
        }
    }
}

fn check_session(cx: &Cx, model: &ModelDigest, session: &Session, claim: &Claim) -> Answer {
    let id = claim.session;
    if session.executor != cx.sender || session.model != *model {
        let executor = session.executor.clone();
        return Err(ContractError::NotYourSession { session: id, executor, model: session.model });
    }
    if cx.epoch > session.closes {
        return Err(ContractError::SessionOver { session: id, closes: session.closes, now: cx.epoch });
    }
    if claim.nonce_to <= session.nonce {
        let (nonce, claimed) = (session.nonce, claim.nonce_to);
        return Err(ContractError::NonceNotRising { session: id, nonce, claimed });
    }
    Ok(())
}

fn charge(cx: &Cx, id: SessionId, session: &mut Session, inferences: u64) -> Answer {
    let cost = session.fee.checked_mul(u128::from(inferences));
    let cost = cost.ok_or(ContractError::Arithmetic { reason: String::new() })?;
    if cost > session.escrow {
        let escrow = session.escrow.into();
        return Err(ContractError::EscrowShort { session: id, escrow, cost: cost.into() });
    }
    session.escrow -= cost;
    let oldest = session.payments.keys().next().copied();
    let full = session.payments.len() >= RING && !session.payments.contains_key(&cx.epoch.0);
    if let Some(oldest) = oldest.filter(|_| full) {
        return Err(ContractError::EpochUnsettled { session: id, epoch: assay_common::ids::Epoch(oldest) });
    }
    *session.payments.entry(cx.epoch.0).or_default() += cost;
    Ok(())
}
