//! Where the filters end, and how far rounding may move that: an honest executor and its judge may differ there by a step.
//!
//! Executor and validator compute the same distribution with other roundings. Where top-k, top-p, min-p or the cap on
//! candidates falls between two nearly equal cases, each is right; a requester could even look for such a case to frame an
//! executor. So what lies within [`SLACK_PPM`] or [`SLACK`] of the edge never counts against anybody.

use crate::row::{Entry, Surprisal};
use crate::sampler::{kept, SamplingParams};

/// By how much top-p and min-p are loosened and tightened: the share that 1/256 bit is of a probability, 0.27 %.
const SLACK_PPM: u32 = 2_700;
/// Surprisals this near each other may change places, 1/256 bit.
const SLACK: u32 = 2;
/// Candidates looked at beyond the cap.
pub const REACH: usize = 64;

/// The validator's candidates with the range in which the filters may end.
pub struct Edge<'a> {
    candidates: &'a [Entry],
    least: usize,
    own: usize,
    most: usize,
}

impl<'a> Edge<'a> {
    /// `candidates` are the validator's, ordered, with up to [`REACH`] more than the cap; `sampling` is in range.
    pub fn new(candidates: &'a [Entry], sampling: &SamplingParams) -> Self {
        let tight = SamplingParams {
            top_p_ppm: match sampling.top_p_ppm {
                1_000_000 => 1_000_000,
                share => share.saturating_sub(SLACK_PPM).max(1),
            },
            min_p_ppm: if sampling.min_p_ppm == 0 { 0 } else { moved(sampling.min_p_ppm, SLACK_PPM) },
            ..*sampling
        };
        let loose = SamplingParams {
            top_p_ppm: sampling.top_p_ppm.saturating_add(SLACK_PPM).min(1_000_000),
            min_p_ppm: sampling.min_p_ppm.saturating_sub(SLACK_PPM.min(sampling.min_p_ppm / 100)),
            ..*sampling
        };
        let own = kept(candidates, sampling);
        Self {
            candidates,
            least: before_ties(candidates, kept(candidates, &tight).min(own)),
            own,
            most: past_ties(candidates, kept(candidates, &loose).max(own)),
        }
    }

    /// Candidates that the filters keep whatever the rounding.
    pub fn surely_kept(&self) -> &'a [Entry] {
        &self.candidates[..self.least]
    }

    /// Candidates that the filters keep under some rounding.
    pub fn perhaps_kept(&self) -> &'a [Entry] {
        &self.candidates[..self.most]
    }

    /// What a signed cut is compared with: the same candidate where the filters may end there, the validator's own cut else.
    pub fn own_cut(&self, signed: &Entry) -> Option<&'a Entry> {
        let range = self.least.saturating_sub(1)..self.most;
        let same = self.candidates[range].iter().find(|entry| entry.token == signed.token);
        same.or_else(|| self.candidates[..self.own].last())
    }
}

/// A share moved up by at most a hundredth of itself.
fn moved(ppm: u32, slack: u32) -> u32 {
    ppm.saturating_add(slack.min(ppm / 100).max(1)).min(1_000_000)
}

/// The prefix without the candidates that the first one beyond it ties with; at least one.
fn before_ties(candidates: &[Entry], prefix: usize) -> usize {
    let Some(beyond) = candidates.get(prefix) else { return prefix };
    let ties = |entry: &&Entry| entry.surprisal.0.saturating_add(SLACK) >= beyond.surprisal.0;
    let tied = candidates[..prefix].iter().rev().take_while(ties).count();
    prefix.saturating_sub(tied).max(1).min(prefix)
}

/// The prefix with the candidates beyond it that tie with its last one.
fn past_ties(candidates: &[Entry], prefix: usize) -> usize {
    let last = prefix.checked_sub(1).and_then(|last| candidates.get(last));
    let Some(Surprisal(last)) = last.map(|entry| entry.surprisal) else { return prefix };
    let ties = |entry: &&Entry| entry.surprisal.0 <= last.saturating_add(SLACK);
    prefix.saturating_add(candidates[prefix..].iter().take_while(ties).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::TokenId;

    fn entries(surprisals: &[u32]) -> Vec<Entry> {
        let entry = |(token, surprisal): (u32, &u32)| Entry {
            surprisal: Surprisal(*surprisal),
            token: TokenId(token),
        };
        (0u32..).zip(surprisals).map(entry).collect()
    }

    fn sampling(top_k: u32, top_p_ppm: u32, min_p_ppm: u32) -> SamplingParams {
        SamplingParams { top_k, top_p_ppm, min_p_ppm, ..SamplingParams::OPEN }
    }

    #[test]
    fn without_filters_everything_is_surely_kept() {
        let own = entries(&[256, 512, 768, 1_024]);
        let edge = Edge::new(&own, &sampling(0, 1_000_000, 0));
        assert_eq!((edge.surely_kept().len(), edge.perhaps_kept().len()), (4, 4));
    }

    #[test]
    fn a_tie_at_the_edge_of_top_k_counts_for_the_executor() {
        let own = entries(&[100, 500, 501, 900]);
        let edge = Edge::new(&own, &sampling(2, 1_000_000, 0));
        assert_eq!((edge.surely_kept().len(), edge.perhaps_kept().len()), (1, 3));
        let clear = Edge::new(&own, &sampling(3, 1_000_000, 0));
        assert_eq!((clear.surely_kept().len(), clear.perhaps_kept().len()), (3, 3));
    }

    #[test]
    fn a_share_that_reaches_top_p_by_a_hair_may_end_on_either_side() {
        // Probabilities ½, ¼, ⅛, 1/16: the first two reach 0.8 of 15/16 exactly.
        let own = entries(&[256, 512, 768, 1_024]);
        let edge = Edge::new(&own, &sampling(0, 800_000, 0));
        assert_eq!((edge.surely_kept().len(), edge.perhaps_kept().len()), (2, 3));
        assert_eq!(edge.own_cut(&own[2]), Some(&own[2]));
        assert_eq!(edge.own_cut(&own[3]), Some(&own[1]));
    }
}
