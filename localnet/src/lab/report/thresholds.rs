//! Thresholds at a rate of false alarms, set on honest answers of the development part alone.

use std::collections::BTreeSet;

use assay_common::judge::power::{interval, worst_threshold, Threshold};

use super::statistics::Sample;

/// Tokens of a block.
pub const LENGTHS: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
/// Rates of false alarms, with the names that they have in results.
pub const RATES: [(&str, f64); 3] = [("1e-2", 1e-2), ("1e-3", 1e-3), ("1e-4", 1e-4)];
/// Blocks below which a cell sets no threshold of its own: its upper tenth says nothing. It counts among all of them.
const LEAST_BLOCKS: usize = 300;
/// Resamples of the prompts for every interval.
pub const RESAMPLES: usize = 100;
/// Of the resamples: the same traces give the same intervals.
pub const SEED: u64 = 1;

/// The thresholds of one statistic.
#[derive(Clone, Debug)]
pub struct Thresholds {
    /// Tokens that one value stands for.
    unit: usize,
    /// [length][rate]
    set: Vec<[Option<Threshold>; RATES.len()]>,
    /// The same for resamples of the development prompts: [length][resample][rate].
    resampled: Vec<Vec<[Option<Threshold>; RATES.len()]>>,
    /// Honest blocks of all cells together, by length.
    pub blocks: Vec<usize>,
}

impl Thresholds {
    /// Of the cells' development answers; a value stands for `unit` tokens.
    pub fn of(cells: &[Sample], unit: usize) -> Self {
        let prompts: BTreeSet<u64> = cells.iter().flat_map(|cell| &cell.prompts).copied().collect();
        let prompts: Vec<u64> = prompts.into_iter().collect();
        let set = LENGTHS.map(|length| worst(cells, length, unit)).to_vec();
        let mut resampled = vec![Vec::with_capacity(RESAMPLES); LENGTHS.len()];
        // The draws of the interval are wanted, not what it makes of them.
        interval(prompts.len(), RESAMPLES, SEED, |drawn| {
            let chosen: Vec<u64> = drawn.iter().map(|at| prompts[*at]).collect();
            let cells: Vec<Sample> = cells.iter().map(|cell| cell.drawn(&chosen)).collect();
            for (length, list) in LENGTHS.iter().zip(&mut resampled) {
                list.push(worst(&cells, *length, unit));
            }
            None
        });
        let blocks =
            LENGTHS.map(|length| values(length, unit).map_or(0, |values| count(cells, values))).to_vec();
        Self { unit, set, resampled, blocks }
    }

    pub fn at(&self, length: usize, rate: usize) -> Option<Threshold> {
        self.set[length][rate]
    }

    /// The threshold that one resample of the development prompts sets.
    pub fn resampled(&self, length: usize, rate: usize, resample: usize) -> Option<Threshold> {
        self.resampled[length].get(resample)?[rate]
    }

    /// Values of a block of this length; none where it is no whole number of them.
    pub fn values(&self, length: usize) -> Option<usize> {
        values(LENGTHS[length], self.unit)
    }
}

fn values(length: usize, unit: usize) -> Option<usize> {
    length.is_multiple_of(unit).then_some(length / unit)
}

fn count(cells: &[Sample], values: usize) -> usize {
    cells.iter().flat_map(|cell| &cell.answers).map(|answer| answer.len() / values).sum()
}

/// The worst cell's threshold and that of all cells together, whichever is higher.
fn worst(cells: &[Sample], length: usize, unit: usize) -> [Option<Threshold>; RATES.len()] {
    let Some(values) = values(length, unit) else { return [None; RATES.len()] };
    let mut blocks: Vec<Vec<f64>> = cells.iter().map(|cell| cell.blocks(values)).collect();
    let all: Vec<f64> = blocks.iter().flatten().copied().collect();
    blocks.retain(|cell| cell.len() >= LEAST_BLOCKS);
    blocks.push(all);
    RATES.map(|(_, rate)| worst_threshold(blocks.iter().map(Vec::as_slice), rate))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::super::trace::example::fraction;
    use super::*;

    fn cell(answers: u64, shift: f64) -> Sample {
        let value = |seed: u64| (0..6).map(|n| fraction(seed * 7 + n)).sum::<f64>() + shift;
        let answer = |prompt: u64| (0..64).map(|position| value(prompt * 64 + position)).collect();
        Sample { prompts: (0..answers).collect(), answers: (0..answers).map(answer).collect() }
    }

    #[test]
    fn the_worst_cell_sets_the_threshold_and_few_blocks_are_extrapolated() {
        let (low, high) = (cell(100, 0.0), cell(100, 1.0));
        let alone = Thresholds::of(std::slice::from_ref(&low), 1);
        let both = Thresholds::of(&[low, high], 1);
        let (alone, worst) = (alone.at(0, 0).unwrap(), both.at(0, 0).unwrap());
        assert!((worst.value - alone.value - 1.0).abs() < 1e-9 && !worst.extrapolated);
        assert!(both.at(0, 2).unwrap().extrapolated && !both.at(0, 1).unwrap().extrapolated);
        assert_eq!((both.blocks[0], both.blocks[6], both.blocks[7]), (12_800, 200, 0));
        assert_eq!(both.at(7, 0), None);
        let spread: Vec<f64> =
            (0..RESAMPLES).filter_map(|n| both.resampled(0, 0, n)).map(|t| t.value).collect();
        assert_eq!(spread.len(), RESAMPLES);
        assert!(spread.iter().any(|value| *value != worst.value));
    }

    #[test]
    fn values_that_stand_for_32_tokens_have_no_threshold_for_8() {
        let thresholds = Thresholds::of(&[cell(100, 0.0)], 32);
        assert_eq!(thresholds.values(3), None);
        assert_eq!((thresholds.values(5), thresholds.values(6)), (Some(1), Some(2)));
        assert!(thresholds.at(3, 0).is_none() && thresholds.at(5, 0).is_some());
    }
}
