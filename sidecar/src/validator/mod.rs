//! The juror: from an assignment on the chain to a verdict on the chain.
//!
//! Each step is one module and leaves one stored state; [`pipeline`] holds their order, `docs/architecture.md` the tour.

pub mod calibrations;
pub mod confirm;
pub mod fetch;
pub mod jobs;
pub mod judge;
pub mod keep;
pub mod pages;
pub mod pipeline;
pub mod recompute;
pub mod record;
pub mod relay;
pub mod submit;
pub mod watch;

use std::sync::Arc;

use assay_common::artifact::Commitment;
use assay_common::digest::Domain;
use assay_common::ids::{
    BatchRoot, Digest, DrawSeed, Epoch, InferenceId, ModelDigest, Nonce, RequestDigest, RunSeed, SessionId,
    UserSeed,
};
use assay_common::params::ClockParams;
use assay_common::session::{run_seed, voucher_digest};
use assay_common::verdict::AbstainReason;
use cosmwasm_std::{HexBinary, Uint128};
use serde::{Deserialize, Serialize};

use self::calibrations::Calibrations;
use self::relay::Traffic;
use crate::chain::account::{self, SignatureError};
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
    /// When windows and epochs begin, which governance cannot change; every other parameter is asked for where it is used.
    pub clock: ClockParams,
    /// Time between two looks at the chain.
    pub poll: std::time::Duration,
    /// Fetches artifacts.
    pub client: reqwest::Client,
    pub traffic: Arc<Traffic>,
    /// None: this node holds no model and abstains.
    pub bench: Option<Bench>,
}

impl Juror {
    /// Why this node cannot judge the case, if it cannot.
    ///
    /// # Errors
    /// The chain cannot be asked what it holds of a calibration that is new here.
    pub async fn abstains(&self, case: &Case) -> Result<Option<AbstainReason>, ChainError> {
        match &self.bench {
            Some(bench) if bench.engine.spec().digest() == case.model => {
                let known = bench.calibrations.find(&self.chain, &case.calibration).await?;
                let certified = known.is_some_and(|known| known.certifies(bench.engine.platform()));
                Ok((!certified).then_some(AbstainReason::NoCalibration))
            }
            _ => Ok(Some(AbstainReason::NoModel)),
        }
    }

    /// Governance lets this calibration judge the model from an epoch on: whether this node is ready for it.
    ///
    /// # Errors
    /// The chain cannot be asked what it holds of it.
    pub async fn announced(
        &self,
        model: ModelDigest,
        calibration: (Digest, Epoch),
    ) -> Result<(), ChainError> {
        match &self.bench {
            Some(bench) => bench.calibrations.announced(&self.chain, model, calibration).await,
            None => Ok(()),
        }
    }

    /// This node's account.
    pub fn address(&self) -> &str {
        self.sender.account().address()
    }
}

/// A model and what its verdicts are compared with.
#[derive(Clone)]
pub struct Bench {
    pub engine: Engine,
    pub calibrations: Calibrations,
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
    /// Where the batch commits to this inference.
    pub fn commitment(&self) -> Commitment {
        Commitment { root: self.root, count: self.count, index: self.index, inference: self.inference }
    }

    /// Whether the session key signed for this request under this nonce.
    ///
    /// # Errors
    /// It did not.
    pub fn check_voucher(
        &self,
        domain: &Domain,
        request: &RequestDigest,
        voucher: &HexBinary,
    ) -> Result<(), SignatureError> {
        let digest = voucher_digest(domain, self.session, self.nonce, request);
        account::verify(&self.session_key, voucher, &digest.0).map(|_| ())
    }

    pub fn run_seed(&self) -> RunSeed {
        run_seed(&self.user_seed, &self.inference)
    }
}
