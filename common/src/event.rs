//! The contract's events, encoder beside decoder; explorers and sidecars read nothing else from a block.

use std::collections::BTreeMap;

use cosmwasm_std::Uint128;

use crate::ids::{BatchId, BatchRoot, Digest, Epoch, ModelDigest, Randomness, Round, SessionId, Window};

/// An event of this contract that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    #[error("event {event} has no attribute {key}")]
    Missing { event: &'static str, key: &'static str },
    #[error("event {event}: {key} = {value:?} cannot be read: {reason}")]
    Unreadable { event: &'static str, key: &'static str, value: String, reason: String },
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $kind:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)? })+) => {
        /// Everything that the contract tells the world.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])* $name { $($(#[$field_doc])* $field: $type),+ }),+
        }

        impl Event {
            /// Type of the event, without the `wasm-` that the chain puts before it.
            pub fn kind(&self) -> &'static str {
                match self { $(Event::$name { .. } => $kind),+ }
            }

            /// Keys and values, in the order of the fields.
            pub fn attributes(&self) -> Vec<(&'static str, String)> {
                match self {
                    $(Event::$name { $($field),+ } => vec![$((stringify!($field), $field.to_string())),+]),+
                }
            }

            /// Reads an event of type `kind` (with or without `wasm-`); `None` where it is not one of these.
            ///
            /// # Errors
            /// An attribute is missing or unreadable.
            pub fn decode(kind: &str, attributes: &BTreeMap<String, String>) -> Result<Option<Event>, EventError> {
                match kind.strip_prefix("wasm-").unwrap_or(kind) {
                    $($kind => Ok(Some(Event::$name {
                        $($field: {
                            let (event, key) = ($kind, stringify!($field));
                            let value = attributes.get(key).ok_or(EventError::Missing { event, key })?;
                            value.parse::<$type>().map_err(|error| EventError::Unreadable {
                                event, key, value: value.clone(), reason: error.to_string(),
                            })?
                        }),+
                    })),)+
                    _ => Ok(None),
                }
            }
        }
    };
}

events! {
    ModelRegistered = "assay_model_registered" { model: ModelDigest, reference_fee: Uint128, calibration: Digest }
    /// What is committed from the beginning of `epoch` on is judged by another calibration.
    CalibrationUpdated = "assay_calibration_updated" {
        model: ModelDigest, version: u32, epoch: Epoch, before: Digest, after: Digest,
    }
    ModelDeprecated = "assay_model_deprecated" { model: ModelDigest }
    GuardiansSet = "assay_guardians_set" {
        model: ModelDigest,
        /// Addresses, separated by commas.
        before: String, after: String,
        /// First epoch whose juries know it.
        from_epoch: Epoch,
    }
    NodeRegistered = "assay_node_registered" {
        node: String,
        stake: Uint128,
        /// First epoch whose juries it can sit on.
        from_epoch: Epoch,
    }
    /// Lists of models are joined by commas.
    NodeUpdated = "assay_node_updated" {
        node: String, stake_before: Uint128, stake_after: Uint128, models_before: String, models_after: String,
        endpoint_before: String, endpoint_after: String,
        /// First epoch whose juries are drawn by the new stake and models.
        from_epoch: Epoch,
    }
    Unbonded = "assay_unbonded" {
        node: String, amount: Uint128, stake_before: Uint128, stake_after: Uint128,
        /// The second since 1970 from which it can be withdrawn.
        release: u64,
        /// First epoch whose juries are drawn without it.
        from_epoch: Epoch,
    }
    Withdrawn = "assay_withdrawn" {
        node: String, amount: Uint128, unbonding_before: Uint128, unbonding_after: Uint128,
        /// Whether nothing is left: the node is none any more.
        left: bool,
    }
    /// A stake was taken from, bonded first.
    Slashed = "assay_slashed" {
        node: String, epoch: Epoch, amount: Uint128, stake_before: Uint128, stake_after: Uint128,
        unbonding_before: Uint128, unbonding_after: Uint128,
    }
    SessionOpened = "assay_session_opened" {
        session: SessionId, requester: String, executor: String, model: ModelDigest, fee: Uint128, escrow: Uint128,
    }
    SessionToppedUp = "assay_session_topped_up" {
        session: SessionId, payer: String, amount: Uint128, escrow_before: Uint128, escrow_after: Uint128,
    }
    /// The executor can claim until the end of epoch `closes_after`.
    SessionClosing = "assay_session_closing" {
        session: SessionId, requester: String, closes_before: Epoch, closes_after: Epoch, escrow: Uint128,
    }
    /// What was left became claimable by the requester; `refunds` of it came from forfeited epochs.
    SessionPaidOut = "assay_session_paid_out" {
        session: SessionId, requester: String, amount: Uint128, refunds: Uint128,
        /// Epochs that are not settled: what they give back comes later.
        unsettled: u32,
        /// Whether this was all.
        closed: bool,
    }
    BatchCommitted = "assay_batch_committed" {
        batch: BatchId, executor: String, model: ModelDigest, root: BatchRoot, epoch: Epoch, window: Window,
        count: u32, samples: u32, fees: Uint128,
    }
    BeaconPosted = "assay_beacon_posted" { window: Window, round: Round, randomness: Randomness }
    /// Samples `from..to` of a batch now have juries.
    Drawn = "assay_drawn" {
        batch: BatchId, executor: String, window: Window, from: u32, to: u32,
        /// Whether this was the last page.
        complete: bool,
    }
    VerdictsCommitted = "assay_verdicts_committed" { juror: String, window: Window, page: u32 }
    VerdictsRevealed = "assay_verdicts_revealed" { juror: String, window: Window, page: u32, verdicts: u32 }
    /// A contested sample got more seats; their verdicts are committed and revealed as those of a draw in this window.
    SampleContested = "assay_sample_contested" {
        batch: BatchId, draw: u32, executor: String, window: Window, seats: u32,
    }
    /// Stake was taken for `unrevealed` commitments, a `second_level` that the juror caused, or an `unavailable` artifact.
    StakeTaken = "assay_stake_taken" { node: String, reason: String, amount: Uint128, stake_after: Uint128 }
    /// A juror missed so many verdicts that it is off the juries from this epoch on.
    JurorBenched = "assay_juror_benched" { juror: String, from_epoch: Epoch }
    /// One sample came to its end; `outcome` as valid, fail_replay, fail_malformed, unavailable, inconclusive_split, void…
    SampleClosed = "assay_sample_closed" { batch: BatchId, draw: u32, executor: String, outcome: String }
    /// A step of a settlement, or its end.
    Settled = "assay_settled" {
        executor: String, epoch: Epoch,
        /// open, paid or forfeited
        status: String,
        folded: u32, evidence_before: i64, evidence_after: i64, bound: i64, reward: Uint128, refunded: Uint128,
        slashed: Uint128, bounty: Uint128, reputation_before: u32, reputation_after: u32,
    }
    /// An accuser may show the proof behind `hash` from the next block until the end of epoch `until`.
    FraudCommitted = "assay_fraud_committed" { accuser: String, hash: Digest, until: Epoch }
    /// A proof was brought; `finding` as replay, malformed, sampling, request or equivocation.
    FraudProven = "assay_fraud_proven" {
        executor: String, epoch: Epoch, batch: BatchId, index: u32, finding: String, accuser: String,
        /// open, condemned, paid or forfeited; an open epoch is condemned, and slashed at its settlement.
        status_before: String, status_after: String,
        stake_before: Uint128, stake_after: Uint128, reputation_before: u32, reputation_after: u32,
        slashed: Uint128, bounty: Uint128, burned: Uint128,
    }
    Swept = "assay_swept" { items: u32 }
    Claimed = "assay_claimed" { address: String, amount: Uint128 }
    /// Another version of the contract's code has taken over.
    Migrated = "assay_migrated" { before: String, after: String }
    /// One for each field that a version of the parameters changes, from the beginning of `epoch` on.
    ParamChanged = "assay_param_changed" { version: u32, epoch: Epoch, field: String, before: String, after: String }
    /// The version that would have come into force in `epoch` will not.
    ParamsCancelled = "assay_params_cancelled" { version: u32, epoch: Epoch }
    /// Payouts and withdrawals wait until governance ends the pause, or it lapses at `until`.
    Paused = "assay_paused" { until: u64 }
    Unpaused = "assay_unpaused" {
        /// When it would have lapsed, and now.
        until_before: u64, until_after: u64,
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
