//! The validator's own pass of the model along the executor's tokens.

use std::time::Duration;

use assay_common::probe::{places_outside, ProbePlace};
use assay_common::row::Row;
use assay_common::verdict::{AbstainReason, Outcome};

use super::jobs::{Job, Next};
use super::judge::{self, Admitted};
use super::{Case, Juror};
use crate::http::ArtifactResponse;
use crate::measure::Subject;

/// Recomputes what keeps the format and the session's terms; what does not is judged by that alone, and never reaches
/// the model.
///
/// A failure is ours: after a second one the juror abstains.
pub async fn step(juror: &Juror, job: &Job, case: &Case, evidence: &ArtifactResponse) -> Next {
    let abstain = |reason| {
        let outcome = Outcome::Inconclusive { reason };
        Next::Judged { case: case.clone(), outcome, report: None }
    };
    let Some(bench) = &juror.bench else {
        return abstain(AbstainReason::NoModel);
    };
    let vocabulary = bench.engine.spec().vocabulary;
    let Admitted { artifact, rows } = match judge::admit(juror.chain.domain(), case, evidence, vocabulary) {
        Ok(admitted) => admitted,
        Err(outcome) => return Next::Judged { case: case.clone(), outcome, report: None },
    };
    let probes = probes(case, &rows, vocabulary);
    let subject = Subject {
        prompt: artifact.prompt,
        rows,
        sampling: artifact.request.sampling,
        run_seed: case.run_seed(),
        probes,
    };
    match bench.engine.recompute(subject).await {
        Ok(measurement) => Next::Recomputed { measurement },
        Err(error) if job.attempts == 0 => {
            let reason = format!("recomputation: {:#}", anyhow::Error::from(error));
            tracing::warn!(
                job.batch = job.seat.key.batch.0,
                job.draw = job.seat.key.draw,
                reason,
                "recompute.failed"
            );
            Next::Retry { after: Duration::ZERO, reason }
        }
        Err(error) => {
            let error = format!("{:#}", anyhow::Error::from(error));
            tracing::error!(
                job.batch = job.seat.key.batch.0,
                job.draw = job.seat.key.draw,
                error,
                "recompute.given_up"
            );
            abstain(AbstainReason::Recompute)
        }
    }
}

/// The places that the chain's seeds choose in this answer, outside its rows.
fn probes(case: &Case, rows: &[Row], vocabulary: u32) -> Vec<ProbePlace> {
    let of_seed = |seed| places_outside(seed, case.index, rows, vocabulary);
    case.probe_seeds.iter().flat_map(of_seed).collect()
}
