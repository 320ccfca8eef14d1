//! The chain's bins of a whitened statistic: how honest and cheating answers are spread over them, in integers.

use super::binomial::upper_bound;
use super::cell::block_means;
use super::normal;
use super::null::Null;
use crate::evidence::{Bins, CLASS_EDGES};
use crate::params::{PerAlternative, ALTERNATIVES, PPM};

/// Where the bins of passed answers end, in standard deviations above the widened null ([`Null::standardise`]); the last of
/// them ends at the limit.
pub const EDGES: [f64; 3] = [0.0, 1.0, 2.0];
/// Bins: those between the edges, that up to the limit, and the failed check.
const BINS: usize = EDGES.len() + 2;

/// What an honest executor fails at most, until more honest answers are measured: replay, end, margin and all.
pub const HONEST_FAIL_PPM: u32 = 10_000;
/// The shares of an executor's answers that each alternative takes to be cheats, of a million.
pub const CHEAT_PPM: [u32; ALTERNATIVES] = [30_000, 100_000, 400_000];
/// By how many position standard deviations a cheat moves each position; all alike, as no attack was looked at.
const SHIFTS: [f64; 4] = [0.5, 1.0, 2.0, 4.0];

/// A share that an honest executor is taken to have in every bin at least, so that rounding stays small beside it.
const LEAST_PPM: u32 = 100;
/// The largest share beyond an edge: something is left for the first bin.
const MOST_PPM: u32 = 900_000;
/// Block lengths whose observed shares count, where there are so many blocks.
const LENGTHS: [usize; 4] = [1, 8, 16, 32];
const LEAST_BLOCKS: usize = 300;
const BOUND_MISS: f64 = 0.05;

/// One table for each size class of the evidence.
///
/// Honest: beyond each edge the normal tail of the widened null, or the 95 % upper bound of what any cell's blocks showed
/// there, whichever is more, and beyond the limit at least [`HONEST_FAIL_PPM`]. Alternative a: a share [`CHEAT_PPM`] of
/// answers whose every position is moved by an equal mixture of [`SHIFTS`]; its ratio to the honest is made to rise from
/// bin to bin by isotonic regression, as the contract demands. `answers` are the statistic's honest values,
/// `[cell][answer][position]`.
pub fn tables(null: &Null, answers: &[Vec<Vec<f64>>]) -> Vec<Bins> {
    let edges = [EDGES[0], EDGES[1], EDGES[2], null.z];
    let beyond = edges.map(|edge| honest_beyond(null, answers, edge));
    let honest = honest_shares(beyond);
    CLASS_EDGES.iter().map(|tokens| table(null, &edges, honest, *tokens as usize)).collect()
}

fn honest_beyond(null: &Null, answers: &[Vec<Vec<f64>>], edge: f64) -> f64 {
    let cells = answers.iter().flat_map(|cell| LENGTHS.map(|length| (cell, length)));
    let seen = cells.map(|(cell, length)| {
        let means = block_means(cell, length);
        if means.len() < LEAST_BLOCKS {
            return 0.0;
        }
        let hits = means.iter().filter(|mean| null.standardise(**mean, length) > edge).count();
        upper_bound(hits as u64, means.len() as u64, BOUND_MISS)
    });
    seen.fold(normal::above(edge), f64::max)
}

/// Shares of the bins, of a million, from the shares beyond the edges, rounded up.
fn honest_shares(beyond: [f64; BINS - 1]) -> [u32; BINS] {
    let mut beyond = beyond.map(|share| ((share * f64::from(PPM)).ceil() as u32).min(MOST_PPM));
    beyond[BINS - 2] = beyond[BINS - 2].max(HONEST_FAIL_PPM);
    for edge in (0..BINS - 2).rev() {
        beyond[edge] = beyond[edge].max(beyond[edge + 1] + LEAST_PPM);
    }
    let mut shares = [0; BINS];
    shares[0] = PPM - beyond[0];
    for bin in 1..BINS - 1 {
        shares[bin] = beyond[bin - 1] - beyond[bin];
    }
    shares[BINS - 1] = beyond[BINS - 2];
    shares
}

fn table(null: &Null, edges: &[f64; BINS - 1], honest: [u32; BINS], positions: usize) -> Bins {
    let cheat = rising(&cheat_shares(null, edges, positions), &honest);
    let of_alternative = |cheats: u32| {
        let part = f64::from(cheats) / f64::from(PPM);
        let mixed = |bin: usize| (1.0 - part) * f64::from(honest[bin]) + part * cheat[bin] * f64::from(PPM);
        let mut shares = vec![0u32; BINS];
        for bin in 1..BINS {
            // The ratio of the bin before, at least, in integers too.
            let least = match bin {
                1 => 0,
                _ => (u64::from(shares[bin - 1]) * u64::from(honest[bin])).div_ceil(honest[bin - 1].into()),
            };
            shares[bin] = (mixed(bin).ceil() as u32).max(u32::try_from(least).unwrap_or(PPM));
        }
        shares[0] = PPM.saturating_sub(shares.iter().sum());
        shares
    };
    Bins { honest_ppm: honest.to_vec(), alternatives_ppm: PerAlternative(CHEAT_PPM.map(of_alternative)) }
}

/// Shares of a full cheat in the bins.
fn cheat_shares(null: &Null, edges: &[f64; BINS - 1], positions: usize) -> [f64; BINS] {
    let sequence = null.worst(positions).map_or(0.0, |cell| cell.sequence_sd / cell.position_sd);
    let spread = (1.0 / positions.max(1) as f64 + sequence * sequence).sqrt();
    let beyond = |edge: f64| super::mean(SHIFTS.iter().map(|shift| normal::above(edge - shift / spread)));
    let beyond = edges.map(beyond);
    let mut shares = [0.0; BINS];
    shares[0] = 1.0 - beyond[0];
    for bin in 1..BINS - 1 {
        shares[bin] = beyond[bin - 1] - beyond[bin];
    }
    shares[BINS - 1] = beyond[BINS - 2];
    shares
}

/// The shares nearest to `cheat` whose ratio to the honest never falls: neighbours that fall are pooled.
fn rising(cheat: &[f64; BINS], honest: &[u32; BINS]) -> [f64; BINS] {
    // Pools of (bins, cheat share, honest share).
    let mut pools: Vec<(usize, f64, f64)> = Vec::with_capacity(BINS);
    for (share, honest) in cheat.iter().zip(honest) {
        pools.push((1, *share, f64::from(*honest)));
        while let [.., before, last] = pools[..] {
            if before.1 * last.2 <= last.1 * before.2 {
                break;
            }
            pools.truncate(pools.len() - 2);
            pools.push((before.0 + last.0, before.1 + last.1, before.2 + last.2));
        }
    }
    let mut shares = [0.0; BINS];
    let pooled = pools.iter().flat_map(|(bins, cheat, all)| std::iter::repeat_n(cheat / all, *bins));
    for ((share, ratio), honest) in shares.iter_mut().zip(pooled).zip(honest) {
        *share = ratio * f64::from(*honest);
    }
    shares
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::evidence::{check_bins, Audit, Scheme};
    use crate::judge::null::CellNull;
    use crate::params::EvidenceParams;
    use cosmwasm_std::Uint64;
    use proptest::prelude::*;

    fn null(sequence_sd: f64) -> Null {
        Null { cells: vec![CellNull { mean: 0.2, position_sd: 0.5, sequence_sd }], z: 3.09 }
    }

    proptest! {
        #[test]
        fn the_contract_takes_the_tables_whatever_the_cells_were(
            sequence_sd in 0.0f64..2.0, z in 3.09f64..9.0, scale in 0.0f64..3.0,
        ) {
            let null = Null { z, ..null(sequence_sd) };
            let answer = |i: usize| (0..40).map(|j| 0.2 + scale * (((i * 40 + j) * 7_919 % 1_000) as f64 / 500.0 - 1.0)).collect();
            let tables = tables(&null, &[(0..30).map(answer).collect()]);
            prop_assert_eq!(check_bins(&tables), Ok(()));
        }
    }

    /// E[factor] of one alternative's counter under these shares of the bins.
    fn expected_factor(scheme: &Scheme, class: u8, shares: &[f64], alternative: usize) -> f64 {
        let passes = (0..BINS as u8 - 1).map(|bin| Audit::Pass { class, bin });
        let audits = passes.chain([Audit::Fail { class }]);
        let factor = |audit| (scheme.step(audit)[alternative] as f64 / 65_536.0).exp2();
        audits.zip(shares).map(|(audit, share)| share * factor(audit)).sum()
    }

    /// Honest positions of a cell, spread evenly around a mean, some of them far up.
    fn cell_null() -> impl Strategy<Value = CellNull> {
        let ranges = (-2.0f64..2.0, 0.05f64..3.0, 0.0f64..1.5);
        ranges.prop_map(|(mean, position_sd, sequence_sd)| CellNull { mean, position_sd, sequence_sd })
    }

    fn honest_answers(cell: &CellNull, outliers: usize) -> Vec<Vec<f64>> {
        let position = |at: usize| {
            let even = ((at * 7_919 % 1_000) as f64 / 500.0 - 1.0) * 3.0f64.sqrt();
            let far = if outliers > 0 && at.is_multiple_of(outliers) { 6.0 } else { 0.0 };
            cell.mean + cell.position_sd * (even + far)
        };
        (0..40).map(|answer| (0..64).map(|at| position(answer * 64 + at)).collect()).collect()
    }

    proptest! {
        /// What Ville's inequality rests on, after every rounding: shares to a million, weights, logarithms to Q16.
        #[test]
        fn no_cells_give_tables_by_which_the_honest_gain_evidence(
            cells in proptest::collection::vec(cell_null(), 1..4), z in 3.09f64..9.0, outliers in 0usize..200,
            full_weight_tokens in 1u32..2_000, lighter in proptest::collection::vec(0.0f64..=1.0, BINS - 1),
        ) {
            let answers: Vec<_> = cells.iter().map(|cell| honest_answers(cell, outliers)).collect();
            let tables = tables(&Null { cells, z }, &answers);
            prop_assert_eq!(check_bins(&tables), Ok(()));
            let (audits, one_in) = (Uint64::new(10_000), Uint64::new(1_000_000_000));
            let params = EvidenceParams { audits, false_forfeit_one_in: one_in, full_weight_tokens };
            let scheme = Scheme::new(&params, &tables);
            for (class, table) in (0u8..).zip(&tables) {
                let worst: Vec<f64> = table.honest_ppm.iter().map(|ppm| f64::from(*ppm) / 1e6).collect();
                // Better executors: from each bin some of it goes one bin down.
                let mut better = worst.clone();
                for (bin, part) in (1..BINS).zip(&lighter) {
                    let moved = better[bin] * part;
                    better[bin] -= moved;
                    better[bin - 1] += moved;
                }
                for alternative in 0..ALTERNATIVES {
                    let factor = expected_factor(&scheme, class, &worst, alternative);
                    // All that rounding down takes is the last digit of a step in Q16, and the logarithm's allowance.
                    prop_assert!((1.0 - 3e-5..=1.0).contains(&factor), "class {} {}", class, factor);
                    let factor = expected_factor(&scheme, class, &better, alternative);
                    prop_assert!(factor <= 1.0, "class {} better {}", class, factor);
                }
            }
        }
    }

    #[test]
    fn a_long_answer_in_the_last_bins_says_more_than_a_short_one() {
        let params = EvidenceParams {
            audits: Uint64::new(10_000),
            false_forfeit_one_in: Uint64::new(1_000_000_000),
            full_weight_tokens: 1,
        };
        let scheme = Scheme::new(&params, &tables(&null(0.1), &[]));
        let pass = |class, bin| scheme.step(Audit::Pass { class, bin })[2];
        assert!(pass(0, 0) < 0 && pass(7, 0) < pass(0, 0));
        assert!(pass(7, 3) >= pass(7, 1));
        assert!(scheme.step(Audit::Fail { class: 7 })[2] > scheme.step(Audit::Fail { class: 0 })[2]);
    }

    #[test]
    fn honest_shares_cover_what_the_blocks_showed() {
        // Every position of one cell stands 1.5 sd above the mean: beyond 0 and 1, not beyond 2.
        let null = null(0.0);
        let answers = vec![vec![vec![0.2 + 1.5 * 0.5]; 2_000]];
        let honest = &tables(&null, &answers)[0].honest_ppm;
        assert_eq!(honest[0] + honest[1], 1_000_000 - 900_000);
        assert_eq!(honest[3] + honest[4], 22_751);
    }
}
