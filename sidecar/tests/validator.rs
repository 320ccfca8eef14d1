//! The validator against a scripted node: its store, the order of its steps, and what it says to the chain.
#![allow(clippy::unwrap_used)]

#[path = "validator/accounts.rs"]
mod accounts;
#[path = "validator/accusations.rs"]
mod accusations;
#[path = "validator/artifacts.rs"]
mod artifacts;
#[path = "validator/court.rs"]
mod court;
#[path = "validator/failover.rs"]
mod failover;
#[path = "validator/governance.rs"]
mod governance;
#[path = "validator/hostile.rs"]
mod hostile;
#[path = "validator/jobs.rs"]
mod jobs;
#[path = "validator/node.rs"]
mod node;
#[path = "validator/pages.rs"]
mod pages;
#[path = "validator/relays.rs"]
mod relays;
#[path = "validator/suite.rs"]
mod suite;
#[path = "validator/supervision.rs"]
mod supervision;
#[path = "validator/transactions.rs"]
mod transactions;
#[path = "validator/turns.rs"]
mod turns;
#[path = "validator/watching.rs"]
mod watching;
