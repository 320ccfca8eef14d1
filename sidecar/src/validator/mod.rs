//! The juror: from an assignment on the chain to a verdict on the chain.
//!
//! Each step is one module and leaves one stored state; [`pipeline`] holds their order, `docs/architecture.md` the tour.

pub mod confirm;
pub mod fetch;
pub mod jobs;
pub mod judge;
pub mod pages;
pub mod pipeline;
pub mod recompute;
pub mod submit;
pub mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_common::artifact::Commitment;
use assay_common::ids::{
    BatchRoot, Digest, DrawSeed, InferenceId, ModelDigest, Nonce, RunSeed, SessionId, UserSeed, Window,
};
use assay_common::judge::Calibration;
use assay_common::msg::{BatchResponse, QueryMsg, SampleKey, SampleResponse, SessionResponse};
use assay_common::params::Params;
use assay_common::session::run_seed;
use assay_common::verdict::AbstainReason;
use cosmwasm_std::{HexBinary, Uint128};
use serde::{Deserialize, Serialize};

use crate::chain::{Chain, ChainError, Sender};
use crate::config::ValidatorConfig;
use crate::engine::Engine;
use crate::store::Store;

/// What every step of the juror works with.
pub struct Juror {
    pub chain: Chain,
    pub sender: Sender,
    pub store: Store,
    pub config: ValidatorConfig,
    pub params: Params,
    /// Time between two looks at the chain.
    pub poll: std::time::Duration,
    /// Fetches artifacts.
    pub client: reqwest::Client,
    /// None: this node holds no model and abstains.
    pub bench: Option<Bench>,
}

impl Juror {
    /// Why this node cannot judge the case, if it cannot.
    pub fn abstains(&self, case: &Case) -> Option<AbstainReason> {
        match &self.bench {
            Some(bench) if bench.engine.spec().digest() == case.model => {
                let known = bench.calibrations.contains_key(&case.calibration);
                (!known).then_some(AbstainReason::NoCalibration)
            }
            _ => Some(AbstainReason::NoModel),
        }
    }

    /// This node's account.
    pub fn address(&self) -> &str {
        self.sender.account().address()
    }
}

/// What a node can judge by, under the digests that the chain knows.
pub type Calibrations = BTreeMap<Digest, Calibration>;

/// A model and what its verdicts are compared with.
#[derive(Clone)]
pub struct Bench {
    pub engine: Engine,
    pub calibrations: Arc<Calibrations>,
    /// What an inference of this model costs on average, as governance has it.
    pub reference_fee: Uint128,
}

/// What the chain says about a sampled inference; none of it changes after the draw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    pub executor: String,
    pub model: ModelDigest,
    /// The calibration that judges it.
    pub calibration: Digest,
    pub root: BatchRoot,
    /// Inferences under the root.
    pub count: u32,
    /// Leaf number under the root.
    pub index: u32,
    pub inference: InferenceId,
    pub session: SessionId,
    pub nonce: Nonce,
    pub user_seed: UserSeed,
    /// Signs the vouchers.
    pub session_key: HexBinary,
    pub max_prompt: u32,
    pub max_new: u32,
    /// They choose the probes of our seat's verdict.
    pub probe_seeds: Vec<DrawSeed>,
}

impl Case {
    /// Reads sample, batch and session, for a seat that was given in `window`.
    ///
    /// # Errors
    /// The chain cannot be asked.
    pub async fn read(chain: &Chain, key: SampleKey, window: Window) -> Result<Self, ChainError> {
        let SampleKey { batch, draw } = key;
        let sample: SampleResponse = chain.query(&QueryMsg::Sample { batch, draw }).await?;
        let levels = if sample.window == window { 1 } else { 2 };
        let batch: BatchResponse = chain.query(&QueryMsg::Batch { batch }).await?;
        let session: SessionResponse = chain.query(&QueryMsg::Session { session: sample.session }).await?;
        Ok(Self {
            executor: batch.executor,
            model: batch.model,
            calibration: batch.calibration,
            root: batch.root,
            count: batch.count,
            index: sample.index,
            inference: sample.inference,
            session: sample.session,
            nonce: sample.nonce,
            user_seed: session.user_seed,
            session_key: session.session_key,
            max_prompt: session.max_prompt,
            max_new: session.max_new,
            probe_seeds: sample.probe_seeds.into_iter().take(levels).collect(),
        })
    }

    /// Where the batch commits to this inference.
    pub fn commitment(&self) -> Commitment {
        Commitment { root: self.root, count: self.count, index: self.index, inference: self.inference }
    }

    pub fn run_seed(&self) -> RunSeed {
        run_seed(&self.user_seed, &self.inference)
    }
}
