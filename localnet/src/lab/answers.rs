//! Answers of an engine outside, in the format of docs/traces.md.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{bail, ensure, Context, Result};
use assay_common::artifact::Artifact;
use assay_common::ids::Digest;
use assay_common::judge::Platform;
use assay_common::row::{encode_leaf, Entry, Row, Surprisal, TokenId};
use assay_common::session::{ModelSpec, NumericScheme};
use assay_sidecar::engine::Question;
use serde::Deserialize;

use super::trace::header::SEED_TAG;

const FORMAT: &str = "assay-answers";
const VERSION: u32 = 1;

#[derive(Clone, Debug, Deserialize)]
struct OutsideCell {
    engine: String,
    device: String,
    batch: u32,
}

#[derive(Clone, Debug, Deserialize)]
struct AnswersHeader {
    format: String,
    version: u32,
    cell: OutsideCell,
    /// SHA-256 of the weights.
    model: Digest,
    scheme: NumericScheme,
    prompts: Digest,
    seed_tag: String,
    max_new: u32,
}

/// Pairs of id and surprisal.
#[derive(Clone, Debug, Deserialize)]
struct OutsideRow {
    token: u32,
    cut: (u32, u32),
    entries: Vec<(u32, u32)>,
}

#[derive(Clone, Debug, Deserialize)]
struct Answer {
    prompt: u64,
    prompt_ids: Vec<u32>,
    tokens: Vec<u32>,
    rows: Vec<OutsideRow>,
}

/// What the engine was to answer, and for which model.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    pub spec: &'a ModelSpec,
    pub prompts: Digest,
    pub max_new: u32,
}

/// A whole answers file.
#[derive(Debug)]
pub struct Answers {
    pub platform: Platform,
    /// How the engine ran, beside its name.
    pub setting: String,
    by_prompt: BTreeMap<u64, Answer>,
}

impl Answers {
    /// Reads and checks a file; a last line that was cut off is left out with a notice.
    ///
    /// # Errors
    /// It is no answers file, was made for another model, scheme, prompts or length, or holds an answer that is empty or names an id beyond
    /// the vocabulary; the line is named.
    pub fn read(path: &Path, expected: Expected<'_>) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the answers {} cannot be read", path.display()))?;
        let end = text.rfind('\n').map_or(0, |at| at + 1);
        if end < text.len() {
            eprintln!("{}: the last line was cut off, its answer is left out", path.display());
        }
        Self::parse(&text[..end], expected).with_context(|| format!("the answers {}", path.display()))
    }

    fn parse(text: &str, expected: Expected<'_>) -> Result<Self> {
        let mut lines = (1..).zip(text.lines());
        let (_, first) = lines.next().context("there is no whole line")?;
        let header: AnswersHeader = serde_json::from_str(first).context("line 1 is no header")?;
        header.check(expected)?;
        let mut by_prompt = BTreeMap::new();
        for (line, text) in lines {
            let answer: Answer =
                serde_json::from_str(text).with_context(|| format!("line {line} is no answer"))?;
            answer.check(expected).with_context(|| format!("line {line}, prompt {}", answer.prompt))?;
            let prompt = answer.prompt;
            ensure!(
                by_prompt.insert(prompt, answer).is_none(),
                "line {line}: prompt {prompt} was answered before"
            );
        }
        let OutsideCell { engine, device, batch } = header.cell;
        Ok(Self { platform: Platform { engine, device }, setting: format!("batches of {batch}"), by_prompt })
    }

    pub fn has(&self, prompt: u64) -> bool {
        self.by_prompt.contains_key(&prompt)
    }

    /// The engine's answer as an executor would sign it.
    ///
    /// # Errors
    /// There is none, or the engine was fed other ids than the prompt's.
    pub fn artifact(&self, number: u64, question: &Question) -> Result<Artifact> {
        let answer =
            self.by_prompt.get(&number).with_context(|| format!("prompt {number} is not answered"))?;
        if answer.prompt_ids != question.prompt {
            bail!(
                "prompt {number}: the engine was fed {:?}, its ids are {:?}",
                answer.prompt_ids,
                question.prompt
            );
        }
        let leaves = (0u32..).zip(&answer.rows).map(|(position, row)| encode_leaf(position, &row.row()));
        Ok(Artifact {
            request: question.request.clone(),
            salt: question.salt,
            prompt: question.prompt.clone(),
            tokens: answer.tokens.clone(),
            leaves: leaves.collect(),
        })
    }
}

impl AnswersHeader {
    fn check(&self, expected: Expected<'_>) -> Result<()> {
        let Expected { spec, prompts, max_new } = expected;
        ensure!(
            self.format == FORMAT && self.version == VERSION,
            "the first line says format `{}` version {}, `{FORMAT}` version {VERSION} is read",
            self.format,
            self.version
        );
        ensure!(self.model == spec.weights, "they are of model {}, this is {}", self.model, spec.weights);
        ensure!(self.scheme == spec.scheme, "they are for scheme {}, this is {}", self.scheme, spec.scheme);
        ensure!(self.prompts == prompts, "they answer the prompts {}, these are {prompts}", self.prompts);
        ensure!(self.seed_tag == SEED_TAG, "their seeds are of `{}`, not of `{SEED_TAG}`", self.seed_tag);
        ensure!(self.max_new == max_new, "they have {} tokens, {max_new} are asked for", self.max_new);
        Ok(())
    }
}

impl Answer {
    fn check(&self, expected: Expected<'_>) -> Result<()> {
        let (tokens, rows) = (self.tokens.len(), self.rows.len());
        ensure!(tokens > 0, "the answer is empty");
        ensure!(tokens <= expected.max_new as usize, "{tokens} tokens, {} at most", expected.max_new);
        ensure!(tokens == rows, "{rows} rows for {tokens} tokens");
        let vocabulary = expected.spec.vocabulary;
        for (position, (token, row)) in self.tokens.iter().zip(&self.rows).enumerate() {
            ensure!(*token == row.token, "position {position}: token {token}, its row says {}", row.token);
            let listed = row.entries.iter().map(|(id, _)| *id);
            if let Some(id) = [*token, row.cut.0].into_iter().chain(listed).find(|id| *id >= vocabulary) {
                bail!("position {position}: id {id} is beyond the vocabulary of {vocabulary}");
            }
            row.row().check(vocabulary).with_context(|| format!("position {position}"))?;
        }
        Ok(())
    }
}

impl OutsideRow {
    fn row(&self) -> Row {
        let entry =
            |(id, surprisal): (u32, u32)| Entry { surprisal: Surprisal(surprisal), token: TokenId(id) };
        let entries = self.entries.iter().copied().map(entry).collect();
        Row { token: TokenId(self.token), cut: entry(self.cut), entries }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{json, Value};

    use super::super::trace::example;
    use super::*;

    fn header() -> Value {
        let spec = example::header().spec;
        json!({"format": FORMAT, "version": 1, "cell": {"engine": "other", "device": "cpu", "batch": 8},
            "model": spec.weights, "scheme": "bf16_f32", "prompts": Digest([3; 32]), "seed_tag": SEED_TAG, "max_new": 2})
    }

    fn answer() -> Value {
        let entries: Vec<(u32, u32)> = (0..20).map(|id| (id, 1_200 + 10 * id)).collect();
        let row = |token: u32| json!({"token": token, "cut": [900, 4000], "entries": entries});
        json!({"prompt": 4, "prompt_ids": [2, 9], "tokens": [3, 5], "rows": [row(3), row(5)]})
    }

    fn parsed(header: &Value, answer: &Value) -> Result<Answers> {
        let spec = example::header().spec;
        Answers::parse(
            &format!("{header}\n{answer}\n"),
            Expected { spec: &spec, prompts: Digest([3; 32]), max_new: 2 },
        )
    }

    #[test]
    fn a_sound_file_gives_the_rows_that_it_states() {
        let answers = parsed(&header(), &answer()).unwrap();
        assert!(answers.has(4) && !answers.has(5));
        assert_eq!((answers.platform.engine.as_str(), answers.setting.as_str()), ("other", "batches of 8"));
        assert_eq!(answers.by_prompt[&4].rows[1].row().token, TokenId(5));
    }

    #[test]
    fn files_of_other_models_schemes_prompts_seeds_and_lengths_are_refused_by_name() {
        for (field, value, says) in [
            ("format", json!("assay-trace"), "format `assay-trace`"),
            ("model", json!(Digest([9; 32])), "they are of model 0909"),
            ("scheme", json!("bf16"), "they are for scheme bf16"),
            ("prompts", json!(Digest([9; 32])), "they answer the prompts 0909"),
            ("seed_tag", json!("dice"), "their seeds are of `dice`"),
            ("max_new", json!(64), "they have 64 tokens"),
        ] {
            let mut header = header();
            header[field] = value;
            let error = format!("{:#}", parsed(&header, &answer()).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn empty_answers_and_ids_beyond_the_vocabulary_are_refused_by_line() {
        for (field, value, says) in [
            ("/tokens", json!([]), "line 2, prompt 4: the answer is empty"),
            ("/tokens", json!([3, 5, 6]), "3 tokens, 2 at most"),
            ("/rows/1/token", json!(4), "position 1: token 5, its row says 4"),
            ("/rows/0/entries/19/0", json!(1_000), "id 1000 is beyond the vocabulary of 1000"),
            ("/rows/0/cut/0", json!(262_144), "id 262144 is beyond"),
            ("/rows/0/entries/0/1", json!(0), "position 0: the probabilities add up to more than 1"),
            ("/rows", json!([]), "0 rows for 2 tokens"),
        ] {
            let mut answer = answer();
            *answer.pointer_mut(field).unwrap() = value;
            let error = format!("{:#}", parsed(&header(), &answer).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }
}
