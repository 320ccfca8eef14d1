//! The requester's memory: one JSON file, replaced whole, readable by its owner only.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use assay_common::digest::Domain;
use assay_common::ids::{ModelDigest, Nonce, SessionId, UserSeed};
use cosmwasm_std::HexBinary;
use k256::ecdsa::SigningKey;
use rand::rngs::OsRng;
use rand::RngCore;
use serde::{Deserialize, Serialize};

use crate::chain::tx::Pending;
use crate::http::{AnswerRequest, AnswerResponse};

/// A state file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("the state file {path} cannot be read")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the state file {path} is not one")]
    Invalid {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("the state file {path} cannot be written")]
    Unwritable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the state file {path} belongs to another {what}: {stored}, this is {found}; use another file")]
    Other { path: PathBuf, what: &'static str, stored: String, found: String },
    #[error("the state file {path} holds no session key")]
    Key { path: PathBuf },
}

/// An answer whose receipt was not what it must be: evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadAnswer {
    pub asked: AnswerRequest,
    pub answer: AnswerResponse,
    pub reason: String,
}

/// One session with one executor.
#[derive(Clone, Serialize, Deserialize)]
pub struct State {
    pub domain: Domain,
    pub requester: String,
    pub executor: String,
    pub model: ModelDigest,
    /// The transaction that opens it, while its fate is open.
    pub opening: Option<Pending>,
    /// Absent until the chain has opened it.
    pub session: Option<SessionId>,
    /// Secret, 32 bytes.
    pub session_key: HexBinary,
    pub user_seed: UserSeed,
    pub next_nonce: Nonce,
    /// Maps a nonce to its request, which waits for an answer.
    pub unanswered: BTreeMap<Nonce, AnswerRequest>,
    /// Maps a nonce to its answer, whose receipt is in order.
    pub answers: BTreeMap<Nonce, AnswerResponse>,
    pub bad_answers: Vec<BadAnswer>,
}

impl State {
    /// A session to be opened, with a new key and seed.
    pub fn new(domain: Domain, requester: &str, executor: &str, model: ModelDigest) -> Self {
        let mut seed = [0; 32];
        OsRng.fill_bytes(&mut seed);
        let key = SigningKey::random(&mut OsRng);
        Self {
            domain,
            requester: requester.into(),
            executor: executor.into(),
            model,
            opening: None,
            session: None,
            session_key: HexBinary::from(key.to_bytes().to_vec()),
            user_seed: UserSeed(seed),
            next_nonce: Nonce(1),
            unanswered: BTreeMap::new(),
            answers: BTreeMap::new(),
            bad_answers: Vec::new(),
        }
    }

    /// Reads the file; `None` where there is none.
    ///
    /// # Errors
    /// It cannot be read or is something else.
    pub fn load(path: &Path) -> Result<Option<Self>, StateError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StateError::Unreadable { path: path.into(), source }),
        };
        let state = serde_json::from_str(&text);
        state.map(Some).map_err(|source| StateError::Invalid { path: path.into(), source })
    }

    /// Checks that the file is of the same parties and the same model on the same chain as `wanted`.
    ///
    /// # Errors
    /// What differs.
    pub fn check_same(&self, wanted: &Self, path: &Path) -> Result<(), StateError> {
        let (model, wanted_model) = (self.model.to_string(), wanted.model.to_string());
        let pairs = [
            ("chain", &self.domain.chain_id, &wanted.domain.chain_id),
            ("contract", &self.domain.contract, &wanted.domain.contract),
            ("requester", &self.requester, &wanted.requester),
            ("executor", &self.executor, &wanted.executor),
            ("model", &model, &wanted_model),
        ];
        for (what, stored, found) in pairs {
            if stored != found {
                let (stored, found) = (stored.clone(), found.clone());
                return Err(StateError::Other { path: path.into(), what, stored, found });
            }
        }
        Ok(())
    }

    /// The key that signs vouchers.
    ///
    /// # Errors
    /// The file was changed by hand.
    pub fn key(&self, path: &Path) -> Result<SigningKey, StateError> {
        SigningKey::from_slice(&self.session_key).map_err(|_| StateError::Key { path: path.into() })
    }

    /// Writes beside the file and renames over it, so that a crash leaves the old one or the new one.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self, path: &Path) -> Result<(), StateError> {
        let unwritable = |source| StateError::Unwritable { path: path.into(), source };
        let json = serde_json::to_vec_pretty(self)
            .map_err(|source| StateError::Invalid { path: path.into(), source })?;
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let new = PathBuf::from(name);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let write = || {
            std::fs::create_dir_all(folder)?;
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&json)?;
            file.sync_all()?;
            std::fs::rename(&new, path)?;
            std::fs::File::open(folder)?.sync_all()
        };
        write().map_err(unwritable)
    }
}
