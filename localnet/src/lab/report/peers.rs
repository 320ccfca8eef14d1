//! What others' own code says of the same answers: the files of `scripts/peers/*_on_traces.py`, as further statistics.
//!
//! A file is named STATISTIC.SCHEME.SPLIT.NAME.json; NAME is the trace's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};
use serde::Deserialize;

use super::super::prompts::Split;
use super::statistics::Sample;

/// One peer's values of one executor's answers.
#[derive(Clone, Debug)]
pub struct PeerSample {
    pub statistic: String,
    pub scheme: String,
    pub split: Split,
    pub name: String,
    /// Tokens that a value stands for.
    pub unit: usize,
    pub bytes_per_token: f64,
    /// Name and version of the peer's package.
    pub version: String,
    pub sample: Sample,
}

#[derive(Debug, Deserialize)]
struct PeerFile {
    peer: String,
    block: usize,
    bytes_per_token: f64,
    thresholds: Option<Line>,
    answers: Vec<PeerAnswer>,
}

/// Where TOPLOC's example draws the line.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Line {
    exp_mismatches: f64,
    mant_err_mean: f64,
    mant_err_median: f64,
}

#[derive(Debug, Deserialize)]
struct PeerAnswer {
    prompt: u64,
    /// Of every token; null where it is infinite.
    margins: Option<Vec<Option<f64>>>,
    blocks: Vec<serde_json::Value>,
}

/// A token outside the filter is as wrong as the furthest that Token-DiFR's own clipping would count.
const INFINITE_MARGIN: f64 = 10.0;

/// Every file of the directory.
///
/// # Errors
/// One cannot be read, is not named as above or is no peer's file; it is named.
pub fn read(dir: &Path) -> Result<Vec<PeerSample>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("{} cannot be read", dir.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths
        .iter()
        .map(|path| read_file(path).with_context(|| format!("the peer's file {}", path.display())))
        .collect()
}

fn read_file(path: &Path) -> Result<PeerSample> {
    let name = path.file_stem().and_then(|stem| stem.to_str()).context("its name is not UTF-8")?;
    let parts: Vec<&str> = name.splitn(4, '.').collect();
    let [statistic, scheme, split, name] = parts[..] else {
        bail!("its name is not STATISTIC.SCHEME.SPLIT.NAME.json");
    };
    let split = serde_json::from_value(split.into())
        .with_context(|| format!("`{split}` is no part of the prompts"))?;
    let file: PeerFile = serde_json::from_slice(&std::fs::read(path)?)?;
    ensure!(file.block > 0, "its block has no tokens");
    let by_token = file.answers.iter().all(|answer| answer.margins.is_some());
    let unit = if by_token { 1 } else { file.block };
    let mut by_prompt = BTreeMap::new();
    for answer in &file.answers {
        by_prompt.insert(answer.prompt, answer.values(&file)?);
    }
    let (prompts, answers) = by_prompt.into_iter().unzip();
    Ok(PeerSample {
        statistic: statistic.to_owned(),
        scheme: scheme.to_owned(),
        split,
        name: name.to_owned(),
        unit,
        bytes_per_token: file.bytes_per_token,
        version: file.peer,
        sample: Sample { prompts, answers },
    })
}

impl PeerAnswer {
    /// Margins of tokens; or of TOPLOC's whole blocks how far beyond its line the worst of its three numbers is: 1 is on the line.
    fn values(&self, file: &PeerFile) -> Result<Vec<f64>> {
        if let Some(margins) = &self.margins {
            return Ok(margins.iter().map(|margin| margin.unwrap_or(INFINITE_MARGIN)).collect());
        }
        let line = file.thresholds.context("it has neither margins nor thresholds")?;
        let prompt = self.prompt;
        let whole = |block: &&serde_json::Value| block["tokens"].as_u64() == Some(file.block as u64);
        let value = |block: &serde_json::Value| {
            let parts = [
                ("exp_mismatches", line.exp_mismatches),
                ("mant_err_mean", line.mant_err_mean),
                ("mant_err_median", line.mant_err_median),
            ];
            let ratio = |(field, line): (&str, f64)| {
                let found = block[field]
                    .as_f64()
                    .with_context(|| format!("prompt {prompt}: a block has no {field}"))?;
                ensure!(found.is_finite(), "prompt {prompt}: {field} is {found}");
                Ok(found / line)
            };
            let ratios: Vec<f64> = parts.into_iter().map(ratio).collect::<Result<_>>()?;
            Ok(ratios.into_iter().fold(f64::NEG_INFINITY, f64::max))
        };
        self.blocks.iter().filter(whole).map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read_as(name: &str, content: &str) -> Result<Vec<PeerSample>> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), content).unwrap();
        read(dir.path())
    }

    #[test]
    fn toploc_speaks_of_whole_blocks_and_token_difr_of_tokens() {
        let toploc = r#"{"peer":"toploc 0.1","block":32,"bytes_per_token":8.1,
            "thresholds":{"exp_mismatches":38,"mant_err_mean":10,"mant_err_median":8},
            "answers":[{"prompt":4,"blocks":[{"tokens":32,"exp_mismatches":19,"mant_err_mean":20.0,"mant_err_median":2},
                {"tokens":5,"exp_mismatches":0,"mant_err_mean":0.0,"mant_err_median":0}]}]}"#;
        let found = read_as("toploc.bf16_f32.test.fp8.json", toploc).unwrap();
        assert_eq!((found[0].unit, found[0].sample.answers.clone()), (32, vec![vec![2.0]]));
        assert_eq!((found[0].name.as_str(), found[0].split), ("fp8", Split::Test));
        let difr = r#"{"peer":"token-difr 1","block":32,"bytes_per_token":0,"thresholds":null,
            "answers":[{"prompt":4,"margins":[0.0,null,0.25],"blocks":[]}]}"#;
        let found = read_as("token_difr.bf16.development.fused-b8.json", difr).unwrap();
        assert_eq!((found[0].unit, found[0].sample.answers.clone()), (1, vec![vec![0.0, 10.0, 0.25]]));
    }

    #[test]
    fn files_that_are_named_or_made_otherwise_are_refused_by_name() {
        for (name, content, says) in [
            ("toploc.json", "{}", "toploc.json"),
            ("toploc.bf16_f32.exam.fp8.json", "{}", "`exam` is no part"),
            ("toploc.bf16_f32.test.fp8.json", "{}", "missing field"),
            (
                "toploc.bf16_f32.test.fp8.json",
                r#"{"peer":"p","block":32,"bytes_per_token":1,"thresholds":null,"answers":[{"prompt":1,"blocks":[{}]}]}"#,
                "neither margins nor thresholds",
            ),
        ] {
            let error = format!("{:#}", read_as(name, content).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }
}
