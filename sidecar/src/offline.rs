//! What the commands that need no chain share: where the model is, and how a sampling seed is named.

use std::path::PathBuf;

use anyhow::{bail, Result};
use assay_common::ids::{InferenceId, RunSeed, UserSeed};
use assay_common::session::{run_seed, NumericScheme};

use crate::config::ModelConfig;
use crate::model::{Model, ModelError};

/// Which model to load, and where.
#[derive(Clone, Debug, clap::Args)]
pub struct ModelArgs {
    /// The model's GGUF file.
    #[arg(long, env = "ASSAY_MODEL")]
    pub model: PathBuf,
    /// The numeric scheme: bf16_f32 or bf16.
    #[arg(long, default_value_t)]
    pub scheme: NumericScheme,
    /// cpu, cuda:N or auto.
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Threads of one torch operation.
    #[arg(long)]
    pub threads: Option<i32>,
}

impl ModelArgs {
    /// Loads the model on this thread.
    ///
    /// # Errors
    /// The device is not there, or the model's own.
    pub fn load(&self) -> Result<Model, ModelError> {
        Model::load(&self.model, self.scheme, self.device.parse()?, self.threads)
    }

    pub fn config(&self) -> ModelConfig {
        ModelConfig {
            path: Some(self.model.clone()),
            calibration: None,
            next_calibration: None,
            scheme: self.scheme,
            device: self.device.clone(),
            threads: self.threads,
        }
    }
}

/// The sampling seed: given whole, or as what it is made of.
#[derive(Clone, Debug, clap::Args)]
pub struct SeedArgs {
    /// The run seed, 64 hexadecimal digits.
    #[arg(long)]
    pub run_seed: Option<RunSeed>,
    /// The session's user seed; with --inference, instead of --run-seed.
    #[arg(long, requires = "inference", conflicts_with = "run_seed")]
    pub user_seed: Option<UserSeed>,
    /// The inference id.
    #[arg(long, requires = "user_seed")]
    pub inference: Option<InferenceId>,
}

impl SeedArgs {
    /// # Errors
    /// Neither the seed nor both of its parts are given.
    pub fn run_seed(&self) -> Result<RunSeed> {
        match (self.run_seed, &self.user_seed, &self.inference) {
            (Some(seed), _, _) => Ok(seed),
            (None, Some(user_seed), Some(inference)) => Ok(run_seed(user_seed, inference)),
            _ => bail!("the seed is missing: give --run-seed, or --user-seed and --inference"),
        }
    }
}
