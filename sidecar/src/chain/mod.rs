//! The chain as a node sees it: queries and events, an account, and transactions.

pub mod account;
mod endpoints;
pub mod rpc;
pub mod tx;

pub use account::{Account, Signed};
pub use rpc::{Chain, ChainError};
pub use tx::{Call, Confirmation, Included, Pending, Sender, TxError};
