//! Who takes part: the chain's validators, a deployer, a requester and four nodes, each with a key of its own for this run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use assay_sidecar::chain::Account;

use crate::genesis::GenesisBalance;
use crate::preset;
use crate::wasmd::{DENOM, PREFIX, STAKING_DENOM};

/// The nodes, in the order in which they commit their batches within an epoch; the last is the cheat, if there is one.
pub const NODES: [&str; 4] = ["alder", "birch", "cedar", "rowan"];

/// Key and key file of one participant.
pub struct Participant {
    pub account: Account,
    pub key_file: PathBuf,
}

impl Participant {
    /// A new key, in the file `dir/name`.
    pub fn generate(dir: &Path, name: &str) -> Result<Self> {
        let key_file = dir.join(name);
        Ok(Self { account: Account::generate(&key_file, PREFIX)?, key_file })
    }
}

pub struct Accounts {
    /// They hold all stake, and with it all votes of the gov module.
    pub validators: Vec<Participant>,
    /// Puts the contract on the chain, and has no say in it.
    pub deployer: Participant,
    pub requester: Participant,
    /// As in [`NODES`].
    pub nodes: Vec<Participant>,
}

impl Accounts {
    /// New keys under `dir/keys`, with so many validators.
    pub fn generate(dir: &Path, validators: usize) -> Result<Self> {
        let keys = dir.join("keys");
        std::fs::create_dir(&keys).with_context(|| format!("cannot make {}", keys.display()))?;
        let participant = |name: &str| Participant::generate(&keys, name);
        Ok(Self {
            validators: (0..validators)
                .map(|number| participant(&format!("validator-{number}")))
                .collect::<Result<_>>()?,
            deployer: participant("deployer")?,
            requester: participant("requester")?,
            nodes: NODES.into_iter().map(participant).collect::<Result<_>>()?,
        })
    }

    /// What everybody owns in the first block.
    pub fn balances(&self) -> Vec<GenesisBalance> {
        let balance = |participant: &Participant, denom, amount| GenesisBalance {
            address: participant.account.address().to_owned(),
            denom,
            amount,
        };
        let mut balances = vec![
            balance(&self.deployer, DENOM, preset::DEPLOYER_FUNDS),
            balance(&self.requester, DENOM, preset::REQUESTER_FUNDS),
        ];
        balances.extend(self.nodes.iter().map(|node| balance(node, DENOM, preset::NODE_FUNDS)));
        let stake = 2 * preset::VALIDATOR_STAKE;
        balances.extend(self.validators.iter().map(|validator| balance(validator, STAKING_DENOM, stake)));
        balances
    }
}
