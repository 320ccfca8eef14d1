//! Tails of the binomial distribution, for counts of a few hundred thousand and below.

/// Halvings of a bisection: more than a float has bits.
const HALVINGS: u32 = 100;

/// The chance of more than `count` hits in `trials`, each with this probability.
pub fn above(count: u64, trials: u64, probability: f64) -> f64 {
    if count >= trials || probability <= 0.0 {
        return 0.0;
    }
    if probability >= 1.0 {
        return 1.0;
    }
    // ln of the term of 0 hits, then from term to term: nothing overflows, and what underflows is nothing.
    let odds = (probability / (1.0 - probability)).ln();
    let mut term = trials as f64 * (-probability).ln_1p();
    let mut below = 0.0;
    for hits in 0..=count {
        below += term.exp();
        term += ((trials - hits) as f64 / (hits + 1) as f64).ln() + odds;
    }
    (1.0 - below).clamp(0.0, 1.0)
}

/// The largest count that is usual: more hits than that come with at most this chance.
pub fn largest_usual(trials: u64, probability: f64, chance: f64) -> u64 {
    (0..=trials).find(|count| above(*count, trials, probability) <= chance).unwrap_or(trials)
}

/// The largest probability under which so few hits come with a chance of at least `miss` (Clopper and Pearson 1934,
/// one-sided).
pub fn upper_bound(hits: u64, trials: u64, miss: f64) -> f64 {
    if hits >= trials {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if 1.0 - above(hits, trials, middle) > miss {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_throws_of_a_coin_are_counted_right() {
        let chances = [0, 1, 2, 3].map(|count| above(count, 3, 0.5));
        for (chance, expected) in chances.iter().zip([7.0 / 8.0, 0.5, 1.0 / 8.0, 0.0]) {
            assert!((chance - expected).abs() < 1e-12, "{chance} {expected}");
        }
        assert_eq!(largest_usual(3, 0.5, 0.2), 2);
        assert_eq!(largest_usual(3, 0.0, 0.001), 0);
    }

    #[test]
    fn none_of_many_leaves_the_rule_of_three() {
        let bound = upper_bound(0, 1_000, 0.05);
        assert!((bound - (1.0 - 0.05f64.powf(1e-3))).abs() < 1e-9, "{bound}");
        assert_eq!(upper_bound(5, 5, 0.05), 1.0);
        let bound = upper_bound(7, 40, 0.05);
        assert!((1.0 - above(7, 40, bound) - 0.05).abs() < 1e-9);
    }
}
