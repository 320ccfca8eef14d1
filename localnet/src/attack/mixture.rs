//! Cheating on some answers and not on others.

use std::collections::BTreeMap;

use anyhow::{ensure, Result};
use assay_common::artifact::Artifact;
use assay_common::digest::tagged;
use assay_common::ids::RunSeed;
use assay_sidecar::engine::{Answerer, AnswererFactory, Question};
use assay_sidecar::executor::answer::Honest;
use assay_sidecar::model::{Model, ModelError};

/// Which part of the answers is cheated on, in percent: 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u8);

impl Share {
    pub const ALL: Self = Self(100);

    /// # Errors
    /// Not between 1 and 100.
    pub fn percent(percent: u8) -> Result<Self> {
        ensure!((1..=100).contains(&percent), "a share of {percent} % is not between 1 and 100 %");
        Ok(Self(percent))
    }

    pub fn as_percent(self) -> u8 {
        self.0
    }

    /// Whether the answer with this seed is cheated on: the same whenever it is asked, and nobody but the executor knows.
    pub fn has(self, seed: &RunSeed) -> bool {
        let hash = tagged("cheated answers", &seed.0);
        let word = u64::from(u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]));
        (word * 100) >> 32 < u64::from(self.0)
    }
}

/// Runs an attack on a share of the answers, and answers the others honestly.
pub struct Mixture {
    attack: Box<dyn Answerer>,
    share: Share,
}

impl Mixture {
    pub fn of(share: Share, attack: AnswererFactory) -> AnswererFactory {
        Box::new(move |model| Ok(Box::new(Mixture { attack: attack(model)?, share })))
    }
}

impl Answerer for Mixture {
    fn answer(&mut self, model: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        let mut answers = BTreeMap::new();
        for cheated in [false, true] {
            let chosen = questions
                .iter()
                .enumerate()
                .filter(|(_, question)| self.share.has(&question.run_seed) == cheated);
            let (places, chosen): (Vec<usize>, Vec<Question>) =
                chosen.map(|(place, question)| (place, question.clone())).unzip();
            let answered = match (chosen.is_empty(), cheated) {
                (true, _) => Vec::new(),
                (false, true) => self.attack.answer(model, &chosen)?,
                (false, false) => Honest.answer(model, &chosen)?,
            };
            answers.extend(places.into_iter().zip(answered));
        }
        Ok(answers.into_values().collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_share_of_the_seeds_is_cheated_on_and_more_of_them_with_a_larger_share() {
        let seeds: Vec<RunSeed> = (0u32..4_000).map(|i| RunSeed(tagged("seed", &i))).collect();
        let cheated = |percent| {
            let share = Share::percent(percent).unwrap();
            seeds.iter().map(|seed| share.has(seed)).collect::<Vec<bool>>()
        };
        for percent in [5u8, 20, 100] {
            let count = cheated(percent).into_iter().filter(|cheated| *cheated).count();
            assert!(count.abs_diff(40 * usize::from(percent)) <= 100, "{percent} %: {count} of 4,000");
        }
        assert!(cheated(5).into_iter().zip(cheated(20)).all(|(small, large)| large || !small));
        assert!(Share::percent(0).is_err() && Share::percent(101).is_err());
    }
}
