//! Who answers: a cell of the honest engine, or an attack; and by which name its trace is known.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{bail, ensure, Context, Result};
use assay_common::artifact::Artifact;
use assay_sidecar::config::ModelConfig;
use assay_sidecar::engine::{Answerer, Question};
use assay_sidecar::executor::answer::Honest;
use assay_sidecar::model::{Arithmetic, AttentionKernel, Model, Numerics, Watch};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

use crate::attack::{self, Attack, Cheat, Share};

/// What an executor's answers are used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Complies with the scheme and rounds as it allows: it sets thresholds.
    Honest,
    /// Complies, and rounds less than it may: it must not fail, and sets nothing.
    Finer,
    /// The honest engine with noise that no rounding makes.
    Noise,
    Attack,
}

/// A cell of our own engine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    Scheme(AttentionKernel),
    /// Nothing is rounded.
    F32,
    /// Gaussian noise on every final hidden state, its standard deviation so many times the state's root mean square.
    Noise(f64),
}

const NOISE: &str = "noise-";
/// Larger noise says nothing that this does not.
const MOST_NOISE: f64 = 1.0;

/// Of each answer, rows of hidden states one after another.
type HiddenStates = Vec<Vec<f32>>;

impl std::str::FromStr for Cell {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        Ok(match (name, name.strip_prefix(NOISE)) {
            ("fused", _) => Cell::Scheme(AttentionKernel::Fused),
            ("explicit", _) => Cell::Scheme(AttentionKernel::Explicit),
            ("f32", _) => Cell::F32,
            (_, Some(sd)) => {
                let sd: f64 = sd.parse().with_context(|| format!("`{name}` names no standard deviation"))?;
                ensure!(
                    sd > 0.0 && sd <= MOST_NOISE,
                    "noise of {sd} is not above 0 and at most {MOST_NOISE}"
                );
                Cell::Noise(sd)
            }
            _ => bail!("`{name}` is no cell: fused, explicit, f32 and noise-SD are"),
        })
    }
}

impl Cell {
    pub fn role(self) -> Role {
        match self {
            Cell::Scheme(_) => Role::Honest,
            Cell::F32 => Role::Finer,
            Cell::Noise(_) => Role::Noise,
        }
    }

    /// How the scheme's own executor computes in this cell.
    fn numerics(self, honest: Numerics) -> Numerics {
        match self {
            Cell::Scheme(attention) => Numerics { attention, ..honest },
            Cell::F32 => Numerics { arithmetic: Arithmetic::F32, rounds_logits: false, ..honest },
            Cell::Noise(_) => honest,
        }
    }
}

/// An attack as the command line names it: NAME, or NAME:SHARE with the percentage of answers that it is done on.
///
/// # Errors
/// No attack has this name, or the share is none.
pub fn cheat(name: &str) -> Result<Cheat> {
    let (attack, share) = match name.split_once(':') {
        None => (name, Share::ALL),
        Some((attack, share)) => {
            let percent = share.parse().with_context(|| format!("`{name}`: the share is no percentage"))?;
            (attack, Share::percent(percent)?)
        }
    };
    let known = || Attack::value_variants().iter().map(|attack| attack.name()).collect::<Vec<_>>().join(", ");
    match Attack::from_str(attack, false) {
        Ok(Attack::None | Attack::Withhold) => bail!("`{attack}` changes no answer"),
        Ok(attack) => Cheat::new(attack, share),
        Err(_) => bail!("`{attack}` is no attack: {} are", known()),
    }
}

/// Final hidden states of the batch that is being answered: one list for each sequence.
pub type States = Arc<Mutex<Vec<Vec<f32>>>>;

/// Who answers.
pub struct Executor {
    answerer: Box<dyn Answerer>,
    /// What the model hands out while it generates; none of an attack, whose model is its own.
    states: Option<States>,
    seed: Option<fn(u64) -> i64>,
}

impl Executor {
    /// Sets `model` up to answer in this cell.
    pub fn of_cell(cell: Cell, model: &mut Model) -> Self {
        let honest = Numerics::executing(model.spec().scheme);
        model.execute_as(cell.numerics(honest));
        let states = States::default();
        model.watch_generation(watch(cell, states.clone()));
        Self { answerer: Box::new(Honest), states: Some(states), seed: Some(|first| first as i64) }
    }

    /// # Errors
    /// The configuration lacks what the attack needs, or its model cannot be made.
    pub fn of_attack(cheat: Cheat, config: &ModelConfig, model: &Model) -> Result<Self> {
        let answerer = attack::answerer(config, cheat)?(model)?;
        Ok(Self { answerer, states: None, seed: None })
    }

    /// Answers a batch, and the hidden states of every answer where they are to be had: [tokens, hidden].
    ///
    /// # Errors
    /// The model's own failures.
    pub fn answer(
        &mut self,
        model: &Model,
        questions: &[Question],
        first: u64,
    ) -> Result<(Vec<Artifact>, Option<HiddenStates>)> {
        if let Some(seed) = self.seed {
            // Noise of the same batch is the same in every run.
            tch::manual_seed(seed(first));
        }
        if let Some(states) = &self.states {
            *states.lock().unwrap_or_else(PoisonError::into_inner) = vec![Vec::new(); questions.len()];
        }
        let artifacts = self.answerer.answer(model, questions)?;
        let states = self
            .states
            .as_ref()
            .map(|states| std::mem::take(&mut *states.lock().unwrap_or_else(PoisonError::into_inner)));
        Ok((artifacts, states))
    }
}

/// Keeps every state, noise included.
fn watch(cell: Cell, states: States) -> Watch {
    Box::new(move |sequences, hidden| {
        let hidden = match cell {
            Cell::Noise(sd) => noisy(&hidden, sd)?,
            Cell::Scheme(_) | Cell::F32 => hidden,
        };
        let rows = hidden.f_to_kind(Kind::Float)?.f_to_device(Device::Cpu)?.f_contiguous()?;
        let width = rows.size()[1] as usize;
        let mut numbers = vec![0f32; rows.numel()];
        let count = numbers.len();
        rows.f_copy_data(&mut numbers, count)?;
        let mut kept = states.lock().unwrap_or_else(PoisonError::into_inner);
        for (sequence, row) in sequences.iter().zip(numbers.chunks_exact(width)) {
            kept[*sequence].extend_from_slice(row);
        }
        Ok(hidden)
    })
}

/// hidden [rows, hidden] with Gaussian noise of `sd` times each row's root mean square.
fn noisy(hidden: &Tensor, sd: f64) -> Result<Tensor, TchError> {
    let size = hidden.f_square()?.f_mean_dim([-1i64].as_slice(), true, hidden.kind())?.f_sqrt()?;
    let noise = hidden.f_randn_like()?.f_mul(&size)?.f_mul_scalar(sd)?;
    hidden.f_add(&noise)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn cells_and_attacks_are_known_by_name_and_others_are_refused_with_it() {
        assert_eq!("explicit".parse::<Cell>().unwrap(), Cell::Scheme(AttentionKernel::Explicit));
        assert_eq!("noise-0.02".parse::<Cell>().unwrap().role(), Role::Noise);
        for (name, says) in
            [("eager", "no cell"), ("noise-x", "standard deviation"), ("noise--1", "not above 0")]
        {
            let error = format!("{:#}", name.parse::<Cell>().unwrap_err());
            assert!(error.contains(says), "{error}");
        }
        assert_eq!(cheat("fp8:20").unwrap().share().as_percent(), 20);
        assert_eq!(cheat("int8-g128").unwrap().attack(), Attack::Int8G128);
        for (name, says) in
            [("int3", "no attack"), ("fp8:x", "percentage"), ("fp8:0", "between"), ("withhold", "changes no")]
        {
            let error = format!("{:#}", cheat(name).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn noise_has_the_size_that_was_asked_and_comes_again_with_its_seed() {
        let hidden = Tensor::full([4, 10_000], 3.0, (Kind::Float, Device::Cpu));
        tch::manual_seed(7);
        let once = noisy(&hidden, 0.1).unwrap();
        tch::manual_seed(7);
        assert!(once.equal(&noisy(&hidden, 0.1).unwrap()));
        let sd = (once - &hidden).std(true).double_value(&[]);
        assert!((sd - 0.3).abs() < 0.01, "{sd}");
    }
}
