//! The contract's messages, queries and answers, as JSON on the wire.

mod batch;
mod clock;
mod due;
mod epoch;
mod execute;
mod instantiate;
mod migrate;
mod model;
mod node;
mod params;
mod pools;
mod query;
mod sample;
mod session;
mod verdicts;

pub use batch::{BatchResponse, ClaimedRange};
pub use clock::{BeaconResponse, ClockResponse, PauseResponse};
pub use due::{DueBeacon, DueResponse, DueSettle, DueTally};
pub use epoch::{EpochKey, EpochResponse, EpochStatus, FraudCommitmentResponse, Tallies};
pub use execute::{Claim, ExecuteMsg};
pub use instantiate::InstantiateMsg;
pub use migrate::{MigrateMsg, ModelSuccessor, TakeoverMsg};
pub use model::{CalibrationRecord, CalibrationVersion, ModelResponse};
pub use node::{EvidenceResponse, NodeResponse, UnbondingResponse};
pub use params::{ParamsResponse, ParamsVersion, ValidateParamsResponse};
pub use pools::{ClaimableResponse, PoolsResponse};
pub use query::{Page, QueryMsg};
pub use sample::{SampleKey, SampleResponse, Seat};
pub use session::{SessionResponse, SessionStatus, UnsettledPayment};
pub use verdicts::{AssignedPage, CommitmentResponse, VerdictsResponse};
