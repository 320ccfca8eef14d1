//! The sampler's noise: Gumbel draws in bits, keyed by the run seed, one for each (position, token).
//!
//! N = −log2(−log2 U) with U = (2w + 1)/2⁶⁵ and w a 64-bit ChaCha20 word. Added to the log2-probabilities and maximised, it
//! draws a token from them; bits instead of nats change it by a constant, which drops out of the maximum.

use rand_chacha::rand_core::{RngCore, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::fixed::{log2_q36, log2_tail_q36, ONE_Q36};
use crate::ids::RunSeed;
use crate::row::TokenId;

/// Words that the generator makes at once: four ChaCha blocks of 16 halves.
const GROUP: u32 = 32;

/// The words of one position's noise.
///
/// Neighbouring token ids share the blocks of the last word asked for; the order of the questions never changes an answer.
pub struct PositionNoise {
    rng: ChaCha20Rng,
    words: [u64; GROUP as usize],
    group: Option<u32>,
}

impl PositionNoise {
    /// Key `run_seed`, stream `position`.
    pub fn new(run_seed: &RunSeed, position: u32) -> Self {
        let mut rng = ChaCha20Rng::from_seed(run_seed.0);
        rng.set_stream(u64::from(position));
        Self { rng, words: [0; GROUP as usize], group: None }
    }

    /// The 64-bit word of a token: the two 32-bit words from 2·id on, the low half first.
    pub fn word(&mut self, token: TokenId) -> u64 {
        let group = token.0 / GROUP;
        if self.group != Some(group) {
            self.rng.set_word_pos(u128::from(group) * u128::from(2 * GROUP));
            for word in &mut self.words {
                *word = self.rng.next_u64();
            }
            self.group = Some(group);
        }
        self.words[(token.0 % GROUP) as usize]
    }
}

/// The Gumbel draw of a word, in Q24 bits: [`noise_q36`] rounded half up.
///
/// Between −6.03 and 64.48 bits, and never falling as the word rises.
pub fn noise(word: u64) -> i64 {
    (noise_q36(word) + (1 << 11)) >> 12
}

/// The Gumbel draw of a word in Q36 bits, within 4e-10.
///
/// Split at U = ½: above, the logarithm is taken of 1 − U, whose digits are all there, because the winners live where U → 1.
pub fn noise_q36(word: u64) -> i64 {
    if word >> 63 == 1 {
        let complement = (!word << 1) | 1;
        65 * ONE_Q36 - log2_q36(complement) - log2_tail_q36(complement)
    } else {
        let uniform = (word << 1) | 1;
        let minus_log2 = 65 * ONE_Q36 - log2_q36(uniform);
        36 * ONE_Q36 - log2_q36(minus_log2 as u64)
    }
}

/// A bound in Q24 bits that the noise of a word stays below, from its leading ones alone.
///
/// With z leading ones 1 − U exceeds 2^−(z+1), and −log2(1 − v) exceeds v: so N < z + 1.
pub fn noise_upper_bound(word: u64) -> i64 {
    i64::from(word.leading_ones() + 1) << 24
}
