//! The pages on which a juror commits to verdicts and reveals them.

use cosmwasm_schema::cw_serde;

use crate::ids::Digest;
use crate::msg::SampleKey;
use crate::verdict::Verdict;

/// Samples that a juror must judge: the verdicts on them belong on this one page of its verdicts of that window.
#[cw_serde]
#[derive(Eq)]
pub struct AssignedPage {
    pub page: u32,
    /// In the order in which the seats were given.
    pub samples: Vec<SampleKey>,
}

/// The revealed verdicts on the samples of one [`AssignedPage`].
#[cw_serde]
pub struct VerdictsResponse {
    pub page: u32,
    /// In the order in which the seats were given.
    pub verdicts: Vec<Verdict>,
}

#[cw_serde]
pub struct CommitmentResponse {
    pub hash: Option<Digest>,
    pub revealed: bool,
}
