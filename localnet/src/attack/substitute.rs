//! Another model than the promised one: a cheaper copy of it answers and signs its own numbers.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use assay_common::artifact::Artifact;
use assay_common::session::NumericScheme;
use assay_sidecar::config::ModelConfig;
use assay_sidecar::engine::{Answerer, Question};
use assay_sidecar::model::{Arithmetic, CachePrecision, DeviceChoice, Model, ModelError, Numerics};

use super::pruned::{dropped_layers, prune};
use super::quantised::Format;
use super::written_by;

/// What is cheaper about the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Weights(Format),
    /// The same, and nothing else is rounded below f32.
    FineWeights(Format),
    Cache(CachePrecision),
    DroppedLayers,
    Pruned,
}

/// Where the promised model is loaded from.
pub struct Original {
    path: PathBuf,
    scheme: NumericScheme,
    device: DeviceChoice,
    threads: Option<i32>,
}

impl Original {
    /// # Errors
    /// No file is configured, or no such device exists.
    pub fn of(config: &ModelConfig) -> Result<Self> {
        let path = config.path.clone().context("the configuration names no model file")?;
        let device = config.device.parse()?;
        Ok(Self { path, scheme: config.scheme, device, threads: config.threads })
    }

    /// A second copy of the model, changed.
    pub fn load(&self, change: Change) -> Result<Model, ModelError> {
        let mut model = Model::load(&self.path, self.scheme, self.device, self.threads)?;
        let honest = model.executing();
        match change {
            Change::Weights(format) => model.map_projections(|weight| format.round(weight))?,
            Change::FineWeights(format) => {
                model.map_projections(|weight| format.round(weight))?;
                model.execute_as(Numerics { arithmetic: Arithmetic::F32, rounds_logits: false, ..honest });
            }
            Change::Cache(cache) => model.execute_as(Numerics { cache, ..honest }),
            Change::DroppedLayers => model.drop_layers(dropped_layers(model.config().layers)),
            Change::Pruned => model.map_projections(prune)?,
        }
        Ok(model)
    }
}

/// Answers with a cheaper model.
pub struct Substitute {
    cheap: Model,
}

impl Substitute {
    pub fn new(cheap: Model) -> Self {
        Self { cheap }
    }
}

impl Answerer for Substitute {
    fn answer(&mut self, _: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        written_by(&self.cheap, questions)
    }
}
