//! Batches and their samples.

use assay_common::claims;
use assay_common::draw;
use assay_common::ids::{BatchId, DrawSeed, Epoch};
use assay_common::msg::{BatchResponse, Page, SampleKey, SampleResponse, Seat};
use assay_common::session::inference_id;
use cosmwasm_std::{Order, Storage};
use cw_storage_plus::Bound;

use super::paging;
use crate::error::ContractError;
use crate::state::{Batch, Sample, BATCHES, BEACONS, SAMPLES};
use crate::tx::Config;
use crate::{beacon, contest, model, node, tally};

pub fn batch(
    storage: &dyn Storage,
    at: (&Config, Epoch),
    id: BatchId,
) -> Result<BatchResponse, ContractError> {
    response(storage, at, id, crate::batch::load(storage, id)?)
}

pub fn batches(
    storage: &dyn Storage,
    at: (&Config, Epoch),
    start_after: Option<BatchId>,
    limit: Option<u32>,
) -> Result<Page<BatchResponse, BatchId>, ContractError> {
    let start = start_after.map(|after| Bound::exclusive(after.0));
    let found = BATCHES.range(storage, start, None, Order::Ascending).map(|entry| {
        let (id, batch) = entry?;
        Ok((BatchId(id), response(storage, at, BatchId(id), batch)?))
    });
    paging::page(found, paging::limit(limit))
}

fn response(
    storage: &dyn Storage,
    (config, now): (&Config, Epoch),
    id: BatchId,
    batch: Batch,
) -> Result<BatchResponse, ContractError> {
    let calibration = model::judging(storage, &batch)?.digest;
    Ok(BatchResponse {
        batch: id,
        executor: batch.executor.into_string(),
        model: batch.model,
        root: batch.root,
        count: batch.count,
        claims: batch.claims,
        window: batch.window,
        epoch: batch.epoch,
        round: beacon::known(storage, config, (batch.window, now))?.0,
        params: config.version_of(storage, batch.epoch)?.number,
        calibration,
        rate_q32: batch.rate_q32,
        sampler: batch.sampler,
        fees: batch.fees,
        samples: batch.samples,
        drawn: batch.drawn,
        closed: batch.closed,
    })
}

pub fn sample(
    storage: &dyn Storage,
    config: &Config,
    id: BatchId,
    draw: u32,
) -> Result<SampleResponse, ContractError> {
    let batch = crate::batch::load(storage, id)?;
    let key = SampleKey { batch: id, draw };
    sample_response((storage, config), &batch, key, tally::load(storage, id, draw)?)
}

pub fn samples(
    storage: &dyn Storage,
    config: &Config,
    id: BatchId,
    start_after: Option<u32>,
    limit: Option<u32>,
) -> Result<Page<SampleResponse, u32>, ContractError> {
    let batch = crate::batch::load(storage, id)?;
    let start = start_after.map(Bound::exclusive);
    let drawn = SAMPLES.prefix(id.0);
    let found = drawn.range(storage, start, None, Order::Ascending).map(|entry| {
        let (draw, sample) = entry?;
        Ok((draw, sample_response((storage, config), &batch, SampleKey { batch: id, draw }, sample)?))
    });
    paging::page(found, paging::limit(limit))
}

fn sample_response(
    (storage, config): (&dyn Storage, &Config),
    batch: &Batch,
    key: SampleKey,
    sample: Sample,
) -> Result<SampleResponse, ContractError> {
    let SampleKey { batch: id, draw } = key;
    let (session, nonce) = claims::inference(&batch.claims, sample.index)
        .ok_or(ContractError::UnknownSample { batch: id, draw })?;
    let probe_seeds = probe_seeds(storage, config, (id, batch), &sample)?;
    let mut seats = Vec::with_capacity(sample.seats.len());
    for seat in sample.seats {
        let juror = node::address(storage, seat.juror)?.into_string();
        let (verdict, score) = seat.verdict.map_or((None, None), |cast| (Some(cast.outcome), cast.score));
        seats.push(Seat { juror, verdict, score });
    }
    Ok(SampleResponse {
        batch: id,
        draw,
        index: sample.index,
        session,
        nonce,
        inference: inference_id(&config.domain, session, nonce),
        window: sample.window,
        seats,
        second: sample.second.map(|second| second.window),
        probe_seeds,
        outcome: sample.closed.map(|closed| closed.outcome),
        size_class: sample.closed.map_or(0, |closed| closed.size_class),
        bin: sample.closed.map_or(0, |closed| closed.bin),
    })
}

/// The seeds that choose the probes of a sample's verdicts.
fn probe_seeds(
    storage: &dyn Storage,
    config: &Config,
    (id, batch): (BatchId, &Batch),
    sample: &Sample,
) -> Result<Vec<DrawSeed>, ContractError> {
    let first = BEACONS.may_load(storage, batch.window.0)?;
    let second = match sample.second {
        Some(_) => BEACONS.may_load(storage, contest::beacon(sample.window).0)?,
        None => None,
    };
    let first = first.map(|beacon| draw::seed(&config.domain, id, &beacon.randomness));
    let second = second.map(|beacon| draw::second_seed(&config.domain, id, &beacon.randomness));
    Ok(first.into_iter().chain(second).collect())
}
