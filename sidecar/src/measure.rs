//! A juror's two passes along an answer: from tokens and signed numbers to what the judge looks at.

use std::collections::BTreeSet;

use assay_common::ids::RunSeed;
use assay_common::judge::whitening::{whiten, WhiteningError};
use assay_common::judge::{measure_reference, Distribution, Measurement, Referenced};
use assay_common::probe::ProbePlace;
use assay_common::row::Row;
use assay_common::sampler::SamplingParams;

use crate::model::{self, Compared, Forced, Model, ModelError, Passes};

/// One answer to recompute, its rows checked.
#[derive(Clone, Debug)]
pub struct Subject {
    pub prompt: Vec<u32>,
    pub rows: Vec<Row>,
    pub sampling: SamplingParams,
    pub run_seed: RunSeed,
    /// Where the validator's own surprisals are asked for.
    pub probes: Vec<ProbePlace>,
}

/// Why there is no measurement. Always the validator's own fault, for the rows were checked before.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    #[error("the model")]
    Model(#[from] ModelError),
    #[error("position {position} of {positions} cannot be compared")]
    Whitening { position: u32, positions: usize, source: WhiteningError },
}

impl Subject {
    fn tokens(&self) -> Vec<u32> {
        self.rows.iter().map(|row| row.token.0).collect()
    }

    fn probe(&self, told: &mut [u16], position: u32, own: Distribution<'_>) {
        let places = told.iter_mut().zip(&self.probes).filter(|(_, place)| place.position == position);
        places.for_each(|(value, place)| *value = own.surprisal(place.token));
    }
}

/// Runs both passes of the model's scheme along the rows' tokens.
///
/// # Errors
/// The model's own failures, and numbers that no working model gives.
pub fn measure(model: &Model, subject: &Subject) -> Result<Measurement, MeasureError> {
    let tokens = subject.tokens();
    measure_along(&passes(model, subject, &tokens)?, subject)
}

/// As [`measure`], and how far the second pass's surprisals lie from the reference pass's at the probes, in 1/256 bit: how
/// far apart honest jurors on other machines may be at most.
///
/// # Errors
/// As [`measure`].
pub fn measure_with_deviations(
    model: &Model,
    subject: &Subject,
) -> Result<(Measurement, Vec<u32>), MeasureError> {
    let tokens = subject.tokens();
    let passes = passes(model, subject, &tokens)?;
    let measurement = measure_along(&passes, subject)?;
    let positions: BTreeSet<u32> = subject.probes.iter().map(|place| place.position).collect();
    let mut second = vec![0u16; subject.probes.len()];
    passes.second(&positions.into_iter().collect::<Vec<_>>(), |own| {
        subject.probe(&mut second, own.position, distribution(own));
    })?;
    let pairs = measurement.probes.iter().zip(&second);
    let deviations = pairs.map(|(own, other)| u32::from(own.abs_diff(*other))).collect();
    Ok((measurement, deviations))
}

fn passes<'a>(model: &'a Model, subject: &'a Subject, tokens: &'a [u32]) -> Result<Passes<'a>, ModelError> {
    model.passes(&Forced { prompt: &subject.prompt, tokens, penalties: subject.sampling.penalties })
}

fn measure_along(passes: &Passes<'_>, subject: &Subject) -> Result<Measurement, MeasureError> {
    let positions: Vec<u32> = (0u32..).take(subject.rows.len()).collect();
    let mut referenced = Vec::with_capacity(positions.len());
    let mut probes = vec![0u16; subject.probes.len()];
    let compared = passes.compare(&positions, |own| {
        let (position, own) = (own.position, distribution(own));
        subject.probe(&mut probes, position, own);
        let row = &subject.rows[position as usize];
        let found = measure_reference(row, position, own, &subject.sampling, &subject.run_seed);
        let ids = found.compared.iter().map(|entry| entry.token.0).collect();
        referenced.push(found);
        ids
    })?;
    assemble(referenced, &compared, probes)
}

fn distribution(row: model::Row<'_>) -> Distribution<'_> {
    Distribution { surprisals: row.surprisals, log_probabilities: row.log_probs }
}

/// Whitens every position and puts its parts in their lists.
fn assemble(
    referenced: Vec<Referenced>,
    compared: &[Compared],
    probes: Vec<u16>,
) -> Result<Measurement, MeasureError> {
    let mut measurement = Measurement { probes, ..Measurement::default() };
    for (own, passes) in referenced.into_iter().zip(compared) {
        let (position, positions) = (passes.position, compared.len());
        let named = |source| MeasureError::Whitening { position, positions, source };
        measurement.whitened.push(whiten(&own.compared, &passes.to_whiten()).map_err(named)?);
        measurement.positions.push(own.position);
        measurement.comparators.push(own.comparators);
    }
    Ok(measurement)
}
