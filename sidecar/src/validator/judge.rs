//! The verdict: a pure function of what the chain, the executor and our own recomputation say.

use assay_common::artifact::Artifact;
use assay_common::digest::Domain;
use assay_common::judge::{judge, Calibration, Measurement, Report};
use assay_common::row::Row;
use assay_common::verdict::{InvalidReason, Outcome, UnavailableReason};

use super::fetch::open;
use super::Case;
use crate::http::ArtifactResponse;

/// An artifact whose bytes, format, request and voucher are in order.
#[derive(Debug)]
pub struct Admitted {
    pub artifact: Artifact,
    /// One for each token.
    pub rows: Vec<Row>,
}

/// Checks everything that needs no model, in this order: bytes, format, request, voucher.
///
/// # Errors
/// The verdict, where one of them is not in order.
pub fn admit(
    domain: &Domain,
    case: &Case,
    evidence: &ArtifactResponse,
    vocabulary: u32,
) -> Result<Admitted, Outcome> {
    let artifact = open(evidence, &case.commitment()).map_err(|mismatch| {
        tracing::info!(inference.id = %case.inference, mismatch, "judge.mismatch");
        Outcome::Unavailable { reason: UnavailableReason::Mismatch }
    })?;
    let rows = artifact.rows(vocabulary).map_err(|malformed| {
        tracing::info!(inference.id = %case.inference, %malformed, "judge.malformed");
        Outcome::Malformed
    })?;
    let invalid = |reason| Outcome::Invalid { reason };
    let request = &artifact.request;
    let prompt_fits = u32::try_from(artifact.prompt.len()).is_ok_and(|tokens| tokens <= case.max_prompt);
    if request.model != case.model || request.max_new > case.max_new || !prompt_fits {
        return Err(invalid(InvalidReason::Request));
    }
    case.check_voucher(domain, &request.digest(), &evidence.voucher).map_err(|error| {
        tracing::info!(inference.id = %case.inference, %error, "judge.voucher");
        invalid(InvalidReason::Voucher)
    })?;
    Ok(Admitted { artifact, rows })
}

/// The verdict on an artifact along which the model has been run; the report holds each check's number.
pub fn decide(
    domain: &Domain,
    case: &Case,
    evidence: &ArtifactResponse,
    measurement: &Measurement,
    calibration: &Calibration,
) -> (Outcome, Option<Report>) {
    match admit(domain, case, evidence, calibration.spec.vocabulary) {
        Ok(Admitted { artifact, rows }) => {
            let report = judge(&artifact, &rows, &case.run_seed(), measurement, calibration);
            (report.outcome, Some(report))
        }
        Err(outcome) => (outcome, None),
    }
}
