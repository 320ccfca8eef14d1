//! The sampler's logarithm, power and noise against floats: accuracy, monotonicity, bounds.

use assay_common::fixed::{exp2_neg, log2_q36};
use assay_common::noise::{noise, noise_q36, noise_upper_bound};
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn random_words(seed: u64, count: usize) -> impl Iterator<Item = u64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // Shifts reach the small words, complements the large ones.
    (0..count).map(move |_| {
        let word = random.next_u64() >> (random.next_u32() % 64);
        if random.next_u32() % 2 == 0 {
            word
        } else {
            !word
        }
    })
}

/// Words at both ends of every segment of every table, in every octave, and near ½.
fn edge_words() -> Vec<u64> {
    let mut words = vec![0, u64::MAX, 1 << 63, (1 << 63) - 1];
    for octave in 0..64 {
        for segment in 0..=128u64 {
            let edge = (1u128 << octave) * u128::from(64 + segment) / 64;
            let edge = edge.min(u128::from(u64::MAX)) as u64;
            words.extend([edge.saturating_sub(1), edge, edge.saturating_add(1)]);
            words.extend([!edge.saturating_sub(1), !edge, !edge.saturating_add(1)]);
        }
    }
    words
}

#[test]
fn the_logarithm_is_within_its_bound_and_exact_at_powers_of_two() {
    let mut worst = 0f64;
    for x in edge_words().into_iter().chain(random_words(2, 1_000_000)).filter(|x| *x > 0) {
        // f64 holds 53 bits of x, which is 1e-16 relative.
        worst = worst.max((log2_q36(x) as f64 / (1u64 << 36) as f64 - (x as f64).log2()).abs());
    }
    assert!(worst < 3.3e-10, "{worst:e}");
    for power in 0..64 {
        assert_eq!(log2_q36(1 << power), power << 36);
    }
}

#[test]
fn the_power_is_within_its_bound_and_never_rises() {
    let mut previous = 1 << 32;
    for e in (0..40 << 24).step_by(97) {
        let power = exp2_neg(e);
        let real = (-(e as f64) / (1u64 << 24) as f64).exp2() * (1u64 << 32) as f64;
        assert!((power as f64 - real).abs() < 1.3, "{e}");
        assert!(power <= previous, "{e}");
        previous = power;
    }
    assert_eq!((exp2_neg(0), exp2_neg(1 << 24), exp2_neg(u64::MAX)), (1 << 32, 1 << 31, 0));
}

#[test]
fn the_noise_is_within_its_bound_before_rounding() {
    let mut worst = 0f64;
    for word in edge_words().into_iter().chain(random_words(3, 1_000_000)) {
        let scale = 65f64.exp2();
        let minus_log2 = if word >> 63 == 1 {
            let complement = (2.0 * !word as f64 + 1.0) / scale;
            -(-complement).ln_1p() / std::f64::consts::LN_2
        } else {
            65.0 - (2.0 * word as f64 + 1.0).log2()
        };
        let real = -minus_log2.log2();
        worst = worst.max((noise_q36(word) as f64 / (1u64 << 36) as f64 - real).abs());
    }
    assert!(worst < 4e-10, "{worst:e}");
}

#[test]
fn the_noise_never_falls_as_the_word_rises_and_stays_below_its_bound() {
    let mut words = edge_words();
    words.extend(random_words(4, 1_000_000));
    words.extend(random_words(5, 200_000).map(|word| word.saturating_add(1 << (word % 40))));
    words.sort_unstable();
    let mut previous = i64::MIN;
    for word in words {
        assert!(noise(word) >= previous, "{word:x}");
        assert!(noise(word) < noise_upper_bound(word), "{word:x}");
        previous = noise(word);
    }
}
