//! What the chain says about a sampled inference, and who sits on its jury.

use assay_common::ids::Window;
use assay_common::msg::{BatchResponse, ParamsVersion, QueryMsg, SampleKey, SampleResponse, SessionResponse};

use super::Case;
use crate::chain::{Chain, ChainError};

/// A sample with the batch and the session that it is of, and the parameters that hold for them.
#[derive(Clone, Debug)]
pub struct Record {
    pub sample: SampleResponse,
    pub batch: BatchResponse,
    pub session: SessionResponse,
    /// Of the epoch of the batch: what governance has changed since does not touch it.
    pub params: ParamsVersion,
}

impl Record {
    /// # Errors
    /// The chain cannot be asked.
    pub async fn read(chain: &Chain, SampleKey { batch, draw }: SampleKey) -> Result<Self, ChainError> {
        let sample: SampleResponse = chain.query(&QueryMsg::Sample { batch, draw }).await?;
        let batch: BatchResponse = chain.query(&QueryMsg::Batch { batch }).await?;
        let session: SessionResponse = chain.query(&QueryMsg::Session { session: sample.session }).await?;
        let params: ParamsVersion = chain.query(&QueryMsg::ParamsOf { epoch: batch.epoch }).await?;
        Ok(Self { sample, batch, session, params })
    }

    /// What a seat that was given in `window` judges; nothing of it changes after the draw.
    pub fn case(&self, window: Window) -> Case {
        let Self { sample, batch, session, .. } = self;
        let levels = if sample.window == window { 1 } else { 2 };
        Case {
            executor: batch.executor.clone(),
            model: batch.model,
            calibration: batch.calibration,
            root: batch.root,
            count: batch.count,
            index: sample.index,
            inference: sample.inference,
            session: sample.session,
            nonce: sample.nonce,
            user_seed: session.user_seed,
            session_key: session.session_key.clone(),
            max_prompt: session.max_prompt,
            max_new: session.max_new,
            probe_seeds: sample.probe_seeds.iter().copied().take(levels).collect(),
        }
    }

    /// The most bytes that the artifact may have.
    pub fn artifact_bytes(&self) -> u64 {
        let tokens = self.session.max_prompt.saturating_add(self.session.max_new);
        self.params.params.limits.artifact_bytes(tokens)
    }
}
