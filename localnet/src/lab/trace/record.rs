//! One answer in a trace: what a juror measured at each of its positions.
//!
//! Numbers are f32 in columns, one for each quantity: about 160 bytes a token. What is judged with them differs from the juror's own f64 by
//! less than a ten-millionth.

use assay_common::judge::surprisal::Surprise;
use assay_common::judge::whitening::{Whitened, FEATURES};
use assay_common::judge::{Comparators, HonestAnswer, Measurement, Position};
use serde::{Deserialize, Serialize};

/// One answer; every column has an entry for each position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub prompt: u64,
    pub tokens: u32,
    /// Positions whose row does not give its token.
    pub mismatches: Vec<u32>,
    pub distance: Vec<f32>,
    pub margin: Vec<f32>,
    pub log_square: Vec<f32>,
    pub direction: Vec<f32>,
    /// [feature][position]
    pub features: [Vec<f32>; FEATURES],
    pub relative: Vec<f32>,
    /// Surprisal, entropy and variance: [quantity][position].
    pub surprise: [Vec<f32>; 3],
    /// Of an honest answer of the calibration part, in 1/256 bit: see `HonestAnswer::probe_deviations`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deviations: Vec<u32>,
    /// Of the artifact, and of what zstd makes of it.
    pub bytes: usize,
    pub zstd: usize,
    /// Shared equally by the answers of a batch; none of an engine outside.
    pub generate_seconds: Option<f32>,
    pub verify_seconds: f32,
}

/// Why a line is no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RecordError {
    #[error("the answer to prompt {prompt} is empty")]
    Empty { prompt: u64 },
    #[error("the answer to prompt {prompt} has {tokens} tokens and {found} numbers of {column}")]
    Length { prompt: u64, tokens: u32, column: &'static str, found: usize },
    #[error(
        "the answer to prompt {prompt} has {column} {value} at position {position}, not a finite number"
    )]
    NotFinite { prompt: u64, column: &'static str, position: usize, value: f32 },
    #[error("the answer to prompt {prompt} does not replay at position {position}, of {tokens} tokens")]
    Mismatch { prompt: u64, position: u32, tokens: u32 },
}

/// What is known of an answer beside its measurement.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    pub prompt: u64,
    pub bytes: usize,
    pub zstd: usize,
    pub generate_seconds: Option<f32>,
    pub verify_seconds: f32,
}

impl Record {
    /// A measurement at temperature above 0, with the positions that do not replay.
    pub fn new(made: Made, measurement: &Measurement, mismatches: Vec<u32>) -> Self {
        let column = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|number| number as f32).collect();
        let positions = &measurement.positions;
        let whitened = &measurement.whitened;
        let comparators = &measurement.comparators;
        let surprise = |of: fn(&Surprise) -> f64| {
            column(&mut comparators.iter().filter_map(|found| found.surprise.as_ref()).map(of))
        };
        Self {
            prompt: made.prompt,
            tokens: u32::try_from(positions.len()).unwrap_or(u32::MAX),
            mismatches,
            distance: column(&mut positions.iter().map(|position| position.distance)),
            margin: column(&mut positions.iter().map(|position| position.margin)),
            log_square: column(&mut whitened.iter().map(|position| position.log_square)),
            direction: column(&mut whitened.iter().map(|position| position.direction)),
            features: std::array::from_fn(|feature| {
                column(&mut whitened.iter().map(|position| position.features[feature]))
            }),
            relative: column(&mut comparators.iter().map(|found| found.relative)),
            surprise: [
                surprise(|own| own.surprisal),
                surprise(|own| own.entropy),
                surprise(|own| own.variance),
            ],
            deviations: Vec::new(),
            bytes: made.bytes,
            zstd: made.zstd,
            generate_seconds: made.generate_seconds,
            verify_seconds: made.verify_seconds,
        }
    }

    fn columns(&self) -> impl Iterator<Item = (&'static str, &Vec<f32>)> {
        let plain = [
            ("distance", &self.distance),
            ("margin", &self.margin),
            ("log_square", &self.log_square),
            ("direction", &self.direction),
            ("relative", &self.relative),
        ];
        let features = self.features.iter().map(|column| ("features", column));
        plain.into_iter().chain(features).chain(self.surprise.iter().map(|column| ("surprise", column)))
    }

    /// # Errors
    /// No position, a column of another length, a number that is none.
    pub fn check(&self) -> Result<(), RecordError> {
        let Record { prompt, tokens, .. } = *self;
        if tokens == 0 {
            return Err(RecordError::Empty { prompt });
        }
        for (column, numbers) in self.columns() {
            if numbers.len() != tokens as usize {
                return Err(RecordError::Length { prompt, tokens, column, found: numbers.len() });
            }
            let wrong = (0..).zip(numbers).find(|(_, value)| !value.is_finite());
            if let Some((position, value)) = wrong {
                return Err(RecordError::NotFinite { prompt, column, position, value: *value });
            }
        }
        let seconds = [self.generate_seconds.unwrap_or(0.0), self.verify_seconds];
        if let Some(value) = seconds.into_iter().find(|value| !value.is_finite()) {
            return Err(RecordError::NotFinite { prompt, column: "seconds", position: 0, value });
        }
        match self.mismatches.iter().find(|position| **position >= tokens) {
            Some(position) => Err(RecordError::Mismatch { prompt, position: *position, tokens }),
            None => Ok(()),
        }
    }

    /// What was measured, of an answer that passed [`Record::check`].
    pub fn measurement(&self) -> Measurement {
        let all = 0..self.tokens as usize;
        let at = |column: &[f32], position: usize| f64::from(column[position]);
        Measurement {
            positions: all
                .clone()
                .map(|n| Position { distance: at(&self.distance, n), margin: at(&self.margin, n) })
                .collect(),
            whitened: all
                .clone()
                .map(|n| Whitened {
                    log_square: at(&self.log_square, n),
                    direction: at(&self.direction, n),
                    features: std::array::from_fn(|feature| at(&self.features[feature], n)),
                })
                .collect(),
            comparators: all
                .map(|n| {
                    let [surprisal, entropy, variance] = self.surprise.each_ref().map(|column| at(column, n));
                    let surprise = Some(Surprise { surprisal, entropy, variance });
                    Comparators { relative: at(&self.relative, n), surprise }
                })
                .collect(),
            probes: Vec::new(),
        }
    }

    /// As a calibration takes it.
    pub fn honest(&self) -> HonestAnswer {
        HonestAnswer {
            prompt: usize::try_from(self.prompt).unwrap_or(usize::MAX),
            measurement: self.measurement(),
            probe_deviations: self.deviations.clone(),
        }
    }
}
