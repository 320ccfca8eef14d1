//! The tables and figures of docs/science.md, between two marks that a person does not write between.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::figures::Figure;
use super::power::Power;
use super::results::{Results, Scheme};
use super::thresholds::RATES;

const BEGIN: &str = "<!-- results -->\n";
const END: &str = "<!-- /results -->\n";
/// Tokens of blocks that the tables show.
const SHOWN: [usize; 4] = [1, 2, 8, 32];

/// The page with `tables` between its marks; none where it has no marks.
pub fn between_markers(page: &str, tables: &str) -> Option<String> {
    let (above, rest) = page.split_once(BEGIN)?;
    let (_, below) = rest.split_once(END)?;
    Some(format!("{above}{BEGIN}{tables}{END}{below}"))
}

/// Markdown; figures are linked by the directory's own name.
pub fn write(results: &Results, figures: &BTreeMap<String, Vec<Figure>>, out: &Path) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "{}; {}. Statistic version {}, prompts {}, seeds `{}`; 95 % intervals over {} resamples of the prompts. An artifact has {:.1} bytes a token \
         ({:.1} after zstd); a juror's measurement takes {:.2} of the time that the answer took.\n",
        results.machine,
        results.model,
        results.statistic_version,
        &results.prompts[..12.min(results.prompts.len())],
        results.seed_tag,
        results.bootstrap.resamples,
        results.artifact_bytes_per_token.raw,
        results.artifact_bytes_per_token.zstd,
        results.verify_over_generate,
    );
    let folder = out.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    for (name, scheme) in &results.schemes {
        let _ = writeln!(text, "### Scheme {name}\n");
        cells(&mut text, scheme);
        false_alarms(&mut text, scheme);
        detection(&mut text, scheme);
        comparison(&mut text, scheme);
        verdicts(&mut text, scheme);
        for figure in figures.get(name).into_iter().flatten() {
            let _ = writeln!(text, "![{0}]({folder}/{1})\n*{0}.*\n", figure.caption, figure.file);
        }
    }
    text
}

fn cells(text: &mut String, scheme: &Scheme) {
    let blocks = |length: &str| scheme.honest_blocks.get(length).copied().unwrap_or(0);
    let _ = writeln!(
        text,
        "{} tokens of honest answers in the three parts; thresholds rest on {} honest tokens of the development part ({} blocks of 8, {} of 32). {} by cell, on the test part:\n",
        scheme.honest_tokens,
        blocks("1"),
        blocks("8"),
        blocks("32"),
        scheme.statistic
    );
    let _ = writeln!(text, "| cell | engine | tokens | mean | sd of a token | sd of an answer's mean | far, % |\n|---|---|---|---|---|---|---|");
    for (name, cell) in &scheme.cells {
        let _ = writeln!(
            text,
            "| {name} ({:?}) | {} | {} | {:+.3} | {:.3} | {:.3} | {:.2} |",
            cell.role,
            cell.engine,
            cell.tokens,
            cell.mean,
            cell.position_sd,
            cell.sequence_sd,
            100.0 * cell.far
        );
    }
    text.push('\n');
}

fn false_alarms(text: &mut String, scheme: &Scheme) {
    let Some(thresholds) = scheme.thresholds.get(&scheme.statistic) else { return };
    let _ = writeln!(
        text,
        "False alarms of {}'s thresholds on the test part, %, worst cell / all cells; * where the threshold is extrapolated:\n",
        scheme.statistic
    );
    header(text, "rate");
    for (rate, lengths) in thresholds {
        let cell = |length: &usize| match lengths.get(&length.to_string()).copied().flatten() {
            Some(found) => {
                let mark = if found.extrapolated { "*" } else { "" };
                format!("{:.3} / {:.3}{mark}", 100.0 * found.beyond_worst_cell, 100.0 * found.beyond)
            }
            None => "–".to_owned(),
        };
        row(text, rate, SHOWN.iter().map(cell));
    }
    text.push('\n');
}

fn detection(text: &mut String, scheme: &Scheme) {
    let _ = writeln!(
        text,
        "Blocks of each attack that {} detects, %, at false-alarm rates of 1e-2 / 1e-3 / 1e-4 (* extrapolated; in brackets the interval at 1e-3), and \
         tokens until it is sure at 1e-6, median / 95 % of runs:\n",
        scheme.statistic
    );
    let columns = SHOWN.map(|length| format!("{length} tokens")).join(" | ");
    let _ = writeln!(text, "| attack | {columns} | tokens at 1e-6 |\n|---|---|---|---|---|---|");
    for (name, powers) in &scheme.attacks {
        let Some(power) = powers.get(&scheme.statistic) else { continue };
        let tokens = power.tokens_to_detect;
        let count = |tokens: Option<usize>| tokens.map_or("never".to_owned(), |tokens| tokens.to_string());
        let cells = SHOWN.iter().map(|length| rates(power, *length));
        let last = format!("{} / {}", count(tokens.median), count(tokens.q95));
        row(text, name, cells.chain([last]));
    }
    text.push('\n');
}

fn rates(power: &Power, length: usize) -> String {
    let rate = |(name, _): &(&str, f64)| {
        let extrapolated =
            power.extrapolated_lengths.get(*name).is_some_and(|lengths| lengths.contains(&length));
        let mark = if extrapolated { "*" } else { "" };
        power.rate(name, length).map(|share| format!("{:.1}{mark}", 100.0 * share))
    };
    let found: Option<Vec<String>> = RATES.iter().map(rate).collect();
    let Some(found) = found else { return "–".to_owned() };
    let interval = power.tpr_interval.get("1e-3").and_then(|lengths| *lengths.get(&length.to_string())?);
    let interval =
        interval.map_or(String::new(), |[low, high]| format!(" ({:.0}–{:.0})", 100.0 * low, 100.0 * high));
    format!("{}{interval}", found.join(" / "))
}

fn comparison(text: &mut String, scheme: &Scheme) {
    let names: Vec<&String> = scheme.thresholds.keys().collect();
    let _ = writeln!(text, "Area under the ROC curve against the worst honest cell, at 1 / 8 / 32 tokens:\n");
    let columns: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    let _ = writeln!(text, "| attack | {} |\n|---|{}", columns.join(" | "), "---|".repeat(columns.len()));
    for (attack, powers) in &scheme.attacks {
        let cell = |name: &&String| {
            let auc = |length: usize| powers.get(*name)?.auc.get(&length.to_string()).copied().flatten();
            let written = |length| auc(length).map_or("–".to_owned(), |auc| format!("{auc:.3}"));
            [1, 8, 32].map(written).join(" / ")
        };
        row(text, attack, names.iter().map(cell));
    }
    text.push('\n');
}

fn verdicts(text: &mut String, scheme: &Scheme) {
    let _ = writeln!(text, "Whole answers under the calibration of these traces:\n");
    let _ = writeln!(text, "| executor | answers | passed | failed |\n|---|---|---|---|");
    for (name, counts) in &scheme.verdicts {
        let failed: Vec<String> =
            counts.failed.iter().map(|(check, count)| format!("{check} {count}")).collect();
        let failed = if failed.is_empty() { "–".to_owned() } else { failed.join(", ") };
        let _ = writeln!(text, "| {name} | {} | {} | {failed} |", counts.answers, counts.passed);
    }
    text.push('\n');
}

fn header(text: &mut String, first: &str) {
    let columns = SHOWN.map(|length| format!("{length} tokens")).join(" | ");
    let _ = writeln!(text, "| {first} | {columns} |\n|---|---|---|---|---|");
}

fn row(text: &mut String, first: &str, cells: impl Iterator<Item = String>) {
    let cells: Vec<String> = cells.collect();
    let _ = writeln!(text, "| {first} | {} |", cells.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_around_the_marks_stays() {
        let page = format!("a\n{BEGIN}old\n{END}b\n");
        assert_eq!(between_markers(&page, "new\n"), Some(format!("a\n{BEGIN}new\n{END}b\n")));
        assert_eq!(between_markers("a\n", "new"), None);
    }
}
