//! The calibration that judges the model: made once by `assayd calibrate` from honest runs, then kept in the cache.

use std::path::PathBuf;

use anyhow::{Context, Result};
use assay_common::ids::ModelDigest;
use assay_common::judge::statistic::STATISTIC_VERSION;
use assay_common::judge::VERSION;
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use crate::parts::Parts;
use crate::{process, prompts};

/// Hexadecimal digits of a digest in a file name.
const SHORT: usize = 12;

/// The cached file for this model and these prompts; made now if there is none.
pub async fn obtain(parts: &Parts, model: ModelDigest) -> Result<PathBuf> {
    let texts = prompts::for_calibration();
    let inputs = Sha256::digest(format!("{VERSION}\0{STATISTIC_VERSION}\0{texts}"));
    let (model, inputs) = (model.to_string(), hex::encode(inputs));
    let file = parts.cache.join(format!("calibration-{}-{}.json", &model[..SHORT], &inputs[..SHORT]));
    if file.is_file() {
        return Ok(file);
    }
    std::fs::create_dir_all(&parts.cache)
        .with_context(|| format!("cannot make {}", parts.cache.display()))?;
    // Two runs at once, or one that is interrupted, leave no half of a file.
    let work = tempfile::tempdir_in(&parts.cache).context("the cache cannot be written")?;
    let (prompts, out) = (work.path().join("prompts.txt"), work.path().join("calibration.json"));
    std::fs::write(&prompts, texts)?;
    let mut command = Command::new(&parts.assayd);
    command.arg("calibrate").arg("--model").arg(&parts.model);
    command.arg("--prompts").arg(&prompts).arg("--out").arg(&out);
    process::run(command).await?;
    std::fs::rename(&out, &file).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}
