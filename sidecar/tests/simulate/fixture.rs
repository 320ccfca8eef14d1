//! A synthetic calibration: two cells whose positions are spread evenly around their means.

use assay_common::ids::Digest;
use assay_common::judge::bins::{tables, EDGES};
use assay_common::judge::cell::{CellSummary, Histogram};
use assay_common::judge::far::FarLimit;
use assay_common::judge::null::{CellNull, Null};
use assay_common::judge::statistic::{Moments, Predictor, Scorer, Statistic, STATISTIC_VERSION};
use assay_common::judge::{Calibration, Cell, Limit, Platform, VERSION};
use assay_common::session::{ModelSpec, NumericScheme};

/// z of the normal distribution that one in a thousand exceeds.
pub const Z: f64 = 3.090_232_306_167_813_5;
pub const QUIET: CellNull = CellNull { mean: -0.3, position_sd: 0.4, sequence_sd: 0.05 };
pub const LOUD: CellNull = CellNull { mean: 0.1, position_sd: 0.4, sequence_sd: 0.1 };
const POSITIONS: u32 = 100_000;

/// A cell whose positions lie evenly within √3 standard deviations of its mean.
pub fn cell(setting: &str, null: CellNull) -> CellSummary {
    let reach = null.position_sd * 3.0f64.sqrt();
    let value = |at: u32| null.mean + reach * ((f64::from(at) + 0.5) * 2.0 / f64::from(POSITIONS) - 1.0);
    let platform = || Platform { engine: "synthetic".into(), device: "none".into() };
    CellSummary {
        cell: Cell { executor: platform(), setting: setting.into(), juror: platform() },
        answers: 1_000,
        tokens: POSITIONS as usize,
        mean: null.mean,
        position_sd: null.position_sd,
        sequence_sd: null.sequence_sd,
        histogram: Histogram::of((0..POSITIONS).map(value)),
        far: 0,
        positions: u64::from(POSITIONS),
        far_sequence_sd: 0.0,
    }
}

pub fn calibration() -> Calibration {
    let spec = ModelSpec {
        name: "synthetic".into(),
        weights: Digest([1; 32]),
        scheme: NumericScheme::Bf16F32,
        constants: Digest([2; 32]),
        vocabulary: 1_000,
    };
    let unit = Moments { mean: 0.0, sd: 1.0 };
    let limit = Limit { mean: 0.0, sd: 0.0, max: 0.0, position_max: 0.0 };
    let null = Null { cells: vec![QUIET, LOUD], z: Z };
    let predictor = Predictor { features: [unit; 8], weights: [0.0; 17] };
    Calibration {
        version: VERSION,
        statistic_version: STATISTIC_VERSION,
        model: spec.digest(),
        spec,
        prompts: Digest([3; 32]),
        statistic: Statistic::Magnitude,
        cells: vec![cell("quiet", QUIET), cell("loud", LOUD)],
        scorer: Scorer { predictor, magnitude: unit, direction: unit },
        far: FarLimit { share: 0.01 },
        distance: limit,
        margin: limit,
        score_edges: EDGES.to_vec(),
        bins: tables(&null, &[]),
        null,
        probe_tolerance: 16,
        probe_miss: 0.01,
    }
}
