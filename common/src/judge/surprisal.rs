//! A comparator, reported and never judged: how surprising the tokens are under the distribution that they were drawn from.
//!
//! Most pre-filled answers look honest to it, and a lower temperature looks better than honest.

use serde::{Deserialize, Serialize};

use crate::row::{Entry, TokenId};

/// One token's surprisal beside what the distribution expects; nats, nats, nats².
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Surprise {
    pub surprisal: f64,
    pub entropy: f64,
    pub variance: f64,
}

/// A token outside the candidates counts as one nat more surprising than the last of them.
const BEYOND: f64 = 1.0;
/// Nats of 1/256 bit.
const NATS_PER_STEP: f64 = std::f64::consts::LN_2 / 256.0;

/// Of a token drawn from the kept candidates at this temperature; none at temperature 0 or of no candidate.
pub fn surprise(token: TokenId, kept: &[Entry], temperature_milli: u32) -> Option<Surprise> {
    let first = kept.first().filter(|_| temperature_milli > 0)?;
    let scale = NATS_PER_STEP * 1000.0 / f64::from(temperature_milli);
    let energy = |entry: &Entry| scale * (f64::from(entry.surprisal.0) - f64::from(first.surprisal.0));
    let (mut sum, mut first_moment, mut second_moment) = (0.0, 0.0, 0.0);
    for entry in kept {
        let energy = energy(entry);
        let weight = (-energy).exp();
        sum += weight;
        first_moment += weight * energy;
        second_moment += weight * energy * energy;
    }
    let mean_energy = first_moment / sum;
    let surprisal = |entry: &Entry| energy(entry) + sum.ln();
    let entropy = mean_energy + sum.ln();
    let variance = (second_moment / sum - mean_energy * mean_energy).max(0.0);
    let own = kept.iter().find(|entry| entry.token == token).map(surprisal);
    let beyond = kept.last().map(|entry| surprisal(entry) + BEYOND);
    Some(Surprise { surprisal: own.or(beyond)?, entropy, variance })
}

/// z = Σ(s − H) / √ΣV over an answer's tokens; 0 where nothing was left to chance.
pub fn standardised(tokens: &[Surprise]) -> f64 {
    let excess: f64 = tokens.iter().map(|token| token.surprisal - token.entropy).sum();
    let variance: f64 = tokens.iter().map(|token| token.variance).sum();
    if variance > 0.0 {
        excess / variance.sqrt()
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::row::Surprisal;

    fn coin() -> [Entry; 2] {
        [0, 1].map(|id| Entry { surprisal: Surprisal(256), token: TokenId(id) })
    }

    #[test]
    fn a_fair_coin_never_surprises_and_a_biased_one_does() {
        let fair = surprise(TokenId(1), &coin(), 1_000).unwrap();
        assert!((fair.surprisal - fair.entropy).abs() < 1e-12 && fair.variance < 1e-12);
        assert_eq!(standardised(&[fair; 9]), 0.0);
        let [likely, mut rare] = coin();
        rare.surprisal.0 = 4 * 256;
        let seen = surprise(TokenId(1), &[likely, rare], 1_000).unwrap();
        // p = 8/9 and 1/9: s = ln 9, V = pq·(ln 8)².
        assert!((seen.surprisal - 9f64.ln()).abs() < 1e-12);
        assert!((seen.variance - 8.0 / 81.0 * 8f64.ln().powi(2)).abs() < 1e-12);
        assert!(standardised(&[seen]) > 2.0);
    }

    #[test]
    fn a_token_outside_the_candidates_surprises_more_than_any_of_them() {
        let inside = surprise(TokenId(1), &coin(), 1_000).unwrap();
        let outside = surprise(TokenId(9), &coin(), 1_000).unwrap();
        assert!((outside.surprisal - inside.surprisal - 1.0).abs() < 1e-12);
        assert_eq!(surprise(TokenId(1), &coin(), 0), None);
        assert_eq!(surprise(TokenId(1), &[], 1_000), None);
    }
}
