//! The cheat that knows the judge: a cheap model answers, and only as many rows are made honest as the statistic needs.
//!
//! It is granted all that is public and more: the calibration, the juror's own two passes, and choosing what to correct after
//! it has seen what the juror will see. What it saves is a cheap decode in place of an honest one; what it pays is a juror's
//! check, and the head and sampler of the promised model at every position that it corrects.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};
use assay_common::artifact::Artifact;
use assay_common::judge::far::FarLimit;
use assay_common::judge::null::Null;
use assay_common::judge::statistic::{judged, Scorer, Statistic};
use assay_common::judge::whitening::{compared, whiten, Whitened};
use assay_common::row::{decode_leaf, encode_leaf, Entry, Row, LISTED};
use assay_common::sampler::top_candidates;
use assay_sidecar::config::ModelConfig;
use assay_sidecar::engine::{Answerer, Question};
use assay_sidecar::model::{Forced, Model, ModelError, Passes};
use serde::Deserialize;

use super::prefill::repaired_rows;
use super::written_by;

/// Kept free below the limit on the mean, in the statistic's units: the juror's machine may round elsewhere.
const SPARE: f64 = 0.02;

/// What the attacker needs of the calibration, which every juror has and anybody can read.
#[derive(Clone, Debug, Deserialize)]
pub struct Known {
    pub statistic: Statistic,
    pub scorer: Scorer,
    pub null: Null,
    pub far: FarLimit,
}

/// One position as the juror will see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    pub value: f64,
    pub far: bool,
}

impl Known {
    /// # Errors
    /// The configuration names no calibration, or its file has no two-pass statistic.
    pub fn read(config: &ModelConfig) -> Result<Self> {
        let path = config.calibration.as_deref().context("the configuration names no calibration")?;
        Self::parse(path).with_context(|| format!("the calibration {}", path.display()))
    }

    fn parse(path: &Path) -> Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }

    fn seen(&self, position: &Whitened) -> Seen {
        Seen { value: self.scorer.value(self.statistic, position), far: self.scorer.is_far(position) }
    }

    /// What a juror's passes say of every row.
    ///
    /// # Errors
    /// Torch's own failures, and numbers that are none.
    pub fn look(&self, passes: &Passes<'_>, rows: &[Row]) -> Result<Vec<Seen>, ModelError> {
        let positions: Vec<u32> = (0u32..).take(rows.len()).collect();
        let mut signed: Vec<Vec<Entry>> = Vec::with_capacity(rows.len());
        let measured = passes.compare(&positions, |scored| {
            let listed =
                compared(&rows[scored.position as usize], &top_candidates(scored.surprisals, LISTED));
            let ids = listed.iter().map(|entry| entry.token.0).collect();
            signed.push(listed);
            ids
        })?;
        let positions = measured.iter().zip(&signed).map(|(measured, signed)| {
            // The lists are the format's, so what cannot be whitened is a number that is none.
            let whitened = whiten(signed, &measured.to_whiten());
            whitened.map(|position| self.seen(&position)).map_err(|_| ModelError::NotFinite)
        });
        positions.collect()
    }

    /// Whether the juror's limits on the statistic's mean and on far positions are kept.
    pub fn passes(&self, answer: &[Seen]) -> bool {
        let counted = judged(answer);
        let mean = counted.iter().map(|seen| seen.value).sum::<f64>() / counted.len().max(1) as f64;
        let far = answer.iter().filter(|seen| seen.far).count() as u64;
        mean <= self.null.limit(counted.len()) - SPARE && far <= self.far.limit(answer.len())
    }

    /// The positions that take the corrected row so that the answer passes: those that gain most, and no more than needed; all
    /// that gain anything where that is not enough.
    pub fn to_correct(&self, own: &[Seen], corrected: &[Seen]) -> BTreeSet<usize> {
        let gain = |at: usize| own[at].value - corrected[at].value;
        // What the mean leaves out can only gain by not being far any more.
        let uncounted = own.len() - judged(own).len();
        let gains = |at: &usize| gain(*at) > 0.0 && (*at >= uncounted || own[*at].far);
        let mut order: Vec<usize> = (0..own.len()).filter(gains).collect();
        order.sort_by(|a, b| gain(*b).total_cmp(&gain(*a)));
        let mut answer = own.to_vec();
        let mut chosen = BTreeSet::new();
        for at in order {
            if self.passes(&answer) {
                break;
            }
            answer[at] = corrected[at];
            chosen.insert(at);
        }
        chosen
    }
}

/// Answers with a cheap model and corrects what would be seen.
pub struct Adaptive {
    cheap: Model,
    known: Known,
}

impl Adaptive {
    pub fn new(cheap: Model, known: Known) -> Self {
        Self { cheap, known }
    }

    fn correct(&self, model: &Model, question: &Question, written: &mut Artifact) -> Result<(), ModelError> {
        let decode = |leaf: &Vec<u8>| decode_leaf(leaf).expect("own leaves keep the format").row;
        let own: Vec<Row> = written.leaves.iter().map(decode).collect();
        let corrected = repaired_rows(model, question, &written.tokens)?;
        let penalties = question.request.sampling.penalties;
        let passes =
            model.passes(&Forced { prompt: &question.prompt, tokens: &written.tokens, penalties })?;
        let chosen =
            self.known.to_correct(&self.known.look(&passes, &own)?, &self.known.look(&passes, &corrected)?);
        tracing::info!(positions = own.len(), corrected = chosen.len(), "attack.adapted");
        for at in chosen {
            written.leaves[at] = encode_leaf(at as u32, &corrected[at]);
        }
        Ok(())
    }
}

impl Answerer for Adaptive {
    fn answer(&mut self, model: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        let mut written = written_by(&self.cheap, questions)?;
        for (artifact, question) in written.iter_mut().zip(questions) {
            self.correct(model, question, artifact)?;
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use assay_common::judge::null::CellNull;
    use assay_common::judge::statistic::{Moments, Predictor, TERMS};
    use assay_common::judge::whitening::FEATURES;

    use super::*;

    /// Passes up to a mean of 0.5 whatever the length, with no far position.
    fn known() -> Known {
        let unit = Moments { mean: 0.0, sd: 1.0 };
        let predictor = Predictor { features: [unit; FEATURES], weights: [0.0; TERMS] };
        Known {
            statistic: Statistic::Magnitude,
            scorer: Scorer { predictor, magnitude: unit, direction: unit },
            null: Null {
                cells: vec![CellNull { mean: 0.5 + SPARE, position_sd: 0.0, sequence_sd: 0.0 }],
                z: 3.0,
            },
            far: FarLimit { share: 0.0 },
        }
    }

    fn seen(values: &[f64]) -> Vec<Seen> {
        values.iter().map(|value| Seen { value: *value, far: *value > 2.0 }).collect()
    }

    #[test]
    fn an_answer_that_passes_is_left_as_the_cheap_model_wrote_it() {
        assert!(known().to_correct(&seen(&[0.0, 0.9, 0.1]), &seen(&[0.0; 3])).is_empty());
    }

    #[test]
    fn the_positions_that_gain_most_are_corrected_until_the_mean_is_just_below_the_limit() {
        let own = seen(&[1.9, 1.0, 1.8, 0.6, 1.2]);
        let corrected = seen(&[0.0, 0.0, 1.7, 0.0, 0.1]);
        // The mean falls from 1.15 by 1.1/4 and 1.0/4 to 0.625, and by 0.6/4 to 0.475.
        assert_eq!(known().to_correct(&own, &corrected), BTreeSet::from([1, 3, 4]));
    }

    #[test]
    fn far_positions_are_corrected_though_the_mean_would_allow_them() {
        let own = seen(&[2.5, 0.0, 0.0, 0.0]);
        assert_eq!(known().to_correct(&own, &seen(&[0.0; 4])), BTreeSet::from([0]));
    }

    #[test]
    fn where_nothing_helps_all_that_helps_is_done_and_nothing_that_harms() {
        let own = seen(&[0.0, 1.9, 1.9]);
        assert_eq!(known().to_correct(&own, &seen(&[0.1, 1.5, 1.95])), BTreeSet::from([1]));
    }
}
