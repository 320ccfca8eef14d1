//! Executors that do not do what they are paid for: what the local network runs as its cheat, and what detection is measured on.
//!
//! Each is an [`Answerer`](assay_sidecar::engine::Answerer) in place of the honest one, so the sidecar runs it as it runs
//! that. `docs/attacks.md` lists them.

pub mod adaptive;
mod candidates;
mod context;
mod jitter;
mod mixture;
mod padding;
mod prefill;
mod pruned;
mod quantised;
pub mod repair;
mod sampling;
mod speculative;
mod steering;
mod stop;
mod substitute;
pub mod withhold;

use anyhow::{ensure, Result};
use assay_common::ids::RunSeed;
use assay_sidecar::config::ModelConfig;
use assay_sidecar::engine::{Answerer, AnswererFactory, Question};
use assay_sidecar::executor::answer::honest_factory;
use assay_sidecar::model::{CachePrecision, Model, ModelError};
use clap::ValueEnum;

pub use mixture::Share;

use adaptive::Adaptive;
use context::Context;
use jitter::Jitter;
use mixture::Mixture;
use padding::Padding;
use prefill::{Forging, Prefill};
use quantised::Format;
use sampling::{OtherTemperature, OtherTopP, WrongSeed};
use speculative::BelowTau;
use steering::Steering;
use stop::Stop;
use substitute::{Change, Original, Substitute};

/// What a dishonest executor does. The text of each stands in the command's help and in tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Attack {
    /// Nothing: all four are honest
    None,
    /// Runs projections in 8 bits, one scale for each output
    Int8Row,
    /// Runs projections in 8 bits, one scale for 128 inputs
    #[value(name = "int8-g128")]
    Int8G128,
    /// Runs projections in 8 bits, one scale for 32 inputs, and rounds nothing else: finer than the scheme, but for the weights
    #[value(name = "int8-g32-f32")]
    Int8G32F32,
    /// Runs projections in fp8 (e4m3), one scale for each output
    Fp8,
    /// Runs projections in 4 bits, one scale for 32 inputs
    #[value(name = "int4-g32", alias = "int4")]
    Int4G32,
    /// Runs projections in 4 bits, one scale for 128 inputs
    #[value(name = "int4-g128")]
    Int4G128,
    /// Keeps keys and values in 8 bits, one scale for each token and head
    KvInt8,
    /// Keeps keys and values in 4 bits, one scale for each token and head
    KvInt4,
    /// Leaves out a ninth of the layers, in the middle
    DropLayers,
    /// Sets the smallest quarter of each projection's weights to zero
    #[value(name = "prune-25")]
    Prune25,
    /// Draws its tokens with noise of its own choice
    WrongSeed,
    /// Draws at nine tenths of the temperature that was asked
    Temperature,
    /// Draws from nine tenths of the top-p that was asked, and signs the cut that this gives
    TopP,
    /// Feeds the first token and the last half of the prompt
    HalfContext,
    /// Feeds a text of its own before the prompt
    SystemPrompt,
    /// Ends after half of the tokens that were asked
    EarlyStop,
    /// The same, with a stop token at the end whose number is raised until its row replays
    ForgedStop,
    /// Lets the 4-bit model write with noise of its own, and signs the promised model's numbers for that text
    Prefill,
    /// The same, but the 4-bit model writes with the promised noise
    PrefillSameNoise,
    /// The same, with every emitted token's number raised until its row replays
    PrefillRepaired,
    /// The same, but only where 0.1 nats do it; elsewhere it takes the honest token and goes on from there
    PrefillBelowTau,
    /// Emits its second choice wherever raising that one's number by at most 0.1 nats makes the row replay
    Steer,
    /// Runs 8-bit projections (128 inputs a scale) and fills its rows with the least probable tokens, where everybody agrees
    Pad,
    /// Adds noise of 0.03 nats to its honest numbers, and draws from what comes out
    Jitter,
    /// Runs 8-bit projections (128 inputs a scale), and signs honest numbers at as many positions as the statistic needs
    Adaptive,
    /// The same with the finer weights of int8-g32-f32
    #[value(name = "adaptive-g32")]
    AdaptiveG32,
    /// Answers honestly, and serves each artifact to one juror alone
    Withhold,
}

impl Attack {
    /// As the command line spells it.
    pub fn name(self) -> String {
        self.value().get_name().to_owned()
    }

    /// One sentence, for tables.
    pub fn description(self) -> String {
        self.value().get_help().map(ToString::to_string).unwrap_or_default()
    }

    fn value(self) -> clap::builder::PossibleValue {
        self.to_possible_value().expect("no attack is hidden from the command line")
    }
}

/// An attack, and on how many of its answers the executor runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cheat {
    attack: Attack,
    share: Share,
}

impl Cheat {
    pub const HONEST: Self = Self { attack: Attack::None, share: Share::ALL };

    /// # Errors
    /// A share of what is not done answer by answer.
    pub fn new(attack: Attack, share: Share) -> Result<Self> {
        let by_answer = !matches!(attack, Attack::None | Attack::Withhold);
        ensure!(by_answer || share == Share::ALL, "`{}` is done on all answers or on none", attack.name());
        Ok(Self { attack, share })
    }

    pub fn attack(self) -> Attack {
        self.attack
    }

    pub fn share(self) -> Share {
        self.share
    }
}

/// What the sidecar runs in place of the honest answerer, on the model of this configuration.
///
/// # Errors
/// The configuration lacks what the attack needs: the model's file, or for the adaptive ones the calibration.
pub fn answerer(config: &ModelConfig, cheat: Cheat) -> Result<AnswererFactory> {
    let attack = on_every_answer(config, cheat.attack)?;
    Ok(if cheat.share == Share::ALL { attack } else { Mixture::of(cheat.share, attack) })
}

fn on_every_answer(config: &ModelConfig, attack: Attack) -> Result<AnswererFactory> {
    let weights = |format| substitute(config, Change::Weights(format));
    Ok(match attack {
        Attack::None | Attack::Withhold => honest_factory(),
        Attack::Int8Row => weights(Format::INT8_ROW)?,
        Attack::Int8G128 => weights(Format::INT8_G128)?,
        Attack::Int8G32F32 => substitute(config, Change::FineWeights(Format::INT8_G32))?,
        Attack::Fp8 => weights(Format::Fp8)?,
        Attack::Int4G32 => weights(Format::INT4_G32)?,
        Attack::Int4G128 => weights(Format::INT4_G128)?,
        Attack::KvInt8 => substitute(config, Change::Cache(CachePrecision::Int8))?,
        Attack::KvInt4 => substitute(config, Change::Cache(CachePrecision::Int4))?,
        Attack::DropLayers => substitute(config, Change::DroppedLayers)?,
        Attack::Prune25 => substitute(config, Change::Pruned)?,
        Attack::WrongSeed => alone(WrongSeed),
        Attack::Temperature => alone(OtherTemperature),
        Attack::TopP => alone(OtherTopP),
        Attack::HalfContext => alone(Context::Half),
        Attack::SystemPrompt => alone(Context::SystemPrompt),
        Attack::EarlyStop => alone(Stop::Early),
        Attack::ForgedStop => alone(Stop::Forged),
        Attack::Prefill => prefill(config, Forging::OwnNoise)?,
        Attack::PrefillSameNoise => prefill(config, Forging::PromisedNoise)?,
        Attack::PrefillRepaired => prefill(config, Forging::Repaired)?,
        Attack::PrefillBelowTau => drafted(config, Change::Weights(Format::INT4_G32), BelowTau::new)?,
        Attack::Steer => alone(Steering),
        Attack::Pad => drafted(config, Change::Weights(Format::INT8_G128), Padding::new)?,
        Attack::Jitter => alone(Jitter),
        Attack::Adaptive => adaptive(config, Change::Weights(Format::INT8_G128))?,
        Attack::AdaptiveG32 => adaptive(config, Change::FineWeights(Format::INT8_G32))?,
    })
}

/// An answerer that needs no model but the promised one.
fn alone(answerer: impl Answerer + 'static) -> AnswererFactory {
    Box::new(move |_| Ok(Box::new(answerer)))
}

/// An answerer that is made from a cheaper model.
fn drafted<A: Answerer + 'static>(
    config: &ModelConfig,
    change: Change,
    make: impl FnOnce(Model) -> A + Send + 'static,
) -> Result<AnswererFactory> {
    let original = Original::of(config)?;
    Ok(Box::new(move |_| Ok(Box::new(make(original.load(change)?)))))
}

fn substitute(config: &ModelConfig, change: Change) -> Result<AnswererFactory> {
    drafted(config, change, Substitute::new)
}

fn prefill(config: &ModelConfig, forging: Forging) -> Result<AnswererFactory> {
    drafted(config, Change::Weights(Format::INT4_G32), move |draft| Prefill::new(draft, forging))
}

fn adaptive(config: &ModelConfig, change: Change) -> Result<AnswererFactory> {
    let known = adaptive::Known::read(config)?;
    drafted(config, change, move |cheap| Adaptive::new(cheap, known))
}

/// The seeds that the sessions fix.
fn promised_seeds(questions: &[Question]) -> Vec<RunSeed> {
    questions.iter().map(|question| question.run_seed).collect()
}

/// A model's own answers under the promised noise, as everything but the model says it is honest.
fn written_by(
    model: &Model,
    questions: &[Question],
) -> Result<Vec<assay_common::artifact::Artifact>, ModelError> {
    assay_sidecar::executor::answer::answer_with(model, questions, &promised_seeds(questions))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_attack_has_a_name_of_its_own_and_says_what_it_does() {
        let names: BTreeSet<String> = Attack::value_variants().iter().map(|attack| attack.name()).collect();
        assert_eq!(names.len(), Attack::value_variants().len());
        assert!(names.contains("int8-g32-f32") && names.contains("prune-25") && names.contains("top-p"));
        for attack in Attack::value_variants() {
            assert!(attack.description().len() > 20, "{}: {}", attack.name(), attack.description());
            assert_eq!(Attack::from_str(&attack.name(), false), Ok(*attack));
        }
        assert_eq!(Attack::from_str("int4", false), Ok(Attack::Int4G32));
    }

    #[test]
    fn only_what_is_done_answer_by_answer_is_done_on_a_share() {
        let fifth = Share::percent(20).unwrap();
        assert!(Cheat::new(Attack::Fp8, fifth).is_ok());
        assert!(Cheat::new(Attack::Withhold, fifth).is_err() && Cheat::new(Attack::None, fifth).is_err());
        assert_eq!(Cheat::new(Attack::None, Share::ALL).unwrap(), Cheat::HONEST);
    }
}
