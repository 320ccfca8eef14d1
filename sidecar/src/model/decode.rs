//! Batched generation with a key-value cache. The sampler is the caller's: it sees integers and returns a
//! token.

use super::surprisal::Distribution;
use super::{Model, ModelError};

impl Model {
    /// Continues every prompt, all in one batch, until a token of `stop_ids` (which is kept as the last) or
    /// its own `max_new`.
    ///
    /// `choose(sequence, position, surprisals)` picks the token of `prompts[sequence]` at `position` (0 is
    /// the first new one) from the surprisals in 1/256 bits over the vocabulary. For one sequence it is
    /// called in order of position; what it gets does not depend on the rest of the batch beyond float
    /// rounding. Sequences that end leave the batch.
    ///
    /// The batch is as wide as `prompts`: its cache takes `layers · 2 · kv_heads · head_dim` floats per slot
    /// and sequence, and shorter prompts are padded to the longest.
    ///
    /// # Errors
    /// Ids outside the vocabulary (a chosen one included), an empty prompt, a sequence beyond the context,
    /// and torch's own failures.
    pub fn generate(
        &self,
        prompts: &[Vec<u32>],
        max_new: &[usize],
        stop_ids: &[u32],
        mut choose: impl FnMut(usize, u32, &[u32]) -> u32,
    ) -> Result<Vec<Vec<u32>>, ModelError> {
        if prompts.len() != max_new.len() {
            return Err(ModelError::Limits { prompts: prompts.len(), limits: max_new.len() });
        }
        for (prompt, new) in prompts.iter().zip(max_new) {
            self.check(prompt, *new)?;
        }
        let mut outputs = vec![Vec::new(); prompts.len()];
        let mut live: Vec<usize> = (0..prompts.len()).filter(|sequence| max_new[*sequence] > 0).collect();
        let Some(longest) = live.iter().map(|sequence| max_new[*sequence]).max() else { return Ok(outputs) };

        let _no_grad = tch::no_grad_guard();
        let batch: Vec<&[u32]> = live.iter().map(|sequence| prompts[*sequence].as_slice()).collect();
        let (mut cache, mut hidden) = self.gemma.start(&batch, longest - 1)?;
        let mut distribution = Distribution::default();
        for position in 0u32.. {
            let mut kept_rows = Vec::new();
            let mut fed = Vec::new();
            self.each_row(&hidden, |row, logits| {
                distribution.fill(logits)?;
                let sequence = live[row];
                let token = choose(sequence, position, &distribution.surprisals);
                self.check_ids(&[token])?;
                outputs[sequence].push(token);
                if outputs[sequence].len() < max_new[sequence] && !stop_ids.contains(&token) {
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
            hidden = self.gemma.step(&fed, &mut cache)?;
        }
        Ok(outputs)
    }
}
