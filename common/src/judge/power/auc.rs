//! The area under the ROC curve.

/// The chance that a value of `attack` is larger than one of `honest`, ties counting half (Mann and Whitney 1947).
///
/// None where either is empty or a value is NaN.
pub fn auc(honest: &[f64], attack: &[f64]) -> Option<f64> {
    if honest.is_empty() || attack.is_empty() || honest.iter().chain(attack).any(|value| value.is_nan()) {
        return None;
    }
    let mut all: Vec<(f64, bool)> = honest.iter().map(|value| (*value, false)).collect();
    all.extend(attack.iter().map(|value| (*value, true)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    // A run of equal values shares one place: half of its honest values count as below each of its attacks.
    let (mut below, mut wins) = (0.0, 0.0);
    for run in all.chunk_by(|a, b| a.0 == b.0) {
        let attacks = run.iter().filter(|(_, attack)| *attack).count() as f64;
        let honest = run.len() as f64 - attacks;
        wins += attacks * (below + honest / 2.0);
        below += honest;
    }
    Some(wins / (honest.len() as f64 * attack.len() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_pairs_and_ties_by_half() {
        assert_eq!(auc(&[0.0, 1.0], &[1.0, 2.0]), Some(3.5 / 4.0));
        assert_eq!(auc(&[1.0, 2.0], &[1.0, 2.0]), Some(0.5));
        assert_eq!(auc(&[3.0], &[1.0, 2.0]), Some(0.0));
        assert_eq!(auc(&[], &[1.0]), None);
        assert_eq!(auc(&[f64::NAN], &[1.0]), None);
    }
}
