//! Batched generation with a key-value cache. The sampler is the caller's: it sees integers and returns a
//! token.

use assay_common::penalties::Penalties;

use super::penalties::Prefix;
use super::surprisal::Distribution;
use super::{Model, ModelError};

/// A prompt to go on from, and how far.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    pub prompt: &'a [u32],
    /// Tokens of the answer, at most.
    pub max_new: usize,
    pub penalties: Penalties,
}

impl Model {
    /// Continues every prompt, all in one batch, until a token of `stop_ids` (which is kept as the last) or
    /// its own `max_new`.
    ///
    /// `choose(sequence, position, surprisals)` picks the token of `openings[sequence]` at `position` (0 is
    /// the first new one) from the surprisals in 1/256 bits over the vocabulary, after the penalties. For one
    /// sequence it is called in order of position; what it gets does not depend on the rest of the batch
    /// beyond float rounding. Sequences that end leave the batch.
    ///
    /// The batch is as wide as `openings`: its cache takes `layers · 2 · kv_heads · head_dim` floats per slot
    /// and sequence, and shorter prompts are padded to the longest.
    ///
    /// # Errors
    /// Ids outside the vocabulary (a chosen one included), an empty prompt, a sequence beyond the context,
    /// and torch's own failures.
    pub fn generate(
        &self,
        openings: &[Opening<'_>],
        stop_ids: &[u32],
        mut choose: impl FnMut(usize, u32, &[u32]) -> u32,
    ) -> Result<Vec<Vec<u32>>, ModelError> {
        for opening in openings {
            self.check(opening.prompt, opening.max_new)?;
        }
        let mut outputs = vec![Vec::new(); openings.len()];
        let mut live: Vec<usize> = (0..openings.len()).filter(|index| openings[*index].max_new > 0).collect();
        let Some(longest) = live.iter().map(|index| openings[*index].max_new).max() else {
            return Ok(outputs);
        };

        let _no_grad = tch::no_grad_guard();
        let batch: Vec<&[u32]> = live.iter().map(|index| openings[*index].prompt).collect();
        let numerics = self.executing();
        let (mut cache, mut hidden) = self.gemma.start(&batch, longest - 1, numerics)?;
        let mut prefixes: Vec<Prefix> =
            openings.iter().map(|opening| Prefix::new(opening.penalties, opening.prompt)).collect();
        let mut distribution = Distribution::default();
        for position in 0u32.. {
            let mut kept_rows = Vec::new();
            let mut fed = Vec::new();
            hidden = self.watched(&live, hidden)?;
            self.each_row(&hidden, |row, logits| {
                let mut logits = numerics.signed(logits)?;
                let sequence = live[row];
                prefixes[sequence].penalise(&mut logits)?;
                distribution.fill(logits)?;
                let token = choose(sequence, position, &distribution.surprisals);
                self.check_ids(&[token])?;
                outputs[sequence].push(token);
                prefixes[sequence].push(token);
                if outputs[sequence].len() < openings[sequence].max_new && !stop_ids.contains(&token) {
                    kept_rows.push(row);
                    fed.push(token);
                }
                Ok(())
            })?;
            if kept_rows.is_empty() {
                break;
            }
            if kept_rows.len() < live.len() {
                cache.keep(&kept_rows)?;
                live = kept_rows.iter().map(|row| live[*row]).collect();
            }
            hidden = self.gemma.step(&fed, &mut cache, numerics)?;
        }
        Ok(outputs)
    }
}
