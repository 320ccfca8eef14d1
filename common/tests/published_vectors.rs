//! The published vectors are what this code gives, and what their generator writes.

#[macro_use]
mod vectors;
#[path = "vectors/generate/mod.rs"]
mod generate;
#[path = "vectors/published.rs"]
mod published;

use std::collections::BTreeSet;

#[test]
fn there_are_at_least_200_different_cases_of_each_kind() {
    for (name, cases) in published::published() {
        let different: BTreeSet<Vec<u8>> =
            cases.iter().map(|(case, _)| borsh::to_vec(case).expect("a case has bytes")).collect();
        assert!(different.len() >= 200, "{name}: {}", different.len());
    }
}

#[test]
fn every_published_outcome_is_the_one_computed() {
    for (name, cases) in published::published() {
        for (number, (case, expected)) in cases.iter().enumerate() {
            assert_eq!(case.outcome(), *expected, "{name}, case {number}");
        }
    }
}

#[test]
fn the_published_files_are_what_the_generator_writes() {
    for (name, text) in generate::files() {
        let path = published::path(name);
        let published = std::fs::read_to_string(&path).expect("the file is committed");
        assert!(
            published == text,
            "{} is not what the code gives: run `cargo run -p assay-common --example vectors` and look at the difference",
            path.display()
        );
    }
}

/// What must be among the outcomes of a file.
const REACHED: &[(&str, &[&str])] = &[
    (
        "artifact_bytes",
        &[
            "\"framed\":false",
            "\"broken\":null",
            "\"Sampling\"",
            "\"EmptyPrompt\"",
            "\"EmptyAnswer\"",
            "\"AnswerTooLong\"",
            "\"TokenOutsideVocabulary\"",
            "\"RowCount\"",
            "\"WrongToken\"",
            "\"WrongPosition\"",
            "\"TrailingBytes\"",
            "\"Truncated\"",
            "\"NotMinimal\"",
            "\"Overflow\"",
            "\"NotOrdered\"",
        ],
    ),
    (
        "fraud",
        &[
            "\"leaf\":null",
            "\"nothing\"",
            "\"replay\"",
            "\"malformed\"",
            "\"sampling\"",
            "\"finding\":\"request\"",
            "\"unknown sampler\"",
        ],
    ),
    ("equivocation", &["\"differs\":true", "\"differs\":false"]),
    ("probes", &["true", "false"]),
    (
        "verdicts",
        &[
            "\"unanimous\":true",
            "\"valid\"}",
            "\"fail_replay\"",
            "\"fail_distance\"",
            "\"fail_perplexity\"",
            "\"fail_end\"",
            "\"fail_request\"",
            "\"fail_voucher\"",
            "\"fail_malformed\"",
            "\"unavailable\"}",
            "\"inconclusive_quorum\"",
            "\"inconclusive_split\"",
        ],
    ),
    ("attendance", &["\"forfeits\":true", "\"forfeits\":false"]),
    ("time", &["\"expected\":null", "\"round\":\"1\""]),
    ("claims", &["\"expected\":null"]),
];

/// The shares of cases that show a rule, a filter or a difference at work; a vector that no mistake would fail proves nothing.
#[test]
fn the_cases_reach_every_rule_and_every_outcome() {
    let text = |name| std::fs::read_to_string(published::path(name)).expect("the file is committed");
    let rules = [
        "Truncated",
        "NotMinimal",
        "Overflow",
        "TrailingBytes",
        "TooManyEntries",
        "TooFewEntries",
        "OutsideVocabulary",
        "SurprisalTooLarge",
        "NotOrdered",
        "RepeatedToken",
        "ProbabilityAboveOne",
        "CutOutOfRange",
        "CutContradictsEntries",
    ];
    for rule in rules {
        assert!(text("leaf").contains(&format!("\"broken\":\"{rule}\"")), "{rule}");
    }
    let outcomes = [
        "\"matches\"",
        "\"differs: ",
        "\"cut differs: ",
        "\"malformed: WrongPosition\"",
        "\"parameters out of range\"",
    ];
    for outcome in outcomes {
        assert!(text("replay").contains(outcome), "{outcome}");
    }
    for outcome in ["\"expected\":true", "\"expected\":false"] {
        assert!(text("merkle_proof").matches(outcome).count() > 40, "{outcome}");
    }
    for (file, outcomes) in REACHED {
        for outcome in *outcomes {
            assert!(text(file).contains(outcome), "{file}: {outcome}");
        }
    }
}
