//! The executor and its customers without a model and without a chain: a scripted engine, and a table for a contract.
#![allow(clippy::unwrap_used)]

#[path = "executor/answers.rs"]
mod answers;
#[path = "executor/artifacts.rs"]
mod artifacts;
#[path = "executor/batches.rs"]
mod batches;
#[path = "executor/governance.rs"]
mod governance;
#[path = "executor/refusals.rs"]
mod refusals;
#[path = "executor/requester.rs"]
mod requester;
#[path = "executor/suite.rs"]
mod suite;
