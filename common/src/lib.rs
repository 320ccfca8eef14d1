//! The vocabulary of the Assay protocol and its pure logic, shared by the contract and the sidecar.
//!
//! Nothing here does I/O, and nothing outside [`judge`] uses a float: native and wasm give the same bytes.

pub mod artifact;
pub mod attendance;
pub mod beacon;
pub mod claims;
pub mod digest;
pub mod draw;
pub mod event;
pub mod evidence;
pub mod fixed;
pub mod ids;
pub mod merkle;
pub mod msg;
pub mod noise;
pub mod params;
pub mod penalties;
pub mod probe;
pub mod proof;
pub mod replay;
pub mod reputation;
pub mod row;
pub mod salt;
pub mod sampler;
pub mod session;
pub mod verdict;
pub mod window;

#[cfg(feature = "judge")]
pub mod judge;
