//! Penalties on tokens that the text already has. They change the logits, so what an executor signs comes after them: they
//! are part of what is recomputed, never of what is replayed.

use borsh::{BorshDeserialize, BorshSerialize};
use cosmwasm_schema::cw_serde;

use crate::sampler::ParamsRule;

/// The repetition penalty that changes nothing.
const REPETITION_NONE: u32 = 1_000;
/// Least and greatest repetition penalty: a factor of two either way. It multiplies the rounding noise of a logit too, and
/// the judge's limits come from runs without penalties.
pub(crate) const REPETITION_RANGE: [u32; 2] = [500, 2_000];
/// Least and greatest frequency and presence penalty.
pub(crate) const ADDITIVE_RANGE: [i32; 2] = [-2_000, 2_000];

/// How tokens of the text so far are held back, or with the opposite sign favoured; applied in the order of the fields.
#[cw_serde]
#[derive(Copy, Eq, BorshSerialize, BorshDeserialize)]
pub struct Penalties {
    /// Divides the positive logits of tokens in the prompt or in the answer so far, and multiplies the others; thousandths.
    pub repetition_milli: u32,
    /// Taken from a token's logit once for each time that the answer so far has it; thousandths.
    pub frequency_milli: i32,
    /// Taken once from the logit of every token that the answer so far has; thousandths.
    pub presence_milli: i32,
}

impl Penalties {
    pub const NONE: Self = Self { repetition_milli: REPETITION_NONE, frequency_milli: 0, presence_milli: 0 };

    /// Checks that every penalty is in its range.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), ParamsRule> {
        let additive = ADDITIVE_RANGE[0]..=ADDITIVE_RANGE[1];
        if !(REPETITION_RANGE[0]..=REPETITION_RANGE[1]).contains(&self.repetition_milli) {
            return Err(ParamsRule::Repetition { found: self.repetition_milli });
        }
        if !additive.contains(&self.frequency_milli) {
            return Err(ParamsRule::Frequency { found: self.frequency_milli });
        }
        if !additive.contains(&self.presence_milli) {
            return Err(ParamsRule::Presence { found: self.presence_milli });
        }
        Ok(())
    }
}
