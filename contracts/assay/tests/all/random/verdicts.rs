//! What jurors think, commit to and show.

use assay_common::digest::sha256;
use assay_common::ids::Window;
use assay_common::msg::{ExecuteMsg, SampleKey};
use assay_common::verdict::{
    AbstainReason, InvalidReason, Outcome, Score, UnavailableReason, Verdict, VerdictPage,
};
use cosmwasm_std::Addr;

use super::chain::Chain;
use crate::model::PageKey;
use crate::suite::*;

const REASONS: [InvalidReason; 6] = [
    InvalidReason::Replay,
    InvalidReason::Distance,
    InvalidReason::Perplexity,
    InvalidReason::End,
    InvalidReason::Request,
    InvalidReason::Voucher,
];

impl Chain {
    /// A number that the chain's seed and these parts give, the same whenever it is asked.
    fn fate(&self, parts: &[u64]) -> u64 {
        let mut bytes = self.seed.to_be_bytes().to_vec();
        parts.iter().for_each(|part| bytes.extend(part.to_be_bytes()));
        u64::from_be_bytes(sha256(&[&bytes])[..8].try_into().expect("eight bytes"))
    }

    /// What is the matter with a sample: every third node cheats often, the others seldom.
    fn truth(&self, key: SampleKey) -> Outcome {
        let executor = &self.world.batches[&key.batch].executor;
        let cheats = self.world.nodes[executor].number.is_multiple_of(3);
        let fate = self.fate(&[key.batch.0, key.draw.into()]);
        match fate % 100 {
            0..=6 => Outcome::Unavailable { reason: UnavailableReason::Absent },
            7..=8 => Outcome::Malformed,
            9..=12 => Outcome::Invalid { reason: REASONS[(fate >> 32) as usize % 6] },
            13..=70 if cheats => Outcome::Invalid { reason: REASONS[(fate >> 32) as usize % 6] },
            _ => VALID,
        }
    }

    /// What a juror says: the truth mostly; of some samples everybody thinks something else.
    fn opinion(&self, juror: u32, key: SampleKey) -> Outcome {
        let fate = self.fate(&[key.batch.0, key.draw.into(), juror.into()]);
        let confusing = self.fate(&[key.batch.0, key.draw.into(), 7, 7]) % 12;
        let other = [
            VALID,
            VALID,
            Outcome::Invalid { reason: REASONS[(fate >> 32) as usize % 6] },
            Outcome::Unavailable { reason: UnavailableReason::Mismatch },
            Outcome::Malformed,
        ];
        match fate % 100 {
            0..=3 => Outcome::Inconclusive { reason: AbstainReason::NoModel },
            4..=7 => other[(fate >> 16) as usize % 5],
            // Half of the jury is of one mind, half of the other: a split; or most of it abstains.
            _ if confusing == 0 => [VALID, Outcome::Malformed][(fate >> 16) as usize % 2],
            _ if confusing == 1 && (fate >> 16) % 10 < 4 => {
                Outcome::Inconclusive { reason: AbstainReason::Recompute }
            }
            _ => self.truth(key),
        }
    }

    fn verdict_of(&self, juror: u32, key: SampleKey, levels: usize) -> Verdict {
        let outcome = self.opinion(juror, key);
        let fate = self.fate(&[key.batch.0, key.draw.into(), juror.into(), 1]);
        let base = if fate.is_multiple_of(25) { 5_000 } else { 100 };
        let probe = |place: u64| base + u16::try_from(fate.rotate_left(place as u32 * 5) % 7).expect("small");
        let tokens = [1, 9, 40, 300, 512][self.fate(&[key.batch.0, key.draw.into(), 3]) as usize % 5];
        let score = Score {
            bin: u8::try_from((fate >> 8) % 4).expect("small"),
            tokens: tokens + u32::try_from(fate % 3).expect("small"),
            probes: (0..8 * levels as u64).map(probe).collect(),
        };
        Verdict { batch: key.batch, draw: key.draw, outcome, score: outcome.needs_score().then_some(score) }
    }

    /// Whether a juror never commits to this page, and whether it never shows it; one node stays away for days.
    fn laziness(&self, (juror, window, page): PageKey) -> (bool, bool) {
        let fate = self.fate(&[juror.into(), window, page.into(), 9, 9]) % 100;
        let away = u64::from(juror) == 1 + self.seed % 8 && window / 16 % 2 == 1;
        (away || fate < 4, fate >= 95)
    }

    /// Pages of the last two windows that their jurors have not committed to and mean to.
    pub fn uncommitted(&self) -> Vec<PageKey> {
        let now = self.window();
        let open = self.world.assignments.keys().filter(|(_, window, _)| *window == now || window + 1 == now);
        open.filter(|key| !self.world.commitments.contains_key(*key))
            .filter(|key| !self.laziness(**key).0 && self.is_here(key.0))
            .copied()
            .collect()
    }

    /// Pages that can be shown now.
    pub fn unrevealed(&self) -> Vec<PageKey> {
        let Some(window) = self.window().checked_sub(2) else { return Vec::new() };
        let committed =
            self.world.commitments.iter().filter(|((_, of, _), (_, revealed))| *of == window && !revealed);
        let pages = committed.map(|(key, _)| *key);
        pages
            .filter(|key| !self.laziness(*key).1 && self.is_here(key.0) && self.pages.contains_key(key))
            .collect()
    }

    fn is_here(&self, juror: u32) -> bool {
        !self.world.nodes[&self.world.numbers[juror as usize]].has_left()
    }

    pub fn juror(&self, key: &PageKey) -> Addr {
        Addr::unchecked(&self.world.numbers[key.0 as usize])
    }

    /// A page as its juror fills it in.
    pub fn filled_page(&self, (juror, window, page): PageKey) -> VerdictPage {
        let keys = self.world.assignments.get(&(juror, window, page)).cloned().unwrap_or_default();
        let verdicts = keys.into_iter().map(|key| {
            let first = self.world.batches[&key.batch].samples[key.draw as usize].window;
            self.verdict_of(juror, key, if first.0 == window { 1 } else { 2 })
        });
        VerdictPage {
            juror: self.world.numbers[juror as usize].clone(),
            window: Window(window),
            page,
            verdicts: verdicts.collect(),
        }
    }

    pub fn commit_page(&mut self, key: PageKey) {
        let mut page = self.filled_page(key);
        if self.dice.percent(5) {
            self.bend_page(key, &mut page);
        }
        let juror = self.juror(&key);
        let msg = self.suite.committing_page(&juror, &page);
        if self.send(&juror, msg, 0) {
            self.pages.insert(key, page);
        }
    }

    pub fn reveal_page(&mut self, key: PageKey) {
        let Some(page) = self.pages.get(&key).cloned() else { return };
        let juror = self.juror(&key);
        if !self.send(&juror, revealing(&juror, page), 0) {
            // Nothing else opens it: this juror stays silent.
            self.pages.remove(&key);
        }
    }

    /// A mistake that only the reveal shows.
    fn bend_page(&mut self, (juror, window, number): PageKey, page: &mut VerdictPage) {
        let Some(first) = page.verdicts.first().cloned() else { return };
        match self.dice.below(9) {
            0 => page.verdicts.push(first),
            1 => page.verdicts.clear(),
            2 => page.verdicts[0].draw += 1_000,
            3 => page.verdicts[0].score = first.score.xor(Some(score_of(8))),
            4 => page.verdicts[0].score = first.score.map(|_| score_of(3)),
            // One of another page, one of another window, one of another juror.
            5..=7 => {
                let other = self.world.assignments.iter().filter(|((of, drawn, page), _)| {
                    let is_own = *of == juror && (*drawn, *page) != (window, number);
                    let is_near = if is_own { drawn.abs_diff(window) < 6 } else { *drawn == window };
                    (is_own || *of != juror) && is_near
                });
                let other: Vec<SampleKey> = other.flat_map(|(_, keys)| keys).copied().collect();
                let Some(SampleKey { batch, draw }) = self.dice.pick(&other).copied() else { return };
                (page.verdicts[0].batch, page.verdicts[0].draw) = (batch, draw);
            }
            _ => {
                page.verdicts.truncate(1);
            }
        }
    }
}

fn score_of(probes: usize) -> Score {
    Score { bin: 0, tokens: 5, probes: vec![1; probes] }
}

impl Chain {
    /// A reveal that is refused for what it is itself, not for what its page holds.
    pub fn wrong_reveal(&mut self) {
        let keys: Vec<PageKey> = self.pages.keys().copied().collect();
        let now = self.window();
        let recent: Vec<PageKey> = keys.into_iter().filter(|(_, window, _)| window + 4 > now).collect();
        let Some(key) = self.dice.pick(&recent).copied() else { return };
        let (juror, page) = (self.juror(&key), self.pages[&key].clone());
        let mut msg = revealing(&juror, page);
        if let ExecuteMsg::RevealVerdicts { page, salt, verdicts, .. } = &mut msg {
            match self.dice.below(5) {
                0 => *salt = vec![1; 31].into(),
                1 => *salt = vec![1; 32].into(),
                2 => *page += 50,
                3 => verdicts.clear(),
                _ => {}
            }
        }
        self.send(&juror, msg, 0);
    }

    /// The same for a commitment.
    pub fn wrong_commitment(&mut self) {
        let keys: Vec<PageKey> = self.world.assignments.keys().copied().collect();
        let now = self.window();
        let recent: Vec<PageKey> = keys.into_iter().filter(|(_, window, _)| window + 3 > now).collect();
        let Some(mut key) = self.dice.pick(&recent).copied() else { return };
        match self.dice.below(4) {
            0 => key.2 += 20,
            1 => key.1 += self.dice.between(1, 3),
            2 => key.0 = u32::try_from(self.dice.below(self.world.numbers.len() as u64)).expect("few"),
            _ if self.dice.percent(90) && !self.world.commitments.contains_key(&key) => return,
            _ => {}
        }
        let juror = self.juror(&key);
        let hash = super::deeds::digest(self.dice.number());
        let msg = ExecuteMsg::CommitVerdicts { window: Window(key.1), page: key.2, hash };
        // A commitment that nothing can open, where it is accepted: a juror who then keeps silent.
        self.send(&juror, msg, 0);
    }
}
