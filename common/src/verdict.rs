//! What a juror says of a sample, and what a jury's verdicts amount to.

use borsh::{BorshDeserialize, BorshSerialize};
use cosmwasm_schema::cw_serde;
use cosmwasm_std::HexBinary;

use crate::digest::{tagged, Domain};
use crate::ids::{BatchId, Digest, Window};

/// Why an artifact that could be read is not what the requester paid for.
#[cw_serde]
#[derive(Eq, Copy, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum InvalidReason {
    /// The signed numbers and the seed do not give the signed tokens (check A).
    Replay,
    /// The signed numbers are not those of the model (check B).
    Distance,
    /// The model would not have emitted these tokens under this seed (check C).
    Perplexity,
    /// The answer stops before a stop token and before the limit, or goes on after one.
    End,
    /// The request is not what the session allows: model, limits, sampling.
    Request,
    /// The requester's voucher does not cover this request.
    Voucher,
}

/// Why an artifact could not be had from its executor.
#[cw_serde]
#[derive(Eq, Copy, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum UnavailableReason {
    /// The executor gave nothing before the deadline.
    Absent,
    /// The bytes that it gave are not those that it committed to.
    Mismatch,
}

/// Why a juror does not judge; the fault is never the executor's.
#[cw_serde]
#[derive(Eq, Copy, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum AbstainReason {
    /// This juror does not hold the model.
    NoModel,
    /// This juror's recomputation failed.
    Recompute,
    /// This juror does not hold the calibration that judges the batch.
    NoCalibration,
}

/// One juror's verdict on one sample.
#[cw_serde]
#[derive(Eq, Copy, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Outcome {
    Valid,
    Invalid {
        reason: InvalidReason,
    },
    /// The committed bytes break a rule of the format.
    Malformed,
    Unavailable {
        reason: UnavailableReason,
    },
    /// "We could not check": an unpaid abstention that harms nobody.
    Inconclusive {
        reason: AbstainReason,
    },
}

/// Why a sample failed: the most frequent reason of its jurors.
#[cw_serde]
#[derive(Eq, Copy, PartialOrd, Ord)]
pub enum FailReason {
    Invalid { reason: InvalidReason },
    Malformed,
}

/// Why a jury came to no end.
#[cw_serde]
#[derive(Eq, Copy, PartialOrd, Ord)]
pub enum OpenReason {
    /// Fewer than two thirds of the seats revealed a verdict.
    Quorum,
    /// Enough revealed, no side has two thirds.
    Split,
}

/// What a sample ended as.
#[cw_serde]
#[derive(Eq, Copy, PartialOrd, Ord)]
pub enum FinalOutcome {
    Valid,
    Fail {
        reason: FailReason,
    },
    Unavailable,
    Inconclusive {
        reason: OpenReason,
    },
    /// Still open when its executor forfeited the epoch.
    Void,
}

impl std::fmt::Display for FinalOutcome {
    /// One word for events and tables: `valid`, `fail_replay`, `fail_malformed`, `inconclusive_split`…
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            FinalOutcome::Valid => "valid",
            FinalOutcome::Fail { reason: FailReason::Malformed } => "fail_malformed",
            FinalOutcome::Fail { reason: FailReason::Invalid { reason } } => match reason {
                InvalidReason::Replay => "fail_replay",
                InvalidReason::Distance => "fail_distance",
                InvalidReason::Perplexity => "fail_perplexity",
                InvalidReason::End => "fail_end",
                InvalidReason::Request => "fail_request",
                InvalidReason::Voucher => "fail_voucher",
            },
            FinalOutcome::Unavailable => "unavailable",
            FinalOutcome::Inconclusive { reason: OpenReason::Quorum } => "inconclusive_quorum",
            FinalOutcome::Inconclusive { reason: OpenReason::Split } => "inconclusive_split",
            FinalOutcome::Void => "void",
        })
    }
}

impl FinalOutcome {
    /// Whether a juror who said `outcome` is in the majority that this rests on, and so is paid.
    pub fn agrees(&self, outcome: &Outcome) -> bool {
        match self {
            FinalOutcome::Valid => *outcome == Outcome::Valid,
            FinalOutcome::Fail { .. } => matches!(outcome, Outcome::Invalid { .. } | Outcome::Malformed),
            FinalOutcome::Unavailable => matches!(outcome, Outcome::Unavailable { .. }),
            FinalOutcome::Inconclusive { .. } | FinalOutcome::Void => false,
        }
    }
}

/// What the first level of a jury amounts to once its reveal window has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LevelOne {
    /// At least `quorum` verdicts, every one of them Valid: the sample ends here.
    Valid,
    /// Anything else: a dissent, a missing artifact, too few verdicts. Only level 2 may end the sample.
    Contested,
}

/// What `revealed`, the verdicts that the level-1 seats revealed, amount to; `quorum` is at least 1.
///
/// An Inconclusive verdict is an abstention and counts as not revealed, so that it neither breaks unanimity nor
/// makes up the quorum. Nothing but a unanimous Valid ends a sample at this level: with a third of the stake hostile,
/// a false Invalid by two of three seats would happen to 26 samples of a hundred.
pub fn level_one(quorum: usize, revealed: &[Outcome]) -> LevelOne {
    let cast = revealed.iter().filter(|o| !is_abstention(o)).count();
    let valid = revealed.iter().filter(|o| **o == Outcome::Valid).count();
    if valid == cast && cast >= quorum {
        LevelOne::Valid
    } else {
        LevelOne::Contested
    }
}

/// What a contested sample ends as, by two thirds of its `seats` seats of both levels together.
///
/// `revealed` holds the verdicts that were revealed at either level, in seat order; `seats` counts also those that
/// were not. An Inconclusive verdict counts as not revealed. Where no new seats are to be had, `seats` is level 1's.
/// The rules, the first that holds deciding:
///
/// 1. ≥ ⅔ Valid → Valid.
/// 2. ≥ ⅔ Invalid or Malformed → Fail, with the most frequent reason among them, the smallest of equals.
/// 3. ≥ ⅔ Invalid, Malformed or Unavailable → Unavailable: too few saw the artifact to call it a fraud.
/// 4. < ⅔ revealed → Inconclusive{quorum}.
/// 5. Otherwise → Inconclusive{split}.
///
/// Two thirds are of the seats, not of the verdicts: whoever keeps silent cannot help either side.
pub fn level_two(seats: usize, revealed: &[Outcome]) -> FinalOutcome {
    let two_thirds = |count: usize| count.saturating_mul(3) >= seats.saturating_mul(2);
    let count = |class: fn(&Outcome) -> bool| revealed.iter().filter(|o| class(o)).count();
    let valid = count(|o| *o == Outcome::Valid);
    let unavailable = count(|o| matches!(o, Outcome::Unavailable { .. }));
    let failed: Vec<FailReason> = revealed.iter().filter_map(fail_reason).collect();
    let cast = count(|o| !is_abstention(o));
    if two_thirds(valid) {
        FinalOutcome::Valid
    } else if two_thirds(failed.len()) {
        FinalOutcome::Fail { reason: plurality(&failed) }
    } else if two_thirds(failed.len().saturating_add(unavailable)) {
        FinalOutcome::Unavailable
    } else if !two_thirds(cast) {
        FinalOutcome::Inconclusive { reason: OpenReason::Quorum }
    } else {
        FinalOutcome::Inconclusive { reason: OpenReason::Split }
    }
}

fn is_abstention(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Inconclusive { .. })
}

fn fail_reason(outcome: &Outcome) -> Option<FailReason> {
    match outcome {
        Outcome::Invalid { reason } => Some(FailReason::Invalid { reason: *reason }),
        Outcome::Malformed => Some(FailReason::Malformed),
        Outcome::Valid | Outcome::Unavailable { .. } | Outcome::Inconclusive { .. } => None,
    }
}

/// The most frequent reason; the smallest of equals. `reasons` is not empty.
fn plurality(reasons: &[FailReason]) -> FailReason {
    let count = |reason: &FailReason| reasons.iter().filter(|r| *r == reason).count();
    let mut best = reasons[0];
    for reason in reasons {
        let (new, old) = (count(reason), count(&best));
        if new > old || (new == old && *reason < best) {
            best = *reason;
        }
    }
    best
}

/// What a forward pass of the model showed, beside the verdict.
#[cw_serde]
#[derive(Eq, BorshSerialize, BorshDeserialize)]
pub struct Score {
    /// How near the answer came to the limits of the checks, from 0 on; see [`crate::evidence::Bins`].
    pub bin: u8,
    /// Tokens of the answer.
    pub tokens: u32,
    /// The juror's own surprisals at the places of [`crate::probe::places`], in 1/256 bit: of the first draw's seed, and at
    /// the second level of the second's too.
    pub probes: Vec<u16>,
}

impl Outcome {
    /// Whether only a forward pass of the model can tell this, so that a [`Score`] must come with it.
    pub fn needs_score(&self) -> bool {
        match self {
            Outcome::Valid => true,
            Outcome::Invalid { reason } => !matches!(reason, InvalidReason::Request | InvalidReason::Voucher),
            Outcome::Malformed | Outcome::Unavailable { .. } | Outcome::Inconclusive { .. } => false,
        }
    }
}

/// A juror's verdict on draw number `draw` of a batch.
#[cw_serde]
#[derive(Eq, BorshSerialize, BorshDeserialize)]
pub struct Verdict {
    pub batch: BatchId,
    /// Place in the order of the draw, from 0.
    pub draw: u32,
    pub outcome: Outcome,
    /// With an outcome that needs one, and no other.
    pub score: Option<Score>,
}

/// One page of verdicts: what is hashed at the commitment and shown at the reveal.
#[cw_serde]
#[derive(Eq, BorshSerialize, BorshDeserialize)]
pub struct VerdictPage {
    /// The juror's address: a copied commitment opens nothing.
    pub juror: String,
    /// The window in which the samples were drawn.
    pub window: Window,
    pub page: u32,
    pub verdicts: Vec<Verdict>,
}

impl VerdictPage {
    /// The commitment: H("verdicts", chain, contract, page, salt).
    pub fn commitment(&self, domain: &Domain, salt: &HexBinary) -> Digest {
        Digest(tagged("verdicts", &(domain, self, salt.as_slice())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use InvalidReason::{Distance, Replay};

    const VALID: Outcome = Outcome::Valid;
    const ABSENT: Outcome = Outcome::Unavailable { reason: UnavailableReason::Absent };
    const ABSTAIN: Outcome = Outcome::Inconclusive { reason: AbstainReason::NoModel };

    fn invalid(reason: InvalidReason) -> Outcome {
        Outcome::Invalid { reason }
    }

    fn fail(reason: InvalidReason) -> FinalOutcome {
        FinalOutcome::Fail { reason: FailReason::Invalid { reason } }
    }

    #[test]
    fn only_a_unanimous_quorum_ends_a_jury_at_level_one() {
        for revealed in [&[VALID, VALID][..], &[VALID, VALID, VALID], &[VALID, ABSTAIN, VALID]] {
            assert_eq!(level_one(2, revealed), LevelOne::Valid, "{revealed:?}");
        }
        let contested = [
            &[][..],
            &[VALID],
            &[VALID, ABSTAIN, ABSTAIN],
            &[VALID, VALID, invalid(Replay)],
            &[VALID, VALID, ABSENT],
            &[VALID, VALID, Outcome::Malformed],
            &[invalid(Replay), invalid(Replay), invalid(Replay)],
        ];
        for revealed in contested {
            assert_eq!(level_one(2, revealed), LevelOne::Contested, "{revealed:?}");
        }
    }

    #[test]
    fn too_few_verdicts_are_no_quorum_whatever_they_say() {
        let open = FinalOutcome::Inconclusive { reason: OpenReason::Quorum };
        assert_eq!(level_two(3, &[VALID]), open);
        assert_eq!(level_two(3, &[invalid(Replay)]), open);
        assert_eq!(level_two(3, &[]), open);
        assert_eq!(level_two(3, &[invalid(Replay), ABSTAIN, ABSTAIN]), open);
        assert_eq!(level_two(21, &[VALID; 13]), open);
    }

    #[test]
    fn two_thirds_of_the_seats_decide_and_the_plurality_names_the_reason() {
        assert_eq!(level_two(3, &[VALID, invalid(Replay), VALID]), FinalOutcome::Valid);
        assert_eq!(level_two(21, &[VALID; 14]), FinalOutcome::Valid);
        assert_eq!(level_two(3, &[invalid(Distance), VALID, invalid(Distance)]), fail(Distance));
        assert_eq!(level_two(3, &[invalid(Distance), invalid(Replay), invalid(Distance)]), fail(Distance));
        assert_eq!(level_two(3, &[invalid(Distance), invalid(Replay)]), fail(Replay));
    }

    #[test]
    fn a_missing_artifact_is_unavailable_unless_two_thirds_saw_a_fraud() {
        assert_eq!(level_two(3, &[ABSENT, ABSENT, VALID]), FinalOutcome::Unavailable);
        assert_eq!(level_two(3, &[ABSENT, invalid(Replay), VALID]), FinalOutcome::Unavailable);
        assert_eq!(level_two(3, &[invalid(Replay), invalid(Replay), ABSENT]), fail(Replay));
    }

    #[test]
    fn a_jury_without_two_thirds_on_any_side_is_split() {
        let open = FinalOutcome::Inconclusive { reason: OpenReason::Split };
        assert_eq!(level_two(4, &[VALID, VALID, invalid(Replay), ABSENT]), open);
    }
}
