//! What a juror must judge, has committed to and has said.

use assay_common::ids::Window;
use assay_common::msg::{AssignedPage, CommitmentResponse, Page, SampleKey, VerdictsResponse};
use assay_common::verdict::Verdict;
use cosmwasm_std::{Addr, Order, StdResult, Storage};
use cw_storage_plus::Bound;

use super::paging;
use crate::error::ContractError;
use crate::state::{Cast, NodeNumber, ASSIGNMENTS, COMMITMENTS};
use crate::{node, tally};

/// Pages of verdicts that one query reads at most: every verdict on them is a sample to read.
const MAX_VERDICT_PAGES: usize = 5;

pub fn assignments(
    storage: &dyn Storage,
    juror: &Addr,
    window: Window,
    start_after: Option<u32>,
    limit: Option<u32>,
) -> Result<Page<AssignedPage, u32>, ContractError> {
    let juror = node::load(storage, juror)?.number;
    let found = assigned(storage, juror, window, start_after).map(|entry| {
        let (page, samples) = entry?;
        Ok((page, AssignedPage { page, samples }))
    });
    paging::page(found, paging::limit(limit))
}

fn assigned<'a>(
    storage: &'a dyn Storage,
    juror: NodeNumber,
    window: Window,
    start_after: Option<u32>,
) -> impl Iterator<Item = StdResult<(u32, Vec<SampleKey>)>> + 'a {
    let start = start_after.map(Bound::exclusive);
    ASSIGNMENTS.prefix((juror.0, window.0)).range(storage, start, None, Order::Ascending)
}

pub fn verdicts(
    storage: &dyn Storage,
    juror: &Addr,
    window: Window,
    start_after: Option<u32>,
    limit: Option<u32>,
) -> Result<Page<VerdictsResponse, u32>, ContractError> {
    let juror = node::load(storage, juror)?.number;
    let found = assigned(storage, juror, window, start_after).map(|entry| {
        let (page, samples) = entry?;
        Ok((page, VerdictsResponse { page, verdicts: revealed(storage, juror, samples)? }))
    });
    paging::page(found, paging::limit(limit).min(MAX_VERDICT_PAGES))
}

/// What a juror has said of these samples.
fn revealed(
    storage: &dyn Storage,
    juror: NodeNumber,
    samples: Vec<SampleKey>,
) -> Result<Vec<Verdict>, ContractError> {
    let mut verdicts = Vec::with_capacity(samples.len());
    for SampleKey { batch, draw } in samples {
        let sample = tally::load(storage, batch, draw)?;
        let seat = sample.seats.into_iter().find(|seat| seat.juror == juror);
        let cast = seat.and_then(|seat| seat.verdict);
        verdicts.extend(cast.map(|Cast { outcome, score }| Verdict { batch, draw, outcome, score }));
    }
    Ok(verdicts)
}

pub fn commitment(
    storage: &dyn Storage,
    juror: &Addr,
    window: Window,
    page: u32,
) -> Result<CommitmentResponse, ContractError> {
    let juror = node::load(storage, juror)?.number;
    let found = COMMITMENTS.may_load(storage, (juror.0, window.0, page))?;
    Ok(CommitmentResponse {
        hash: found.as_ref().map(|commitment| commitment.hash),
        revealed: found.is_some_and(|commitment| commitment.revealed),
    })
}
