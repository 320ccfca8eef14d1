//! Hidden states beside a trace, for peers that compare them; the format is in docs/traces.md.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};
use assay_common::artifact::Artifact;
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

use super::trace::header::Header;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    prompt: u64,
    prompt_ids: Vec<u32>,
    tokens: Vec<u32>,
    first_row: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Index {
    format: String,
    version: u32,
    /// SHA-256 of the weights.
    model: String,
    hidden: usize,
    cell: Value,
    prompts: String,
    max_new: u32,
    answers: Vec<Entry>,
}

/// A directory that states are added to, answer by answer.
pub struct HiddenStates {
    path: PathBuf,
    index: Index,
    executor: File,
    verifier: File,
}

impl HiddenStates {
    /// Begins a directory, or goes on with the one that is there; states of answers that are not in `done` are dropped.
    ///
    /// # Errors
    /// It cannot be written, or holds the states of another run.
    pub fn open(
        path: &Path,
        header: &Header,
        hidden: usize,
        done: impl Iterator<Item = u64>,
    ) -> Result<Self> {
        let named = || format!("the hidden states in {}", path.display());
        std::fs::create_dir_all(path).with_context(named)?;
        let cell = &header.cell;
        let cell = json!({"engine": format!("{}, {}", cell.executor.engine, cell.setting), "device": cell.executor.device});
        let fresh = Index {
            format: "assay-hidden".to_owned(),
            version: 1,
            model: header.spec.weights.to_string(),
            hidden,
            cell,
            prompts: header.prompts.to_string(),
            max_new: header.max_new,
            answers: Vec::new(),
        };
        let file = path.join("index.json");
        let mut index = fresh.clone();
        if file.exists() {
            index = serde_json::from_slice(&std::fs::read(&file).with_context(named)?).with_context(named)?;
            let same = Index { answers: Vec::new(), ..index.clone() } == fresh;
            ensure!(same, "{} are of another run; choose another directory or delete it", named());
        }
        // States are written before the answer: what is left of one that was cut off stands at the end.
        let done: BTreeSet<u64> = done.collect();
        while index.answers.last().is_some_and(|answer| !done.contains(&answer.prompt)) {
            index.answers.pop();
        }
        let there: BTreeSet<u64> = index.answers.iter().map(|answer| answer.prompt).collect();
        ensure!(there == done, "{} are of other answers than the trace has; delete both", named());
        let open = |name: &str| OpenOptions::new().create(true).append(true).open(path.join(name));
        let states = Self {
            path: path.to_owned(),
            executor: open("executor.f32").with_context(named)?,
            verifier: open("verifier.f32").with_context(named)?,
            index,
        };
        let bytes = (states.rows() * hidden * size_of::<f32>()) as u64;
        for file in [&states.executor, &states.verifier] {
            let length = file.metadata().with_context(named)?.len();
            file.set_len(length.min(bytes)).with_context(named)?;
        }
        Ok(states)
    }

    fn rows(&self) -> usize {
        self.index.answers.last().map_or(0, |answer| answer.first_row + answer.tokens.len())
    }

    /// Adds an answer's states, each [tokens, hidden]; the executor's where they are to be had.
    ///
    /// # Errors
    /// It cannot be written, or the states are not one for each token.
    pub fn add(
        &mut self,
        prompt: u64,
        artifact: &Artifact,
        executor: Option<&[f32]>,
        verifier: &[f32],
    ) -> Result<()> {
        let expected = artifact.tokens.len() * self.index.hidden;
        for states in executor.into_iter().chain([verifier]) {
            ensure!(
                states.len() == expected,
                "prompt {prompt}: {} numbers of hidden states, {expected} expected",
                states.len()
            );
        }
        let first_row = self.rows();
        if let Some(states) = executor {
            self.executor.write_all(&little_endian(states))?;
        }
        self.verifier.write_all(&little_endian(verifier))?;
        let (prompt_ids, tokens) = (artifact.prompt.clone(), artifact.tokens.clone());
        self.index.answers.push(Entry { prompt, prompt_ids, tokens, first_row });
        let new = self.path.join("index.json.new");
        std::fs::write(&new, serde_json::to_vec(&self.index)?)?;
        std::fs::rename(&new, self.path.join("index.json"))?;
        Ok(())
    }
}

fn little_endian(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use assay_common::sampler::SamplingParams;
    use assay_common::session::{prompt_digest, Request};

    use super::super::trace::example;
    use super::*;

    fn artifact(tokens: &[u32]) -> Artifact {
        let request = Request {
            model: example::header().model,
            sampling: SamplingParams::OPEN,
            max_new: 8,
            stop_ids: Vec::new(),
            prompt: prompt_digest(&[0; 32], &[2]),
        };
        Artifact { request, salt: [0; 32], prompt: vec![2], tokens: tokens.to_vec(), leaves: Vec::new() }
    }

    #[test]
    fn states_of_an_answer_that_was_not_kept_are_dropped_and_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let header = example::header();
        let mut states = HiddenStates::open(dir.path(), &header, 2, [].into_iter()).unwrap();
        states.add(3, &artifact(&[7]), Some(&[1.0, 2.0]), &[3.0, 4.0]).unwrap();
        states.add(5, &artifact(&[7, 8]), Some(&[0.0; 4]), &[0.0; 4]).unwrap();
        assert!(states.add(6, &artifact(&[7]), None, &[0.0; 3]).is_err());
        let mut states = HiddenStates::open(dir.path(), &header, 2, [3].into_iter()).unwrap();
        states.add(5, &artifact(&[9]), Some(&[5.0, 6.0]), &[7.0, 8.0]).unwrap();
        let verifier = std::fs::read(dir.path().join("verifier.f32")).unwrap();
        assert_eq!(verifier, little_endian(&[3.0, 4.0, 7.0, 8.0]));
        let index: Index =
            serde_json::from_slice(&std::fs::read(dir.path().join("index.json")).unwrap()).unwrap();
        assert_eq!((index.answers[1].first_row, &index.answers[1].tokens[..]), (1, &[9u32][..]));
        let other = Header { max_new: 9, ..header };
        let error = HiddenStates::open(dir.path(), &other, 2, [3, 5].into_iter()).err().unwrap();
        assert!(error.to_string().contains("of another run"), "{error}");
    }
}
