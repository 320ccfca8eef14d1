//! Sampling one token from integers, so that anybody can repeat it exactly.
//!
//! The token is the kept candidate with the greatest score z = t·N − 1000·s: the temperature t multiplies the noise N and
//! nothing is rounded. The candidates are ordered by (surprisal, id) *after* quantisation, so the result depends neither on the
//! vocabulary's order nor on the batch or the device.

use borsh::{BorshDeserialize, BorshSerialize};
use cosmwasm_schema::cw_serde;

use crate::fixed::{exp2_neg, ONE_Q32};
use crate::ids::RunSeed;
use crate::noise::{noise, noise_upper_bound, PositionNoise};
use crate::penalties::{Penalties, ADDITIVE_RANGE, REPETITION_RANGE};
use crate::row::{Entry, Row, Surprisal, TokenId, LISTED};

/// The most probable candidates among which a token is drawn; those beyond are ignored.
///
/// Sampling loses 2e-3 of total variation by it on a flat model at temperature 1. The sums of top-p stay in 64 bits:
/// 4,096 · 2³² · 10⁶ < 2⁶⁴.
pub const MAX_CANDIDATES: usize = 4096;

/// The best by score that a row lists beside the most probable, so that the winner is always there.
pub const BEST_BY_SCORE: usize = 4;

/// The highest temperature, in thousandths.
pub const MAX_TEMPERATURE_MILLI: u32 = 100_000;

/// Parts in a million.
const MILLION: u64 = 1_000_000;

/// How the requester wants tokens to be drawn: the penalties come first, then the other fields in their order.
#[cw_serde]
#[derive(Copy, Eq, BorshSerialize, BorshDeserialize)]
pub struct SamplingParams {
    /// Temperature in thousandths; 0 takes the most probable token.
    pub temperature_milli: u32,
    /// Candidates kept, the most probable first; 0 keeps all.
    pub top_k: u32,
    /// Share of the probability left by top-k, in ppm, that the smallest kept prefix reaches; 1,000,000 keeps all.
    pub top_p_ppm: u32,
    /// Least probability of a kept candidate, in ppm of the most probable one's; 0 keeps all.
    pub min_p_ppm: u32,
    /// Applied to the logits, before anything that is signed.
    pub penalties: Penalties,
}

/// A sampling parameter out of its range; an executor that signs it commits a fraud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamsRule {
    #[error("temperature {found}/1000 is above {MAX_TEMPERATURE_MILLI}/1000")]
    Temperature { found: u32 },
    #[error("top_p of {found} ppm is not between 1 and 1000000")]
    TopP { found: u32 },
    #[error("min_p of {found} ppm is above 1000000")]
    MinP { found: u32 },
    #[error("a repetition penalty of {found}/1000 is not between {}/1000 and {}/1000", REPETITION_RANGE[0], REPETITION_RANGE[1])]
    Repetition { found: u32 },
    #[error("a frequency penalty of {found}/1000 is not between {}/1000 and {}/1000", ADDITIVE_RANGE[0], ADDITIVE_RANGE[1])]
    Frequency { found: i32 },
    #[error("a presence penalty of {found}/1000 is not between {}/1000 and {}/1000", ADDITIVE_RANGE[0], ADDITIVE_RANGE[1])]
    Presence { found: i32 },
}

/// Why there is no token to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    #[error("the sampling parameters are out of range")]
    Params(#[from] ParamsRule),
    #[error("there is no candidate")]
    NoCandidate,
}

/// A token drawn by the executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampled {
    pub row: Row,
    /// The candidates that passed the filters.
    pub kept: usize,
}

impl SamplingParams {
    /// The model's own distribution: temperature 1, no filter, no penalty.
    pub const OPEN: Self = Self {
        temperature_milli: 1_000,
        top_k: 0,
        top_p_ppm: 1_000_000,
        min_p_ppm: 0,
        penalties: Penalties::NONE,
    };

    /// Checks that every parameter is in its range.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), ParamsRule> {
        if self.temperature_milli > MAX_TEMPERATURE_MILLI {
            return Err(ParamsRule::Temperature { found: self.temperature_milli });
        }
        if self.top_p_ppm == 0 || u64::from(self.top_p_ppm) > MILLION {
            return Err(ParamsRule::TopP { found: self.top_p_ppm });
        }
        if u64::from(self.min_p_ppm) > MILLION {
            return Err(ParamsRule::MinP { found: self.min_p_ppm });
        }
        self.penalties.check()
    }

    /// Whether the filters keep listed candidates only, so that a row alone shows what they keep.
    pub fn filter_is_replayable(&self) -> bool {
        self.temperature_milli == 0 || (1..=LISTED as u32).contains(&self.top_k)
    }
}

/// The first `limit` tokens by (surprisal, id), in that order; linear in the vocabulary.
///
/// `surprisals[id]` is in 1/256 bit, and more than 64 bits count as 64.
pub fn top_candidates(surprisals: &[u32], limit: usize) -> Vec<Entry> {
    // Packed into one integer, (surprisal, id) compares several times faster than as a pair.
    let packed = surprisals.iter().zip(0u32..);
    let mut keys: Vec<u64> =
        packed.map(|(&s, id)| u64::from(s.min(Surprisal::MAX.0)) << 32 | u64::from(id)).collect();
    if limit < keys.len() {
        keys.select_nth_unstable(limit);
        keys.truncate(limit);
    }
    keys.sort_unstable();
    let entry = |key: u64| Entry { surprisal: Surprisal((key >> 32) as u32), token: TokenId(key as u32) };
    keys.into_iter().map(entry).collect()
}

/// How many of the candidates the filters keep: always a prefix of them, and not empty unless they are.
///
/// `candidates` are ordered by (surprisal, id); `params` are [in range](SamplingParams::check). Temperature 0 keeps one.
pub fn kept(candidates: &[Entry], params: &SamplingParams) -> usize {
    if params.temperature_milli == 0 {
        return candidates.len().min(1);
    }
    let top_k = if params.top_k == 0 { MAX_CANDIDATES } else { params.top_k as usize };
    let prefix = &candidates[..candidates.len().min(top_k).min(MAX_CANDIDATES)];
    let Some(first) = prefix.first() else { return 0 };
    let weight = |entry: &Entry| weight(*entry, *first, params.temperature_milli);
    let prefix = &prefix[..kept_by_top_p(prefix, params.top_p_ppm, weight)];
    kept_by_min_p(prefix, params.min_p_ppm, weight)
}

/// The smallest prefix with at least the share `top_p_ppm` of the weight.
fn kept_by_top_p(candidates: &[Entry], top_p_ppm: u32, weight: impl Fn(&Entry) -> u64) -> usize {
    if u64::from(top_p_ppm) >= MILLION {
        return candidates.len();
    }
    let needed = candidates.iter().map(&weight).sum::<u64>() * u64::from(top_p_ppm);
    let mut reached = 0;
    let reaches = |entry: &Entry| {
        reached += weight(entry);
        reached * MILLION >= needed
    };
    candidates.iter().position(reaches).map_or(candidates.len(), |last| last + 1)
}

/// The prefix whose weights are at least the share `min_p_ppm` of the first one.
fn kept_by_min_p(candidates: &[Entry], min_p_ppm: u32, weight: impl Fn(&Entry) -> u64) -> usize {
    if min_p_ppm == 0 {
        return candidates.len();
    }
    let needed = ONE_Q32 * u64::from(min_p_ppm);
    let below = candidates.iter().position(|entry| weight(entry) * MILLION < needed);
    below.unwrap_or(candidates.len())
}

/// Probability relative to the most probable candidate after the temperature, Q32.
///
/// The division rounds down: the one rounding of the whole sampler.
fn weight(entry: Entry, first: Entry, temperature_milli: u32) -> u64 {
    let difference = entry.surprisal.q24().saturating_sub(first.surprisal.q24());
    exp2_neg(difference * 1000 / u64::from(temperature_milli))
}

/// z = t·N − 1000·s, exact: thousandths of Q24 bits.
pub fn score(surprisal: Surprisal, temperature_milli: u32, noise_q24: i64) -> i64 {
    i64::from(temperature_milli) * noise_q24 - 1000 * surprisal.q24() as i64
}

/// Draws the token of one position and lays out the row that proves it: the executor's side.
///
/// `candidates` are the most probable tokens by (surprisal, id), from [`top_candidates`]: [`MAX_CANDIDATES`] of them or the
/// whole vocabulary. Where the filters keep listed candidates only, the row lists the most probable and no others.
///
/// # Errors
/// Parameters out of range, or no candidate.
pub fn sample_full(
    candidates: &[Entry],
    params: &SamplingParams,
    run_seed: &RunSeed,
    position: u32,
) -> Result<Sampled, SampleError> {
    params.check()?;
    debug_assert!(candidates.is_sorted_by(|a, b| a < b), "candidates are ordered by (surprisal, id)");
    let candidates = &candidates[..candidates.len().min(MAX_CANDIDATES)];
    let kept = &candidates[..kept(candidates, params)];
    let best = best_by_score(kept, params.temperature_milli, PositionNoise::new(run_seed, position));
    let (Some(winner), Some(cut)) = (best.first(), kept.last()) else {
        return Err(SampleError::NoCandidate);
    };
    let (listed, beyond) = candidates.split_at(candidates.len().min(LISTED));
    let mut entries = listed.to_vec();
    let first_beyond = beyond.first();
    entries.extend(best.iter().filter(|entry| first_beyond.is_some_and(|first| *entry >= first)));
    entries.sort_unstable();
    Ok(Sampled { row: Row { token: winner.token, cut: *cut, entries }, kept: kept.len() })
}

/// The [`BEST_BY_SCORE`] candidates of greatest score, the best first; ties go to the smaller id.
pub(crate) fn best_by_score(
    candidates: &[Entry],
    temperature_milli: u32,
    mut words: PositionNoise,
) -> Vec<Entry> {
    let mut best: Vec<(i64, Entry)> = Vec::with_capacity(BEST_BY_SCORE + 1);
    for entry in candidates {
        let word = words.word(entry.token);
        let bound = score(entry.surprisal, temperature_milli, noise_upper_bound(word));
        // The bound saves the exact noise of nearly all candidates once the list is full.
        if best.len() == BEST_BY_SCORE && best.last().is_some_and(|(least, _)| bound < *least) {
            continue;
        }
        let score = score(entry.surprisal, temperature_milli, noise(word));
        let is_before = |(other, listed): &(i64, Entry)| {
            *other > score || (*other == score && listed.token < entry.token)
        };
        let place = best.partition_point(is_before);
        best.insert(place, (score, *entry));
        best.truncate(BEST_BY_SCORE);
    }
    best.into_iter().map(|(_, entry)| entry).collect()
}
