//! The model that executors sample from and validators recompute: weights, tokenizer, forward passes.
//!
//! [`Model`] is `Send` but not `Sync`: one worker thread owns it. Torch failures are errors, never panics.

mod attention;
mod cache;
mod decode;
pub mod device;
mod forced;
pub mod gemma;
pub mod gguf;
pub mod numerics;
mod passes;
pub mod penalties;
pub mod quants;
mod rotary;
pub mod spec;
pub mod surprisal;
pub mod tokenizer;
mod weights;

use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};

use assay_common::judge::Platform;
use assay_common::session::{ModelSpec, NumericScheme};
use sha2::{Digest, Sha256};
use tch::{Device, TchError, Tensor};

pub use decode::Opening;
pub use device::{DeviceChoice, DeviceError};
pub use forced::{Forced, Row, Scored, ScoredPosition, TOP};
pub use gemma::Config;
pub use numerics::{Arithmetic, AttentionKernel, CachePrecision, Numerics};
pub use passes::{Compared, Passes};
pub use surprisal::Spread;
pub use tokenizer::Tokenizer;

use gemma::Gemma;
use gguf::{Gguf, GgufError};
use tokenizer::TokenizerError;

/// The libtorch that the bindings are built for, and refuse to be built without.
pub const LIBTORCH_VERSION: &str = "2.11.0";
/// Rows of hidden states that go through the vocabulary head at a time: 64 MiB of logits, as fast a row as
/// 256.
const HEAD_ROWS: i64 = 64;

/// Why a model could not be loaded or run. None of these says anything about the party whose work is being
/// checked.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("cannot read the model file {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} has SHA-256 {}, expected {}", .path.display(), hex(.found), any_of(.expected))]
    Digest { path: PathBuf, found: [u8; 32], expected: Vec<[u8; 32]> },
    #[error("model file")]
    Gguf(#[from] GgufError),
    #[error("tokenizer")]
    Tokenizer(#[from] TokenizerError),
    #[error("device")]
    Device(#[from] DeviceError),
    #[error("torch")]
    Torch(#[from] TchError),
    #[error("{threads} threads: at least one is needed")]
    Threads { threads: i32 },
    #[error("architecture `{found}` is not supported, only `gemma3`")]
    Architecture { found: String },
    #[error("`{key}` = {found} is out of range")]
    Dimension { key: String, found: u64 },
    #[error("{heads} heads over {kv_heads} key heads of dimension {head_dim} cannot be split")]
    Heads { heads: i64, kv_heads: i64, head_dim: i64 },
    #[error("a mapped projection is {found:?}, expected {expected:?} in f32")]
    Mapped { found: Vec<i64>, expected: Vec<i64> },
    #[error("a sequence without a prompt token has no first distribution")]
    EmptyPrompt,
    #[error("token {id} at position {position} is outside the vocabulary of {vocabulary}")]
    OutOfVocabulary { id: u32, position: usize, vocabulary: usize },
    #[error("{length} tokens exceed the model's context of {context}")]
    TooLong { length: usize, context: usize },
    #[error("a logit is not finite")]
    NotFinite,
    #[error("position {found} cannot be compared after {earlier} of {tokens} tokens: positions ascend")]
    Position { found: usize, earlier: usize, tokens: usize },
}

fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn any_of(digests: &[[u8; 32]]) -> String {
    digests.iter().map(hex).collect::<Vec<_>>().join(" or ")
}

/// Sees, and may change, the final hidden states [sequences, hidden] of a step of generation, before the head: the numbers of the
/// sequences in the batch come with them.
pub type Watch = Box<dyn FnMut(&[usize], Tensor) -> Result<Tensor, TchError> + Send>;

/// Weights and tokenizer of one GGUF file on one device.
pub struct Model {
    gemma: Gemma,
    tokenizer: Tokenizer,
    spec: ModelSpec,
    executing: Numerics,
    watch: RefCell<Option<Watch>>,
}

impl Model {
    /// Reads the file at `path` onto `device`, to be run in `scheme`; `threads` sets torch's CPU threads for the whole
    /// process.
    pub fn load(
        path: &Path,
        scheme: NumericScheme,
        device: DeviceChoice,
        threads: Option<i32>,
    ) -> Result<Self, ModelError> {
        Self::read(path, None, scheme, device.open()?, threads)
    }

    /// As [`Model::load`], but refuses a file with another digest than one of these before parsing any of it.
    pub fn load_pinned(
        path: &Path,
        sha256: &[[u8; 32]],
        scheme: NumericScheme,
        device: DeviceChoice,
        threads: Option<i32>,
    ) -> Result<Self, ModelError> {
        Self::read(path, Some(sha256), scheme, device.open()?, threads)
    }

    fn read(
        path: &Path,
        pinned: Option<&[[u8; 32]]>,
        scheme: NumericScheme,
        device: Device,
        threads: Option<i32>,
    ) -> Result<Self, ModelError> {
        if let Some(threads) = threads {
            if threads < 1 {
                return Err(ModelError::Threads { threads });
            }
            tch::set_num_threads(threads);
        }
        // One read: what was hashed is what is parsed, whatever happens to the file meanwhile.
        let file =
            std::fs::read(path).map_err(|source| ModelError::Read { path: path.to_owned(), source })?;
        let found: [u8; 32] = Sha256::digest(&file).into();
        if let Some(expected) = pinned.filter(|expected| !expected.contains(&found)) {
            return Err(ModelError::Digest { path: path.to_owned(), found, expected: expected.to_vec() });
        }
        let _no_grad = tch::no_grad_guard();
        let gguf = Gguf::parse(&file)?;
        Ok(Model {
            gemma: Gemma::load(&gguf, scheme, device)?,
            tokenizer: Tokenizer::from_gguf(&gguf)?,
            spec: spec::specification(&gguf, found, scheme)?,
            executing: Numerics::executing(scheme),
            watch: RefCell::new(None),
        })
    }

    /// The model as the chain knows it, by the file that was loaded.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// How [`Model::generate`] computes.
    pub fn executing(&self) -> Numerics {
        self.executing
    }

    /// A validator's first pass, which signed numbers are compared with.
    pub fn reference(&self) -> Numerics {
        Numerics::reference(self.spec.scheme)
    }

    /// Generates in another way than the scheme's from now on: an honest engine that does its best, or a cheat. What
    /// validators run stays.
    pub fn execute_as(&mut self, numerics: Numerics) {
        self.executing = numerics;
    }

    /// From now on [`Model::generate`] hands its hidden states through `watch`; validators' passes do not.
    ///
    /// For studying what an executor's noise does, and for peers that look at hidden states.
    pub fn watch_generation(&mut self, watch: Watch) {
        self.watch = RefCell::new(Some(watch));
    }

    fn watched(&self, sequences: &[usize], hidden: Tensor) -> Result<Tensor, TchError> {
        match self.watch.borrow_mut().as_mut() {
            Some(watch) => watch(sequences, hidden),
            None => Ok(hidden),
        }
    }

    pub fn config(&self) -> &Config {
        &self.gemma.config
    }

    /// Number of token ids, and the length of every distribution.
    pub fn vocabulary(&self) -> usize {
        self.gemma.config.vocabulary as usize
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The device in words.
    pub fn device(&self) -> String {
        device::describe(self.gemma.device)
    }

    /// What runs the model, as calibrations name it: threads and ordinals are left out.
    pub fn platform(&self) -> Platform {
        Platform { engine: format!("torch {LIBTORCH_VERSION}"), device: device::kind(self.gemma.device) }
    }

    /// Replaces every projection matrix (q, k, v, o, gate, up, down; [out, in]) by `f` of it; the embedding,
    /// which is also the head, and the norms stay.
    ///
    /// For studying what another numeric scheme does to the outputs; the weights' digest no longer describes
    /// the model.
    pub fn map_projections(
        &mut self,
        f: impl Fn(&Tensor) -> Result<Tensor, TchError>,
    ) -> Result<(), ModelError> {
        let _no_grad = tch::no_grad_guard();
        self.gemma.map_projections(f)
    }

    /// Leaves out the layers with these indices, for the same purpose.
    pub fn drop_layers(&mut self, dropped: Range<usize>) {
        self.gemma.drop_layers(dropped);
    }

    /// Calls `visit` with the index and the logits [vocabulary] of every row of `hidden` [rows, hidden].
    fn each_row(
        &self,
        hidden: &Tensor,
        mut visit: impl FnMut(usize, Tensor) -> Result<(), ModelError>,
    ) -> Result<(), ModelError> {
        let mut index = 0;
        for chunk in hidden.f_split(HEAD_ROWS, 0)? {
            let logits = self.gemma.logits(&chunk)?;
            for row in 0..chunk.size()[0] {
                visit(index, logits.f_get(row)?)?;
                index += 1;
            }
        }
        Ok(())
    }

    /// Refuses what torch would fail on, or on a GPU would poison the context with.
    fn check(&self, prompt: &[u32], new: usize) -> Result<(), ModelError> {
        if prompt.is_empty() {
            return Err(ModelError::EmptyPrompt);
        }
        let (length, context) = (prompt.len().saturating_add(new), self.gemma.config.context as usize);
        if length > context {
            return Err(ModelError::TooLong { length, context });
        }
        self.check_ids(prompt)
    }

    fn check_ids(&self, ids: &[u32]) -> Result<(), ModelError> {
        let vocabulary = self.vocabulary();
        match ids.iter().position(|id| *id as usize >= vocabulary) {
            None => Ok(()),
            Some(position) => Err(ModelError::OutOfVocabulary { id: ids[position], position, vocabulary }),
        }
    }
}
