//! Check 2: would the claimed model, under the validator's numbers and the same noise, have emitted these tokens?
//!
//! The articles map a perplexity to [0, 1]; plain surprisal does not separate a pre-fill from an honest answer, the
//! margin under the seed's own noise does (Token-DiFR, arXiv 2511.20621, with our integer noise).

use crate::ids::RunSeed;
use crate::noise::{noise, PositionNoise};
use crate::row::{Entry, TokenId};
use crate::sampler::score;

/// Margins count up to here, in nats: beyond it a token is just wrong.
const CLIP: f64 = 0.5;
/// Steepness of the map to [0, 1].
const STEEPNESS: f64 = 6.0;
/// Scores are in thousandths of Q24 bits.
const SCORE_PER_BIT: f64 = 1000.0 * 16_777_216.0;

/// A token that an executor drew, and how.
pub struct Drawn {
    pub token: TokenId,
    pub temperature_milli: u32,
    pub position: u32,
}

/// Nats by which the best of the candidates beats the emitted token, at most [`CLIP`]; 0 where it is the best.
///
/// `surely` are the validator's candidates that the filters keep whatever the rounding, `perhaps` those that they may keep:
/// the emitted token may be any of these, but only the former can beat it. One outside both is as wrong as can be.
pub fn margin(drawn: &Drawn, surely: &[Entry], perhaps: &[Entry], run_seed: &RunSeed) -> f64 {
    let mut words = PositionNoise::new(run_seed, drawn.position);
    let temperature = drawn.temperature_milli;
    let mut z = |entry: &Entry| score(entry.surprisal, temperature, noise(words.word(entry.token)));
    let Some(own) = perhaps.iter().find(|entry| entry.token == drawn.token).map(&mut z) else { return CLIP };
    let best = surely.iter().map(z).max().unwrap_or(own);
    let nats = best.saturating_sub(own).max(0) as f64 / SCORE_PER_BIT * std::f64::consts::LN_2;
    nats.min(CLIP)
}

/// u = 1 − exp(−6 · margin): honest answers below 0.2, pre-filled ones above 0.4.
pub fn to_unit_interval(margin: f64) -> f64 {
    1.0 - (-STEEPNESS * margin).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Surprisal;
    use crate::sampler::{sample_full, SamplingParams};

    const SEED: RunSeed = RunSeed([3; 32]);

    fn candidates() -> Vec<Entry> {
        (0..200).map(|id| Entry { surprisal: Surprisal(1_800 + id), token: TokenId(id) }).collect()
    }

    #[test]
    fn the_token_that_the_sampler_draws_has_no_margin_and_any_other_has_one() {
        let own = candidates();
        let params = SamplingParams::OPEN;
        for position in 0..50 {
            let token = sample_full(&own, &params, &SEED, position).expect("parameters in range").row.token;
            let drawn = |token| Drawn { token, temperature_milli: 1_000, position };
            assert_eq!(margin(&drawn(token), &own, &own, &SEED), 0.0);
            assert!(margin(&drawn(TokenId((token.0 + 1) % 200)), &own, &own, &SEED) > 0.0);
        }
    }

    #[test]
    fn a_token_that_the_filters_drop_is_as_wrong_as_can_be() {
        let (own, drawn) =
            (candidates(), Drawn { token: TokenId(100), temperature_milli: 1_000, position: 0 });
        assert_eq!(margin(&drawn, &own[..10], &own[..12], &SEED), CLIP);
        assert!(to_unit_interval(CLIP) > 0.9);
        assert_eq!(to_unit_interval(0.0), 0.0);
    }
}
