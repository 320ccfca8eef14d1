//! What a statistic can detect: figures for tables, from honest and attacking values; no verdict depends on them.
//!
//! Thresholds see honest values only, and the worst cell sets them. What rests on fewer than three honest blocks beyond
//! it is marked as extrapolated.

mod auc;
mod bootstrap;
mod detection;
mod rate;
mod tail;

pub use auc::auc;
pub use bootstrap::{interval, Interval};
pub use detection::Detector;
pub use rate::{share_above, threshold, worst_threshold, Threshold};
pub use tail::Tail;
