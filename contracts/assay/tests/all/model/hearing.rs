//! How a sample ends: the rule of two levels, said by counting shares.

use assay_common::verdict::{FailReason, FinalOutcome, OpenReason, Outcome};

use super::{Sample, Seat};

/// What a first level leads to.
pub enum First {
    Ends(FinalOutcome),
    Contested,
}

/// The probes that each seat is held against, place by place.
pub fn medians(sample: &Sample) -> Vec<u16> {
    let told = |seats: &[Seat]| -> Vec<Vec<u16>> {
        let scores = seats.iter().filter_map(|seat| seat.verdict.as_ref()?.1.as_ref());
        scores.map(|score| score.probes.clone()).collect()
    };
    let mut all = told(sample.second_level());
    if all.is_empty() {
        all = told(sample.first_level());
    }
    let places = all.iter().map(Vec::len).max().unwrap_or(0);
    (0..places)
        .map(|place| {
            let mut values: Vec<u16> = all.iter().map(|probes| probes[place]).collect();
            values.sort_unstable();
            values[(values.len() - 1) / 2]
        })
        .collect()
}

/// Whether a verdict needs no probes, or six of each eight of its probes lie near the medians.
pub fn is_proven(seat: &Seat, medians: &[u16], tolerance: u16) -> bool {
    let Some((outcome, score)) = &seat.verdict else { return false };
    if !outcome.needs_score() {
        return true;
    }
    let probes = score.as_ref().map(|score| score.probes.clone()).unwrap_or_default();
    let near: Vec<bool> = probes
        .iter()
        .zip(medians)
        .map(|(own, median)| i32::from(*own).abs_diff(i32::from(*median)) <= u32::from(tolerance))
        .collect();
    let good = |eight: &[bool]| eight.iter().filter(|near| **near).count() >= 6;
    !near.is_empty() && near.chunks(8).all(good)
}

/// Only enough verdicts, all Valid and all proven, end the first level.
pub fn first(sample: &Sample, quorum: u32, tolerance: u16) -> First {
    let medians = medians(sample);
    let voters: Vec<&Seat> = sample.seats.iter().filter(|seat| seat.vote().is_some()).collect();
    let valid = |seat: &&Seat| seat.vote() == Some(Outcome::Valid) && is_proven(seat, &medians, tolerance);
    if voters.len() >= quorum as usize && voters.iter().all(valid) {
        First::Ends(FinalOutcome::Valid)
    } else {
        First::Contested
    }
}

/// By two thirds of all seats.
pub fn last(sample: &Sample) -> FinalOutcome {
    let votes: Vec<Outcome> = sample.seats.iter().filter_map(Seat::vote).collect();
    let is_enough = |count: usize| 3 * count >= 2 * sample.seats.len();
    let valid = votes.iter().filter(|vote| **vote == Outcome::Valid).count();
    let absent = votes.iter().filter(|vote| matches!(vote, Outcome::Unavailable { .. })).count();
    let failed = votes.len() - valid - absent;
    if is_enough(valid) {
        FinalOutcome::Valid
    } else if is_enough(failed) {
        FinalOutcome::Fail { reason: commonest(&votes) }
    } else if is_enough(failed + absent) {
        FinalOutcome::Unavailable
    } else if is_enough(votes.len()) {
        FinalOutcome::Inconclusive { reason: OpenReason::Split }
    } else {
        FinalOutcome::Inconclusive { reason: OpenReason::Quorum }
    }
}

fn commonest(votes: &[Outcome]) -> FailReason {
    let mut reasons: Vec<FailReason> = votes
        .iter()
        .filter_map(|vote| match vote {
            Outcome::Invalid { reason } => Some(FailReason::Invalid { reason: *reason }),
            Outcome::Malformed => Some(FailReason::Malformed),
            _ => None,
        })
        .collect();
    reasons.sort_unstable();
    let count = |reason: &FailReason| reasons.iter().filter(|other| *other == reason).count();
    // Of equals the first in order: so the last of the reversed list is taken.
    *reasons.iter().rev().max_by_key(|reason| count(reason)).expect("somebody saw it fail")
}

pub fn agrees(outcome: FinalOutcome, vote: Option<Outcome>) -> bool {
    let Some(vote) = vote else { return false };
    match outcome {
        FinalOutcome::Valid => vote == Outcome::Valid,
        FinalOutcome::Fail { .. } => matches!(vote, Outcome::Invalid { .. } | Outcome::Malformed),
        FinalOutcome::Unavailable => matches!(vote, Outcome::Unavailable { .. }),
        FinalOutcome::Inconclusive { .. } | FinalOutcome::Void => false,
    }
}

/// Size class and bin that the evidence takes.
pub fn weight(sample: &Sample, outcome: FinalOutcome) -> (u8, u8) {
    let agreeing = sample.seats.iter().filter(|seat| agrees(outcome, seat.vote()));
    let scores: Vec<_> =
        agreeing.filter_map(|seat| seat.verdict.as_ref().and_then(|(_, score)| score.clone())).collect();
    let mut lengths: Vec<u32> = scores.iter().map(|score| score.tokens).collect();
    lengths.sort_unstable();
    let class = match lengths.get(lengths.len().saturating_sub(1) / 2) {
        None => 7,
        Some(tokens) => [8u32, 16, 32, 64, 128, 256, 512].iter().filter(|edge| tokens >= edge).count(),
    };
    let bin = scores.iter().map(|score| score.bin).min().unwrap_or(0);
    (u8::try_from(class).expect("eight classes"), bin)
}
