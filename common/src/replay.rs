//! Replaying one position: do the numbers that the executor signed, and the run seed, give the token that it signed?
//!
//! Exact, in integers, and total: every input has an outcome, whatever the bytes. Where the filters keep listed candidates
//! only, they are replayed too; elsewhere the candidates beyond the signed cut are excluded, and the judge checks the cut
//! against its own cumulative probability.

use cosmwasm_schema::cw_serde;

use crate::ids::RunSeed;
use crate::noise::PositionNoise;
use crate::row::{decode_leaf, Entry, Row, RowRule, TokenId, LISTED};
use crate::sampler::{best_by_score, kept, ParamsRule, SamplingParams};

/// Which rules of replay an executor is held to: those in force when it committed. New rules get a new number, and the
/// old ones stay while a batch of theirs can be accused.
#[cw_serde]
#[derive(Eq, Copy)]
pub struct SamplerVersion(pub u32);

impl SamplerVersion {
    /// The rules of this module.
    pub const CURRENT: Self = Self(1);
}

/// What a replay shows. Everything but `Matches` is a fraud by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// The row gives the signed token.
    Matches,
    /// The row gives another token than the signed one.
    Differs { expected: TokenId },
    /// The filters keep candidates up to another one than the signed cut.
    CutDiffers { expected: Entry },
    /// The row breaks a rule, so nothing was computed from it.
    Malformed(RowRule),
    /// The sampling parameters are out of range, so nothing was computed from the row.
    ParamsOutOfRange(ParamsRule),
}

impl Replay {
    /// Whether the outcome proves that the executor signed what an honest one cannot.
    pub fn is_fraud(&self) -> bool {
        !matches!(self, Self::Matches)
    }
}

/// Replays the leaf that stands at `position` of an answer's tree, over a vocabulary of `vocab` tokens.
pub fn replay_leaf(
    leaf: &[u8],
    position: u32,
    vocab: u32,
    params: &SamplingParams,
    run_seed: &RunSeed,
) -> Replay {
    match decode_leaf(leaf) {
        Err(rule) => Replay::Malformed(rule),
        // The noise is the position's: a leaf under another number would be replayed with noise of the executor's choice.
        Ok(leaf) if leaf.position != position => {
            Replay::Malformed(RowRule::WrongPosition { found: leaf.position, expected: position })
        }
        Ok(leaf) => replay(&leaf.row, position, vocab, params, run_seed),
    }
}

/// Replays a decoded row; the row and the parameters are checked first.
pub fn replay(row: &Row, position: u32, vocab: u32, params: &SamplingParams, run_seed: &RunSeed) -> Replay {
    if let Err(rule) = params.check() {
        return Replay::ParamsOutOfRange(rule);
    }
    if let Err(rule) = row.check(vocab) {
        return Replay::Malformed(rule);
    }
    let candidates = match replayable_cut(row, params) {
        Some(expected) if expected != row.cut => return Replay::CutDiffers { expected },
        _ => &row.entries[..row.entries.partition_point(|entry| *entry <= row.cut)],
    };
    let best = best_by_score(candidates, params.temperature_milli, PositionNoise::new(run_seed, position));
    match best.first() {
        Some(winner) if winner.token == row.token => Replay::Matches,
        Some(winner) => Replay::Differs { expected: winner.token },
        None => Replay::Malformed(RowRule::CutContradictsEntries),
    }
}

/// The cut that the filters give on the row itself; `None` where they may keep candidates that it does not list.
fn replayable_cut(row: &Row, params: &SamplingParams) -> Option<Entry> {
    if !params.filter_is_replayable() {
        return None;
    }
    let listed = &row.entries[..row.entries.len().min(LISTED)];
    listed[..kept(listed, params)].last().copied()
}
