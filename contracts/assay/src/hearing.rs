//! What the verdicts of a sample's seats amount to, and whose probes prove that they ran the model.

use assay_common::evidence::{size_class, SIZE_CLASSES};
use assay_common::probe;
use assay_common::verdict::{self, FinalOutcome, LevelOne, Outcome, Score};

use crate::state::{Closed, Sample, Seat};

/// The largest size class: what is malformed has no length, and counts in full.
const LARGEST_CLASS: u8 = (SIZE_CLASSES - 1) as u8;

/// A sample whose reveal window has passed.
pub struct Hearing<'a> {
    sample: &'a Sample,
    /// The medians that probes are held against: of the second level where it spoke, else of the first.
    medians: Vec<u16>,
    tolerance: u16,
}

impl<'a> Hearing<'a> {
    pub fn new(sample: &'a Sample, tolerance: u16) -> Self {
        let (first, second) = sample.levels();
        let of_second = told(second);
        let medians = probe::medians(if of_second.is_empty() { told(first) } else { of_second }.as_slice());
        Self { sample, medians, tolerance }
    }

    /// Whether this seat's verdict needs no proof, or comes with probes that agree with the medians.
    pub fn has_proof(&self, seat: &Seat) -> bool {
        match seat.verdict.as_ref() {
            None => false,
            Some(cast) if !cast.outcome.needs_score() => true,
            Some(cast) => {
                let told = cast.score.as_ref().map_or(&[][..], |score| score.probes.as_slice());
                probe::agree(told, &self.medians, self.tolerance)
            }
        }
    }

    /// How the sample ends; `None` while only a second level may end it.
    pub fn outcome(&self, quorum: usize) -> Option<FinalOutcome> {
        let revealed = outcomes(&self.sample.seats);
        if self.sample.second.is_some() {
            return Some(verdict::level_two(self.sample.seats.len(), &revealed));
        }
        let proven = self.sample.seats.iter().filter(|seat| voted(seat)).all(|seat| self.has_proof(seat));
        match verdict::level_one(quorum, &revealed) {
            LevelOne::Valid if proven => Some(FinalOutcome::Valid),
            LevelOne::Valid | LevelOne::Contested => None,
        }
    }

    /// How a contested sample ends where no new seats are to be had.
    pub fn outcome_without_second(&self) -> FinalOutcome {
        verdict::level_two(self.sample.seats.len(), &outcomes(&self.sample.seats))
    }

    /// The outcome with what the evidence takes: of the jurors who agree with it, the lowest bin, since one hostile juror
    /// must not poison it, and the lower median of the lengths.
    pub fn closed(&self, outcome: FinalOutcome) -> Closed {
        let agreeing = self.sample.seats.iter().filter_map(|seat| seat.verdict.as_ref());
        let agreeing = agreeing.filter(|cast| outcome.agrees(&cast.outcome));
        let scores: Vec<&Score> = agreeing.filter_map(|cast| cast.score.as_ref()).collect();
        let mut lengths: Vec<u32> = scores.iter().map(|score| score.tokens).collect();
        lengths.sort_unstable();
        let median = lengths.get(lengths.len().saturating_sub(1) / 2);
        Closed {
            outcome,
            size_class: median.map_or(LARGEST_CLASS, |tokens| size_class(*tokens)),
            bin: scores.iter().map(|score| score.bin).min().unwrap_or(0),
        }
    }
}

/// Whether the seat has a verdict that is not an abstention.
pub fn voted(seat: &Seat) -> bool {
    seat.verdict.as_ref().is_some_and(|cast| !matches!(cast.outcome, Outcome::Inconclusive { .. }))
}

fn outcomes(seats: &[Seat]) -> Vec<Outcome> {
    seats.iter().filter_map(|seat| seat.verdict.as_ref()).map(|cast| cast.outcome).collect()
}

fn told(seats: &[Seat]) -> Vec<&[u16]> {
    let scores = seats.iter().filter_map(|seat| seat.verdict.as_ref()?.score.as_ref());
    scores.map(|score| score.probes.as_slice()).collect()
}
