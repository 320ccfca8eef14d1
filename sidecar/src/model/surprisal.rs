//! From logits to what an executor signs: surprisal in bits over the whole vocabulary, in steps of 1/256.

use tch::{Kind, TchError, Tensor};

use super::ModelError;

/// Steps of one bit.
pub const STEPS_PER_BIT: u32 = 256;
/// The largest surprisal: 64 bits.
pub const CAP: u32 = 64 * STEPS_PER_BIT;

/// What a whole distribution is like; in nats, as its logits are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub entropy: f64,
    pub top_logit: f64,
    /// Logarithm of the sum of the logits' exponentials.
    pub log_normaliser: f64,
}

/// The distribution at one position, over the whole vocabulary.
///
/// The buffers are reused from row to row: a vocabulary of 262,144 takes 3 MiB.
#[derive(Debug, Default)]
pub struct Distribution {
    /// round(−log2 p · 256), at most [`CAP`].
    pub surprisals: Vec<u32>,
    /// Natural logarithms of the probabilities; not filled by [`Distribution::fill`].
    pub log_probs: Vec<f32>,
    quantised: Vec<i32>,
}

impl Distribution {
    /// From one row of logits [vocabulary], which is overwritten.
    ///
    /// # Errors
    /// A logit that is not finite.
    pub fn fill(&mut self, logits: Tensor) -> Result<(), ModelError> {
        self.take_surprisals(&log_softmax(logits)?.0)?;
        Ok(())
    }

    /// As [`Distribution::fill`], with the log-probabilities.
    pub fn fill_both(&mut self, logits: Tensor) -> Result<(), ModelError> {
        let (log_probs, _) = log_softmax(logits)?;
        self.take_both(&log_probs)?;
        Ok(())
    }

    /// As [`Distribution::fill_both`], and says what the distribution is like.
    pub fn fill_spread(&mut self, logits: Tensor) -> Result<Spread, ModelError> {
        let (log_probs, log_normaliser) = log_softmax(logits)?;
        self.take_both(&log_probs)?;
        // −∞ · 0 cannot occur: every logit is finite.
        let entropy = -log_probs.f_exp()?.f_mul(&log_probs)?.f_sum(Kind::Double)?.f_double_value(&[])?;
        let top_logit = log_probs.f_max()?.f_double_value(&[])? + log_normaliser;
        Ok(Spread { entropy, top_logit, log_normaliser })
    }

    fn take_both(&mut self, log_probs: &Tensor) -> Result<(), TchError> {
        self.take_surprisals(log_probs)?;
        let vocabulary = log_probs.numel();
        self.log_probs.resize(vocabulary, 0.0);
        log_probs.f_copy_data(&mut self.log_probs, vocabulary)
    }

    fn take_surprisals(&mut self, log_probs: &Tensor) -> Result<(), TchError> {
        let vocabulary = log_probs.numel();
        let steps_per_nat = f64::from(STEPS_PER_BIT) / std::f64::consts::LN_2;
        let quantised = log_probs
            .f_mul_scalar(-steps_per_nat)?
            .f_round_()?
            .f_clamp_(0.0, f64::from(CAP))?
            .f_to_kind(Kind::Int)?;
        self.quantised.resize(vocabulary, 0);
        quantised.f_copy_data(&mut self.quantised, vocabulary)?;
        self.surprisals.clear();
        self.surprisals.extend(self.quantised.iter().map(|steps| steps.cast_unsigned()));
        Ok(())
    }
}

/// Log-probabilities [vocabulary] in place of the logits, and what was taken off.
///
/// `logsumexp` adds by cascade; the fused `log_softmax` adds 262,144 terms lane by lane and loses 1e-5.
fn log_softmax(mut logits: Tensor) -> Result<(Tensor, f64), ModelError> {
    let normaliser = logits.f_logsumexp([0i64].as_slice(), false)?;
    let log_probs = logits.f_sub_(&normaliser)?;
    // NaN and +∞ reach every entry through the normaliser; −∞ shows in the minimum.
    if !log_probs.f_min()?.f_double_value(&[])?.is_finite() {
        return Err(ModelError::NotFinite);
    }
    Ok((log_probs, normaliser.f_double_value(&[])?))
}

/// The `k` most probable tokens as (surprisal, id), ascending, ties to the smaller id.
pub fn most_probable(surprisals: &[u32], k: usize) -> Vec<(u32, u32)> {
    let mut best: Vec<(u32, u32)> = Vec::with_capacity(k + 1);
    let mut worst = if k == 0 { 0 } else { u32::MAX };
    for (id, &surprisal) in surprisals.iter().enumerate() {
        // Ids ascend, so an equal surprisal never displaces an earlier one.
        if surprisal >= worst {
            continue;
        }
        let at = best.partition_point(|entry| entry.0 <= surprisal);
        best.insert(at, (surprisal, id as u32));
        best.truncate(k);
        if best.len() == k {
            worst = best[k - 1].0;
        }
    }
    best
}
