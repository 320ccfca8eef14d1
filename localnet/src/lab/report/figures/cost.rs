//! Bytes of a proof against what it detects.

use std::path::Path;

use anyhow::Result;

use super::chart::{rows, Axis, Row};
use super::Drawn;

const RATE: &str = "1e-2";
const TOKENS: usize = 32;

/// Our own statistic and each peer's: bytes a token in the label, the share of attacks' blocks of 32 tokens that it detects as bar.
pub fn bytes(drawn: &Drawn<'_>, path: &Path) -> Result<bool> {
    let (figures, results) = (&drawn.evaluated.figures, drawn.results);
    let mut systems = vec![(figures.statistic.as_str(), results.artifact_bytes_per_token.raw)];
    systems.extend(results.peers.iter().map(|(name, peer)| (name.as_str(), peer.bytes_per_token)));
    systems.extend(["gonka", "articles", "margin"].map(|name| (name, results.artifact_bytes_per_token.raw)));
    let mut all = Vec::new();
    for (attack, powers) in &figures.attacks {
        for (system, bytes) in &systems {
            let found = powers.get(*system).and_then(|power| power.rate(RATE, TOKENS));
            if let Some(share) = found {
                all.push(Row {
                    label: format!("{attack}: {system}, {bytes:.0} B"),
                    parts: vec![share],
                    interval: None,
                });
            }
        }
    }
    let axis = Axis::linear("share of blocks of 32 tokens detected at 1e-2", 0.0..1.0);
    rows(path, "Bytes a token, and what they detect", &axis, &all, &["detected"])?;
    Ok(!all.is_empty() && !results.peers.is_empty())
}
