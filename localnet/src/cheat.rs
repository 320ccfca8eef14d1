//! Executors that do not do what they are paid for. As jurors they are honest: their sidecar is the honest one.

use anyhow::{Context, Result};
use assay_common::artifact::Artifact;
use assay_common::digest::tagged;
use assay_common::ids::RunSeed;
use assay_sidecar::config::{Config, ModelConfig};
use assay_sidecar::engine::{Answerer, AnswererFactory, Question};
use assay_sidecar::executor::answer::{answer_with, honest_factory, rows_for};
use assay_sidecar::model::{DeviceChoice, Model, ModelError};
use tch::{Kind, TchError, Tensor};

use crate::process::free_ports;
use crate::withhold;

/// Input weights that share one scale.
const GROUP: i64 = 32;
/// Steps of a symmetric 4-bit number on each side of zero.
const STEPS: f64 = 7.0;

/// What the one dishonest executor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Cheat {
    /// Nothing: all four are honest.
    None,
    /// Runs a model with 4-bit projections and signs its numbers.
    Int4,
    /// Draws its tokens with noise of its own choice.
    WrongSeed,
    /// Lets the 4-bit model write, and signs the promised model's numbers for that text.
    Prefill,
    /// Answers honestly, and serves each artifact to one juror alone.
    Withhold,
}

impl Cheat {
    /// As the command line spells it.
    pub fn name(self) -> &'static str {
        match self {
            Cheat::None => "none",
            Cheat::Int4 => "int4",
            Cheat::WrongSeed => "wrong-seed",
            Cheat::Prefill => "prefill",
            Cheat::Withhold => "withhold",
        }
    }

    /// Runs a node that cheats in this way.
    ///
    /// # Errors
    /// The node's own, or there is no port for it to hide behind.
    pub async fn run(self, mut config: Config) -> Result<()> {
        let answerer = self.answerer(&config.model)?;
        if self != Cheat::Withhold {
            return assay_sidecar::run(config, answerer).await;
        }
        let outer = config.http.listen;
        let port = free_ports(1)?.pop().context("no free port")?;
        config.http.listen.set_port(port);
        let door = withhold::serve(outer, config.http.listen);
        tokio::select! {
            ended = assay_sidecar::run(config, answerer) => ended,
            ended = door => ended,
        }
    }

    /// What the sidecar runs in place of the honest answerer.
    fn answerer(self, model: &ModelConfig) -> Result<AnswererFactory> {
        Ok(match self {
            Cheat::None | Cheat::Withhold => honest_factory(),
            Cheat::WrongSeed => Box::new(|_| Ok(Box::new(WrongSeed))),
            Cheat::Int4 => {
                let cheap = cheap_model(model)?;
                Box::new(move |_| Ok(Box::new(Int4 { cheap: cheap()? })))
            }
            Cheat::Prefill => {
                let cheap = cheap_model(model)?;
                Box::new(move |_| Ok(Box::new(Prefill { cheap: cheap()? })))
            }
        })
    }
}

struct Int4 {
    cheap: Model,
}

impl Answerer for Int4 {
    fn answer(&mut self, _: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        answer_with(&self.cheap, questions, &promised_seeds(questions))
    }
}

struct WrongSeed;

impl Answerer for WrongSeed {
    fn answer(&mut self, model: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        let other = |seed: RunSeed| RunSeed(tagged("another seed", &seed.0));
        let seeds: Vec<RunSeed> = promised_seeds(questions).into_iter().map(other).collect();
        answer_with(model, questions, &seeds)
    }
}

struct Prefill {
    cheap: Model,
}

impl Answerer for Prefill {
    fn answer(&mut self, model: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        let written = answer_with(&self.cheap, questions, &promised_seeds(questions))?;
        let pairs = questions.iter().zip(written);
        pairs.map(|(question, artifact)| rows_for(model, question, &artifact.tokens)).collect()
    }
}

fn promised_seeds(questions: &[Question]) -> Vec<RunSeed> {
    questions.iter().map(|question| question.run_seed).collect()
}

/// Loads a second copy of the model and rounds its projections to 4 bits.
fn cheap_model(config: &ModelConfig) -> Result<impl FnOnce() -> Result<Model, ModelError> + Send + 'static> {
    let path = config.path.clone().context("the configuration names no model file")?;
    let device: DeviceChoice = config.device.parse()?;
    let (scheme, threads) = (config.scheme, config.threads);
    Ok(move || {
        let mut model = Model::load(&path, scheme, device, threads)?;
        model.map_projections(to_int4)?;
        Ok(model)
    })
}

/// The nearest weights [out, in] that symmetric 4-bit numbers with one scale for each [`GROUP`] inputs can express.
fn to_int4(weight: &Tensor) -> Result<Tensor, TchError> {
    let groups = weight.f_reshape([-1, GROUP])?;
    let scale = groups
        .f_abs()?
        .f_amax([1i64].as_slice(), true)?
        .f_div_scalar(STEPS)?
        .f_clamp_min(f64::from(f32::MIN_POSITIVE))?;
    let steps = groups.f_div(&scale)?.f_round()?.f_clamp(-STEPS, STEPS)?;
    steps.f_mul(&scale)?.f_to_kind(Kind::Float)?.f_reshape(weight.size())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_group_in_4_bits_has_at_most_15_values_and_keeps_its_largest() {
        let weight =
            Tensor::from_slice(&(0..64).map(|i| (i as f32 - 20.0) / 64.0).collect::<Vec<_>>()).view([1, 64]);
        let rounded = to_int4(&weight).unwrap();
        assert_eq!(rounded.size(), weight.size());
        let group = Vec::<f32>::try_from(rounded.view(-1i64).narrow(0, 0, GROUP)).unwrap();
        let mut values: Vec<u32> = group.iter().map(|value| value.to_bits()).collect();
        values.sort_unstable();
        values.dedup();
        assert!(values.len() <= 15, "{}", values.len());
        assert!((group[0] + 20.0 / 64.0).abs() < 1e-6, "{}", group[0]);
        let error = (rounded - &weight).abs().max().double_value(&[]);
        assert!(error > 0.0 && error <= 43.0 / 64.0 / STEPS / 2.0 + 1e-6, "{error}");
    }

    #[test]
    fn weights_of_zero_stay_zero() {
        let zeros = Tensor::zeros([2, 32], (Kind::Float, tch::Device::Cpu));
        assert!(to_int4(&zeros).unwrap().equal(&zeros));
    }
}
