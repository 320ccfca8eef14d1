//! What is detected: by tokens, over false alarms, and after how many tokens.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use super::super::super::executor::Role;
use super::super::super::prompts::Split;
use super::super::statistics::{Looked, Sample};
use super::super::thresholds::LENGTHS;
use super::chart::{lines, rows, Axis, Chart, Line, Row};
use super::Drawn;

const RATE: &str = "1e-3";
/// Rates of false alarms of the low corner.
const LEAST_RATE: f64 = 1e-4;
/// Attacks of the ROC, where their traces are there.
const NEAR: [&str; 3] = ["int8-g128", "int8-g32-f32", "kv-int8"];
/// Points of a curve.
const POINTS: usize = 60;

pub fn by_tokens(drawn: &Drawn<'_>, path: &Path) -> Result<bool> {
    let figures = &drawn.evaluated.figures;
    let line = |(name, powers): (&String, &BTreeMap<String, super::super::power::Power>)| {
        let power = powers.get(&figures.statistic)?;
        let point = |length: &usize| Some((*length as f64, power.rate(RATE, *length)?));
        let points: Vec<(f64, f64)> = LENGTHS.iter().filter_map(point).collect();
        (!points.is_empty()).then(|| Line { label: name.clone(), points, dashed: false })
    };
    let all: Vec<Line> = figures.attacks.iter().filter_map(line).collect();
    let chart = Chart {
        title: format!("Detected by {} at a false-alarm rate of {RATE}", figures.statistic),
        x: Axis::log("tokens of a block", 1.0..128.0),
        y: Axis::linear("share of blocks", 0.0..1.0),
    };
    lines(path, &chart, &all)?;
    Ok(!all.is_empty())
}

pub fn roc_1(drawn: &Drawn<'_>, path: &Path) -> Result<bool> {
    roc(drawn, path, 1)
}

pub fn roc_8(drawn: &Drawn<'_>, path: &Path) -> Result<bool> {
    roc(drawn, path, 8)
}

/// Against the honest test blocks of all cells.
fn roc(drawn: &Drawn<'_>, path: &Path, length: usize) -> Result<bool> {
    let calibration = &drawn.evaluated.calibration;
    let mut all = Vec::new();
    for looked in [Looked::Judge(calibration.statistic), Looked::Gonka, Looked::Articles] {
        let sample = |trace: &_| -> Sample { looked.sample(trace, &calibration.scorer) };
        let mut honest: Vec<f64> = drawn
            .traces
            .of(Split::Test, Role::Honest)
            .flat_map(|(_, trace)| sample(trace).blocks(length))
            .collect();
        honest.sort_by(f64::total_cmp);
        for (name, trace) in
            drawn.traces.of(Split::Test, Role::Attack).filter(|(name, _)| NEAR.contains(name))
        {
            let points = curve(&honest, &sample(trace).blocks(length));
            all.push(Line {
                label: format!("{name}: {}", looked.name()),
                points,
                dashed: looked != Looked::Judge(calibration.statistic),
            });
        }
    }
    let chart = Chart {
        title: format!("Blocks of {length} tokens: detected over false alarms"),
        x: Axis::log("share of honest blocks beyond the threshold", LEAST_RATE..1.0),
        y: Axis::linear("share of the attack's blocks", 0.0..1.0),
    };
    lines(path, &chart, &all)?;
    Ok(!all.is_empty())
}

/// Points (false alarms, detected), from the lowest rate that these honest values show.
fn curve(sorted: &[f64], attack: &[f64]) -> Vec<(f64, f64)> {
    let least = (1.0 / sorted.len().max(1) as f64).max(LEAST_RATE);
    let point = |step: usize| {
        let rate = least.powf(1.0 - step as f64 / POINTS as f64);
        let beyond = (sorted.len() as f64 * rate).floor() as usize;
        let threshold = *sorted.get(sorted.len().checked_sub(1 + beyond)?)?;
        let found = attack.iter().filter(|value| **value > threshold).count();
        Some((rate, found as f64 / attack.len().max(1) as f64))
    };
    (0..=POINTS).filter_map(point).collect()
}

pub fn tokens(drawn: &Drawn<'_>, path: &Path) -> Result<bool> {
    let figures = &drawn.evaluated.figures;
    let row = |(name, powers): (&String, &BTreeMap<String, super::super::power::Power>)| {
        let found = powers.get(&figures.statistic)?.tokens_to_detect;
        let most = found.of as f64;
        let (label, median) = match found.median {
            Some(median) => (name.clone(), median as f64),
            None => (format!("{name}: not within {}", found.of), most),
        };
        let high = found.q95.map_or(most, |tokens| tokens as f64);
        Some(Row { label, parts: Vec::new(), interval: Some([median, median, high]) })
    };
    let all: Vec<Row> = figures.attacks.iter().filter_map(row).collect();
    let most = all.iter().filter_map(|row| row.interval).map(|[.., high]| high).fold(10.0, f64::max);
    let title = format!("Tokens until {} is sure at 1e-6", figures.statistic);
    rows(path, &title, &Axis::log("tokens", 1.0..most), &all, &["to 95 % of runs", "median"])?;
    Ok(!all.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_begins_at_the_lowest_rate_that_was_seen_and_ends_where_all_is_an_alarm() {
        let honest: Vec<f64> = (0..100).map(f64::from).collect();
        let points = curve(&honest, &[98.5, 50.5, 200.0]);
        assert!((points[0].0 - 0.01).abs() < 1e-12 && points[0].1 > 0.6);
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
        assert!(curve(&[], &[1.0]).is_empty());
    }
}
