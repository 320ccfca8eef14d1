//! The laboratory's prompts: beginnings of texts of many kinds, one a line, in three parts that no prompt shares.
//!
//! Blocks between blank lines are genres: stories, essays, letters, law, code in several languages, tables and JSON, mathematics,
//! dialogue, news, verse, and texts in more than twenty languages, of three words to about 190. Every genre is spread evenly over the parts.

use std::collections::BTreeMap;

use assay_common::digest::tagged;
use serde::{Deserialize, Serialize};

/// The file; its lines are numbered from 0, blank ones too.
pub const TEXT: &str = include_str!("prompts.txt");

/// What a prompt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// The scorer is fitted here, and cells are measured.
    Calibration,
    /// Thresholds are set here.
    Development,
    /// What is reported was measured here.
    Test,
}

impl Split {
    pub fn name(self) -> &'static str {
        match self {
            Split::Calibration => "calibration",
            Split::Development => "development",
            Split::Test => "test",
        }
    }
}

/// One line of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prompt<'a> {
    /// Its line's.
    pub number: u64,
    pub text: &'a str,
}

/// The prompts of a part, in an order that is random and always the same: the first so many of them are a fair sample.
pub fn of_split(text: &str, split: Split) -> Vec<Prompt<'_>> {
    let lines = (0u64..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let parts = [Split::Calibration, Split::Development, Split::Test].into_iter().cycle();
    let own = lines.zip(parts).filter(|(_, part)| *part == split);
    let shuffled: BTreeMap<[u8; 32], Prompt<'_>> =
        own.map(|((number, text), _)| (tagged("trace-order", &number), Prompt { number, text })).collect();
    shuffled.into_values().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ALL: [Split; 3] = [Split::Calibration, Split::Development, Split::Test];

    #[test]
    fn every_prompt_is_in_one_part_and_the_parts_are_alike_in_size_and_genre() {
        let parts = ALL.map(|split| of_split(TEXT, split));
        let numbers: BTreeSet<u64> = parts.iter().flatten().map(|prompt| prompt.number).collect();
        let texts: BTreeSet<&str> = parts.iter().flatten().map(|prompt| prompt.text).collect();
        let all = TEXT.lines().filter(|line| !line.is_empty()).count();
        assert!(all >= 300 && numbers.len() == all && texts.len() == all, "{all}");
        let mut first = 0u64;
        for genre in TEXT.split("\n\n") {
            let lines = first..first + genre.lines().count() as u64;
            first = lines.end + 1;
            let counts =
                parts.clone().map(|part| part.iter().filter(|prompt| lines.contains(&prompt.number)).count());
            let (least, most) = (counts.iter().min(), counts.iter().max());
            assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{counts:?}: {genre}");
        }
    }

    #[test]
    fn a_smaller_sample_is_part_of_a_larger_one_and_half_of_it_has_even_numbers() {
        let part = of_split(TEXT, Split::Calibration);
        let even = part.iter().take(60).filter(|prompt| prompt.number % 2 == 0).count();
        assert!((20..=40).contains(&even), "{even}");
        assert!(part.windows(2).any(|pair| pair[0].number > pair[1].number));
    }

    #[test]
    fn lengths_and_languages_are_many() {
        let words: Vec<usize> = TEXT.lines().map(|line| line.split_whitespace().count()).collect();
        assert!(
            words.iter().any(|count| *count > 150) && words.iter().filter(|count| **count > 90).count() > 8
        );
        for script in ['光', 'む', '옛', 'ك', 'ש', 'З', 'Μ', 'भ', 'ก', 'ğ'] {
            assert!(TEXT.contains(script), "{script}");
        }
    }
}
