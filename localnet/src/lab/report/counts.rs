//! How whole answers are judged: the verdict's own function on every answer of the test part.

use std::collections::BTreeMap;

use assay_common::judge::{judge_measured, Calibration, Exact, Report};
use assay_common::verdict::Outcome;
use serde::{Deserialize, Serialize};

use super::super::trace::file::Trace;
use super::super::trace::record::Record;

/// Of one executor's answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub answers: usize,
    pub passed: usize,
    /// By the check that failed first.
    pub failed: BTreeMap<String, usize>,
}

impl Counts {
    pub fn of(trace: &Trace, calibration: &Calibration) -> Self {
        let mut counts = Counts { answers: trace.records.len(), ..Counts::default() };
        for record in trace.records.values() {
            match judged(record, trace.header.max_new, calibration).outcome {
                Outcome::Valid => counts.passed += 1,
                other => *counts.failed.entry(reason(other)).or_default() += 1,
            }
        }
        counts
    }
}

fn reason(outcome: Outcome) -> String {
    match outcome {
        Outcome::Invalid { reason } => format!("{reason:?}").to_lowercase(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// Requests of traces have no stop tokens: an answer ends where it should if it is full.
pub fn judged(record: &Record, max_new: u32, calibration: &Calibration) -> Report {
    let exact = Exact {
        tokens: record.tokens as usize,
        mismatches: record.mismatches.clone(),
        ends: record.tokens == max_new,
        sampled: true,
    };
    judge_measured(&exact, &record.measurement(), calibration)
}
