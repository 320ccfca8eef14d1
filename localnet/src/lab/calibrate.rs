//! `assay-lab calibrate`: honest traces of several cells, engines outside included, make a calibration by the functions of
//! `assayd calibrate`.

use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};
use assay_common::judge::statistic::Statistic;
use assay_common::judge::{calibrate, Basis, Calibration, HonestCell};
use assay_sidecar::calibrate::{summary, write};

use super::executor::Role;
use super::trace::file::{self, Trace};
use super::trace::header::HeaderError;

#[derive(Clone, Debug, clap::Args)]
pub struct CalibrateArgs {
    /// Honest traces of the calibration part, one a cell.
    #[arg(required = true)]
    traces: Vec<PathBuf>,
    /// Where the calibration is written.
    #[arg(long)]
    out: PathBuf,
}

/// # Errors
/// A trace that is not honest, not of one model and prompts, or does not replay; and what a calibration refuses.
pub fn run(args: &CalibrateArgs) -> Result<()> {
    let read =
        |path: &PathBuf| -> Result<(String, Trace)> { Ok((path.display().to_string(), file::read(path)?)) };
    let traces: Vec<(String, Trace)> = args.traces.iter().map(read).collect::<Result<_>>()?;
    let named: Vec<(&str, &Trace)> = traces.iter().map(|(name, trace)| (name.as_str(), trace)).collect();
    let calibration = of_traces(&named)?;
    let digest = write(&calibration, Path::new(&args.out))?;
    print!("{}", summary(&calibration));
    println!("{}  {digest}", args.out.display());
    Ok(())
}

/// A calibration of honest traces; each comes with the name that errors say.
///
/// # Errors
/// As [`run`].
pub fn of_traces(traces: &[(&str, &Trace)]) -> Result<Calibration> {
    let (_, first) = traces.first().context("a calibration needs a trace")?;
    let basis = Basis {
        spec: first.header.spec.clone(),
        statistic: Statistic::of(first.header.spec.scheme),
        prompts: first.header.prompts,
    };
    let cells: Vec<HonestCell> =
        traces.iter().map(|(name, trace)| honest_cell(name, trace, first)).collect::<Result<_>>()?;
    Ok(calibrate(basis, &cells)?)
}

fn honest_cell(name: &str, trace: &Trace, first: &Trace) -> Result<HonestCell> {
    let header = &trace.header;
    let (found, expected) = (header.model, first.header.model);
    if found != expected {
        return Err(HeaderError::OtherModel { found, expected }).with_context(|| format!("the trace {name}"));
    }
    ensure!(header.prompts == first.header.prompts, "the trace {name} answers other prompts than the first");
    ensure!(
        header.role == Role::Honest,
        "the trace {name} is no honest cell's: it is of role {:?}",
        header.role
    );
    for record in trace.records.values() {
        let position = record.mismatches.first();
        let prompt = record.prompt;
        ensure!(
            position.is_none(),
            "the trace {name}: the answer to prompt {prompt} does not replay: it is not honest"
        );
    }
    let answers = trace.records.values().map(|record| record.honest()).collect();
    Ok(HonestCell { cell: header.cell.clone(), answers })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::trace::example;
    use super::super::trace::header::Header;
    use super::*;

    fn honest(setting: &str) -> Trace {
        let mut header = example::header();
        header.cell.setting = setting.to_owned();
        let record = |prompt: u64| {
            let mut record = example::record(prompt + setting.len() as u64 * 1_000, 12);
            record.prompt = prompt;
            record.deviations = (0..8).collect();
            (prompt, record)
        };
        Trace { header, records: (0..40).map(record).collect(), cut: 0 }
    }

    #[test]
    fn honest_traces_of_two_cells_make_a_calibration_of_two_cells() {
        let (one, two) = (honest("batches of 8"), honest("batches of 1, explicit"));
        let calibration = of_traces(&[("one", &one), ("two", &two)]).unwrap();
        assert_eq!(calibration.cells.len(), 2);
        assert_eq!(calibration.cells[1].cell.setting, "batches of 1, explicit");
        assert_eq!(calibration.model, one.header.model);
        calibration.check(one.header.model).unwrap();
    }

    #[test]
    fn traces_of_other_models_roles_and_prompts_and_dishonest_ones_are_refused_by_name() {
        let one = honest("one");
        let refused = |other: &Trace, says: &str| {
            let error = format!("{:#}", of_traces(&[("one", &one), ("two", other)]).unwrap_err());
            assert!(error.contains("two") && error.contains(says), "{error}");
        };
        let mut spec = one.header.spec.clone();
        spec.vocabulary += 1;
        let model = spec.digest();
        refused(
            &Trace { header: Header { spec, model, ..one.header.clone() }, ..one.clone() },
            "it is for model",
        );
        refused(
            &Trace { header: Header { role: Role::Attack, ..one.header.clone() }, ..one.clone() },
            "no honest cell",
        );
        let prompts = assay_common::ids::Digest([8; 32]);
        refused(&Trace { header: Header { prompts, ..one.header.clone() }, ..one.clone() }, "other prompts");
        let mut dishonest = one.clone();
        dishonest.records.get_mut(&7).unwrap().mismatches.push(3);
        refused(&dishonest, "prompt 7 does not replay");
        assert!(of_traces(&[]).is_err());
    }
}
