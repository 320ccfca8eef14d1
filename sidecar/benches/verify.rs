//! What checking an answer costs beside making it: `cargo bench -p assay-sidecar --bench verify --profile dev`.
//!
//! Torch does the work, so the development profile measures the same and shares what is built. Needs the model
//! (`scripts/model`); OMP_NUM_THREADS sets torch's threads.

use std::path::{Path, PathBuf};
use std::time::Instant;

use assay_common::ids::RunSeed;
use assay_common::penalties::Penalties;
use assay_common::sampler::{sample_full, top_candidates, SamplingParams, MAX_CANDIDATES};
use assay_common::session::NumericScheme;
use assay_sidecar::model::{DeviceChoice, Forced, Model, ModelError, Opening};

/// Tokens of a prompt and of an answer.
const PROMPT: usize = 32;
const ANSWER: usize = 64;
/// Positions of an answer that are judged where not all are.
const DRAWN: u32 = 32;
/// Tokens compared at a position.
const COMPARED: usize = 20;
const RUNS: usize = 3;

const TEXT: &str = "The lock-keeper wrote down every barge that passed, with its name, its cargo and the hour, in a book \
that nobody had asked for and that filled a shelf by the time he retired. When the canal company was sold, the new owners \
found the shelf and sent a clerk to see what could be learned from it; he stayed for a year and left with a map of debts.";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::var_os("ASSAY_MODEL").map(PathBuf::from).ok_or("ASSAY_MODEL is not set")?;
    println!("machine: {}", processor());
    for scheme in NumericScheme::ALL {
        measure(&path, scheme)?;
    }
    println!("peak memory of the process, one model at a time: {}", peak_memory());
    Ok(())
}

fn measure(path: &Path, scheme: NumericScheme) -> Result<(), Box<dyn std::error::Error>> {
    let model = Model::load(path, scheme, DeviceChoice::Cpu, None)?;
    let prompt: Vec<u32> = model.tokenizer().encode(TEXT)?.into_iter().take(PROMPT).collect();
    println!("{scheme} on {}, {PROMPT} + {ANSWER} tokens, best of {RUNS}:", model.device());
    let answer = generate(&model, &prompt, 1)?.remove(0);
    let all: Vec<u32> = (0..ANSWER as u32).collect();
    let drawn: Vec<u32> = (0..DRAWN).map(|index| index * ANSWER as u32 / DRAWN).collect();
    let verified = [("all positions", all.as_slice()), ("32 positions", &drawn)];
    let verified = verified.map(|(name, positions)| {
        (name, best(|| verify(&model, &prompt, &answer, positions)).map(|seconds| seconds / ANSWER as f64))
    });
    for batch in [1, 8] {
        let seconds = best(|| generate(&model, &prompt, batch).map(drop))?;
        let token = seconds / (batch * ANSWER) as f64;
        println!("  generate, batch {batch}: {:.2} ms a token", token * 1e3);
        for (name, verify) in &verified {
            let verify = verify.as_ref().map_err(ToString::to_string)?;
            println!(
                "    verify, head at {name}: {:.2} ms a token, {:.2} of that",
                verify * 1e3,
                verify / token
            );
        }
    }
    Ok(())
}

/// Sampled answers, each by a seed of its own, as an executor draws them.
fn generate(model: &Model, prompt: &[u32], batch: usize) -> Result<Vec<Vec<u32>>, ModelError> {
    let opening = Opening { prompt, max_new: ANSWER, penalties: Penalties::NONE };
    model.generate(&vec![opening; batch], &[], |sequence, position, surprisals| {
        let candidates = top_candidates(surprisals, MAX_CANDIDATES);
        let sampled =
            sample_full(&candidates, &SamplingParams::OPEN, &RunSeed([sequence as u8; 32]), position);
        sampled.expect("parameters in range over a vocabulary give a token").row.token.0
    })
}

/// Both passes, and the head at these positions.
fn verify(model: &Model, prompt: &[u32], tokens: &[u32], positions: &[u32]) -> Result<(), ModelError> {
    let passes = model.passes(&Forced { prompt, tokens, penalties: Penalties::NONE })?;
    let listed = |row: assay_sidecar::model::Row<'_>| {
        row.top(COMPARED).iter().map(|scored| scored.id).collect::<Vec<_>>()
    };
    passes.compare(positions, listed).map(drop)
}

/// The shortest of a few runs, in seconds.
fn best(mut run: impl FnMut() -> Result<(), ModelError>) -> Result<f64, ModelError> {
    let mut shortest = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        run()?;
        shortest = shortest.min(start.elapsed().as_secs_f64());
    }
    Ok(shortest)
}

fn processor() -> String {
    field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into())
}

fn peak_memory() -> String {
    field("/proc/self/status", "VmHWM").unwrap_or_else(|| "unknown".into())
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}
