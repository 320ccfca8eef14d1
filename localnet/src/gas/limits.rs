//! The limits that the costs must keep, and whether they do.

use anyhow::{ensure, Context, Result};

use super::plan::{Plan, BY_INFERENCES, BY_NODES, CONTESTED, PINNED, UNPINNED};
use super::tour::Found;
use super::world::Reading;

/// Gas of a sample's share of all messages that it needs, at full pages.
const SAMPLE: u64 = 60_000;
/// Gas of a proof of a false replay, beyond what a call costs that does nothing.
const REPLAY_PROOF: u64 = 40_000;
/// Bytes of a stake table that are read for each node, and what the chain asks for reading one.
const TABLE_BYTES: u64 = 16;
const GAS_OF_BYTE_READ: u64 = 3;
/// Gas by which two messages of the same form differ: longer numbers, another digit, a longer path.
const NOISE: u64 = 4_000;

/// A juror's verdicts on one page, and the seats of a jury.
const VERDICTS: u32 = 50;
const SEATS: u64 = 3;

/// The messages of a batch's way, of a single sample or inference, and those that change a stake; whether they may grow by
/// what is read of the stake table.
pub const SINGLE: [(&str, u32, bool); 9] = [
    ("CommitBatch", 1, false),
    ("PostBeacon", 1, false),
    ("Draw", 1, true),
    ("CommitVerdicts", 1, false),
    ("RevealVerdicts", 1, false),
    ("Tally", 1, false),
    ("Settle", 1, false),
    ("UpdateNode, stake", 1, true),
    ("Unbond", 1, true),
];
/// The messages that may cost more where a batch holds more inferences.
pub const OF_BATCH: [(&str, u32); 8] = [
    ("CommitBatch", 1),
    ("Draw", 10),
    ("CommitVerdicts", 10),
    ("RevealVerdicts", 10),
    ("Tally", 10),
    ("Settle, epoch open", 10),
    ("ProveFraud, epoch open", 1),
    ("Settle, forfeiting", 1),
];
/// Of a batch of 65,536 leaves the path is ten hashes longer than of one of 100; each is 43 bytes of the transaction, at
/// ten gas a byte, and is hashed.
const LONGER_PATH: u64 = 10 * 43 * 10;

/// Those that say which samples are contested; empty as soon as all are closed.
pub const CONTEST_MAPS: [&str; 2] = ["contested", "contested_drawn"];
/// The maps that hold samples and their seats, and those that hold batches and say what is due of them.
pub const SAMPLE_MAPS: [&str; 4] = ["s", "a", "n", "c"];
pub const BATCH_MAPS: [&str; 4] = ["batch", "epoch_batch", "undrawn", "untallied"];

/// Those of the stake tables.
const TABLE_MAPS: [&str; 2] = ["table", "leaf"];

/// One limit.
pub struct Limit {
    pub what: String,
    pub found: u64,
    pub most: u64,
}

impl Limit {
    pub fn is_kept(&self) -> bool {
        self.found <= self.most
    }
}

impl Found {
    /// The one that used the most of all messages of so many items.
    pub fn dearest(&self, message: &str, items: u32) -> Option<&Reading> {
        let same = self.readings.iter().filter(|r| r.message == message && r.items == items);
        same.max_by_key(|reading| reading.gas)
    }

    /// # Errors
    /// It was not measured.
    pub fn known(&self, message: &str, items: u32) -> Result<&Reading> {
        let name = self.plan.name;
        self.dearest(message, items).with_context(|| format!("{name}: no {message} of {items} was measured"))
    }
}

pub fn of<'a>(found: &'a [Found], plan: &Plan) -> Result<&'a Found> {
    let name = plan.name;
    found.iter().find(|found| found.plan.name == name).with_context(|| format!("nothing was found of {name}"))
}

/// A message of a sample's way at full pages: how many of it a sample needs, over how many samples it is shared.
pub struct Share {
    pub message: &'static str,
    pub times: u64,
    pub page: u32,
}

pub const SHARES: [Share; 5] = [
    Share { message: "Draw", times: 1, page: 100 },
    Share { message: "CommitVerdicts", times: SEATS, page: VERDICTS },
    Share { message: "RevealVerdicts", times: SEATS, page: VERDICTS },
    Share { message: "Tally", times: 1, page: 100 },
    Share { message: "Settle", times: 1, page: 200 },
];

impl Share {
    /// Gas of one sample, rounded up.
    pub fn gas(&self, found: &Found) -> Result<u64> {
        let page = found.known(self.message, self.page)?.gas;
        Ok((self.times * page).div_ceil(u64::from(self.page)))
    }
}

/// Gas of one sample in all messages together.
pub fn sample(found: &Found) -> Result<u64> {
    SHARES.iter().map(|share| share.gas(found)).sum()
}

/// All of them.
pub fn check(found: &[Found]) -> Result<Vec<Limit>> {
    let mut limits = Vec::new();
    for plan in [PINNED, UNPINNED] {
        let what = format!("one sample at full pages, code {}", plan.name);
        limits.push(Limit { what, found: sample(of(found, &plan)?)?, most: SAMPLE });
    }
    let no_op = of(found, &PINNED)?.known("no-op", 1)?.gas;
    for plan in BY_INFERENCES {
        let proof = of(found, &plan)?.known("ProveFraud, epoch open", 1)?.gas;
        let what = format!("proof of a false replay in a batch of {}, over the no-op", plan.name);
        limits.push(Limit { what, found: proof.saturating_sub(no_op), most: REPLAY_PROOF });
    }
    let left = [PINNED, CONTESTED].map(|plan| {
        let swept = &of(found, &plan)?.swept;
        Ok(swept.bytes(&SAMPLE_MAPS) + swept.bytes(&BATCH_MAPS) + swept.bytes(&CONTEST_MAPS))
    });
    let left = left.into_iter().sum::<Result<u64>>()?;
    limits.push(Limit { what: "bytes left of swept samples and batches".into(), found: left, most: 0 });
    limits.extend(by_nodes(found)?);
    limits.extend(by_inferences(found)?);
    Ok(limits)
}

/// Bytes of one node in the stake table, keys and all, rounded up.
pub fn place(found: &Found) -> u64 {
    found.registered.bytes(&TABLE_MAPS).div_ceil(found.plan.nodes as u64)
}

fn by_nodes(found: &[Found]) -> Result<Vec<Limit>> {
    let [few, .., many] = BY_NODES;
    let (few, many) = (of(found, &few)?, of(found, &many)?);
    let more = (many.plan.nodes - few.plan.nodes) as u64;
    let tables = many.registered.of("table").entries;
    ensure!(tables == 1, "{tables} tables of one model");
    let mut limits = vec![Limit {
        what: "bytes of the stake table, a node".into(),
        found: place(many),
        most: TABLE_BYTES,
    }];
    for (message, items, reads_table) in SINGLE {
        let grown = many.known(message, items)?.gas.saturating_sub(few.known(message, items)?.gas);
        let read = if reads_table { more * TABLE_BYTES * GAS_OF_BYTE_READ } else { 0 };
        let what = format!("{message} of {items}: growth from {} to {}", few.plan.name, many.plan.name);
        limits.push(Limit { what, found: grown, most: NOISE + read });
    }
    Ok(limits)
}

fn by_inferences(found: &[Found]) -> Result<Vec<Limit>> {
    let [few, .., many] = BY_INFERENCES;
    let (few, many) = (of(found, &few)?, of(found, &many)?);
    let grown = |(message, items): (&str, u32)| -> Result<Limit> {
        let found = many.known(message, items)?.gas.saturating_sub(few.known(message, items)?.gas);
        let path = if message.starts_with("ProveFraud") { LONGER_PATH } else { 0 };
        let what =
            format!("{message} of {items}: growth from {} to {} inferences", few.plan.name, many.plan.name);
        Ok(Limit { what, found, most: NOISE + path })
    };
    OF_BATCH.into_iter().map(grown).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::gas::footprint::Footprint;

    fn found(readings: &[(&'static str, u32, u64)]) -> Found {
        let reading =
            |&(message, items, gas): &(&'static str, u32, u64)| Reading { message, items, bytes: 0, gas };
        let nothing = Footprint::default;
        Found {
            plan: PINNED,
            readings: readings.iter().map(reading).collect(),
            registered: nothing(),
            judged: nothing(),
            swept: nothing(),
        }
    }

    #[test]
    fn a_sample_bears_its_share_of_a_full_page_of_each_message_and_of_three_jurors_pages() {
        let pages = [
            ("Draw", 100, 100_000),
            ("CommitVerdicts", 50, 50_000),
            ("RevealVerdicts", 50, 500_000),
            ("Tally", 100, 100_001),
            ("Settle", 200, 400_000),
            ("Settle", 10, 9),
        ];
        assert_eq!(sample(&found(&pages)).unwrap(), 1_000 + 3_000 + 30_000 + 1_001 + 2_000);
        let error = sample(&found(&pages[..2])).unwrap_err().to_string();
        assert_eq!(error, "pinned: no RevealVerdicts of 50 was measured");
    }

    #[test]
    fn of_several_messages_of_one_size_the_dearest_counts() {
        let claims = found(&[("Claim", 1, 7), ("Claim", 1, 9), ("Claim", 1, 8), ("Claim", 2, 90)]);
        assert_eq!(claims.dearest("Claim", 1).map(|claim| claim.gas), Some(9));
        assert_eq!(claims.dearest("Claim", 3), None);
    }

    #[test]
    fn a_limit_is_kept_up_to_the_last_unit() {
        let limit = |found| Limit { what: String::new(), found, most: SAMPLE };
        assert!(limit(60_000).is_kept() && !limit(60_001).is_kept());
    }
}
