//! A comparator, reported and never judged: the relative distance of log-probabilities that the largest deployed network
//! uses (Gonka). It punishes noise where a probability is near 1, and a list that is padded dilutes it.

use crate::row::{Entry, LISTED};

const FLOOR: f64 = 1e-6;
const NATS_PER_STEP: f64 = std::f64::consts::LN_2 / 256.0;

/// mean over the row's 20 most probable of ½·|a − v| / (10⁻⁶ + |a| + |v|), a and v natural log-probabilities; in [0, ½].
///
/// `reference` are the validator's at the same tokens, `[k]`.
pub fn relative(signed: &[Entry], reference: &[f32]) -> f64 {
    let term = |(entry, own): (&Entry, &f32)| {
        let (a, v) = (-f64::from(entry.surprisal.0) * NATS_PER_STEP, f64::from(*own));
        0.5 * (a - v).abs() / (FLOOR + a.abs() + v.abs())
    };
    super::mean(signed.iter().zip(reference).take(LISTED).map(term))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Surprisal, TokenId};

    #[test]
    fn it_is_zero_for_equal_numbers_and_a_sixth_where_one_is_twice_the_other() {
        let signed = [256, 512].map(|bits| Entry { surprisal: Surprisal(bits), token: TokenId(bits) });
        let own = [-std::f32::consts::LN_2, -2.0 * std::f32::consts::LN_2];
        assert!(relative(&signed, &own) < 1e-7);
        assert!((relative(&signed, &own.map(|v| 2.0 * v)) - 1.0 / 6.0).abs() < 1e-6);
    }
}
