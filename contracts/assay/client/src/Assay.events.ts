// Written by generate.mjs from the schema of the events; change that instead.

import { BatchId, BatchRoot, Digest, Epoch, ModelDigest, Randomness, Round, SessionId, Uint128, Window } from "./Assay.types";

/** Governance made a model known. */
export interface AssayModelRegistered {
  kind: "assay_model_registered";
  event_version: 1;
  model: ModelDigest;
  reference_fee: Uint128;
  /** SHA-256 of the calibration that judges it. */
  calibration: Digest;
}

/** What is committed from the beginning of `epoch` on is judged by another calibration. */
export interface AssayCalibrationUpdated {
  kind: "assay_calibration_updated";
  event_version: 1;
  model: ModelDigest;
  /** Counts the model's calibrations, from 1. */
  version: number;
  epoch: Epoch;
  /** SHA-256 of the calibrations. */
  before: Digest;
  after: Digest;
}

/** A model takes no new sessions and nodes. */
export interface AssayModelDeprecated {
  kind: "assay_model_deprecated";
  event_version: 1;
  model: ModelDigest;
}

/** A model has other guardians. */
export interface AssayGuardiansSet {
  kind: "assay_guardians_set";
  event_version: 1;
  model: ModelDigest;
  /** Addresses, separated by commas. */
  before: string;
  /** Addresses, separated by commas. */
  after: string;
  /** First epoch whose juries know it. */
  from_epoch: Epoch;
}

/** A node bonded a stake, its first or its first after it had left. */
export interface AssayNodeRegistered {
  kind: "assay_node_registered";
  event_version: 1;
  node: string;
  stake: Uint128;
  /** First epoch whose juries it can sit on. */
  from_epoch: Epoch;
}

/** A node added to its stake, or changed its models or its endpoint. */
export interface AssayNodeUpdated {
  kind: "assay_node_updated";
  event_version: 1;
  node: string;
  stake_before: Uint128;
  stake_after: Uint128;
  /** Digests, separated by commas. */
  models_before: string;
  /** Digests, separated by commas. */
  models_after: string;
  endpoint_before: string;
  endpoint_after: string;
  /** First epoch whose juries are drawn by the new stake and models. */
  from_epoch: Epoch;
}

/** A node took a part of its stake out of the next epoch's tables. */
export interface AssayUnbonded {
  kind: "assay_unbonded";
  event_version: 1;
  node: string;
  amount: Uint128;
  /** Bonded. */
  stake_before: Uint128;
  /** Bonded. */
  stake_after: Uint128;
  /** The second since 1970 from which it can be withdrawn. */
  release: number;
  /** First epoch whose juries are drawn without it. */
  from_epoch: Epoch;
}

/** What had been unbonding for long enough was paid out. */
export interface AssayWithdrawn {
  kind: "assay_withdrawn";
  event_version: 1;
  node: string;
  amount: Uint128;
  unbonding_before: Uint128;
  unbonding_after: Uint128;
  /** Whether nothing is left: the node is none any more. */
  left: boolean;
}

/** A stake was taken from for a forfeited epoch or a proven fraud, what is bonded first. */
export interface AssaySlashed {
  kind: "assay_slashed";
  event_version: 1;
  node: string;
  epoch: Epoch;
  amount: Uint128;
  /** Bonded. */
  stake_before: Uint128;
  /** Bonded. */
  stake_after: Uint128;
  unbonding_before: Uint128;
  unbonding_after: Uint128;
}

/** A requester opened a prepaid session. */
export interface AssaySessionOpened {
  kind: "assay_session_opened";
  event_version: 1;
  session: SessionId;
  requester: string;
  executor: string;
  model: ModelDigest;
  /** Of one inference. */
  fee: Uint128;
  escrow: Uint128;
}

/** Somebody added to a session. */
export interface AssaySessionToppedUp {
  kind: "assay_session_topped_up";
  event_version: 1;
  session: SessionId;
  payer: string;
  amount: Uint128;
  escrow_before: Uint128;
  escrow_after: Uint128;
}

/** A requester began the closing of its session. */
export interface AssaySessionClosing {
  kind: "assay_session_closing";
  event_version: 1;
  session: SessionId;
  requester: string;
  /** Last epoch in which the executor could have claimed. */
  closes_before: Epoch;
  /** Last epoch in which the executor can claim. */
  closes_after: Epoch;
  escrow: Uint128;
}

/** All that was left of a session became claimable by the requester. */
export interface AssaySessionPaidOut {
  kind: "assay_session_paid_out";
  event_version: 1;
  session: SessionId;
  requester: string;
  amount: Uint128;
  /** Of `amount`, what came from forfeited epochs. */
  refunds: Uint128;
  /** Epochs that are not settled: what they give back comes later. */
  unsettled: number;
  /** Whether this was all. */
  closed: boolean;
}

/** An executor committed to inferences and was paid for them into its pending fees. */
export interface AssayBatchCommitted {
  kind: "assay_batch_committed";
  event_version: 1;
  batch: BatchId;
  executor: string;
  model: ModelDigest;
  root: BatchRoot;
  epoch: Epoch;
  window: Window;
  /** Inferences under the root. */
  count: number;
  /** How many of them will be drawn. */
  samples: number;
  /** Share of the inferences that is drawn, of 2³². */
  rate: number;
  fees: Uint128;
  /** Of the executor's epoch. */
  pending_before: Uint128;
  /** Of the executor's epoch. */
  pending_after: Uint128;
}

/** The beacon of a window is known. */
export interface AssayBeaconPosted {
  kind: "assay_beacon_posted";
  event_version: 1;
  window: Window;
  round: Round;
  randomness: Randomness;
}

/** Samples `from..to` of a batch now have juries. */
export interface AssayDrawn {
  kind: "assay_drawn";
  event_version: 1;
  batch: BatchId;
  executor: string;
  window: Window;
  from: number;
  to: number;
  /** Whether this was the last page. */
  complete: boolean;
}

/** A juror committed to a page of its verdicts on the draws of a window. */
export interface AssayVerdictsCommitted {
  kind: "assay_verdicts_committed";
  event_version: 1;
  juror: string;
  window: Window;
  page: number;
}

/** A juror opened that page. */
export interface AssayVerdictsRevealed {
  kind: "assay_verdicts_revealed";
  event_version: 1;
  juror: string;
  window: Window;
  page: number;
  /** How many there are on it. */
  verdicts: number;
}

/** A contested sample got more seats; their verdicts are committed and revealed as those of a draw in this window. */
export interface AssaySampleContested {
  kind: "assay_sample_contested";
  event_version: 1;
  batch: BatchId;
  draw: number;
  executor: string;
  window: Window;
  /** How many were added. */
  seats: number;
}

/** Stake was taken while samples were closed, what is bonded first. */
export interface AssayStakeTaken {
  kind: "assay_stake_taken";
  event_version: 1;
  node: string;
  /** `unrevealed` commitments, a `second_level` that the juror caused, or an `unavailable` artifact. */
  reason: string;
  amount: Uint128;
  /** Bonded, before the message that took it. */
  stake_before: Uint128;
  /** Bonded, after the message and all that it took. */
  stake_after: Uint128;
}

/** A juror missed so many verdicts that it is off the juries from this epoch on. */
export interface AssayJurorBenched {
  kind: "assay_juror_benched";
  event_version: 1;
  juror: string;
  from_epoch: Epoch;
}

/** One sample came to its end. */
export interface AssaySampleClosed {
  kind: "assay_sample_closed";
  event_version: 1;
  batch: BatchId;
  draw: number;
  executor: string;
  /** valid, fail_replay, fail_malformed, unavailable, inconclusive_split, void… */
  outcome: string;
}

/** A step of a settlement, or its end. */
export interface AssaySettled {
  kind: "assay_settled";
  event_version: 1;
  executor: string;
  epoch: Epoch;
  /** open, paid or forfeited */
  status: string;
  /** Samples that the evidence took in. */
  folded: number;
  /** Of the highest alternative, in 2⁻¹⁶ bits. */
  evidence_before: number;
  /** The same after this step; where it forfeits the epoch, what did: from then on it is 0. */
  evidence_after: number;
  /** What forfeits the epoch, in 2⁻¹⁶ bits. */
  bound: number;
  /** Became claimable by the executor. */
  reward: Uint128;
  /** Went back to the sessions. */
  refunded: Uint128;
  slashed: Uint128;
  /** Of `slashed`, what went to the accuser. */
  bounty: Uint128;
  /** Millionths of full trust. */
  reputation_before: number;
  /** Millionths of full trust. */
  reputation_after: number;
  /** Share of the executor's inferences that is drawn, of 2³². */
  rate_before: number;
  /** Share of the executor's inferences that is drawn, of 2³². */
  rate_after: number;
}

/** An accuser may show the proof behind `hash` from the next block until the end of epoch `until`. */
export interface AssayFraudCommitted {
  kind: "assay_fraud_committed";
  event_version: 1;
  accuser: string;
  hash: Digest;
  until: Epoch;
}

/** A proof was brought: an open epoch is condemned, and slashed at its settlement; one that is settled is slashed now. From then on the executor's reputation is 0 and all of its inferences are checked. */
export interface AssayFraudProven {
  kind: "assay_fraud_proven";
  event_version: 2;
  executor: string;
  epoch: Epoch;
  batch: BatchId;
  /** Leaf number under the batch's root. */
  index: number;
  /** replay, malformed, sampling, request or equivocation */
  finding: string;
  accuser: string;
  /** open, condemned, paid or forfeited */
  status_before: string;
  /** open, condemned, paid or forfeited */
  status_after: string;
  slashed: Uint128;
  /** Of `slashed`, what went to the accuser. */
  bounty: Uint128;
  burned: Uint128;
}

/** State that nothing depended on was removed. */
export interface AssaySwept {
  kind: "assay_swept";
  event_version: 1;
  /** Entries removed and sessions paid out. */
  items: number;
}

/** All that an address had earned was paid out; nothing of it is left. */
export interface AssayClaimed {
  kind: "assay_claimed";
  event_version: 1;
  address: string;
  amount: Uint128;
}

/** Another version of the contract's code has taken over. */
export interface AssayMigrated {
  kind: "assay_migrated";
  event_version: 1;
  before: string;
  after: string;
}

/** One for each field that a version of the parameters changes, from the beginning of `epoch` on. */
export interface AssayParamChanged {
  kind: "assay_param_changed";
  event_version: 1;
  /** Counts the versions of the parameters, from 1. */
  version: number;
  epoch: Epoch;
  /** Group and name, as in `fees.slash_ppm`. */
  field: string;
  before: string;
  after: string;
}

/** The version that would have come into force in `epoch` will not. */
export interface AssayParamsCancelled {
  kind: "assay_params_cancelled";
  event_version: 1;
  /** Counts the versions of the parameters, from 1. */
  version: number;
  epoch: Epoch;
}

/** Payouts and withdrawals wait until governance ends the pause, or it lapses. */
export interface AssayPaused {
  kind: "assay_paused";
  event_version: 1;
  /** When it lapses, in seconds since 1970. */
  until: number;
}

/** Governance ended the pause. */
export interface AssayUnpaused {
  kind: "assay_unpaused";
  event_version: 1;
  /** When it would have lapsed, in seconds since 1970. */
  until_before: number;
  /** When it ended, in seconds since 1970. */
  until_after: number;
}

export type AssayEvent =
  | AssayModelRegistered
  | AssayCalibrationUpdated
  | AssayModelDeprecated
  | AssayGuardiansSet
  | AssayNodeRegistered
  | AssayNodeUpdated
  | AssayUnbonded
  | AssayWithdrawn
  | AssaySlashed
  | AssaySessionOpened
  | AssaySessionToppedUp
  | AssaySessionClosing
  | AssaySessionPaidOut
  | AssayBatchCommitted
  | AssayBeaconPosted
  | AssayDrawn
  | AssayVerdictsCommitted
  | AssayVerdictsRevealed
  | AssaySampleContested
  | AssayStakeTaken
  | AssayJurorBenched
  | AssaySampleClosed
  | AssaySettled
  | AssayFraudCommitted
  | AssayFraudProven
  | AssaySwept
  | AssayClaimed
  | AssayMigrated
  | AssayParamChanged
  | AssayParamsCancelled
  | AssayPaused
  | AssayUnpaused;
