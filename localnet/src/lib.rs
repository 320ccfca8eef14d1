//! A local Assay network: a real chain, a real model, four nodes, one of them perhaps a cheat; and the cheats by themselves.

pub mod accounts;
pub mod attack;
mod beacon;
mod calibration;
pub mod cheat_node;
mod deploy;
pub mod gas;
mod genesis;
mod governance;
mod history;
mod money;
pub mod network;
mod nodes;
pub mod parts;
mod preset;
mod process;
mod prompts;
mod reform;
mod requests;
pub mod rundir;
pub mod scenario;
mod setup;
mod standing;
mod summary;
mod table;
mod wasmd;
mod when_settled;
