//! What a node judges by: the calibrations in its files, which may be there before they are needed, or come later.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{bail, ensure, Result};
use assay_common::ids::{Digest, Epoch, ModelDigest};
use assay_common::judge::Calibration;
use assay_common::msg::{ModelResponse, QueryMsg};

use crate::calibrate;
use crate::chain::{Chain, ChainError};

/// The calibrations of one model, under the digests that the chain knows. Clones share them.
#[derive(Clone)]
pub struct Calibrations {
    model: ModelDigest,
    /// The file that is there from the start, and the one that may come later.
    files: Arc<[PathBuf]>,
    /// What was read once is kept, whatever becomes of its file: it judges what was committed under it.
    read: Arc<Mutex<BTreeMap<Digest, Arc<Calibration>>>>,
}

impl Calibrations {
    /// Reads the files: `first`, which must hold what judges now unless `next` does, and `next`, which need not be there.
    ///
    /// # Errors
    /// A file that is there is no calibration of this model, or is not what the chain holds of it; none judges now.
    pub fn load(known: &ModelResponse, first: &Path, next: Option<&Path>) -> Result<Self> {
        let files: Arc<[PathBuf]> = std::iter::once(first).chain(next).map(Path::to_owned).collect();
        let calibrations = Self { model: known.model, files, read: Arc::default() };
        for path in calibrations.files.iter() {
            if path == first || path.exists() {
                calibrations.read_file(known, path)?;
            }
        }
        let (needed, model) = (known.calibration.record.digest, known.model);
        if calibrations.get(&needed).is_none() {
            bail!(
                "the calibration {} has another digest than {needed}, with which the chain judges model {model}",
                first.display()
            );
        }
        if let Some(next) = &known.next_calibration {
            calibrations.report((next.record.digest, next.from));
        }
        Ok(calibrations)
    }

    pub fn get(&self, digest: &Digest) -> Option<Arc<Calibration>> {
        self.lock().get(digest).cloned()
    }

    /// The calibration of this digest; where it was not read yet, the files are looked at again: governance may have
    /// announced it since, and the operator have put it there.
    ///
    /// # Errors
    /// The chain cannot be asked what it holds of it.
    pub async fn find(&self, chain: &Chain, digest: &Digest) -> Result<Option<Arc<Calibration>>, ChainError> {
        if let Some(found) = self.get(digest) {
            return Ok(Some(found));
        }
        let known: ModelResponse = chain.query(&QueryMsg::Model { model: self.model }).await?;
        for path in self.files.iter().filter(|path| path.exists()) {
            // A file that is only half written is whole at the next look.
            if let Err(error) = self.read_file(&known, path) {
                tracing::error!(error = format!("{error:#}"), "calibration.unusable");
            }
        }
        Ok(self.get(digest))
    }

    /// Looks for a calibration that judges from an epoch on, and says whether this node has it.
    ///
    /// # Errors
    /// As [`Calibrations::find`].
    pub async fn announced(
        &self,
        chain: &Chain,
        model: ModelDigest,
        calibration: (Digest, Epoch),
    ) -> Result<(), ChainError> {
        if model == self.model {
            self.find(chain, &calibration.0).await?;
            self.report(calibration);
        }
        Ok(())
    }

    fn report(&self, (digest, epoch): (Digest, Epoch)) {
        if self.get(&digest).is_some() {
            tracing::info!(calibration.digest = %digest, epoch = epoch.0, "calibration.ready_for_epoch");
        } else {
            tracing::warn!(calibration.digest = %digest, epoch = epoch.0, "calibration.missing_for_epoch");
        }
    }

    fn read_file(&self, known: &ModelResponse, path: &Path) -> Result<()> {
        let (calibration, digest) = calibrate::load(path, self.model)?;
        let on_chain = [Some(&known.calibration), known.next_calibration.as_ref()].into_iter().flatten();
        for version in on_chain.filter(|version| version.record.digest == digest) {
            ensure!(
                calibration.record(digest) == version.record,
                "the chain holds other bins or another probe tolerance for model {} than the calibration {}: tell governance",
                self.model,
                path.display()
            );
        }
        self.lock().entry(digest).or_insert_with(|| Arc::new(calibration));
        Ok(())
    }

    /// The map is whole between any two statements, so a panic elsewhere does not spoil it.
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Digest, Arc<Calibration>>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
