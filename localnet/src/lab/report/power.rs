//! What one statistic detects of one attack, on the test part.

use std::collections::{BTreeMap, BTreeSet};

use assay_common::judge::power::{auc, interval, share_above, Detector, Interval, Threshold};
use serde::{Deserialize, Serialize};

use super::statistics::Sample;
use super::thresholds::{Thresholds, LENGTHS, RATES, RESAMPLES, SEED};

/// The chance of a false alarm ever that tokens to detect are counted at.
const ALPHA: f64 = 1e-6;

/// By length in tokens.
pub type ByLength<T> = BTreeMap<String, T>;

/// Of one statistic and one attack. None where there are too few blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// Against the honest cell that it is told apart from worst.
    pub auc: ByLength<Option<f64>>,
    /// 95 %, by bootstrap over prompts; of the judge's statistic.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub auc_interval: ByLength<Option<[f64; 2]>>,
    /// Share of blocks beyond the threshold, by rate of false alarms and length.
    pub tpr: BTreeMap<String, ByLength<Option<f64>>>,
    /// 95 %, by bootstrap over the prompts of thresholds and of blocks.
    pub tpr_interval: BTreeMap<String, ByLength<Option<[f64; 2]>>>,
    /// Rates whose threshold is extrapolated at one of the lengths, and these lengths.
    pub extrapolated: Vec<String>,
    pub extrapolated_lengths: BTreeMap<String, Vec<usize>>,
    #[serde(rename = "tokens_to_detect_1e-6")]
    pub tokens_to_detect: Tokens,
}

/// Tokens until a test after each token is sure, over runs that begin with each of the answers; none where they never suffice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tokens {
    pub median: Option<usize>,
    pub q95: Option<usize>,
    /// Tokens that a run has at most.
    pub of: usize,
}

/// Honest values that an attack is held against.
pub struct Against<'a> {
    pub thresholds: &'a Thresholds,
    /// The test answers of each cell.
    pub honest: &'a [Sample],
    pub until: &'a Until,
}

/// When a run of values is enough.
pub enum Until {
    /// The evidence against the widened worst cell passes 1/α.
    Evidence(Option<Box<Detector>>),
    /// The first value above 0: a proof, which needs no threshold.
    Proof,
}

impl Power {
    /// `unit` is the tokens that a value stands for.
    pub fn of(attack: &Sample, against: &Against<'_>, unit: usize, with_intervals: bool) -> Self {
        let mut power = Power::default();
        for (at, length) in LENGTHS.iter().enumerate() {
            let Some(values) = against.thresholds.values(at) else { continue };
            let blocks = attack.blocks(values);
            power.auc.insert(length.to_string(), worst_auc(against.honest, &blocks, values));
            if with_intervals {
                let found = auc_interval(attack, against.honest, values);
                power.auc_interval.insert(length.to_string(), found.map(pair));
            }
            for (rate, (name, _)) in RATES.iter().enumerate() {
                let threshold = against.thresholds.at(at, rate);
                let found = threshold.filter(|_| !blocks.is_empty());
                let proof = matches!(against.until, Until::Proof);
                if found.is_some_and(|threshold| threshold.extrapolated) && !proof {
                    power.extrapolated_lengths.entry((*name).to_owned()).or_default().push(*length);
                }
                let share = found.map(|threshold| share_above(&blocks, threshold));
                let resampled = |resample| against.thresholds.resampled(at, rate, resample);
                let spread = share.and_then(|_| tpr_interval(attack, values, resampled)).map(pair);
                power.tpr.entry((*name).to_owned()).or_default().insert(length.to_string(), share);
                power.tpr_interval.entry((*name).to_owned()).or_default().insert(length.to_string(), spread);
            }
        }
        power.extrapolated = power.extrapolated_lengths.keys().cloned().collect();
        power.tokens_to_detect = tokens(attack, against.until, unit);
        power
    }

    /// Share of blocks of so many tokens beyond the threshold of a rate.
    pub fn rate(&self, rate: &str, length: usize) -> Option<f64> {
        *self.tpr.get(rate)?.get(&length.to_string())?
    }
}

fn pair(interval: Interval) -> [f64; 2] {
    [interval.low, interval.high]
}

fn worst_auc(honest: &[Sample], attack: &[f64], values: usize) -> Option<f64> {
    honest.iter().filter_map(|cell| auc(&cell.blocks(values), attack)).reduce(f64::min)
}

fn auc_interval(attack: &Sample, honest: &[Sample], values: usize) -> Option<Interval> {
    let prompts: BTreeSet<u64> =
        honest.iter().chain([attack]).flat_map(|sample| &sample.prompts).copied().collect();
    let prompts: Vec<u64> = prompts.into_iter().collect();
    interval(prompts.len(), RESAMPLES, SEED, |drawn| {
        let chosen: Vec<u64> = drawn.iter().map(|at| prompts[*at]).collect();
        let honest: Vec<Sample> = honest.iter().map(|cell| cell.drawn(&chosen)).collect();
        worst_auc(&honest, &attack.drawn(&chosen).blocks(values), values)
    })
}

/// Both thresholds and blocks vary: each resample of the attack's prompts meets one of the thresholds.
fn tpr_interval(
    attack: &Sample,
    values: usize,
    threshold: impl Fn(usize) -> Option<Threshold>,
) -> Option<Interval> {
    let answers: Vec<Vec<f64>> = attack
        .answers
        .iter()
        .map(|answer| Sample { answers: vec![answer.clone()], ..Sample::default() }.blocks(values))
        .collect();
    let mut resample = 0;
    interval(answers.len(), RESAMPLES, SEED + 1, |drawn| {
        resample += 1;
        let threshold = threshold(resample - 1)?;
        let (above, all) = drawn.iter().fold((0, 0), |(above, all), at| {
            let own = answers[*at].iter().filter(|value| **value > threshold.value).count();
            (above + own, all + answers[*at].len())
        });
        (all > 0).then(|| above as f64 / all as f64)
    })
}

fn tokens(attack: &Sample, until: &Until, unit: usize) -> Tokens {
    let count = attack.answers.len();
    let run =
        |first: usize| (0..count).flat_map(move |next| &attack.answers[(first + next) % count]).copied();
    let found = |first: usize| match until {
        Until::Evidence(detector) => detector.as_ref()?.tokens(run(first), ALPHA),
        Until::Proof => run(first).position(|value| value > 0.0).map(|before| before + 1),
    };
    let mut tokens: Vec<usize> =
        (0..count).map(|first| found(first).map_or(usize::MAX, |n| n * unit)).collect();
    tokens.sort_unstable();
    let quantile = |share: f64| {
        let last = tokens.len().checked_sub(1)?;
        let at = tokens[(last as f64 * share).ceil() as usize];
        (at < usize::MAX).then_some(at)
    };
    Tokens { median: quantile(0.5), q95: quantile(0.95), of: attack.values() * unit }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::super::trace::example::fraction;
    use super::*;

    /// Roughly normal values around `shift` with a standard deviation of about 0.7.
    fn sample(answers: u64, shift: f64, salt: u64) -> Sample {
        let value = |seed: u64| (0..6).map(|n| fraction(seed * 7 + n)).sum::<f64>() - 3.0 + shift;
        let answer = |prompt: u64| (0..64).map(|position| value(salt + prompt * 64 + position)).collect();
        Sample { prompts: (0..answers).collect(), answers: (0..answers).map(answer).collect() }
    }

    fn power(attack: &Sample) -> Power {
        let development = [sample(80, 0.0, 1_000_000), sample(80, 0.1, 2_000_000)];
        let honest = [sample(40, 0.0, 3_000_000), sample(40, 0.1, 4_000_000)];
        let thresholds = Thresholds::of(&development, 1);
        let cells = development.clone().map(|cell| cell.answers).to_vec();
        let until = Until::Evidence(Detector::of(&cells).map(Box::new));
        Power::of(attack, &Against { thresholds: &thresholds, honest: &honest, until: &until }, 1, true)
    }

    #[test]
    fn a_large_shift_is_detected_at_once_and_none_is_not_detected_at_all() {
        let found = power(&sample(40, 5.0, 5_000_000));
        assert_eq!(found.auc["1"], Some(1.0));
        assert_eq!(found.rate("1e-3", 1), Some(1.0));
        assert!(found.tokens_to_detect.q95.unwrap() <= 4, "{:?}", found.tokens_to_detect);
        assert_eq!(found.extrapolated_lengths["1e-4"], [1, 2, 4, 8, 16, 32]);
        let none = power(&sample(40, 0.0, 5_000_000));
        assert!((none.auc["1"].unwrap() - 0.46).abs() < 0.03, "{:?}", none.auc);
        assert!(none.rate("1e-2", 8).unwrap() < 0.03);
        assert_eq!(none.tokens_to_detect.median, None);
        let [low, high] = none.auc_interval["1"].unwrap();
        assert!(low < none.auc["1"].unwrap() && none.auc["1"].unwrap() < high);
    }

    #[test]
    fn a_moderate_shift_is_told_better_by_more_tokens_within_its_interval() {
        let found = power(&sample(40, 0.8, 6_000_000));
        let rates = [1, 8, 32].map(|length| found.rate("1e-2", length).unwrap());
        assert!(rates[0] < rates[1] && rates[1] < rates[2] + 1e-9, "{rates:?}");
        let [low, high] = found.tpr_interval["1e-2"]["8"].unwrap();
        assert!(low <= rates[1] && rates[1] <= high, "{low} {high} {rates:?}");
        assert_eq!(found.tpr["1e-2"]["128"], None);
    }

    #[test]
    fn a_proof_needs_no_threshold_and_comes_with_its_first_token() {
        let honest = Sample { prompts: vec![0], answers: vec![vec![0.0; 400]] };
        let thresholds = Thresholds::of(std::slice::from_ref(&honest), 1);
        let attack = Sample { prompts: vec![0, 1], answers: vec![vec![0.0, 0.0, 1.0], vec![0.0; 3]] };
        let against = Against { thresholds: &thresholds, honest: &[honest], until: &Until::Proof };
        let found = Power::of(&attack, &against, 1, false);
        assert_eq!((found.tokens_to_detect.median, found.tokens_to_detect.q95), (Some(6), Some(6)));
        assert_eq!(found.rate("1e-4", 1), Some(1.0 / 6.0));
        assert!(found.extrapolated.is_empty());
    }
}
