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

/// A closed jury of `seats` seats; `quorum` verdicts, all Valid, end it at level 1, anything else is judged by
/// two thirds of the seats (the level-2 rule where no new seats are to be had).
///
/// `revealed` holds the verdicts that were revealed, in seat order. An Inconclusive one counts as not revealed.
pub fn close(seats: usize, quorum: usize, revealed: &[Outcome]) -> FinalOutcome {
    let cast: Vec<&Outcome> =
        revealed.iter().filter(|o| !matches!(o, Outcome::Inconclusive { .. })).collect();
    let valid = cast.iter().filter(|o| ***o == Outcome::Valid).count();
    if cast.len() >= quorum && valid == cast.len() {
        return FinalOutcome::Valid;
    }
    let two_thirds = |count: usize| count.saturating_mul(3) >= seats.saturating_mul(2);
    let failed: Vec<FailReason> = cast.iter().filter_map(|o| fail_reason(o)).collect();
    let unavailable = cast.len().saturating_sub(valid).saturating_sub(failed.len());
    if two_thirds(valid) {
        FinalOutcome::Valid
    } else if two_thirds(failed.len()) {
        FinalOutcome::Fail { reason: plurality(&failed) }
    } else if two_thirds(failed.len().saturating_add(unavailable)) {
        FinalOutcome::Unavailable
    } else if !two_thirds(cast.len()) {
        FinalOutcome::Inconclusive { reason: OpenReason::Quorum }
    } else {
        FinalOutcome::Inconclusive { reason: OpenReason::Split }
    }
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

/// A juror's verdict on draw number `draw` of a batch.
#[cw_serde]
#[derive(Eq, Copy, BorshSerialize, BorshDeserialize)]
pub struct Verdict {
    pub batch: BatchId,
    /// Place in the order of the draw, from 0.
    pub draw: u32,
    pub outcome: Outcome,
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
    fn a_unanimous_quorum_ends_a_jury_as_valid() {
        assert_eq!(close(3, 2, &[VALID, VALID]), FinalOutcome::Valid);
        assert_eq!(close(3, 2, &[VALID, VALID, ABSTAIN]), FinalOutcome::Valid);
    }

    #[test]
    fn one_verdict_is_no_quorum_whatever_it_says() {
        let open = FinalOutcome::Inconclusive { reason: OpenReason::Quorum };
        assert_eq!(close(3, 2, &[VALID]), open);
        assert_eq!(close(3, 2, &[invalid(Replay)]), open);
        assert_eq!(close(3, 2, &[]), open);
        assert_eq!(close(3, 2, &[invalid(Replay), ABSTAIN, ABSTAIN]), open);
    }

    #[test]
    fn two_thirds_of_the_seats_decide_and_the_plurality_names_the_reason() {
        assert_eq!(close(3, 2, &[VALID, invalid(Replay), VALID]), FinalOutcome::Valid);
        assert_eq!(close(3, 2, &[invalid(Distance), VALID, invalid(Distance)]), fail(Distance));
        assert_eq!(close(3, 2, &[invalid(Distance), invalid(Replay), invalid(Distance)]), fail(Distance));
        assert_eq!(close(3, 2, &[invalid(Distance), invalid(Replay)]), fail(Replay));
    }

    #[test]
    fn a_missing_artifact_is_unavailable_unless_two_thirds_saw_a_fraud() {
        assert_eq!(close(3, 2, &[ABSENT, ABSENT, VALID]), FinalOutcome::Unavailable);
        assert_eq!(close(3, 2, &[ABSENT, invalid(Replay), VALID]), FinalOutcome::Unavailable);
        assert_eq!(close(3, 2, &[invalid(Replay), invalid(Replay), ABSENT]), fail(Replay));
    }

    #[test]
    fn a_jury_without_two_thirds_on_any_side_is_split() {
        let open = FinalOutcome::Inconclusive { reason: OpenReason::Split };
        assert_eq!(close(4, 3, &[VALID, VALID, invalid(Replay), ABSENT]), open);
    }
}
