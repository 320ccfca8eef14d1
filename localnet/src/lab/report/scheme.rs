//! One numeric scheme's traces to its figures: fitted on the calibration part, thresholds on the development part, reported on the test part.

use std::collections::BTreeMap;

use anyhow::{ensure, Result};
use assay_common::judge::cell::CellSummary;
use assay_common::judge::power::{share_above, Detector};
use assay_common::judge::whitening::Whitened;
use assay_common::judge::Calibration;

use super::super::calibrate::of_traces;
use super::super::executor::Role;
use super::super::prompts::Split;
use super::super::trace::file::Trace;
use super::collect::Traces;
use super::counts::Counts;
use super::peers::PeerSample;
use super::power::{Against, Power, Until};
use super::results::{CellFigures, Scheme, ThresholdFigures};
use super::statistics::{Looked, Sample};
use super::thresholds::{Thresholds, LENGTHS, RATES};

/// A scheme's figures and what they were made with.
pub struct Evaluated {
    pub calibration: Calibration,
    pub figures: Scheme,
}

/// A statistic's samples of every executor.
struct Samples {
    name: String,
    unit: usize,
    until: fn(&[Sample]) -> Until,
    /// With intervals for its AUC.
    judged: bool,
    development: Vec<Sample>,
    honest: BTreeMap<String, Sample>,
    attacks: BTreeMap<String, Sample>,
}

/// # Errors
/// No honest traces of one of the parts, or what a calibration refuses.
pub fn evaluate(name: &str, traces: &Traces, peers: &[PeerSample]) -> Result<Evaluated> {
    for split in [Split::Calibration, Split::Development, Split::Test] {
        let found = traces.of(split, Role::Honest).count();
        ensure!(found > 0, "scheme {name}: there is no honest trace of the {} part", split.name());
    }
    let certified: Vec<(&str, &Trace)> = traces.of(Split::Calibration, Role::Honest).collect();
    let calibration = of_traces(&certified)?;
    let mut figures = Scheme {
        statistic: Looked::Judge(calibration.statistic).name().to_owned(),
        honest_tokens: 0,
        honest_tokens_by_split: BTreeMap::new(),
        honest_blocks: BTreeMap::new(),
        cells: cells(traces, &calibration),
        thresholds: BTreeMap::new(),
        attacks: BTreeMap::new(),
        honest_detected: BTreeMap::new(),
        verdicts: verdicts(traces, &calibration),
    };
    for split in [Split::Calibration, Split::Development, Split::Test] {
        let records = traces.of(split, Role::Honest).flat_map(|(_, trace)| trace.records.values());
        let tokens = records.map(|record| u64::from(record.tokens)).sum();
        figures.honest_tokens += tokens;
        figures.honest_tokens_by_split.insert(split.name().to_owned(), tokens);
    }
    let own = Looked::all(calibration.statistic).map(|looked| of_looked(looked, traces, &calibration));
    for samples in own.into_iter().chain(of_peers(name, peers, traces)) {
        eprintln!("{name}: {}", samples.name);
        add(&mut figures, &samples);
    }
    Ok(Evaluated { calibration, figures })
}

/// Honest cells, finer ones and those with noise, on the test part.
fn cells(traces: &Traces, calibration: &Calibration) -> BTreeMap<String, CellFigures> {
    let of_trace = |(name, trace): (&str, &Trace)| {
        let answers: Vec<Vec<Whitened>> =
            trace.records.values().map(|record| record.measurement().whitened).collect();
        let answers: Vec<&[Whitened]> = answers.iter().map(Vec::as_slice).collect();
        let cell = trace.header.cell.clone();
        let certified = calibration.cells.iter().any(|summary| summary.cell == cell);
        let summary = CellSummary::of(cell, &answers, &calibration.scorer, calibration.statistic);
        let figures = CellFigures {
            mean: summary.mean,
            sequence_sd: summary.sequence_sd,
            position_sd: summary.position_sd,
            role: trace.header.role,
            engine: summary.cell.executor.engine,
            setting: summary.cell.setting,
            answers: summary.answers,
            tokens: summary.tokens,
            far: summary.far as f64 / summary.positions.max(1) as f64,
            certified,
        };
        (name.to_owned(), figures)
    };
    [Role::Honest, Role::Finer, Role::Noise]
        .into_iter()
        .flat_map(|role| traces.of(Split::Test, role).map(of_trace))
        .collect()
}

fn verdicts(traces: &Traces, calibration: &Calibration) -> BTreeMap<String, Counts> {
    let roles = [Role::Honest, Role::Finer, Role::Noise, Role::Attack];
    let all = roles.into_iter().flat_map(|role| traces.of(Split::Test, role));
    all.map(|(name, trace)| (name.to_owned(), Counts::of(trace, calibration))).collect()
}

fn of_looked(looked: Looked, traces: &Traces, calibration: &Calibration) -> Samples {
    let samples = |split, role| {
        let sample =
            |(name, trace): (&str, &Trace)| (name.to_owned(), looked.sample(trace, &calibration.scorer));
        traces.of(split, role).map(sample).collect::<BTreeMap<String, Sample>>()
    };
    let mut attacks = samples(Split::Test, Role::Attack);
    attacks.extend(samples(Split::Test, Role::Noise));
    Samples {
        name: looked.name().to_owned(),
        unit: 1,
        until: if looked == Looked::Replay { |_| Until::Proof } else { evidence },
        judged: matches!(looked, Looked::Judge(_)),
        development: samples(Split::Development, Role::Honest).into_values().collect(),
        honest: samples(Split::Test, Role::Honest),
        attacks,
    }
}

/// The peers' statistics of this scheme's traces; those without honest values of both parts say nothing.
fn of_peers(scheme: &str, peers: &[PeerSample], traces: &Traces) -> Vec<Samples> {
    let own = || peers.iter().filter(|peer| peer.scheme == scheme);
    let mut found: BTreeMap<&str, Samples> = BTreeMap::new();
    for peer in own() {
        let samples = found.entry(&peer.statistic).or_insert_with(|| Samples {
            name: peer.statistic.clone(),
            unit: peer.unit,
            until: evidence,
            judged: false,
            development: Vec::new(),
            honest: BTreeMap::new(),
            attacks: BTreeMap::new(),
        });
        let role = [Role::Honest, Role::Attack, Role::Noise]
            .into_iter()
            .find(|role| traces.of(peer.split, *role).any(|(name, _)| name == peer.name));
        match (role, peer.split) {
            (Some(Role::Honest), Split::Development) => samples.development.push(peer.sample.clone()),
            (Some(Role::Honest), Split::Test) => {
                samples.honest.insert(peer.name.clone(), peer.sample.clone());
            }
            (Some(_), Split::Test) => {
                samples.attacks.insert(peer.name.clone(), peer.sample.clone());
            }
            _ => eprintln!("{}: {} says nothing of a trace that is there", peer.statistic, peer.name),
        }
    }
    found
        .into_values()
        .filter(|samples| !samples.development.is_empty() && !samples.honest.is_empty())
        .collect()
}

fn evidence(development: &[Sample]) -> Until {
    let cells: Vec<Vec<Vec<f64>>> = development.iter().map(|sample| sample.answers.clone()).collect();
    Until::Evidence(Detector::of(&cells).map(Box::new))
}

fn add(figures: &mut Scheme, samples: &Samples) {
    let thresholds = Thresholds::of(&samples.development, samples.unit);
    if samples.judged {
        let blocks = LENGTHS.iter().zip(&thresholds.blocks);
        figures.honest_blocks = blocks.map(|(length, blocks)| (length.to_string(), *blocks)).collect();
    }
    let honest: Vec<Sample> = samples.honest.values().cloned().collect();
    let until = (samples.until)(&samples.development);
    figures.thresholds.insert(samples.name.clone(), threshold_figures(&thresholds, &honest));
    let against = Against { thresholds: &thresholds, honest: &honest, until: &until };
    for (attack, sample) in &samples.attacks {
        let power = Power::of(sample, &against, samples.unit, samples.judged);
        figures.attacks.entry(attack.clone()).or_default().insert(samples.name.clone(), power);
    }
    for (cell, sample) in &samples.honest {
        let found = Power::of(sample, &Against { honest: &[], ..against }, samples.unit, false);
        let own = figures.honest_detected.entry(cell.clone()).or_default();
        own.insert(samples.name.clone(), found.tokens_to_detect.median);
    }
}

fn threshold_figures(
    thresholds: &Thresholds,
    honest: &[Sample],
) -> BTreeMap<String, BTreeMap<String, Option<ThresholdFigures>>> {
    let of_length = |rate: usize, at: usize| {
        let (threshold, values) = (thresholds.at(at, rate)?, thresholds.values(at)?);
        let cells: Vec<Vec<f64>> = honest.iter().map(|cell| cell.blocks(values)).collect();
        let all: Vec<f64> = cells.iter().flatten().copied().collect();
        let worst = cells.iter().map(|cell| share_above(cell, threshold)).fold(0.0, f64::max);
        Some(ThresholdFigures {
            value: threshold.value,
            extrapolated: threshold.extrapolated,
            beyond_worst_cell: worst,
            beyond: share_above(&all, threshold),
        })
    };
    let of_rate = |(rate, (name, _)): (usize, &(&str, f64))| {
        let lengths = LENGTHS.iter().enumerate();
        ((*name).to_owned(), lengths.map(|(at, length)| (length.to_string(), of_length(rate, at))).collect())
    };
    RATES.iter().enumerate().map(of_rate).collect()
}
