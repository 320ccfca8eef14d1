//! `assayd accuse`: brings a proof of fraud, from an artifact or from a receipt; a node brings its own by itself.

pub mod accusations;
pub mod build;
mod command;
pub mod file;

use std::time::Duration;

use crate::chain::{Chain, Sender};
use crate::store::Store;

pub use command::{run, AccuseArgs};

/// Who accuses, and what it remembers it with.
#[derive(Clone)]
pub struct Accuser {
    pub chain: Chain,
    pub sender: Sender,
    pub store: Store,
    /// Time between two looks at the chain.
    pub poll: Duration,
}
