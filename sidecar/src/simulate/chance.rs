//! Random numbers that a seed, a name and a number fix.

use assay_common::digest::sha256;
use assay_common::ids::DrawSeed;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A stream of chances.
#[derive(Clone, Debug)]
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of this name and number: what one part of a simulation draws never depends on another part.
    pub fn new(seed: u64, name: &str, number: u64) -> Self {
        Self(ChaCha8Rng::from_seed(sha256(&[&seed.to_le_bytes(), &number.to_le_bytes(), name.as_bytes()])))
    }

    /// Uniform from 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        self.0.gen()
    }

    /// True with this probability.
    pub fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.unit() < probability
    }

    /// A draw seed, as a beacon round would give it.
    pub fn draw_seed(&mut self) -> DrawSeed {
        let mut bytes = [0; 32];
        self.0.fill_bytes(&mut bytes);
        DrawSeed(bytes)
    }
}
