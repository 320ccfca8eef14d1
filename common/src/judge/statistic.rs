//! The statistics that judge a position: s, how much larger the executor's residual is than this position's sensitivity
//! explains, and t, which also asks whether it points where rounding points.

use serde::{Deserialize, Serialize};

use super::whitening::{Whitened, FEATURES};
use crate::session::NumericScheme;

/// Raised whenever whitening, features or statistics give other numbers for the same passes.
pub const STATISTIC_VERSION: u32 = 1;
/// Terms of the prediction: the features, their squares, one.
pub const TERMS: usize = 2 * FEATURES + 1;
/// s counts up to here on both sides: no position decides for a whole answer.
pub const MAGNITUDE_CLIP: f64 = 3.0;
/// Beyond this s a position is far.
pub const FAR: f64 = 2.0;
/// A feature further from what was calibrated counts as this many standard deviations: squares do not run away with it.
const FEATURE_CLIP: f64 = 4.0;
/// Weight of the direction in t (science.md §7).
const DIRECTION_WEIGHT: f64 = 0.5;

/// Which statistic judges, by the numeric scheme of the model's specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// s, for schemes whose reference pass is f32 and whose roundings are independent of it (bf16-f32): ρ is 0 there.
    Magnitude,
    /// t, for schemes whose residual stream is bf16: honest roundings share a direction.
    Directed,
}

impl Statistic {
    /// What judges models of this scheme.
    pub fn of(scheme: NumericScheme) -> Self {
        match scheme {
            NumericScheme::Bf16F32 => Statistic::Magnitude,
            NumericScheme::Bf16 => Statistic::Directed,
        }
    }
}

/// A mean and a standard deviation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moments {
    pub mean: f64,
    pub sd: f64,
}

impl Moments {
    /// Of at least one value; the variance divides by their number.
    pub fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let mean = super::mean(values.clone());
        Self { mean, sd: super::mean(values.map(|value| (value - mean).powi(2))).sqrt() }
    }

    pub fn standardise(&self, value: f64) -> f64 {
        (value - self.mean) / self.sd
    }
}

/// What an honest position's y is expected to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predictor {
    /// By which the features are standardised.
    pub features: [Moments; FEATURES],
    /// w over (z, z², 1) of the standardised features z.
    pub weights: [f64; TERMS],
}

impl Predictor {
    /// (z, z², 1), each z clipped at ±4.
    pub fn terms(features: &[Moments; FEATURES], x: &[f64; FEATURES]) -> [f64; TERMS] {
        let mut terms = [1.0; TERMS];
        for (at, (moments, value)) in features.iter().zip(x).enumerate() {
            let z = moments.standardise(*value).clamp(-FEATURE_CLIP, FEATURE_CLIP);
            terms[at] = z;
            terms[FEATURES + at] = z * z;
        }
        terms
    }

    /// The expected y of a position with these features.
    pub fn log_square(&self, x: &[f64; FEATURES]) -> f64 {
        super::cholesky::dot(&self.weights, &Self::terms(&self.features, x))
    }
}

/// From whitened positions to the statistics; made from honest positions by [`super::fit::fit`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scorer {
    pub predictor: Predictor,
    /// Of s over honest positions.
    pub magnitude: Moments,
    /// Of ρ over honest positions.
    pub direction: Moments,
}

impl Scorer {
    /// s = clip(y − w·(z, z², 1), ±3), in natural logarithms of a mean square.
    pub fn magnitude(&self, position: &Whitened) -> f64 {
        let excess = position.log_square - self.predictor.log_square(&position.features);
        excess.clamp(-MAGNITUDE_CLIP, MAGNITUDE_CLIP)
    }

    /// t = (s − μ_s)/σ_s − ½(ρ − μ_ρ)/σ_ρ.
    pub fn directed(&self, position: &Whitened) -> f64 {
        self.magnitude.standardise(self.magnitude(position))
            - DIRECTION_WEIGHT * self.direction.standardise(position.direction)
    }

    pub fn value(&self, statistic: Statistic, position: &Whitened) -> f64 {
        match statistic {
            Statistic::Magnitude => self.magnitude(position),
            Statistic::Directed => self.directed(position),
        }
    }

    /// Whether s is beyond [`FAR`].
    pub fn is_far(&self, position: &Whitened) -> bool {
        self.magnitude(position) > FAR
    }

    /// Every number of it, with whether it must be above zero.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (f64, bool)> + '_ {
        let moments = self.predictor.features.iter().chain([&self.magnitude, &self.direction]);
        let moments = moments.flat_map(|moments| [(moments.mean, false), (moments.sd, true)]);
        moments.chain(self.predictor.weights.iter().map(|weight| (*weight, false)))
    }
}

/// The positions of an answer whose mean is judged: all but position 0, unless there is no other.
///
/// Its row comes from a prefill as the validator's does, so it may agree exactly: an executor would buy with it what it
/// spends elsewhere. Among the far positions it counts as any other.
pub fn judged<T>(positions: &[T]) -> &[T] {
    match positions {
        [_, rest @ ..] if !rest.is_empty() => rest,
        only => only,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scorer() -> Scorer {
        let unit = Moments { mean: 0.0, sd: 1.0 };
        let mut weights = [0.0; TERMS];
        (weights[0], weights[FEATURES], weights[TERMS - 1]) = (0.5, 0.25, -2.0);
        let predictor = Predictor { features: [unit; FEATURES], weights };
        Scorer {
            predictor,
            magnitude: Moments { mean: 0.5, sd: 0.25 },
            direction: Moments { mean: 0.3, sd: 0.2 },
        }
    }

    fn position(log_square: f64, direction: f64, first: f64) -> Whitened {
        let mut features = [0.0; FEATURES];
        features[0] = first;
        Whitened { log_square, direction, features }
    }

    #[test]
    fn s_is_what_the_features_do_not_explain() {
        // w·(z, z², 1) = 0.5·2 + 0.25·4 − 2 = 0.
        assert_eq!(scorer().magnitude(&position(1.0, 0.0, 2.0)), 1.0);
        assert_eq!(scorer().magnitude(&position(-2.5, 0.0, 0.0)), -0.5);
        assert_eq!(scorer().magnitude(&position(9.0, 0.0, 0.0)), 3.0);
        assert_eq!(scorer().magnitude(&position(-9.0, 0.0, 0.0)), -3.0);
        assert!(scorer().is_far(&position(0.1, 0.0, 0.0)) && !scorer().is_far(&position(-0.1, 0.0, 0.0)));
    }

    #[test]
    fn t_falls_where_the_residual_points_as_rounding_does() {
        let t = |direction| scorer().directed(&position(-1.0, direction, 0.0));
        assert!((t(0.3) - 2.0).abs() < 1e-12);
        assert!((t(0.7) - 1.0).abs() < 1e-12);
        assert!((t(-0.1) - 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_feature_outside_what_was_calibrated_counts_as_its_edge() {
        let s = |first| scorer().magnitude(&position(3.0, 0.0, first));
        assert_eq!(s(1e6), s(4.0));
        assert_eq!(s(-1e6), s(-4.0));
    }

    #[test]
    fn the_first_position_is_judged_where_it_is_the_only_one() {
        assert_eq!(judged(&[1, 2, 3]), [2, 3]);
        assert_eq!(judged(&[1]), [1]);
        assert!(judged::<u8>(&[]).is_empty());
    }
}
