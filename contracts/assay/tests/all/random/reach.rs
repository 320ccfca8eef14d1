//! What a run has reached: accepted messages by kind, outcomes of samples, refusals by error.

use std::collections::BTreeMap;

use assay_common::msg::ExecuteMsg;
use assay_contract::error::ContractError;

#[derive(Clone, Debug, Default)]
pub struct Reach {
    pub sent: u64,
    pub accepted: BTreeMap<String, u64>,
    pub refused: BTreeMap<String, u64>,
    pub outcomes: BTreeMap<String, u64>,
    /// How epochs ended, and what proofs found.
    pub ends: BTreeMap<String, u64>,
}

/// Errors that no message of a sound chain meets, with the reason.
const OUT_OF_REACH: [(&str, &str); 11] = [
    ("ForeignState", "only a migration looks at whose state it is"),
    ("WrongVersion", "only a migration looks at the version"),
    ("WorkInFlight", "only the takeover of version 0.1.0"),
    ("StateTooLarge", "only the takeover of version 0.1.0"),
    ("CalibrationMissing", "only the takeover of version 0.1.0"),
    ("MigrationChanges", "only the takeover of version 0.1.0"),
    (
        "CalibrationGone",
        "a calibration is kept for as long as a batch that it judges; only a query asks for others",
    ),
    ("TooManyIds", "only a query asks for many things by their ids"),
    ("UnknownSampler", "a batch is of the one version of the sampler that there is"),
    ("ModelFull", "needs 512 nodes of one model: test_node"),
    ("Std", "the chain's own errors: counted as Address where they are about an address"),
];

/// All variants of the contract's errors, out of its source: a new one that no run meets fails the test.
const ERRORS: &str = include_str!("../../../src/error.rs");

pub const OUTCOMES: [&str; 11] = [
    "fail_distance",
    "fail_end",
    "fail_malformed",
    "fail_perplexity",
    "fail_replay",
    "fail_request",
    "fail_voucher",
    "inconclusive_quorum",
    "inconclusive_split",
    "unavailable",
    "valid",
];

/// Beside the outcomes of juries: samples of forfeited epochs, ends of epochs, findings of proofs, what befalls nodes, and what is kept
/// or rescued.
const ENDS: [&str; 17] = [
    "void",
    "paid",
    "forfeited by a jury",
    "forfeited by a jury that may not slash",
    "forfeited by a proof",
    "slashed after it was settled",
    "found replay",
    "found malformed",
    "found sampling",
    "found request",
    "found equivocation",
    "benched",
    "beacon rescued from a lost key",
    "batch kept for its accusers",
    "session kept for a batch",
    "seats held by a contest alone",
    "swept what tallies out of order had left",
];

/// The name of a value's variant, as its debug form begins.
pub fn variant(of: &impl std::fmt::Debug) -> String {
    let text = format!("{of:?}");
    text.chars().take_while(|c| c.is_alphanumeric()).collect()
}

impl Reach {
    pub fn note(&mut self, msg: &ExecuteMsg, answer: &Result<(), ContractError>) {
        self.sent += 1;
        let (counts, name) = match answer {
            Ok(()) => (&mut self.accepted, variant(msg)),
            Err(ContractError::Std { .. }) => (&mut self.refused, "Address".into()),
            Err(error) => (&mut self.refused, variant(error)),
        };
        *counts.entry(name).or_default() += 1;
    }

    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        let pairs = [
            (&mut self.accepted, &other.accepted),
            (&mut self.refused, &other.refused),
            (&mut self.outcomes, &other.outcomes),
            (&mut self.ends, &other.ends),
        ];
        for (to, from) in pairs {
            for (name, count) in from {
                *to.entry(name.clone()).or_default() += count;
            }
        }
    }

    pub fn print(&self) {
        let tables = [
            ("accepted", &self.accepted),
            ("refused", &self.refused),
            ("outcomes", &self.outcomes),
            ("ends", &self.ends),
        ];
        println!("{} messages", self.sent);
        for (title, counts) in tables {
            let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
            println!("{title}: {}", counts.join(", "));
        }
    }

    /// What should have been reached and was not: each message at least once in a thousand, everything else at all.
    pub fn missing(&self) -> Vec<String> {
        let rare = self.sent / 1_000;
        let mut missing = Vec::new();
        for kind in kinds() {
            let count = self.accepted.get(&kind).copied().unwrap_or(0);
            if count < rare {
                missing.push(format!("{kind}: accepted {count} times, {rare} expected"));
            }
        }
        let lacks = |counts: &BTreeMap<String, u64>, name: &str| !counts.contains_key(name);
        missing.extend(OUTCOMES.iter().filter(|name| lacks(&self.outcomes, name)).map(|n| (*n).into()));
        missing.extend(ENDS.iter().filter(|name| lacks(&self.ends, name)).map(|n| (*n).into()));
        let errors = errors().into_iter().filter(|error| OUT_OF_REACH.iter().all(|(name, _)| name != error));
        missing.extend(errors.filter(|error| lacks(&self.refused, error)));
        missing
    }
}

/// The kinds of messages, out of their schema.
fn kinds() -> Vec<String> {
    let schema = cosmwasm_schema::schema_for!(ExecuteMsg);
    let variants = schema.schema.subschemas.expect("an enum").one_of.expect("an enum");
    let names = variants.into_iter().flat_map(|variant| {
        let fields = variant.into_object().object.expect("a tagged variant").properties;
        fields.into_keys().collect::<Vec<_>>()
    });
    names.map(|name| camel(&name)).collect()
}

fn camel(snake: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    snake.split('_').map(word).collect()
}

fn errors() -> Vec<String> {
    let (_, body) = ERRORS.split_once("pub enum ContractError {").expect("the enum");
    let (body, _) = body.split_once("\n}").expect("its end");
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    let names = lines.filter(|line| line.starts_with(|c: char| c.is_uppercase()));
    names.map(|line| line.chars().take_while(|c| c.is_alphanumeric()).collect()).collect()
}

#[test]
fn the_errors_and_the_messages_are_read_out_of_their_definitions() {
    let (errors, kinds) = (errors(), kinds());
    assert!(errors.contains(&"Paused".into()) && errors.contains(&"NothingToClaim".into()), "{errors:?}");
    assert!(kinds.contains(&"ProveEquivocation".into()) && kinds.contains(&"Unpause".into()), "{kinds:?}");
    assert!(OUT_OF_REACH.iter().all(|(name, _)| errors.contains(&(*name).into())));
}
