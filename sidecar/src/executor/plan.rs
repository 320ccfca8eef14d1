//! What goes into a batch, and what money: pure functions of the chain's records and the stored answers.

use std::collections::BTreeMap;

use assay_common::draw::sample_count;
use assay_common::ids::{BatchRoot, ModelDigest, SessionId};
use assay_common::merkle;
use assay_common::msg::{Claim, SessionResponse};
use assay_common::params::{Params, PPM};
use cosmwasm_std::{HexBinary, Uint128};

use super::batches::NewBatch;
use super::inferences::Answered;

/// What a session has to offer for a batch.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Its record on chain.
    pub session: SessionResponse,
    /// Answers after the last nonce paid, in the order of their nonces.
    pub answered: Vec<Answered>,
}

/// What one batch may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub claims: u32,
    pub inferences: u32,
}

impl Limits {
    /// Cut down to what causes at most `most` samples at a rate: ⌈rate · count / 2³²⌉ ≤ most, just when
    /// rate · count ≤ most · 2³².
    #[must_use]
    pub fn sampled_at(self, rate_q32: u64, most: u32) -> Self {
        let count = (u64::from(most) << 32) / rate_q32.max(1);
        let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
        Self { inferences: self.inferences.min(count), ..self }
    }
}

/// Lays out a batch: for each session the nonces that follow on the last one paid without a gap, as far as its escrow
/// reaches; sessions in the order of their ids, as the contract wants them.
///
/// Offers that come first are served first where the limits cut. `None` where nothing can be claimed.
pub fn plan(model: ModelDigest, offers: &[Offer], limits: Limits) -> Option<NewBatch> {
    let mut left = limits.inferences as usize;
    let mut chosen: BTreeMap<SessionId, &[Answered]> = BTreeMap::new();
    for Offer { session, answered } in offers {
        if chosen.len() == limits.claims as usize || left == 0 {
            break;
        }
        let affordable = session.escrow.u128().checked_div(session.fee.u128()).unwrap_or(u128::MAX);
        let most = usize::try_from(affordable).unwrap_or(usize::MAX).min(left);
        let follows = |(answer, expected): (&Answered, u64)| answer.nonce.0 == expected;
        let expected = session.nonce.0.saturating_add(1)..;
        let count = answered.iter().zip(expected).take(most).take_while(|pair| follows(*pair)).count();
        if count > 0 {
            chosen.insert(session.session, &answered[..count]);
            left = left.saturating_sub(count);
        }
    }
    let claims: Vec<Claim> = chosen.values().filter_map(|members| members.last()).map(claim).collect();
    let members = || chosen.values().copied().flatten();
    let leaves: Vec<[u8; 32]> = members().map(Answered::leaf).collect();
    let root = BatchRoot(merkle::root(&leaves));
    let batch = NewBatch { model, root, claims, members: members().map(|m| m.receipt.inference).collect() };
    (!batch.members.is_empty()).then_some(batch)
}

fn claim(last: &Answered) -> Claim {
    Claim {
        session: last.session,
        nonce_to: last.nonce,
        request: last.receipt.request,
        signature: HexBinary::from(last.voucher.as_slice()),
    }
}

/// What must come with a batch of `count` inferences: max(0, reserve + samples · seats · verdict fee − fees).
///
/// `rate_q32` is the highest of the executor's rate and the marks of the claimed sessions.
pub fn funding(
    params: &Params,
    (rate_q32, verdict_fee): (u64, Uint128),
    (fees, count): (Uint128, u32),
) -> Uint128 {
    let reserve = fees.multiply_ratio(params.fees.reserve_ppm, PPM);
    let samples = sample_count(rate_q32, count);
    let verdicts = u64::from(samples).saturating_mul(u64::from(params.jury.seats));
    let checks = verdict_fee.saturating_mul(Uint128::from(verdicts));
    reserve.saturating_add(checks).saturating_sub(fees)
}
