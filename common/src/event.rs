//! The contract's events, encoder beside decoder; explorers and sidecars read nothing else from a block.

use std::collections::BTreeMap;

use cosmwasm_std::Uint128;

use crate::ids::{BatchId, BatchRoot, Digest, Epoch, ModelDigest, Randomness, Round, SessionId, Window};

mod codec;

use codec::events;
pub use codec::{Attribute, EventError, Kind, VERSION_KEY};

events! {
    /// Governance made a model known.
    ModelRegistered = "assay_model_registered", 1 {
        model: ModelDigest, reference_fee: Uint128,
        /// SHA-256 of the calibration that judges it.
        calibration: Digest,
    }
    /// What is committed from the beginning of `epoch` on is judged by another calibration.
    CalibrationUpdated = "assay_calibration_updated", 1 {
        model: ModelDigest,
        /// Counts the model's calibrations, from 1.
        version: u32,
        epoch: Epoch,
        /// SHA-256 of the calibrations.
        before: Digest, after: Digest,
    }
    /// A model takes no new sessions and nodes.
    ModelDeprecated = "assay_model_deprecated", 1 { model: ModelDigest }
    /// A model has other guardians.
    GuardiansSet = "assay_guardians_set", 1 {
        model: ModelDigest,
        /// Addresses, separated by commas.
        before: String,
        /// Addresses, separated by commas.
        after: String,
        /// First epoch whose juries know it.
        from_epoch: Epoch,
    }
    /// A node bonded a stake, its first or its first after it had left.
    NodeRegistered = "assay_node_registered", 1 {
        node: String, stake: Uint128,
        /// First epoch whose juries it can sit on.
        from_epoch: Epoch,
    }
    /// A node added to its stake, or changed its models or its endpoint.
    NodeUpdated = "assay_node_updated", 1 {
        node: String, stake_before: Uint128, stake_after: Uint128,
        /// Digests, separated by commas.
        models_before: String,
        /// Digests, separated by commas.
        models_after: String,
        endpoint_before: String, endpoint_after: String,
        /// First epoch whose juries are drawn by the new stake and models.
        from_epoch: Epoch,
    }
    /// A node took a part of its stake out of the next epoch's tables.
    Unbonded = "assay_unbonded", 1 {
        node: String, amount: Uint128,
        /// Bonded.
        stake_before: Uint128,
        /// Bonded.
        stake_after: Uint128,
        /// The second since 1970 from which it can be withdrawn.
        release: u64,
        /// First epoch whose juries are drawn without it.
        from_epoch: Epoch,
    }
    /// What had been unbonding for long enough was paid out.
    Withdrawn = "assay_withdrawn", 1 {
        node: String, amount: Uint128, unbonding_before: Uint128, unbonding_after: Uint128,
        /// Whether nothing is left: the node is none any more.
        left: bool,
    }
    /// A stake was taken from for a forfeited epoch or a proven fraud, what is bonded first.
    Slashed = "assay_slashed", 1 {
        node: String, epoch: Epoch, amount: Uint128,
        /// Bonded.
        stake_before: Uint128,
        /// Bonded.
        stake_after: Uint128,
        unbonding_before: Uint128, unbonding_after: Uint128,
    }
    /// A requester opened a prepaid session.
    SessionOpened = "assay_session_opened", 1 {
        session: SessionId, requester: String, executor: String, model: ModelDigest,
        /// Of one inference.
        fee: Uint128,
        escrow: Uint128,
    }
    /// Somebody added to a session.
    SessionToppedUp = "assay_session_topped_up", 1 {
        session: SessionId, payer: String, amount: Uint128, escrow_before: Uint128, escrow_after: Uint128,
    }
    /// A requester began the closing of its session.
    SessionClosing = "assay_session_closing", 1 {
        session: SessionId, requester: String,
        /// Last epoch in which the executor could have claimed.
        closes_before: Epoch,
        /// Last epoch in which the executor can claim.
        closes_after: Epoch,
        escrow: Uint128,
    }
    /// All that was left of a session became claimable by the requester.
    SessionPaidOut = "assay_session_paid_out", 1 {
        session: SessionId, requester: String, amount: Uint128,
        /// Of `amount`, what came from forfeited epochs.
        refunds: Uint128,
        /// Epochs that are not settled: what they give back comes later.
        unsettled: u32,
        /// Whether this was all.
        closed: bool,
    }
    /// An executor committed to inferences and was paid for them into its pending fees.
    BatchCommitted = "assay_batch_committed", 1 {
        batch: BatchId, executor: String, model: ModelDigest, root: BatchRoot, epoch: Epoch, window: Window,
        /// Inferences under the root.
        count: u32,
        /// How many of them will be drawn.
        samples: u32,
        /// Share of the inferences that is drawn, of 2³².
        rate: u64,
        fees: Uint128,
        /// Of the executor's epoch.
        pending_before: Uint128,
        /// Of the executor's epoch.
        pending_after: Uint128,
    }
    /// The beacon of a window is known.
    BeaconPosted = "assay_beacon_posted", 1 { window: Window, round: Round, randomness: Randomness }
    /// Samples `from..to` of a batch now have juries.
    Drawn = "assay_drawn", 1 {
        batch: BatchId, executor: String, window: Window, from: u32, to: u32,
        /// Whether this was the last page.
        complete: bool,
    }
    /// A juror committed to a page of its verdicts on the draws of a window.
    VerdictsCommitted = "assay_verdicts_committed", 1 { juror: String, window: Window, page: u32 }
    /// A juror opened that page.
    VerdictsRevealed = "assay_verdicts_revealed", 1 {
        juror: String, window: Window, page: u32,
        /// How many there are on it.
        verdicts: u32,
    }
    /// A contested sample got more seats; their verdicts are committed and revealed as those of a draw in this window.
    SampleContested = "assay_sample_contested", 1 {
        batch: BatchId, draw: u32, executor: String, window: Window,
        /// How many were added.
        seats: u32,
    }
    /// Stake was taken while samples were closed, what is bonded first.
    StakeTaken = "assay_stake_taken", 1 {
        node: String,
        /// `unrevealed` commitments, a `second_level` that the juror caused, or an `unavailable` artifact.
        reason: String,
        amount: Uint128,
        /// Bonded, before the message that took it.
        stake_before: Uint128,
        /// Bonded, after the message and all that it took.
        stake_after: Uint128,
    }
    /// A juror missed so many verdicts that it is off the juries from this epoch on.
    JurorBenched = "assay_juror_benched", 1 { juror: String, from_epoch: Epoch }
    /// One sample came to its end.
    SampleClosed = "assay_sample_closed", 1 {
        batch: BatchId, draw: u32, executor: String,
        /// valid, fail_replay, fail_malformed, unavailable, inconclusive_split, void…
        outcome: String,
    }
    /// A step of a settlement, or its end.
    Settled = "assay_settled", 1 {
        executor: String, epoch: Epoch,
        /// open, paid or forfeited
        status: String,
        /// Samples that the evidence took in.
        folded: u32,
        /// Of the highest alternative, in 2⁻¹⁶ bits.
        evidence_before: i64,
        /// The same after this step; where it forfeits the epoch, what did: from then on it is 0.
        evidence_after: i64,
        /// What forfeits the epoch, in 2⁻¹⁶ bits.
        bound: i64,
        /// Became claimable by the executor.
        reward: Uint128,
        /// Went back to the sessions.
        refunded: Uint128,
        slashed: Uint128,
        /// Of `slashed`, what went to the accuser.
        bounty: Uint128,
        /// Millionths of full trust.
        reputation_before: u32,
        /// Millionths of full trust.
        reputation_after: u32,
        /// Share of the executor's inferences that is drawn, of 2³².
        rate_before: u64,
        /// Share of the executor's inferences that is drawn, of 2³².
        rate_after: u64,
    }
    /// An accuser may show the proof behind `hash` from the next block until the end of epoch `until`.
    FraudCommitted = "assay_fraud_committed", 1 { accuser: String, hash: Digest, until: Epoch }
    /// A proof was brought: an open epoch is condemned, and slashed at its settlement; one that is settled is slashed now.
    /// From then on the executor's reputation is 0 and all of its inferences are checked.
    FraudProven = "assay_fraud_proven", 2 {
        executor: String, epoch: Epoch, batch: BatchId,
        /// Leaf number under the batch's root.
        index: u32,
        /// replay, malformed, sampling, request or equivocation
        finding: String,
        accuser: String,
        /// open, condemned, paid or forfeited
        status_before: String,
        /// open, condemned, paid or forfeited
        status_after: String,
        slashed: Uint128,
        /// Of `slashed`, what went to the accuser.
        bounty: Uint128,
        burned: Uint128,
    }
    /// State that nothing depended on was removed.
    Swept = "assay_swept", 1 {
        /// Entries removed and sessions paid out.
        items: u32,
    }
    /// All that an address had earned was paid out; nothing of it is left.
    Claimed = "assay_claimed", 1 { address: String, amount: Uint128 }
    /// Another version of the contract's code has taken over.
    Migrated = "assay_migrated", 1 { before: String, after: String }
    /// One for each field that a version of the parameters changes, from the beginning of `epoch` on.
    ParamChanged = "assay_param_changed", 1 {
        /// Counts the versions of the parameters, from 1.
        version: u32,
        epoch: Epoch,
        /// Group and name, as in `fees.slash_ppm`.
        field: String,
        before: String, after: String,
    }
    /// The version that would have come into force in `epoch` will not.
    ParamsCancelled = "assay_params_cancelled", 1 {
        /// Counts the versions of the parameters, from 1.
        version: u32,
        epoch: Epoch,
    }
    /// Payouts and withdrawals wait until governance ends the pause, or it lapses.
    Paused = "assay_paused", 1 {
        /// When it lapses, in seconds since 1970.
        until: u64,
    }
    /// Governance ended the pause.
    Unpaused = "assay_unpaused", 1 {
        /// When it would have lapsed, in seconds since 1970.
        until_before: u64,
        /// When it ended, in seconds since 1970.
        until_after: u64,
    }
}

impl From<Event> for cosmwasm_std::Event {
    fn from(event: Event) -> Self {
        cosmwasm_std::Event::new(event.kind()).add_attributes(event.attributes())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn drawn() -> Event {
        Event::Drawn {
            batch: BatchId(3),
            executor: "e".into(),
            window: Window(4),
            from: 0,
            to: 12,
            complete: true,
        }
    }

    fn attributes(event: &Event) -> BTreeMap<String, String> {
        event.attributes().into_iter().map(|(k, v)| (k.to_string(), v)).collect()
    }

    #[test]
    fn what_is_encoded_is_decoded_with_and_without_the_prefix() {
        let event = drawn();
        assert_eq!(Event::decode("wasm-assay_drawn", &attributes(&event)), Ok(Some(event.clone())));
        assert_eq!(Event::decode("assay_drawn", &attributes(&event)), Ok(Some(event)));
        assert_eq!(Event::decode("transfer", &BTreeMap::new()), Ok(None));
    }

    #[test]
    fn an_event_of_another_version_is_refused_and_one_from_before_versions_is_none_of_these() {
        let mut attributes = attributes(&drawn());
        attributes.insert(VERSION_KEY.into(), "2".into());
        let error = Event::decode("assay_drawn", &attributes).unwrap_err();
        assert_eq!(error, EventError::OtherVersion { event: "assay_drawn", found: "2".into(), known: 1 });
        attributes.remove(VERSION_KEY);
        assert_eq!(Event::decode("assay_drawn", &attributes), Ok(None));
    }

    #[test]
    fn every_kind_says_what_it_is_and_names_each_attribute_once() {
        for (place, kind) in KINDS.iter().enumerate() {
            assert!(!kind.about.is_empty(), "{}", kind.kind);
            assert!(KINDS[..place].iter().all(|earlier| earlier.kind != kind.kind), "{} twice", kind.kind);
            for (at, attribute) in kind.attributes.iter().enumerate() {
                let same = |other: &Attribute| other.key == attribute.key || other.key == VERSION_KEY;
                assert!(!kind.attributes[..at].iter().any(same), "{}: {}", kind.kind, attribute.key);
            }
        }
        let drawn = KINDS.iter().find(|kind| kind.kind == "assay_drawn").unwrap();
        assert_eq!(drawn.attributes[1], Attribute { key: "executor", of: "String", about: "" });
        assert_eq!(drawn.attributes[5].about, "Whether this was the last page.");
    }

    #[test]
    fn a_missing_or_unreadable_attribute_is_named() {
        let mut attributes = attributes(&drawn());
        attributes.insert("to".into(), "many".into());
        let error = Event::decode("assay_drawn", &attributes).unwrap_err();
        assert!(error.to_string().contains("to = \"many\""), "{error}");
        attributes.remove("to");
        let error = Event::decode("assay_drawn", &attributes).unwrap_err();
        assert_eq!(error, EventError::Missing { event: "assay_drawn", key: "to" });
    }
}
