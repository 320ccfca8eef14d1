//! Lists of candidates whose numbers were changed and must again be those of a distribution.

use assay_common::row::{Entry, Surprisal};

/// Nats of 1/256 bit.
pub const NATS_PER_STEP: f64 = std::f64::consts::LN_2 / 256.0;

/// The probability of all of them together.
pub fn mass(candidates: &[Entry]) -> f64 {
    candidates.iter().map(|entry| (-f64::from(entry.surprisal.0) * NATS_PER_STEP).exp()).sum()
}

/// The candidates in order, all moved by one number of steps so that together they have at most the probability `mass`.
///
/// One number for all changes neither who wins nor what the filters keep, and no difference between two of them.
pub fn of_mass(mut candidates: Vec<Entry>, mass: f64) -> Vec<Entry> {
    let excess = (self::mass(&candidates) / mass).ln() / NATS_PER_STEP;
    for entry in &mut candidates {
        let moved = entry.surprisal.0.saturating_add_signed(excess.ceil() as i32);
        entry.surprisal = Surprisal(moved).min(Surprisal::MAX);
    }
    candidates.sort_unstable();
    candidates
}

#[cfg(test)]
mod tests {
    use assay_common::row::TokenId;

    use super::*;

    #[test]
    fn a_list_that_claims_too_much_is_moved_until_it_does_not() {
        let list = |surprisals: [u32; 3]| -> Vec<Entry> {
            let entry = |(surprisal, token)| Entry { surprisal: Surprisal(surprisal), token: TokenId(token) };
            surprisals.into_iter().zip(0..).map(entry).collect()
        };
        // ½ + ½ + ¼ is 0.32 bit above 1; 83 steps of 1/256 bit are enough, 82 are not.
        assert_eq!(of_mass(list([512, 256, 256]), 1.0), {
            let mut moved = list([595, 339, 339]);
            moved.sort_unstable();
            moved
        });
        assert!((mass(&of_mass(list([512, 256, 256]), 0.5)) - 0.5).abs() < 0.002);
        assert!((mass(&of_mass(list([512, 768, 900]), 0.9)) - 0.9).abs() < 0.003);
    }
}
