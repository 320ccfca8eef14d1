//! Prompts: beginnings of texts in several genres and languages, one a line, for a base model to go on with.
//!
//! The file is in order of genre. Every fourth prompt calibrates the judge, the requester asks the others: what is judged
//! was never calibrated on.

use crate::preset;

const FILE: &str = include_str!("../prompts.txt");

/// One prompt in so many is for the calibration.
const CALIBRATION_SHARE: usize = 4;

fn all() -> impl Iterator<Item = (usize, &'static str)> {
    FILE.lines().filter(|line| !line.is_empty()).enumerate()
}

/// The prompts that the judge is calibrated on, as `assayd calibrate --prompts` reads them.
pub fn for_calibration() -> String {
    let chosen = all().filter(|(number, _)| number % CALIBRATION_SHARE == CALIBRATION_SHARE - 1);
    chosen.map(|(_, prompt)| format!("{prompt}\n")).collect()
}

fn for_requests() -> Vec<&'static str> {
    let others = all().filter(|(number, _)| number % CALIBRATION_SHARE != CALIBRATION_SHARE - 1);
    others.map(|(_, prompt)| prompt).collect()
}

/// The requester's prompts for batch number `batch`, beginning anew after the last.
pub fn of_batch(batch: usize) -> Vec<&'static str> {
    let prompts = for_requests();
    let first = batch * preset::INFERENCES % prompts.len();
    prompts.into_iter().cycle().skip(first).take(preset::INFERENCES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_requester_has_at_least_120_and_no_two_are_alike() {
        let distinct: BTreeSet<&str> = all().map(|(_, prompt)| prompt).collect();
        assert_eq!(distinct.len(), all().count());
        assert!(for_requests().len() >= 120, "{}", for_requests().len());
    }

    #[test]
    fn no_prompt_is_both_calibrated_on_and_asked() {
        let calibration = for_calibration();
        let calibration: BTreeSet<&str> = calibration.lines().collect();
        assert!(calibration.len() >= assay_common::judge::MIN_RUNS);
        assert!(for_requests().iter().all(|prompt| !calibration.contains(prompt)));
    }

    #[test]
    fn the_batches_of_two_epochs_ask_different_prompts_and_later_ones_begin_anew() {
        let asked: Vec<&str> = (0..8).flat_map(of_batch).collect();
        assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), asked.len());
        assert_eq!(of_batch(for_requests().len()), of_batch(0));
    }
}
