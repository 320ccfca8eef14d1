//! The directory of one run: its own, so that no run meets what another left.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use tempfile::TempDir;

const DELETE_TIMEOUT: Duration = Duration::from_secs(5);
const DELETE_PAUSE: Duration = Duration::from_millis(100);

pub enum RunDir {
    /// Deleted at the end of a run that succeeds.
    Temporary(TempDir),
    /// Named by the user, and kept.
    Given(PathBuf),
}

impl RunDir {
    /// # Errors
    /// `given` holds something already, or cannot be made.
    pub fn new(given: Option<PathBuf>) -> Result<Self> {
        let Some(path) = given else {
            let dir = tempfile::Builder::new().prefix("assay-localnet-").tempdir();
            return Ok(Self::Temporary(dir.context("no temporary directory can be made")?));
        };
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let is_empty = std::fs::read_dir(&path)?.next().is_none();
        ensure!(is_empty, "{} is not empty: another run's leftovers would be met", path.display());
        // Processes that are started elsewhere are given paths in it.
        Ok(Self::Given(path.canonicalize()?))
    }

    pub fn path(&self) -> &Path {
        match self {
            RunDir::Temporary(dir) => dir.path(),
            RunDir::Given(path) => path,
        }
    }

    /// After success.
    pub fn close(self) -> Result<()> {
        match self {
            RunDir::Temporary(dir) => delete(&dir.keep()),
            RunDir::Given(_) => Ok(()),
        }
    }

    /// After a failure: everything stays.
    pub fn keep(self) -> PathBuf {
        match self {
            RunDir::Temporary(dir) => dir.keep(),
            RunDir::Given(path) => path,
        }
    }
}

/// Children that were killed a moment ago may still be writing.
fn delete(path: &Path) -> Result<()> {
    let begin = Instant::now();
    loop {
        match std::fs::remove_dir_all(path) {
            Ok(()) => return Ok(()),
            Err(_) if begin.elapsed() < DELETE_TIMEOUT => std::thread::sleep(DELETE_PAUSE),
            Err(error) => return Err(error).with_context(|| format!("cannot delete {}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_directory_with_leftovers_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(RunDir::new(Some(dir.path().into())).is_ok());
        std::fs::write(dir.path().join("old"), "").unwrap();
        let error = RunDir::new(Some(dir.path().into())).err().unwrap().to_string();
        assert!(error.contains("is not empty"), "{error}");
    }

    #[test]
    fn a_temporary_directory_is_deleted_at_success_and_kept_after_a_failure() {
        let dir = RunDir::new(None).unwrap();
        let path = dir.path().to_owned();
        dir.close().unwrap();
        assert!(!path.exists());
        let kept = RunDir::new(None).unwrap().keep();
        assert!(kept.is_dir());
        std::fs::remove_dir(kept).unwrap();
    }
}
