//! The node of an Assay network: validator, executor, and the offline tools around them.

pub mod accuse;
pub mod answer;
pub mod artifacts;
pub mod calibrate;
pub mod chain;
pub mod config;
pub mod doctor;
pub mod duty;
pub mod engine;
pub mod executor;
pub mod http;
pub mod measure;
pub mod model;
pub mod offline;
pub mod poll;
pub mod register;
pub mod request;
mod run;
pub mod session;
pub mod simulate;
pub mod stake;
pub mod store;
pub mod supervisor;
pub mod validator;
pub mod verify;

pub use run::run;
