//! What the local net is made of and does not make itself: the chain's binary, the contract, the model, `assayd`.

use std::path::PathBuf;

use anyhow::{bail, Context, Result};
use sha2::{Digest as _, Sha256};

/// The pinned sources of the chain: their digest names its place in the cache, as in `scripts/env`.
const CHAIN_SOURCES: [&str; 2] = [include_str!("../go.mod"), include_str!("../go.sum")];

/// Files that are there.
pub struct Parts {
    pub wasmd: PathBuf,
    pub contract: PathBuf,
    pub model: PathBuf,
    pub assayd: PathBuf,
    pub cache: PathBuf,
}

impl Parts {
    /// Where the scripts put them, unless `ASSAY_WASMD`, `ASSAY_CONTRACT_WASM`, `ASSAY_MODEL` or `ASSAY_CACHE` say otherwise.
    ///
    /// # Errors
    /// One is missing; the message names the script that makes it.
    pub fn find() -> Result<Self> {
        let here = std::env::current_exe().context("this program does not know its own path")?;
        let bin = here.parent().context("this program lies in no directory")?;
        let target = bin.parent().unwrap_or(bin);
        let cache = configured("ASSAY_CACHE").map_or_else(default_cache, Ok)?;
        let wasmd = || cache.join(format!("wasmd-{}", chain_key())).join("wasmd");
        let contract = || target.join("wasm/assay_contract.wasm");
        let model = || cache.join("models/gemma-3-270m-q4_k_m.gguf");
        let found = |name, default: &dyn Fn() -> PathBuf, script| {
            existing(configured(name).unwrap_or_else(default), script)
        };
        Ok(Self {
            wasmd: found("ASSAY_WASMD", &wasmd, "scripts/wasmd builds it")?,
            contract: found("ASSAY_CONTRACT_WASM", &contract, "scripts/contract builds it")?,
            model: found("ASSAY_MODEL", &model, "scripts/model fetches it")?,
            assayd: existing(bin.join("assayd"), "`cargo build -p assay-sidecar` builds it")?,
            cache,
        })
    }
}

fn configured(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

fn default_cache() -> Result<PathBuf> {
    let base = configured("XDG_CACHE_HOME").or_else(|| Some(configured("HOME")?.join(".cache")));
    Ok(base.context("neither ASSAY_CACHE nor HOME is set")?.join("assay"))
}

fn existing(path: PathBuf, made_by: &str) -> Result<PathBuf> {
    if !path.is_file() {
        bail!("missing: {} ({made_by})", path.display());
    }
    Ok(path)
}

fn chain_key() -> String {
    hex::encode(Sha256::digest(CHAIN_SOURCES.concat()))[..12].to_owned()
}
