//! From honest positions to a scorer: what y is expected to be, and how s and ρ are spread.

use super::cholesky::{Cholesky, NotPositive};
use super::statistic::{Moments, Predictor, Scorer, TERMS};
use super::whitening::{Whitened, FEATURES};

/// Fewest positions for the 17 terms.
pub const MIN_POSITIONS: usize = 20 * TERMS;
/// Ridge on every term but the constant, for each position; the features are standardised, so it is a millionth of theirs.
const RIDGE: f64 = 1e-6;
/// The second fit sees y no further than this from the first one's prediction: few wild positions do not bend it.
const OUTLIER_CLIP: f64 = 2.0;
/// Takes the place of a spread of zero, so that a feature that never varies weighs nothing.
const LEAST_SPREAD: f64 = 1e-9;

/// Why there is no fit.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    #[error("{found} positions are too few to fit, {MIN_POSITIONS} are needed")]
    TooFew { found: usize },
    #[error("position {index} holds a number that is not finite")]
    NotFinite { index: usize },
    #[error("the positions leave a term undetermined")]
    Undetermined(#[from] NotPositive),
}

/// Fits w, μ and σ to honest positions, of all certified cells together.
///
/// w minimises Σ(y − w·(z, z², 1))² + 10⁻⁶·n·Σw² (the constant free) over standardised features z, then once more with y
/// clipped to within 2 of the first prediction. Normal equations in f64.
///
/// # Errors
/// Too few positions, or numbers that are none.
pub fn fit(positions: &[Whitened]) -> Result<Scorer, FitError> {
    if positions.len() < MIN_POSITIONS {
        return Err(FitError::TooFew { found: positions.len() });
    }
    let finite = |position: &Whitened| position.numbers().all(f64::is_finite);
    if let Some(index) = positions.iter().position(|position| !finite(position)) {
        return Err(FitError::NotFinite { index });
    }
    let mut features = [Moments { mean: 0.0, sd: 1.0 }; FEATURES];
    for (at, moments) in features.iter_mut().enumerate() {
        *moments = spread(positions.iter().map(|position| position.features[at]));
    }
    let terms: Vec<[f64; TERMS]> =
        positions.iter().map(|position| Predictor::terms(&features, &position.features)).collect();
    let first = Predictor { features, weights: ridge(&terms, positions.iter().map(|p| p.log_square))? };
    let clipped = positions.iter().map(|position| {
        let expected = first.log_square(&position.features);
        position.log_square.clamp(expected - OUTLIER_CLIP, expected + OUTLIER_CLIP)
    });
    let predictor = Predictor { features, weights: ridge(&terms, clipped)? };
    let unscaled = Moments { mean: 0.0, sd: 1.0 };
    let scorer = Scorer { predictor, magnitude: unscaled, direction: unscaled };
    Ok(Scorer {
        magnitude: spread(positions.iter().map(|position| scorer.magnitude(position))),
        direction: spread(positions.iter().map(|position| position.direction)),
        ..scorer
    })
}

fn spread(values: impl Iterator<Item = f64> + Clone) -> Moments {
    let moments = Moments::of(values);
    Moments { sd: moments.sd.max(LEAST_SPREAD), ..moments }
}

/// The w that minimises Σ(y − w·φ)² + λΣw² for rows φ, λ = [`RIDGE`] · rows, the last term free.
fn ridge(rows: &[[f64; TERMS]], values: impl Iterator<Item = f64>) -> Result<[f64; TERMS], NotPositive> {
    let mut matrix = vec![0.0; TERMS * TERMS];
    let mut weights = [0.0; TERMS];
    for (row, value) in rows.iter().zip(values) {
        for (at, factor) in row.iter().enumerate() {
            weights[at] += factor * value;
            for (entry, other) in matrix[at * TERMS..=at * TERMS + at].iter_mut().zip(row) {
                *entry += factor * other;
            }
        }
    }
    for at in 0..TERMS - 1 {
        matrix[at * TERMS + at] += RIDGE * rows.len() as f64;
    }
    Cholesky::of(matrix, TERMS)?.solve(&mut weights);
    Ok(weights)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Positions whose y is 0.7·x₀ − 0.2·x₁² + 1, with a wobble.
    fn positions(count: u32) -> Vec<Whitened> {
        let number = |seed: u32| f64::from(seed.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24) - 0.5;
        let position = |i: u32| {
            let mut features = [0.0; FEATURES];
            for (at, feature) in (1u32..).zip(&mut features) {
                *feature = 10.0 * number(i * 31 + at * 7_919);
            }
            let wobble = number(i * 131 + 17);
            let log_square = 0.7 * features[0] - 0.2 * features[1].powi(2) + 1.0 + wobble;
            Whitened { log_square, direction: number(i * 17 + 3), features }
        };
        (0..count).map(position).collect()
    }

    #[test]
    fn what_the_features_explain_is_taken_out_and_the_rest_stays() {
        let scorer = fit(&positions(4_000)).unwrap();
        let left = Moments::of(
            positions(8_000)[4_000..].iter().map(|p| scorer.magnitude(p)).collect::<Vec<_>>().into_iter(),
        );
        // A uniform wobble of width 1 has a standard deviation of 0.289.
        assert!(left.mean.abs() < 0.02, "{left:?}");
        assert!((left.sd - 0.2887).abs() < 0.01, "{left:?}");
        assert!((scorer.magnitude.sd - left.sd).abs() < 0.01);
    }

    #[test]
    fn a_few_wild_positions_do_not_bend_the_fit() {
        let mut wild = positions(4_000);
        wild.iter_mut().step_by(100).for_each(|position| position.log_square += 30.0);
        let (plain, bent) = (fit(&positions(4_000)).unwrap(), fit(&wild).unwrap());
        for position in &positions(200) {
            let moved = plain.magnitude(position) - bent.magnitude(position);
            assert!(moved.abs() < 0.45, "{moved}");
        }
    }

    #[test]
    fn a_feature_that_never_varies_weighs_nothing() {
        let mut flat = positions(1_000);
        flat.iter_mut().for_each(|position| position.features[3] = 7.0);
        let scorer = fit(&flat).unwrap();
        assert_eq!((scorer.predictor.weights[3], scorer.predictor.weights[FEATURES + 3]), (0.0, 0.0));
    }

    #[test]
    fn too_few_positions_or_a_wild_number_make_no_fit() {
        assert_eq!(fit(&positions(339)), Err(FitError::TooFew { found: 339 }));
        let mut wild = positions(400);
        wild[5].features[2] = f64::NAN;
        assert_eq!(fit(&wild), Err(FitError::NotFinite { index: 5 }));
    }
}
