//! A juror's two passes along an answer: from tokens and signed numbers to what the judge looks at.

use assay_common::ids::RunSeed;
use assay_common::judge::whitening::{self, whiten, State, WhiteningError};
use assay_common::judge::{measure_reference, Distribution, Measurement, Referenced};
use assay_common::probe::ProbePlace;
use assay_common::row::Row;
use assay_common::sampler::SamplingParams;

use crate::model::{Compared, Forced, Model, ModelError, Numerics};

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

/// Runs both passes of the model's scheme along the rows' tokens.
///
/// # Errors
/// The model's own failures, and numbers that no working model gives.
pub fn measure(model: &Model, subject: &Subject) -> Result<Measurement, MeasureError> {
    let tokens: Vec<u32> = subject.rows.iter().map(|row| row.token.0).collect();
    let forced = Forced { prompt: &subject.prompt, tokens: &tokens, penalties: subject.sampling.penalties };
    let positions: Vec<u32> = (0u32..).take(tokens.len()).collect();
    let mut referenced = Vec::with_capacity(tokens.len());
    let mut probes = vec![0u16; subject.probes.len()];
    let compared = model.passes(&forced)?.compare(&positions, |own| {
        let distribution = Distribution { surprisals: own.surprisals, log_probabilities: own.log_probs };
        probe(&mut probes, &subject.probes, own.position, distribution);
        let row = &subject.rows[own.position as usize];
        let found = measure_reference(row, own.position, distribution, &subject.sampling, &subject.run_seed);
        let ids = found.compared.iter().map(|entry| entry.token.0).collect();
        referenced.push(found);
        ids
    })?;
    assemble(referenced, &compared, probes)
}

/// How far the second pass's surprisals lie from the reference pass's at these places, in 1/256 bit: how far apart honest
/// jurors on other machines may be at most.
///
/// # Errors
/// The model's own failures.
pub fn probe_deviations(model: &Model, subject: &Subject) -> Result<Vec<u32>, ModelError> {
    let tokens: Vec<u32> = subject.rows.iter().map(|row| row.token.0).collect();
    let forced = Forced { prompt: &subject.prompt, tokens: &tokens, penalties: subject.sampling.penalties };
    let probed = |numerics| -> Result<Vec<u16>, ModelError> {
        let mut told = vec![0u16; subject.probes.len()];
        model.score_with(&forced, numerics, |own| {
            let distribution = Distribution { surprisals: own.surprisals, log_probabilities: own.log_probs };
            probe(&mut told, &subject.probes, own.position, distribution);
        })?;
        Ok(told)
    };
    let (reference, second) = (probed(model.reference())?, probed(Numerics::second(model.spec().scheme))?);
    let pairs = reference.iter().zip(&second);
    Ok(pairs.map(|(reference, second)| u32::from(reference.abs_diff(*second))).collect())
}

fn probe(told: &mut [u16], places: &[ProbePlace], position: u32, own: Distribution<'_>) {
    for (value, place) in told.iter_mut().zip(places).filter(|(_, place)| place.position == position) {
        *value = own.surprisal(place.token);
    }
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
        measurement.whitened.push(whiten(&own.compared, &passes_of(passes)).map_err(named)?);
        measurement.positions.push(own.position);
        measurement.comparators.push(own.comparators);
    }
    Ok(measurement)
}

fn passes_of(compared: &Compared) -> whitening::Passes<'_> {
    whitening::Passes {
        reference: &compared.reference,
        second: &compared.second,
        gram: &compared.gram,
        state: State {
            difference_square: compared.difference_square,
            reference_square: compared.reference_square,
            entropy: compared.spread.entropy,
            top_logit: compared.spread.top_logit,
        },
    }
}
