//! What the local net is made of and does not make itself: the chain's binary, the contract, the model, `assayd`.

use std::path::PathBuf;

use anyhow::{bail, Context, Result};
use sha2::{Digest as _, Sha256};

/// The pinned sources of the chain: their digest names its place in the cache, as in `scripts/env`.
const CHAIN_SOURCES: [&str; 2] = [include_str!("../go.mod"), include_str!("../go.sum")];

/// What a chain with the contract needs, without nodes.
pub struct ChainParts {
    pub wasmd: PathBuf,
    pub contract: PathBuf,
}

/// Files that are there.
pub struct Parts {
    pub chain: ChainParts,
    pub model: PathBuf,
    pub assayd: PathBuf,
    pub cache: PathBuf,
}

impl ChainParts {
    /// Where the scripts put them, unless `ASSAY_WASMD`, `ASSAY_CONTRACT_WASM` or `ASSAY_CACHE` say otherwise.
    ///
    /// # Errors
    /// One is missing; the message names the script that makes it.
    pub fn find() -> Result<Self> {
        let bin = bin()?;
        let target = bin.parent().unwrap_or(&bin).to_owned();
        let cache = cache()?;
        let wasmd = || cache.join(format!("wasmd-{}", chain_key())).join("wasmd");
        let contract = || target.join("wasm/assay_contract.wasm");
        Ok(Self {
            wasmd: found("ASSAY_WASMD", wasmd, "scripts/wasmd builds it")?,
            contract: found("ASSAY_CONTRACT_WASM", contract, "scripts/contract builds it")?,
        })
    }

    /// The code that takes over from the version before, built beside the contract.
    pub fn takeover(&self) -> PathBuf {
        self.contract.with_file_name("assay_takeover.wasm")
    }
}

impl Parts {
    /// As [`ChainParts::find`], and the model, which `ASSAY_MODEL` may name.
    ///
    /// # Errors
    /// As there.
    pub fn find() -> Result<Self> {
        let cache = cache()?;
        let model = || cache.join("models/gemma-3-270m-q4_k_m.gguf");
        Ok(Self {
            chain: ChainParts::find()?,
            model: found("ASSAY_MODEL", model, "scripts/model fetches it")?,
            assayd: existing(bin()?.join("assayd"), "`cargo build -p assay-sidecar` builds it")?,
            cache,
        })
    }
}

/// Where this program lies.
fn bin() -> Result<PathBuf> {
    let here = std::env::current_exe().context("this program does not know its own path")?;
    Ok(here.parent().context("this program lies in no directory")?.to_owned())
}

fn cache() -> Result<PathBuf> {
    configured("ASSAY_CACHE").map_or_else(default_cache, Ok)
}

fn found(name: &str, default: impl Fn() -> PathBuf, made_by: &str) -> Result<PathBuf> {
    existing(configured(name).unwrap_or_else(default), made_by)
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

/// The version of the chain's binary, as its sources are pinned; it does not know its own.
pub fn chain_version() -> &'static str {
    let pinned = CHAIN_SOURCES[0].lines().find_map(|line| line.trim().split_once("CosmWasm/wasmd "));
    pinned.and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or("of an unknown version")
}

fn chain_key() -> String {
    hex::encode(Sha256::digest(CHAIN_SOURCES.concat()))[..12].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_is_of_the_version_that_its_sources_pin() {
        let version = chain_version();
        assert!(version.strip_prefix('v').is_some_and(|rest| rest.split('.').count() == 3), "{version}");
    }
}
