//! The four figures of the articles, redrawn with our own numbers.

use std::path::Path;

use anyhow::Result;
use assay_common::judge::to_unit_interval;

use super::super::super::executor::Role;
use super::super::super::prompts::Split;
use super::super::super::trace::file::Trace;
use super::super::statistics::{Looked, Sample};
use super::chart::{lines, rows, Axis, Chart, Line, Row};
use super::Drawn;

/// Attacks that stand for cheaper models in these figures, where their traces are there.
const MODELS: [&str; 4] = ["int4-g32", "fp8", "int8-row", "int8-g128"];
const BINS: usize = 40;

pub fn counts(drawn: &Drawn<'_>, path: &Path) -> Result<bool> {
    const CHECKS: [&str; 5] = ["passed", "replay", "end", "distance", "perplexity"];
    let verdicts = &drawn.evaluated.figures.verdicts;
    let row = |name: &String| {
        let counts = &verdicts[name];
        let part = |check: &&str| match *check {
            "passed" => counts.passed as f64,
            check => counts.failed.get(check).copied().unwrap_or(0) as f64,
        };
        Row { label: name.clone(), parts: CHECKS.iter().map(part).collect(), interval: None }
    };
    let cells = &drawn.evaluated.figures.cells;
    let (honest, others): (Vec<&String>, Vec<&String>) =
        verdicts.keys().partition(|name| cells.contains_key(*name));
    let all: Vec<Row> = honest.into_iter().chain(others).map(row).collect();
    let most = verdicts.values().map(|counts| counts.answers).max().unwrap_or(0) as f64;
    let parts = ["passed", "failed: replay", "failed: end", "failed: distance", "failed: perplexity"];
    rows(path, "Answers judged whole", &Axis::linear("answers", 0.0..most.max(1.0)), &all, &parts)?;
    Ok(!all.is_empty())
}

pub fn distance(drawn: &Drawn<'_>, path: &Path) -> Result<bool> {
    let scorer = &drawn.evaluated.calibration.scorer;
    let of = |(name, trace): (&str, &Trace), dashed| {
        let sample = Looked::Articles.sample(trace, scorer);
        Line { label: name.to_owned(), points: means_by_length(&sample), dashed }
    };
    let mut all: Vec<Line> = drawn.traces.of(Split::Test, Role::Honest).map(|own| of(own, true)).collect();
    let attacks = drawn.traces.of(Split::Test, Role::Attack).filter(|(name, _)| MODELS.contains(name));
    all.extend(attacks.map(|own| of(own, false)));
    let most = |value: fn(&(f64, f64)) -> f64| {
        all.iter().flat_map(|line| &line.points).map(value).fold(1e-3, f64::max)
    };
    let chart = Chart {
        title: "Normalised distance by length".to_owned(),
        x: Axis::linear("tokens", 0.0..most(|point| point.0)),
        y: Axis::log("mean distance", 1e-3..most(|point| point.1) * 1.2),
    };
    lines(path, &chart, &all)?;
    Ok(true)
}

/// Over all answers that are so long, the mean distance of their first tokens.
fn means_by_length(sample: &Sample) -> Vec<(f64, f64)> {
    let longest = sample.answers.iter().map(Vec::len).max().unwrap_or(0);
    let mean = |length: usize| {
        let long = sample.answers.iter().filter(|answer| answer.len() >= length);
        let means: Vec<f64> =
            long.map(|answer| answer[..length].iter().sum::<f64>() / length as f64).collect();
        means.iter().sum::<f64>() / means.len().max(1) as f64
    };
    (1..=longest).map(|length| (length as f64, mean(length))).collect()
}

pub fn prefill(drawn: &Drawn<'_>, path: &Path) -> Result<bool> {
    perplexities(drawn, path, "Perplexity of honest and pre-filled answers", |name| {
        name.starts_with("prefill")
    })
}

pub fn near_perplexity(drawn: &Drawn<'_>, path: &Path) -> Result<bool> {
    perplexities(drawn, path, "Perplexity of honest answers and of a near model", |name| {
        name == "int8-g128" || name == "int8-g32-f32"
    })
}

fn perplexities(drawn: &Drawn<'_>, path: &Path, title: &str, shown: fn(&str) -> bool) -> Result<bool> {
    let of = |(name, trace): (&str, &Trace), dashed| {
        let values = trace.records.values().map(|record| to_unit_interval(record.measurement().margin()));
        histogram(name, &values.collect::<Vec<_>>(), (0.0, 1.0), dashed)
    };
    let attacks: Vec<Line> = drawn
        .traces
        .of(Split::Test, Role::Attack)
        .filter(|(name, _)| shown(name))
        .map(|own| of(own, false))
        .collect();
    let found = !attacks.is_empty();
    let honest = drawn.traces.of(Split::Test, Role::Honest).map(|own| of(own, true));
    let all: Vec<Line> = honest.chain(attacks).collect();
    draw_histograms(path, (title, "u of an answer"), (0.0, 1.0), &all)?;
    Ok(found)
}

pub fn near_statistic(drawn: &Drawn<'_>, path: &Path) -> Result<bool> {
    let calibration = &drawn.evaluated.calibration;
    let looked = Looked::Judge(calibration.statistic);
    let means = |trace: &Trace| -> Vec<f64> {
        let answers = looked.sample(trace, &calibration.scorer).answers;
        answers.iter().map(|answer| answer.iter().sum::<f64>() / answer.len().max(1) as f64).collect()
    };
    let near = |name: &str| name == "int8-g128" || name == "int8-g32-f32";
    let honest = drawn.traces.of(Split::Test, Role::Honest).map(|(name, trace)| (name, means(trace), true));
    let attacks = drawn
        .traces
        .of(Split::Test, Role::Attack)
        .filter(|(name, _)| near(name))
        .map(|(name, trace)| (name, means(trace), false));
    let all: Vec<(&str, Vec<f64>, bool)> = honest.chain(attacks).collect();
    let found = all.iter().any(|(.., dashed)| !dashed);
    let values = || all.iter().flat_map(|(_, values, _)| values).copied();
    let range = (values().fold(0.0, f64::min) - 0.1, values().fold(0.0, f64::max) + 0.1);
    let all: Vec<Line> =
        all.iter().map(|(name, values, dashed)| histogram(name, values, range, *dashed)).collect();
    let label = format!("mean {} of an answer", looked.name());
    draw_histograms(path, ("Honest answers and a near model", &label), range, &all)?;
    Ok(found)
}

/// Shares of the values in equal bins, as steps.
fn histogram(label: &str, values: &[f64], (low, high): (f64, f64), dashed: bool) -> Line {
    let width = (high - low) / BINS as f64;
    let mut counts = [0usize; BINS];
    for value in values {
        counts[(((value - low) / width).floor().max(0.0) as usize).min(BINS - 1)] += 1;
    }
    let share = |count: usize| count as f64 / values.len().max(1) as f64;
    let steps = counts.iter().enumerate().flat_map(|(bin, count)| {
        let left = low + bin as f64 * width;
        [(left, share(*count)), (left + width, share(*count))]
    });
    Line { label: label.to_owned(), points: steps.collect(), dashed }
}

fn draw_histograms(
    path: &Path,
    (title, label): (&str, &str),
    (low, high): (f64, f64),
    all: &[Line],
) -> Result<()> {
    let most = all.iter().flat_map(|line| &line.points).map(|point| point.1).fold(0.0, f64::max);
    let chart = Chart {
        title: title.to_owned(),
        x: Axis::linear(label, low..high),
        y: Axis::linear("share of answers", 0.0..most.max(0.01) * 1.05),
    };
    lines(path, &chart, all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_has_the_share_of_each_bin_and_values_beyond_its_ends_in_the_last() {
        let line = histogram("h", &[0.0, 0.01, 0.5, 7.0], (0.0, 1.0), false);
        assert_eq!(line.points[0], (0.0, 0.5));
        assert_eq!(line.points[2 * BINS - 1].1, 0.25);
        let sum: f64 = line.points.iter().step_by(2).map(|point| point.1).sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }

    #[test]
    fn means_of_the_first_tokens_leave_out_answers_that_are_shorter() {
        let sample = Sample { prompts: vec![1, 2], answers: vec![vec![1.0, 3.0], vec![5.0]] };
        assert_eq!(means_by_length(&sample), [(1.0, 3.0), (2.0, 2.0)]);
    }
}
