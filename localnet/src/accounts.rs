//! Who takes part: a governor, a requester and four nodes, each with a key of its own for this run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use assay_sidecar::chain::Account;

use crate::preset;
use crate::wasmd::{GenesisBalance, PREFIX};

/// The nodes, in the order in which they commit their batches within an epoch; the last is the cheat, if there is one.
pub const NODES: [&str; 4] = ["alder", "birch", "cedar", "rowan"];

/// Key and key file of one participant.
pub struct Participant {
    pub account: Account,
    pub key_file: PathBuf,
}

pub struct Accounts {
    pub governance: Participant,
    pub requester: Participant,
    /// As in [`NODES`].
    pub nodes: Vec<Participant>,
}

impl Accounts {
    /// New keys under `dir/keys`.
    pub fn generate(dir: &Path) -> Result<Self> {
        let keys = dir.join("keys");
        std::fs::create_dir(&keys).with_context(|| format!("cannot make {}", keys.display()))?;
        let participant = |name: &str| -> Result<Participant> {
            let key_file = keys.join(name);
            Ok(Participant { account: Account::generate(&key_file, PREFIX)?, key_file })
        };
        Ok(Self {
            governance: participant("governance")?,
            requester: participant("requester")?,
            nodes: NODES.into_iter().map(participant).collect::<Result<_>>()?,
        })
    }

    /// What everybody owns in the first block.
    pub fn balances(&self) -> Vec<GenesisBalance> {
        let balance = |participant: &Participant, amount: u128| GenesisBalance {
            address: participant.account.address().to_owned(),
            amount,
        };
        let mut balances = vec![
            balance(&self.governance, preset::GOVERNANCE_FUNDS),
            balance(&self.requester, preset::REQUESTER_FUNDS),
        ];
        balances.extend(self.nodes.iter().map(|node| balance(node, preset::NODE_FUNDS)));
        balances
    }
}
