//! The page's section on a measured calibration, in Markdown.

use super::detection::Detection;
use super::results::{AttackRow, BoundaryRow, HonestRow, Results, ShiftRow, COSTS_PPM, NEAR_SHARES, VOLUMES};
use super::Basis;
use crate::simulate::figures::{amount, paying, percent, significant, table, whole};
use crate::simulate::honest::AUDITS_PER_EPOCH;

/// The whole section.
pub fn section(basis: &Basis, results: &Results) -> String {
    let mut parts = vec![introduction(basis), honest(results)];
    if !results.attacks.is_empty() {
        parts.push(attacks(results));
    }
    parts.push(boundaries(results));
    parts.push(shifts(results));
    parts.join("\n")
}

fn introduction(basis: &Basis) -> String {
    let calibration = &basis.calibration;
    let answers: usize = calibration.cells.iter().map(|cell| cell.answers).sum();
    let scores = match &basis.scores {
        Some(scores) => format!("and a table of scores with {} honest cells and {} attacks", scores.cells.len(), scores.attacks.len()),
        None => "and no table of scores: attacks were not measured, and honest answers follow from the cells' histograms".into(),
    };
    format!(
        "## Under a measured calibration\n
The tables above know only whether a check passed. Here the evidence has the bins of a calibration of {} in scheme {}: statistic {:?},
version {}, {} cells with {answers} honest answers that the fit did not see, {scores}. Answers all have one length; their weight is the contract's,
full from 512 tokens on. An epoch has {AUDITS_PER_EPOCH} audits.\n",
        calibration.spec.name,
        calibration.spec.scheme,
        calibration.statistic,
        calibration.statistic_version,
        calibration.cells.len(),
    )
}

fn honest(results: &Results) -> String {
    let (nodes, epochs) = results.sizes.honest;
    let rows: Vec<_> = results.honest.iter().map(honest_row).collect();
    let head = [
        "honest answers",
        "tokens",
        "shares of the bins, the last fails",
        "within the declared",
        "forfeits at 1e-3",
        "a node-epoch, 99 %",
        "by importance sampling",
        "promised",
        "at 1e-9",
        "effective paths",
        "promised",
    ];
    format!(
        "### False forfeits\n
{} honest nodes live {} epochs each, evidence carried, emptied by a forfeit, at one false forfeit in a thousand runs of 10,000 audits: counted, with
the Clopper–Pearson interval of 99 % of the rate a node-epoch. At the network's 1e-9 nothing can be counted, so it is sampled. A counter's path
falls into excursions, from an empty counter until it is empty again or at the bound; bins are drawn tilted by 2^(θ · step), for the declared worst
θ = 1, the alternative that the counter tests for, and each path that reaches the bound within 10,000 audits counts with the product of its true over its
drawn chances. The figure is the expected number of such excursions that begin in an epoch, all three counters added up: no less
than the chance of a forfeit. Its interval of 99 % is normal; the effective paths, (Σw)²/Σw² of the counter with the fewest, say on how many it rests. Promised is what
Ville's inequality and the union over three counters leave, wherever no tail is heavier than the declared. Cells are the worst: with the heaviest tail.\n
{}",
        amount(nodes as f64),
        amount(f64::from(epochs)),
        table(&head, &rows),
    )
}

fn honest_row(row: &HonestRow) -> Vec<String> {
    let rate = &row.counted.rate;
    // From the promised number of audits to an epoch's.
    let scale = row.counted.promised / row.sampled.promised;
    let sampled = |rare: &super::rare::Rare| {
        let ends = (significant(rare.low * scale), significant(rare.high * scale));
        format!("{} ({} to {})", significant(rare.expected * scale), ends.0, ends.1)
    };
    let promise = |promised: f64| if row.covered { significant(promised) } else { "nothing".into() };
    let effective =
        if row.rare.effective.is_finite() { amount(row.rare.effective) } else { "none reaches".into() };
    let answers = row.answers.map_or(String::new(), |answers| format!(", {} answers", whole(answers as i64)));
    vec![
        format!("{}{answers}", row.name),
        row.tokens.to_string(),
        row.shares.0.iter().map(|share| percent(*share)).collect::<Vec<_>>().join(", "),
        if row.covered { "yes".into() } else { "**no**".into() },
        format!("{} of {}", rate.hits, whole(rate.trials as i64)),
        format!("{} to {}", significant(rate.low), significant(rate.high)),
        sampled(&row.sampled),
        promise(row.counted.promised),
        sampled(&row.rare),
        effective,
        promise(row.rare.promised * scale),
    ]
}

fn attacks(results: &Results) -> String {
    let rows: Vec<_> = results.attacks.iter().map(attack_row).collect();
    let head = [
        "attack",
        "tokens",
        "answers",
        "checks failed",
        "looks like a shift of",
        "cheated share",
        "audits to the forfeit, median",
        "95 %",
        "epochs, median",
        "tokens audited, median",
        "net, 100 an epoch",
        "net, 10,000 an epoch",
    ];
    format!(
        "### Measured attacks\n
Audits from empty evidence to the bound, the other answers those of the worst measured honest cell; {} cheats each, let go after {} audits.
The net is what the attack saved until its median forfeit, at its measured cost, less what that costs, as in the first gain table. The shift,
in position standard deviations, is that of the near-equal model under which these bins are the likeliest (next table).\n
{}",
        amount(results.sizes.careers as f64),
        whole(results.sizes.most_audits),
        table(&head, &rows),
    )
}

fn attack_row(row: &AttackRow) -> Vec<String> {
    let Detection { median, p95, most } = row.detection;
    let capped = |value: i64| if value >= most { format!("over {}", whole(most)) } else { whole(value) };
    let condemned = row.detection.condemns();
    let scaled = |value: i64| if condemned { whole(value) } else { "–".into() };
    let epochs = (median.value as u64).div_ceil(u64::from(AUDITS_PER_EPOCH));
    let net = |volume: usize| row.nets.map_or("–".into(), |nets| paying(nets[volume]));
    vec![
        row.name.clone(),
        row.tokens.to_string(),
        whole(row.answers as i64),
        percent(row.fails),
        significant(row.equivalent),
        percent(row.share),
        format!("{} ({} to {})", capped(median.value), capped(median.low), capped(median.high)),
        capped(p95),
        scaled(epochs as i64),
        scaled(median.value.saturating_mul(i64::from(row.tokens.0))),
        net(0),
        net(1),
    ]
}

fn boundaries(results: &Results) -> String {
    let deals = VOLUMES.iter().flat_map(|volume| NEAR_SHARES.map(|share| (*volume, share)));
    let deals = deals
        .map(|(volume, share)| format!("{} an epoch, {} of them", amount(volume.into()), percent(share)));
    let head: Vec<String> = ["tokens".into(), "its cost".into()].into_iter().chain(deals).collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    // One row for each length and cost: the results are in that order.
    let row = |rows: &[BoundaryRow]| {
        let start = vec![rows[0].tokens.to_string(), percent(rows[0].deal.cost_ppm as f64 / 1e6)];
        start.into_iter().chain(rows.iter().map(boundary)).collect()
    };
    let rows: Vec<Vec<String>> =
        results.boundaries.chunks(VOLUMES.len() * NEAR_SHARES.len()).map(row).collect();
    format!(
        "### The near-equal model\n
A cheaper model answers in place of the promised one, at full reputation, and begins anew after each forfeit. Its numbers lie a fixed number of position standard
deviations above the honest, at every position, in the certified cell in which that shows least; no other check than that of the mean is
counted, so it errs on the cheat's side. It breaks even where what it saves until its median forfeit is what the forfeit costs. Each figure is
the shift below which it pays and from which on it does not; in brackets the audits within which it must be condemned.\n
{}",
        table(&head, &rows),
    )
}

fn boundary(row: &BoundaryRow) -> String {
    format!("{} ({})", row.shift.map_or("pays".into(), significant), amount(row.audits))
}

fn shifts(results: &Results) -> String {
    let priced = COSTS_PPM.map(|cost| VOLUMES.map(|volume| (cost, volume)));
    let priced = priced.iter().flatten().map(|(cost, volume)| {
        format!("net an epoch at {}, {} an epoch", percent(*cost as f64 / 1e6), amount(f64::from(*volume)))
    });
    let head: Vec<String> = ["tokens", "shift", "checks failed", "audits to the forfeit"]
        .map(String::from)
        .into_iter()
        .chain(priced)
        .collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let row = |row: &ShiftRow| {
        let Detection { median, most, .. } = row.detection;
        let audits =
            if row.detection.condemns() { whole(median.value) } else { format!("over {}", whole(most)) };
        let start = vec![row.tokens.to_string(), significant(row.shift), percent(row.fails), audits];
        start.into_iter().chain(row.nets.iter().flatten().map(|net| paying(*net))).collect()
    };
    let rows: Vec<Vec<String>> = results.shifts.iter().map(row).collect();
    format!(
        "A model that answers everything: median audits, and what it earns an epoch beyond an honest twin, forfeits and the way back included, in the long run; where it is let go after {} audits, the
net is a lower end. **Bold** pays.\n
{}",
        whole(results.sizes.most_audits),
        table(&head, &rows),
    )
}
