//! Teacher forcing: one pass along tokens that are given, and the distribution behind each of them.

use std::ops::Range;

use assay_common::penalties::Penalties;

use super::penalties::Prefix;
use super::surprisal::{most_probable, Distribution};
use super::{Model, ModelError, Numerics};

/// Entries of [`ScoredPosition::top`], the number of most probable tokens that an artifact's row lists.
pub const TOP: usize = 20;

/// An answer's tokens behind their prompt.
#[derive(Clone, Copy, Debug)]
pub struct Forced<'a> {
    pub prompt: &'a [u32],
    pub tokens: &'a [u32],
    pub penalties: Penalties,
}

/// The distribution that predicts one generated token.
pub struct Row<'a> {
    /// 0 is the first token after the prompt.
    pub position: u32,
    /// The token that the caller says was generated there.
    pub token: u32,
    /// Surprisal in 1/256 bits, [vocabulary].
    pub surprisals: &'a [u32],
    /// Natural logarithm of the probabilities, [vocabulary].
    pub log_probs: &'a [f32],
}

/// One token of a distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    pub id: u32,
    /// In 1/256 bits.
    pub surprisal: u32,
    /// Natural logarithm of the probability.
    pub log_prob: f32,
}

/// One generated token under the model, beside the most probable ones.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredPosition {
    pub token: Scored,
    /// The [`TOP`] most probable, by (surprisal, id); the first is the argmax.
    pub top: Vec<Scored>,
}

/// The ids to feed, and the places in them whose hidden states predict the tokens.
pub(super) struct Fed {
    pub ids: Vec<u32>,
    pub positions: Range<usize>,
}

impl Row<'_> {
    /// The entry of one token.
    pub fn scored(&self, id: u32) -> Scored {
        Scored { id, surprisal: self.surprisals[id as usize], log_prob: self.log_probs[id as usize] }
    }

    /// The `k` most probable tokens, by (surprisal, id).
    pub fn top(&self, k: usize) -> Vec<Scored> {
        most_probable(self.surprisals, k).into_iter().map(|(_, id)| self.scored(id)).collect()
    }
}

impl Model {
    /// Teacher-forced prefill: hands `visit` the distribution behind every one of the tokens, in order, under penalties for
    /// the text before it.
    ///
    /// The vocabulary head, most of the cost, runs only on positions that predict one of the tokens.
    ///
    /// # Errors
    /// Ids outside the vocabulary, an empty prompt, a sequence beyond the context, and torch's own failures.
    pub fn score_with(
        &self,
        forced: &Forced<'_>,
        numerics: Numerics,
        visit: impl FnMut(Row<'_>),
    ) -> Result<(), ModelError> {
        self.score_from(forced, 0, numerics, visit)
    }

    /// As [`Model::score_with`], but the head runs and `visit` is called only from position `first` on.
    ///
    /// # Errors
    /// As [`Model::score_with`].
    pub fn score_from(
        &self,
        forced: &Forced<'_>,
        first: usize,
        numerics: Numerics,
        mut visit: impl FnMut(Row<'_>),
    ) -> Result<(), ModelError> {
        let Some(Fed { ids, positions }) = self.fed(forced)? else { return Ok(()) };
        let (known, scored) = forced.tokens.split_at(first.min(forced.tokens.len()));
        let _no_grad = tch::no_grad_guard();
        let hidden = self.gemma.prefill(&ids, positions.start + known.len()..positions.end, numerics)?;
        let mut distribution = Distribution::default();
        let mut prefix = Prefix::new(forced.penalties, forced.prompt);
        prefix.extend(known);
        self.each_row(&hidden, |index, logits| {
            let mut logits = numerics.signed(logits)?;
            let token = scored[index];
            prefix.penalise(&mut logits)?;
            prefix.push(token);
            distribution.fill_both(logits)?;
            let Distribution { surprisals, log_probs, .. } = &distribution;
            visit(Row { position: (known.len() + index) as u32, token, surprisals, log_probs });
            Ok(())
        })
    }

    /// What the reference pass says of each of `tokens` after `prompt` without penalties, with the [`TOP`] most probable
    /// beside it.
    pub fn score(&self, prompt: &[u32], tokens: &[u32]) -> Result<Vec<ScoredPosition>, ModelError> {
        let mut scores = Vec::with_capacity(tokens.len());
        let forced = Forced { prompt, tokens, penalties: Penalties::NONE };
        self.score_with(&forced, self.reference(), |row| {
            scores.push(ScoredPosition { token: row.scored(row.token), top: row.top(TOP) });
        })?;
        Ok(scores)
    }

    /// What to feed, checked; `None` without tokens.
    pub(super) fn fed(&self, forced: &Forced<'_>) -> Result<Option<Fed>, ModelError> {
        self.check(forced.prompt, forced.tokens.len())?;
        self.check_ids(forced.tokens)?;
        let Some((_, fed)) = forced.tokens.split_last() else { return Ok(None) };
        let ids = [forced.prompt, fed].concat();
        Ok(Some(Fed { positions: forced.prompt.len() - 1..ids.len(), ids }))
    }
}
