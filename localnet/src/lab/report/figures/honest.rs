//! Honest cells side by side, and noise that nobody's rounding makes.

use std::path::Path;

use anyhow::Result;

use super::super::super::executor::Role;
use super::chart::{lines, rows, Axis, Chart, Line, Row};
use super::Drawn;

const RATE: &str = "1e-3";

pub fn cells(drawn: &Drawn<'_>, path: &Path) -> Result<bool> {
    let figures = &drawn.evaluated.figures;
    let honest = figures.cells.iter().filter(|(_, cell)| cell.role != Role::Noise);
    let row = |(name, cell): (&String, &super::super::results::CellFigures)| {
        let reach = 3.0 * cell.sequence_sd;
        Row {
            label: name.clone(),
            parts: Vec::new(),
            interval: Some([cell.mean - reach, cell.mean, cell.mean + reach]),
        }
    };
    let all: Vec<Row> = honest.map(row).collect();
    let ends = || all.iter().filter_map(|row| row.interval).flatten();
    let range = ends().fold(0.0, f64::min) - 0.2..ends().fold(0.0, f64::max) + 0.2;
    let label = format!("{} on the test part", figures.statistic);
    rows(path, "Honest cells", &Axis::linear(&label, range), &all, &["3 sd of answers' means", "mean"])?;
    Ok(!all.is_empty())
}

pub fn noise(drawn: &Drawn<'_>, path: &Path) -> Result<bool> {
    let figures = &drawn.evaluated.figures;
    let mut sweep: Vec<(f64, f64, Option<f64>)> = Vec::new();
    for (name, cell) in figures.cells.iter().filter(|(_, cell)| cell.role == Role::Noise) {
        let Some(sd) = size(name) else { continue };
        let power = figures.attacks.get(name).and_then(|powers| powers.get(&figures.statistic));
        sweep.push((sd, cell.mean, power.and_then(|power| power.rate(RATE, 8))));
    }
    sweep.sort_by(|a, b| a.0.total_cmp(&b.0));
    let most = sweep.iter().map(|(_, mean, _)| *mean).fold(1.0, f64::max);
    let means = sweep.iter().map(|(sd, mean, _)| (*sd, *mean)).collect();
    let rates = sweep.iter().filter_map(|(sd, _, rate)| Some((*sd, (*rate)?))).collect();
    let all = [
        Line { label: format!("mean {}", figures.statistic), points: means, dashed: true },
        Line { label: format!("detected, 8 tokens, {RATE}"), points: rates, dashed: false },
    ];
    let chart = Chart {
        title: "Gaussian noise on hidden states".to_owned(),
        x: Axis::log("standard deviation, of the state's root mean square", 0.001..0.2),
        y: Axis::linear("statistic; share", -0.5..most.max(1.0)),
    };
    lines(path, &chart, &all)?;
    Ok(sweep.len() > 1)
}

/// The standard deviation in a cell's name, such as noise-0.02-b8.
fn size(name: &str) -> Option<f64> {
    name.strip_prefix("noise-")?.split("-b").next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_noise_is_in_its_name() {
        assert_eq!(size("noise-0.02-b8"), Some(0.02));
        assert_eq!(size("fused-b8"), None);
    }
}
