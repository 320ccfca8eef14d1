//! `assayd simulate`: the economics of the protocol, with the contract's own functions and no chain, model or clock.

mod attacks;
pub mod bench;
pub mod capture;
pub mod career;
pub mod chance;
mod command;
pub mod conduct;
pub mod contest;
mod figures;
pub mod gain;
pub mod honest;
pub mod interval;
pub mod measured;
pub mod network;
mod report;
pub mod standing;
mod summary;
pub mod terms;

pub use command::{load, run, SimulateArgs};
pub use report::page;
