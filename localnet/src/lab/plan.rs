//! `assay-lab figures`: every trace that the report wants and does not have, then the report.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use assay_common::session::NumericScheme;
use assay_sidecar::calibrate::write;
use assay_sidecar::model::Model;
use assay_sidecar::offline::ModelArgs;
use clap::ValueEnum;

use super::calibrate::of_traces;
use super::prompts::{self, Split};
use super::report::{self, ReportArgs};
use super::trace::file::{self, Trace};
use super::trace::{self, TraceArgs};
use crate::attack::Attack;

/// Seconds that a token takes to make and to measure where no trace says better: the half of one AMD EPYC core.
const SECONDS_PER_TOKEN: f64 = 0.06;

#[derive(Clone, Debug, clap::Args)]
pub struct PlanArgs {
    /// The model's GGUF file.
    #[arg(long, env = "ASSAY_MODEL")]
    model: PathBuf,
    /// Every cell, attack and scheme; it takes hours, and goes on where it was interrupted.
    #[arg(long, conflicts_with = "small")]
    full: bool,
    /// Two cells, two attacks, few and short answers: that all of it works.
    #[arg(long)]
    small: bool,
    /// Where traces are kept.
    #[arg(long, default_value = "target/traces")]
    traces: PathBuf,
    /// Where the report goes; without it, docs/science, and of the small plan target/science.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Peers' files, as of the report.
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Says what is to be done, and does nothing.
    #[arg(long)]
    dry: bool,
}

/// One trace of the plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub scheme: NumericScheme,
    pub split: Split,
    /// A cell's name, or an attack's.
    pub cell: Option<String>,
    pub attack: Option<String>,
    pub batch: usize,
    pub count: usize,
    pub max_new: u32,
}

impl Step {
    fn of_cell(
        scheme: NumericScheme,
        split: Split,
        (cell, batch): (&str, usize),
        count: usize,
        max_new: u32,
    ) -> Self {
        Self { scheme, split, cell: Some(cell.to_owned()), attack: None, batch, count, max_new }
    }

    fn of_attack(scheme: NumericScheme, attack: &str, count: usize, max_new: u32) -> Self {
        let (split, batch) = (Split::Test, BATCH);
        Self { scheme, split, cell: None, attack: Some(attack.to_owned()), batch, count, max_new }
    }

    fn name(&self) -> String {
        match (&self.cell, &self.attack) {
            (Some(cell), _) => format!("{cell}-b{}", self.batch),
            (None, attack) => attack.clone().unwrap_or_default(),
        }
    }

    /// In the traces' directory.
    fn file(&self) -> String {
        format!("{}.{}.{}.jsonl", self.scheme, self.split.name(), self.name().replace(':', "-"))
    }

    fn knows_calibration(&self) -> bool {
        self.attack.as_ref().is_some_and(|attack| attack.starts_with("adaptive"))
    }
}

const BATCH: usize = 8;
const PARTS: [Split; 3] = [Split::Calibration, Split::Development, Split::Test];
/// All prompts of a part.
const ALL: usize = usize::MAX;

/// Two cells and two attacks.
pub fn small() -> Vec<Step> {
    let scheme = NumericScheme::Bf16F32;
    let parts = [(Split::Calibration, 40), (Split::Development, 28), (Split::Test, 12)];
    let cells = [("fused", 8), ("explicit", 4)];
    let honest = cells
        .iter()
        .flat_map(|cell| parts.map(|(split, count)| Step::of_cell(scheme, split, *cell, count, 12)));
    let attacks = ["int4-g32", "prefill"].map(|attack| Step::of_attack(scheme, attack, 12, 12));
    honest.chain(attacks).collect()
}

/// Honest cells first: everything else is held against them.
pub fn full() -> Vec<Step> {
    let mut steps = Vec::new();
    let cells: [(NumericScheme, &[(&str, usize)]); 2] = [
        (
            NumericScheme::Bf16F32,
            &[("fused", 8), ("explicit", 8), ("fused", 30), ("fused", 1), ("explicit", 1)],
        ),
        (NumericScheme::Bf16, &[("fused", 8), ("explicit", 8)]),
    ];
    for (scheme, cells) in cells {
        // Thresholds at rates of 1e-4 need 30,000 honest tokens of each cell: 120 prompts of 256.
        let lengths = PARTS.map(|split| (split, if split == Split::Development { 256 } else { 64 }));
        let honest = cells.iter().flat_map(|cell| {
            lengths.map(|(split, max_new)| Step::of_cell(scheme, split, *cell, ALL, max_new))
        });
        steps.extend(honest);
        steps.push(Step::of_cell(scheme, Split::Test, ("f32", BATCH), ALL, 64));
        let attacks = Attack::value_variants()
            .iter()
            .filter(|attack| !matches!(attack, Attack::None | Attack::Withhold));
        steps.extend(attacks.map(|attack| Step::of_attack(scheme, &attack.name(), 100, 64)));
    }
    for sd in ["0.005", "0.01", "0.02", "0.05", "0.1"] {
        let cell = format!("noise-{sd}");
        steps.push(Step::of_cell(NumericScheme::Bf16F32, Split::Test, (&cell, BATCH), 60, 64));
    }
    for attack in ["int8-g128:20", "int4-g32:10"] {
        steps.push(Step::of_attack(NumericScheme::Bf16F32, attack, ALL, 64));
    }
    steps
}

/// What is left of a step.
struct Left {
    step: Step,
    answers: usize,
}

/// # Errors
/// As traces and the report.
pub fn run(args: &PlanArgs) -> Result<()> {
    let (steps, out) =
        if args.small && !args.full { (small(), "target/science") } else { (full(), "docs/science") };
    let left = left(&args.traces, steps)?;
    announce(&left, seconds_per_token(&args.traces));
    if args.dry {
        return Ok(());
    }
    for Left { step, answers } in &left {
        if *answers > 0 {
            make(args, step).with_context(|| step.file())?;
        }
    }
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(out));
    report::run(&ReportArgs { traces: args.traces.clone(), out, peers: args.peers.clone() })
}

/// # Errors
/// A trace that is there and is not sound.
fn left(dir: &Path, steps: Vec<Step>) -> Result<Vec<Left>> {
    let of_step = |step: Step| {
        let path = dir.join(step.file());
        let asked = prompts::of_split(prompts::TEXT, step.split).len().min(step.count);
        let there = if path.is_file() { file::read(&path)?.records.len() } else { 0 };
        Ok(Left { step, answers: asked.saturating_sub(there) })
    };
    steps.into_iter().map(of_step).collect()
}

/// What the traces that are there took.
fn seconds_per_token(dir: &Path) -> f64 {
    let paths = std::fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let traces = paths.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    let records =
        traces.filter_map(|path| file::read(&path).ok()).flat_map(|trace: Trace| trace.records.into_values());
    let (seconds, tokens) = records.fold((0.0, 0.0), |(seconds, tokens), record| {
        let own = f64::from(record.verify_seconds) + f64::from(record.generate_seconds.unwrap_or(0.0));
        (seconds + own, tokens + f64::from(record.tokens))
    });
    if tokens > 0.0 {
        seconds / tokens
    } else {
        SECONDS_PER_TOKEN
    }
}

fn announce(left: &[Left], seconds_per_token: f64) {
    let mut all = 0.0;
    for Left { step, answers } in left {
        let seconds = *answers as f64 * f64::from(step.max_new) * seconds_per_token;
        all += seconds;
        let state = if *answers == 0 {
            "there".to_owned()
        } else {
            format!("{answers} answers, about {seconds:.0} s")
        };
        eprintln!("{:60} {state}", step.file());
    }
    eprintln!("about {:.0} min", all / 60.0);
}

/// Every step loads the model anew: an attack changes it.
fn make(args: &PlanArgs, step: &Step) -> Result<()> {
    let model = ModelArgs {
        model: args.model.clone(),
        scheme: step.scheme,
        device: "auto".to_owned(),
        threads: None,
    };
    let calibration =
        if step.knows_calibration() { Some(calibration(&args.traces, step.scheme)?) } else { None };
    let args = TraceArgs {
        model,
        cell: step.cell.clone(),
        attack: step.attack.clone(),
        finer: false,
        prompts: None,
        split: step.split,
        count: Some(step.count),
        max_new: step.max_new,
        batch: step.batch,
        calibration,
        answers: None,
        dump: None,
        out: args.traces.join(step.file()),
    };
    let mut model: Model = args.model.load()?;
    trace::trace(&args, prompts::TEXT, &mut model)
}

/// What jurors would have: made of the plan's own honest traces.
fn calibration(dir: &Path, scheme: NumericScheme) -> Result<PathBuf> {
    let honest = full().into_iter().filter(|step| {
        let sets = step.cell.as_ref().is_some_and(|cell| cell == "fused" || cell == "explicit");
        sets && (step.scheme, step.split) == (scheme, Split::Calibration)
    });
    let files: Vec<String> = honest.map(|step| step.file()).filter(|name| dir.join(name).is_file()).collect();
    let traces: Vec<Trace> = files.iter().map(|name| file::read(&dir.join(name))).collect::<Result<_>>()?;
    let named: Vec<(&str, &Trace)> = files.iter().map(String::as_str).zip(&traces).collect();
    let path = dir.join(format!("{scheme}.calibration"));
    write(&of_traces(&named)?, &path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::super::executor::{cheat, Cell};
    use super::*;

    #[test]
    fn every_step_of_a_plan_has_a_file_of_its_own_and_names_a_cell_or_an_attack() {
        for steps in [small(), full()] {
            let files: BTreeSet<String> = steps.iter().map(Step::file).collect();
            assert_eq!(files.len(), steps.len());
            for step in steps {
                let cell = step.cell.as_ref().map(|cell| cell.parse::<Cell>().unwrap());
                let attack = step.attack.as_ref().map(|attack| cheat(attack).unwrap());
                assert!(cell.is_some() != attack.is_some(), "{}", step.file());
            }
        }
    }

    #[test]
    fn the_full_plan_has_every_attack_and_enough_honest_tokens_for_one_in_ten_thousand() {
        let steps = full();
        for attack in Attack::value_variants() {
            let found = steps.iter().any(|step| step.attack.as_ref() == Some(&attack.name()));
            assert_eq!(found, !matches!(attack, Attack::None | Attack::Withhold), "{}", attack.name());
        }
        let set = |step: &&Step| step.split == Split::Development && step.cell.is_some();
        let prompts = prompts::of_split(prompts::TEXT, Split::Development).len();
        assert!(steps
            .iter()
            .filter(set)
            .all(|step| prompts.min(step.count) * (step.max_new as usize - 1) >= 30_000));
    }

    #[test]
    fn what_is_there_already_is_not_to_be_done() {
        let dir = tempfile::tempdir().unwrap();
        let left = left(dir.path(), small()).unwrap();
        assert_eq!(left.iter().map(|left| left.answers).sum::<usize>(), 2 * (40 + 28 + 12) + 24);
        assert_eq!(seconds_per_token(dir.path()), SECONDS_PER_TOKEN);
    }
}
