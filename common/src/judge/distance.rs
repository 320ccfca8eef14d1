//! Check 1: the normalised distance between the signed and the validator's probabilities.

use std::collections::BTreeSet;

use crate::row::{Entry, Row, TokenId, LISTED};

/// 2⁻⁶⁴, the least probability that a row can state.
const LEAST: f64 = 1.0 / 18_446_744_073_709_551_616.0;

/// d = mean over j of |a_j − v_j| / (a_j + v_j), in [0, 1].
///
/// j runs over the row's tokens and the validator's 20 most probable. A token that the row leaves out counts at the
/// least probability that it lists among its 20 most probable, which is the most that the executor can claim for it: so
/// leaving out the winner is as visible as a wrong number. `own_cut` adds the place where the filters end.
pub fn normalised(row: &Row, own: &[Entry], own_cut: Option<&Entry>, log_probabilities: &[f32]) -> f64 {
    let validator = |token: TokenId| {
        let log = log_probabilities.get(token.0 as usize).copied().unwrap_or(f32::NEG_INFINITY);
        f64::from(log).exp().max(LEAST)
    };
    let term = |signed: f64, own: f64| (signed - own).abs() / (signed + own);
    let listed: BTreeSet<TokenId> = row.entries.iter().map(|entry| entry.token).collect();
    let floor = row.entries.iter().take(LISTED).next_back().map_or(LEAST, probability);
    let signed = row.entries.iter().map(|entry| term(probability(entry), validator(entry.token)));
    let left_out = own
        .iter()
        .take(LISTED)
        .filter(|entry| !listed.contains(&entry.token))
        .map(|entry| term(floor, validator(entry.token)));
    let cut = own_cut.map(|own| term(probability(&row.cut), probability(own)));
    super::mean(signed.chain(left_out).chain(cut))
}

fn probability(entry: &Entry) -> f64 {
    (-f64::from(entry.surprisal.0) / 256.0).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Surprisal;

    /// A row and a validator's log-probabilities over 40 tokens, p(i) ∝ 2^(−i/4).
    fn agreeing() -> (Row, Vec<Entry>, Vec<f32>) {
        let total: f64 = (0..40).map(|i| (-f64::from(i) / 4.0).exp2()).sum();
        let logs: Vec<f32> = (0..40).map(|i| ((-f64::from(i) / 4.0).exp2() / total).ln() as f32).collect();
        let entries: Vec<Entry> = (0u32..)
            .zip(&logs)
            .map(|(id, log)| Entry {
                surprisal: Surprisal((-f64::from(*log) / std::f64::consts::LN_2 * 256.0).round() as u32),
                token: TokenId(id),
            })
            .collect();
        let row = Row { token: TokenId(0), cut: entries[39], entries: entries[..20].to_vec() };
        (row, entries, logs)
    }

    #[test]
    fn the_same_numbers_are_no_further_apart_than_their_rounding() {
        let (row, own, logs) = agreeing();
        let d = normalised(&row, &own, Some(&own[39]), &logs);
        assert!(d < 0.5 / 256.0 * std::f64::consts::LN_2 / 2.0, "{d}");
    }

    #[test]
    fn leaving_out_the_winner_is_seen() {
        let (mut row, own, logs) = agreeing();
        let whole = normalised(&row, &own, None, &logs);
        row.entries = own[1..21].to_vec();
        let d = normalised(&row, &own, None, &logs);
        assert!(d > whole + 0.9 / 21.0, "{d}");
    }

    #[test]
    fn the_distance_of_two_strangers_is_near_one() {
        let (row, own, _) = agreeing();
        let other = vec![-60.0; 40];
        let d = normalised(&row, &own, None, &other);
        assert!(d > 0.99, "{d}");
    }
}
