//! The tables, as Markdown.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};

use super::footprint::Footprint;
use super::limits::{self, Limit, BATCH_MAPS, CONTEST_MAPS, OF_BATCH, SAMPLE_MAPS, SHARES, SINGLE};
use super::plan::{Plan, BY_INFERENCES, BY_NODES, CONTESTED, PINNED, UNPINNED};
use super::tour::Found;
use super::world::Reading;
use super::{contested, takeover};
use crate::parts::{chain_version, ChainParts};
use crate::table::thousands;

/// Messages in the order of a network's life.
const ORDER: &[&str] = &[
    "no-op",
    "RegisterModel",
    "UpdateCalibration",
    "SetGuardians",
    "DeprecateModel",
    "UpdateParams",
    "CancelParams",
    "Pause",
    "Unpause",
    "RegisterNode",
    "UpdateNode, endpoint",
    "UpdateNode, stake",
    "Unbond",
    "Withdraw",
    "OpenSession",
    "TopUp",
    "CloseSession",
    "CloseSession, paying out",
    "CommitBatch",
    "PostBeacon",
    "Draw",
    "CommitVerdicts",
    "RevealVerdicts",
    "Tally",
    "Settle",
    "Settle, epoch open",
    "Settle, forfeiting",
    "Claim",
    "CommitFraud",
    "ProveFraud, epoch open",
    "ProveFraud, epoch paid",
    "ProveEquivocation",
    "Sweep",
];
/// Messages that concern more jurors where there are more, and the other two that change a stake.
const WIDER: [(&str, u32); 4] =
    [("Draw", 10), ("Tally", 10), ("RegisterNode", 1), ("ProveFraud, epoch paid", 1)];
/// The maps with an entry for each node.
const OF_NODE: [&str; 2] = ["node", "number"];

/// Where and of what it was measured.
pub struct Machine {
    processor: String,
    cores: usize,
    wasm_bytes: usize,
    wasm_digest: String,
}

impl Machine {
    pub fn here(parts: &ChainParts) -> Result<Self> {
        let processors = std::fs::read_to_string("/proc/cpuinfo").context("the processor is not known")?;
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let wasm = std::fs::read(&parts.contract)?;
        Ok(Self {
            processor: model.map_or("unknown", |(_, name)| name.trim()).to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            wasm_bytes: wasm.len(),
            wasm_digest: hex::encode(Sha256::digest(&wasm)),
        })
    }
}

/// Everything that was found.
pub fn print(
    machine: &Machine,
    (found, migrations): (&[Found], &[Reading]),
    limits: &[Limit],
) -> Result<String> {
    let mut text = String::new();
    let Machine { processor, cores, wasm_bytes, wasm_digest } = machine;
    writeln!(text, "Command: `scripts/gas`  ")?;
    writeln!(text, "Machine: {processor}, {cores} cores  ")?;
    writeln!(text, "Chain: wasmd {}, one validator  ", chain_version())?;
    writeln!(text, "Contract: {} bytes, SHA-256 `{wasm_digest}`\n", thousands(*wasm_bytes as u128))?;
    verdicts(&mut text, limits)?;
    messages(&mut text, found)?;
    sample(&mut text, found)?;
    contested(&mut text, limits::of(found, &CONTESTED)?)?;
    migrated(&mut text, migrations)?;
    by_nodes(&mut text, found)?;
    by_inferences(&mut text, found)?;
    state(&mut text, found)?;
    Ok(text)
}

fn gas(number: u64) -> String {
    thousands(number.into())
}

fn verdicts(text: &mut String, limits: &[Limit]) -> Result<()> {
    writeln!(text, "## Limits\n\n| limit | found | at most | |\n|---|--:|--:|---|")?;
    for limit in limits {
        let verdict = if limit.is_kept() { "OK" } else { "OVER" };
        writeln!(text, "| {} | {} | {} | {verdict} |", limit.what, gas(limit.found), gas(limit.most))?;
    }
    Ok(())
}

fn messages(text: &mut String, found: &[Found]) -> Result<()> {
    let (unpinned, pinned) = (limits::of(found, &UNPINNED)?, limits::of(found, &PINNED)?);
    let deep = limits::of(found, &BY_INFERENCES[BY_INFERENCES.len() - 1])?;
    let no_op = pinned.known("no-op", 1)?.gas;
    writeln!(text, "\n## Every message, four nodes\n")?;
    writeln!(
        text,
        "| message | items | bytes | gas, code unpinned | gas, pinned | over the no-op | an item |"
    )?;
    writeln!(text, "|---|--:|--:|--:|--:|--:|--:|")?;
    for message in ORDER.iter().copied() {
        let readings = pinned.readings.iter().chain(&deep.readings).filter(|r| r.message == message);
        let sizes: BTreeSet<u32> = readings.map(|reading| reading.items).collect();
        for items in sizes {
            let dearest = pinned.dearest(message, items).map_or_else(|| deep.known(message, items), Ok)?;
            let plain = unpinned.dearest(message, items).map(|reading| gas(reading.gas)).unwrap_or_default();
            let over = gas(dearest.gas.saturating_sub(no_op));
            let each = if items > 1 { gas(dearest.gas.div_ceil(items.into())) } else { String::new() };
            let (bytes, found) = (gas(dearest.bytes), gas(dearest.gas));
            writeln!(text, "| {message} | {items} | {bytes} | {plain} | {found} | {over} | {each} |")?;
        }
    }
    Ok(())
}

fn sample(text: &mut String, found: &[Found]) -> Result<()> {
    let (unpinned, pinned) = (limits::of(found, &UNPINNED)?, limits::of(found, &PINNED)?);
    writeln!(text, "\n## One sample at full pages\n")?;
    writeln!(text, "| message | of one sample | gas, code unpinned | gas, pinned |\n|---|---|--:|--:|")?;
    for share in &SHARES {
        let (plain, cheap) = (share.gas(unpinned)?, share.gas(pinned)?);
        let part = format!("{} of a page of {}", share.times, share.page);
        writeln!(text, "| {} | {part} | {} | {} |", share.message, gas(plain), gas(cheap))?;
    }
    let (plain, cheap) = (limits::sample(unpinned)?, limits::sample(pinned)?);
    writeln!(text, "| together | | {} | {} |", gas(plain), gas(cheap))?;
    Ok(())
}

/// What a second level costs beyond the first.
fn contested(text: &mut String, found: &Found) -> Result<()> {
    let nodes = found.plan.nodes;
    writeln!(text, "\n## The second level of a contested sample, {nodes} nodes, code pinned\n")?;
    writeln!(text, "| message | times | bytes | gas, the dearest | together |\n|---|--:|--:|--:|--:|")?;
    let mut sum = 0;
    for message in contested::MESSAGES {
        let dearest = found.known(message, 1)?;
        let readings = found.readings.iter().filter(|reading| reading.message == message);
        let all: Vec<u64> = readings.map(|reading| reading.gas).collect();
        let together: u64 = all.iter().sum();
        let (bytes, most) = (gas(dearest.bytes), gas(dearest.gas));
        writeln!(text, "| {message} | {} | {bytes} | {most} | {} |", all.len(), gas(together))?;
        sum += together;
    }
    writeln!(text, "| together | | | | {} |", gas(sum))?;
    Ok(())
}

/// What the takeover of a stored state costs, and the migration to the contract proper.
fn migrated(text: &mut String, migrations: &[Reading]) -> Result<()> {
    writeln!(text, "\n## Takeover of version 0.1.0, and migration\n")?;
    writeln!(text, "| message | entries of the old state | bytes | gas | an entry |\n|---|--:|--:|--:|--:|")?;
    for message in [takeover::TAKEOVER].into_iter().chain(takeover::MIGRATE) {
        let same = migrations.iter().filter(|reading| reading.message == message);
        let dearest = same.max_by_key(|reading| reading.gas);
        let Reading { items, bytes, gas: used, .. } =
            dearest.with_context(|| format!("no {message} was measured"))?;
        let each = if *items > 1 { gas(used.div_ceil((*items).into())) } else { String::new() };
        writeln!(text, "| {message} | {items} | {} | {} | {each} |", gas(*bytes), gas(*used))?;
    }
    Ok(())
}

/// One row for each message: what it used on each of these contracts.
fn series(text: &mut String, found: &[Found], plans: &[Plan; 3], rows: &[(&str, u32)]) -> Result<()> {
    for (message, items) in rows {
        write!(text, "| {message} | {items} |")?;
        for plan in plans {
            write!(text, " {} |", gas(limits::of(found, plan)?.known(message, *items)?.gas))?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn header(text: &mut String, plans: &[Plan; 3]) -> Result<()> {
    let names: Vec<&str> = plans.iter().map(|plan| plan.name).collect();
    writeln!(text, "| message | items | {} |\n|---|--:|--:|--:|--:|", names.join(" | "))?;
    Ok(())
}

fn by_nodes(text: &mut String, found: &[Found]) -> Result<()> {
    writeln!(text, "\n## Gas against the number of nodes of the model, code pinned\n")?;
    header(text, &BY_NODES)?;
    let single: Vec<(&str, u32)> = SINGLE.iter().map(|(message, items, _)| (*message, *items)).collect();
    series(text, found, &BY_NODES, &single)?;
    series(text, found, &BY_NODES, &WIDER)
}

fn by_inferences(text: &mut String, found: &[Found]) -> Result<()> {
    writeln!(text, "\n## Gas against the number of inferences of the batch, code pinned\n")?;
    header(text, &BY_INFERENCES)?;
    series(text, found, &BY_INFERENCES, &OF_BATCH)
}

fn state(text: &mut String, found: &[Found]) -> Result<()> {
    let world = limits::of(found, &PINNED)?;
    let Found { registered, judged, swept, .. } = world;
    let nodes = world.plan.nodes as u64;
    let big = limits::of(found, &BY_NODES[BY_NODES.len() - 1])?;
    writeln!(text, "\n## What the contract stores, keys and values in bytes\n")?;
    writeln!(text, "| of one | before Sweep | after |\n|---|--:|--:|")?;
    let node = registered.bytes(&OF_NODE).div_ceil(nodes);
    writeln!(text, "| node | {} | the same: a node that left may come back |", gas(node))?;
    let place = limits::place(big);
    writeln!(
        text,
        "| node's place in a stake table of {} | {} | the table in force stays |",
        big.plan.nodes,
        gas(place)
    )?;
    let juror = judged.of("j");
    writeln!(
        text,
        "| juror's earnings and attendance | {} | the same |",
        gas(each(juror.bytes, juror.entries))
    )?;
    for (name, map, maps) in [("sample", "s", &SAMPLE_MAPS), ("batch of one session", "batch", &BATCH_MAPS)] {
        let count = judged.of(map).entries;
        writeln!(text, "| {name} | {} | {} |", gas(each(judged.bytes(maps), count)), gas(swept.bytes(maps)))?;
    }
    let fought = limits::of(found, &CONTESTED)?;
    let maps = [&SAMPLE_MAPS[..], &CONTEST_MAPS[..]].concat();
    let (before, after) = (fought.judged.bytes(&maps), fought.swept.bytes(&maps));
    writeln!(text, "| contested sample, of 21 seats | {} | {} |", gas(before), gas(after))?;
    writeln!(text, "\n| map | nodes registered | judged and settled | swept |\n|---|--:|--:|--:|")?;
    let names: BTreeSet<&String> =
        [registered, judged, swept].into_iter().flat_map(|all| all.0.keys()).collect();
    for name in names {
        let held = |footprint: &Footprint| {
            let held = footprint.of(name);
            if held.entries == 0 {
                String::new()
            } else {
                format!("{} in {}", gas(held.bytes), held.entries)
            }
        };
        writeln!(text, "| `{name}` | {} | {} | {} |", held(registered), held(judged), held(swept))?;
    }
    let totals = [registered, judged, swept].map(|all| gas(all.total()));
    writeln!(text, "| all | {} |", totals.join(" | "))?;
    Ok(())
}

fn each(bytes: u64, entries: u64) -> u64 {
    bytes.checked_div(entries).unwrap_or(0)
}
