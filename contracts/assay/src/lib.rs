//! The Assay contract: reputation, sampling, juries, settlement and slashing.
//!
//! `contract` only dispatches; each action has its file, and what may be sent by whom is one table in `auth`.

pub mod auth;
pub mod batch;
pub mod beacon;
pub mod claim;
pub mod close;
pub mod contest;
pub mod contract;
pub mod draw;
pub mod epoch;
pub mod error;
pub mod guardian;
pub mod hearing;
pub mod jurors;
pub mod migrate;
pub mod model;
pub mod node;
pub mod packed;
pub mod params;
pub mod pause;
pub mod pools;
pub mod proof;
pub mod purse;
pub mod query;
pub mod seating;
pub mod session;
pub mod settle;
pub mod setup;
pub mod slash;
pub mod stake;
pub mod stakes;
pub mod state;
pub mod sweep;
pub mod table;
pub mod takeover;
pub mod tally;
pub mod tx;
pub mod verdicts;
pub mod versions;
