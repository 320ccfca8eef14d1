//! Penalties on the logits by the text so far: one function for generation and for the teacher-forced pass.

use std::collections::BTreeMap;

use assay_common::penalties::Penalties;
use tch::{Device, TchError, Tensor};

/// The text before one position, as the penalties see it. Without penalties it holds nothing and costs nothing.
#[derive(Clone, Debug)]
pub struct Prefix {
    penalties: Penalties,
    /// How often the answer has each token; 0 where only the prompt has it.
    counts: BTreeMap<u32, u32>,
}

impl Prefix {
    /// The text before the first token of an answer.
    pub fn new(penalties: Penalties, prompt: &[u32]) -> Self {
        let seen = if penalties == Penalties::NONE { &[] } else { prompt };
        Self { penalties, counts: seen.iter().map(|token| (*token, 0)).collect() }
    }

    /// The answer goes on with `token`.
    pub fn push(&mut self, token: u32) {
        if self.penalties != Penalties::NONE {
            let count = self.counts.entry(token).or_insert(0);
            *count = count.saturating_add(1);
        }
    }

    /// The answer goes on with these tokens.
    pub fn extend(&mut self, tokens: &[u32]) {
        tokens.iter().for_each(|token| self.push(*token));
    }

    /// The logit of one token after the penalties.
    pub fn penalised(&self, token: u32, logit: f32) -> f32 {
        self.counts.get(&token).map_or(logit, |count| penalised(logit, &self.penalties, *count))
    }

    /// Applies the penalties in place to the logits [vocabulary] that predict the next token; every token of the text is
    /// in the vocabulary.
    ///
    /// # Errors
    /// Torch's own failures.
    pub fn penalise(&self, logits: &mut Tensor) -> Result<(), TchError> {
        if self.counts.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = self.counts.keys().map(|token| i64::from(*token)).collect();
        let index = Tensor::f_from_slice(&ids)?.f_to_device(logits.device())?;
        let mut values = vec![0f32; ids.len()];
        logits.f_index_select(0, &index)?.f_to_device(Device::Cpu)?.f_copy_data(&mut values, ids.len())?;
        for (value, count) in values.iter_mut().zip(self.counts.values()) {
            *value = penalised(*value, &self.penalties, *count);
        }
        let values = Tensor::f_from_slice(&values)?.f_to_device(logits.device())?;
        logits.f_index_copy_(0, &index, &values).map(drop)
    }
}

/// The logit of a token of the text, which the answer has `count` times; every operation is rounded to f32.
///
/// Repetition as in HuggingFace transformers (Keskar et al. 2019, CTRL, with the sign's case distinction), then frequency,
/// then presence as in vLLM.
pub fn penalised(logit: f32, penalties: &Penalties, count: u32) -> f32 {
    let repetition = penalties.repetition_milli as f32 / 1000.0;
    let logit = if logit > 0.0 { logit / repetition } else { logit * repetition };
    if count == 0 {
        return logit;
    }
    let logit = logit - penalties.frequency_milli as f32 / 1000.0 * count as f32;
    logit - penalties.presence_milli as f32 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn penalties(repetition_milli: u32, frequency_milli: i32, presence_milli: i32) -> Penalties {
        Penalties { repetition_milli, frequency_milli, presence_milli }
    }

    #[test]
    fn repetition_divides_positive_logits_and_multiplies_the_others() {
        let repetition = penalties(1_500, 700, 700);
        assert_eq!([3.0, -2.0, 0.0].map(|logit| penalised(logit, &repetition, 0)), [2.0, -3.0, 0.0]);
        let favour = penalties(500, 0, 0);
        assert_eq!([3.0, -2.0].map(|logit| penalised(logit, &favour, 4)), [6.0, -1.0]);
    }

    #[test]
    fn frequency_counts_each_time_and_presence_once_after_repetition() {
        let all = penalties(2_000, 500, 250);
        assert_eq!(penalised(4.0, &all, 0), 2.0);
        assert_eq!(penalised(4.0, &all, 1), 1.25);
        assert_eq!(penalised(4.0, &all, 3), 0.25);
        assert_eq!(penalised(-4.0, &penalties(2_000, -500, -250), 3), -6.25);
    }

    /// 2²⁴ has no odd neighbour in f32: frequency alone is lost in rounding, and presence after it again.
    #[test]
    fn every_step_is_rounded_on_its_own() {
        assert_eq!(penalised(16_777_216.0, &penalties(1_000, -1_000, -1_000), 1), 16_777_216.0);
        assert_eq!(penalised(16_777_216.0, &penalties(1_000, -1_000, 0), 2), 16_777_218.0);
    }

    #[test]
    fn the_prompt_counts_for_repetition_only_and_other_tokens_stay() {
        let logits = [1.0f32, 2.0, 3.0, -4.0, 5.0];
        let mut prefix = Prefix::new(penalties(2_000, 500, 1_000), &[1, 1, 3]);
        for token in [3, 3, 0] {
            prefix.push(token);
        }
        let mut tensor = Tensor::from_slice(&logits);
        prefix.penalise(&mut tensor).expect("the tokens are in the vocabulary");
        assert_eq!(Vec::<f32>::try_from(&tensor).expect("f32"), [-1.0, 1.0, 3.0, -10.0, 5.0]);
    }

    #[test]
    fn without_penalties_nothing_is_kept_and_no_logit_changes() {
        let mut prefix = Prefix::new(Penalties::NONE, &[1, 2]);
        prefix.push(0);
        assert!(prefix.counts.is_empty());
        let logits = [0.1f32, -0.3, 1e-30];
        let mut tensor = Tensor::from_slice(&logits);
        prefix.penalise(&mut tensor).expect("nothing to do");
        assert_eq!(Vec::<f32>::try_from(&tensor).expect("f32"), logits);
        assert_eq!(logits.map(|logit| penalised(logit, &Penalties::NONE, 7)), logits);
    }
}
