//! The limit of a check whose honest values have a worst case and a spread, for answers of any length.

use serde::{Deserialize, Serialize};

use super::null::WIDENING;
use super::{mean, Measurement, Position};

/// How one statistic behaves on honest answers, and the limit that follows for an answer of any length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Mean, standard deviation and maximum of the answers' means.
    pub mean: f64,
    pub sd: f64,
    pub max: f64,
    /// The largest value of a single position.
    pub position_max: f64,
}

impl Limit {
    /// Of honest answers' measurements, `mean_of` one and `at` one of its positions.
    pub(super) fn of<'a>(
        runs: impl Iterator<Item = &'a Measurement> + Clone,
        mean_of: impl Fn(&Measurement) -> f64,
        at: impl Fn(&Position) -> f64,
    ) -> Self {
        let means: Vec<f64> = runs.clone().map(mean_of).collect();
        let centre = mean(means.iter().copied());
        let variance = mean(means.iter().map(|m| (m - centre).powi(2)));
        let positions = runs.flat_map(|run| run.positions.iter().map(&at));
        Self {
            mean: centre,
            sd: variance.sqrt(),
            max: means.iter().copied().fold(0.0, f64::max),
            position_max: positions.fold(0.0, f64::max),
        }
    }

    /// max + 3 sd + 3 · position_max / √tokens: the worst honest answer, widened for cells not seen, and for short
    /// answers, where a single position counts for more.
    pub fn for_tokens(&self, tokens: usize) -> f64 {
        let length = f64::from(u32::try_from(tokens.max(1)).unwrap_or(u32::MAX)).sqrt();
        self.max + WIDENING * self.sd + WIDENING * self.position_max / length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(first: usize) -> Measurement {
        let position = |i: usize| Position { distance: 1e-3 * (i % 5) as f64, margin: 0.0 };
        Measurement { positions: (first..first + 8).map(position).collect(), ..Measurement::default() }
    }

    #[test]
    fn it_lies_above_every_honest_answer_and_falls_with_length() {
        let honest: Vec<Measurement> = (0..40).map(measurement).collect();
        let limit = Limit::of(honest.iter(), Measurement::distance, |position| position.distance);
        assert!(honest.iter().all(|measurement| measurement.distance() < limit.for_tokens(8)));
        assert!(limit.for_tokens(1) > limit.for_tokens(100));
        assert!(limit.for_tokens(1) > limit.position_max);
    }
}
