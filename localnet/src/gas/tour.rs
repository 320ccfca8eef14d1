//! What is done with each contract, from its first node to its last sweep.

use anyhow::{Context, Result};
use assay_common::digest::sha256;
use assay_common::event::Event;
use assay_common::ids::{Digest, Epoch, SessionId, Window};
use assay_common::msg::{CalibrationRecord, ExecuteMsg};
use assay_common::params::{LimitPatch, ParamsPatch};
use assay_common::proof::accusation;
use assay_common::session::ModelSpec;
use assay_sidecar::chain::{Call, Confirmation, Sender, TxError};
use cosmwasm_std::{HexBinary, Uint128};
use tokio::time::sleep;

use super::contested;
use super::evidence::{Numbers, Work};
use super::footprint::Footprint;
use super::pass::Committed;
use super::plan::{self, Plan, Tour};
use super::setup;
use super::world::{told, Reading, World, POLL};

/// Sweeps until nothing is left to sweep, at most.
const SWEEPS: usize = 20;
const FULL_SWEEP: u32 = 50;
/// Claims of the batches that show what claims cost.
const CLAIMS: [u32; 2] = [10, 50];

/// The nodes by what they do besides judging.
pub const FULL: usize = 0;
const SINGLE: usize = 1;
const MANY: usize = 2;
const LEAVING: usize = 3;

/// What was found out about one contract.
pub struct Found {
    pub plan: Plan,
    pub readings: Vec<Reading>,
    /// When all nodes were registered, when everything was judged and settled, and when it was swept.
    pub registered: Footprint,
    pub judged: Footprint,
    pub swept: Footprint,
}

/// A batch on its way, and what it was made of.
struct Trip {
    work: Work,
    committed: Committed,
}

/// Does what the contract was made for.
pub async fn run(world: World, numbers: &Numbers) -> Result<Found> {
    setup::populate(&world).await?;
    let registered = Footprint::read(&world.chain).await?;
    let (judged, swept) = match world.plan.tour {
        Tour::Every => every(&world, numbers).await?,
        Tour::Nodes => (nodes(&world, numbers).await?, Footprint::default()),
        Tour::Contested => contested::run(&world, numbers).await?,
        Tour::Inferences(count) => (inferences(&world, numbers, count).await?, Footprint::default()),
    };
    let World { plan, readings, .. } = world;
    let readings = readings.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(Found { plan, readings, registered, judged, swept })
}

async fn every(world: &World, numbers: &Numbers) -> Result<(Footprint, Footprint)> {
    // Refused as soon as it is read: there is nothing to claim before the start.
    world.measure_refused("no-op", &world.cast.governor, &ExecuteMsg::Claim {}).await?;
    govern(world).await?;
    change_stakes(world).await?;
    let endpoint = Some("http://10.0.0.9:8080".into());
    let msg = ExecuteMsg::UpdateNode { models: None, endpoint };
    world.measure(("UpdateNode, endpoint", 1), world.node(LEAVING)?, Call::new(msg)).await?;
    let spare = spare_session(world).await?;
    let full = two_batches(world, numbers, &plan::FULL_DRAWS).await?;
    world.settle(FULL, Epoch(0), &[10, 200]).await?;
    world.settle(SINGLE, Epoch(0), &plan::ONE).await?;
    let judged = Footprint::read(&world.chain).await?;
    for number in [FULL, MANY] {
        world.measure(("Claim", 1), world.node(number)?, Call::new(ExecuteMsg::Claim {})).await?;
    }
    prove_fraud(world, "ProveFraud, epoch paid", &full).await?;
    world.at_epoch(2).await?;
    world.measure(("Withdraw", 1), world.node(LEAVING)?, Call::new(ExecuteMsg::Withdraw {})).await?;
    let msg = ExecuteMsg::CloseSession { session: spare };
    world.measure(("CloseSession, paying out", 1), &world.cast.keeper, Call::new(msg)).await?;
    world.at_epoch(4).await?;
    sweep(world).await?;
    let swept = Footprint::read(&world.chain).await?;
    let [ten, _] = many_claims(world, numbers).await?;
    prove_equivocation(world, &ten).await?;
    Ok((judged, swept))
}

async fn nodes(world: &World, numbers: &Numbers) -> Result<Footprint> {
    change_stakes(world).await?;
    let ten = two_batches(world, numbers, &plan::TEN).await?;
    world.settle(FULL, Epoch(0), &plan::TEN).await?;
    world.settle(SINGLE, Epoch(0), &plan::ONE).await?;
    let judged = Footprint::read(&world.chain).await?;
    prove_fraud(world, "ProveFraud, epoch paid", &ten).await?;
    Ok(judged)
}

/// One epoch to earn the base rate, and then the batch.
async fn inferences(world: &World, numbers: &Numbers, count: u32) -> Result<Footprint> {
    let session = world.open_session(FULL, 1).await?;
    let work = Work::new(world, numbers, &[session], 1)?;
    world.at_window(Window(0)).await?;
    let committed = world.commit(FULL, &work).await?;
    world.judge(committed, &plan::ONE).await?;
    world.at_epoch(1).await?;
    world.settle(FULL, Epoch(0), &plan::ONE).await?;

    let session = world.open_session(FULL, count).await?;
    let work = Work::new(world, numbers, &[session], count)?;
    let committed = world.commit(FULL, &work).await?;
    world.judge(committed, &plan::TEN).await?;
    world.at_epoch(2).await?;
    let epoch = committed.epoch;
    // The eleventh sample keeps the epoch open.
    world.settle_as(("Settle, epoch open", 10), FULL, epoch).await?;
    prove_fraud(world, "ProveFraud, epoch open", &Trip { work, committed }).await?;
    world.settle_as(("Settle, forfeiting", 1), FULL, epoch).await?;
    Footprint::read(&world.chain).await
}

/// A batch with these pages in the first window, one of a single sample in the second; both judged, in epoch 1.
async fn two_batches(world: &World, numbers: &Numbers, pages: &[u32]) -> Result<Trip> {
    let count: u32 = pages.iter().sum();
    let sessions = (world.open_session(FULL, count).await?, world.open_session(SINGLE, 1).await?);
    let first = Work::new(world, numbers, &[sessions.0], count)?;
    let second = Work::new(world, numbers, &[sessions.1], 1)?;
    let whole = async {
        world.at_window(Window(0)).await?;
        let committed = world.commit(FULL, &first).await?;
        world.judge(committed, pages).await?;
        anyhow::Ok(committed)
    };
    let single = async {
        world.at_window(Window(1)).await?;
        let committed = world.commit(SINGLE, &second).await?;
        world.judge(committed, &plan::ONE).await
    };
    let (committed, ()) = tokio::try_join!(whole, single)?;
    world.at_epoch(1).await?;
    Ok(Trip { work: first, committed })
}

/// One node adds to its stake, another takes a part of it back.
async fn change_stakes(world: &World) -> Result<()> {
    let stake = world.params.min_stake(Uint128::new(plan::FEE));
    let call = Call { msg: ExecuteMsg::UpdateNode { models: None, endpoint: None }, funds: stake.u128() };
    world.measure(("UpdateNode, stake", 1), world.node(MANY)?, call).await?;
    let call = Call::new(ExecuteMsg::Unbond { amount: stake });
    world.measure(("Unbond", 1), world.node(LEAVING)?, call).await?;
    Ok(())
}

/// A session that is opened, topped up and closed.
async fn spare_session(world: &World) -> Result<SessionId> {
    let session = world.open_session(FULL, 1).await?;
    let call = Call { msg: ExecuteMsg::TopUp { session }, funds: plan::FEE };
    world.measure(("TopUp", 1), &world.cast.requester, call).await?;
    let call = Call::new(ExecuteMsg::CloseSession { session });
    world.measure(("CloseSession", 1), &world.cast.requester, call).await?;
    Ok(session)
}

/// Everything that governance says, about a model that nobody serves where it would change what is measured.
async fn govern(world: &World) -> Result<()> {
    let other = ModelSpec { name: "another".into(), ..world.model.clone() };
    let (served, other_digest) = (world.model.digest(), other.digest());
    let guardian = world.node(FULL)?.account().address().to_owned();
    let calibration = CalibrationRecord { digest: Digest([9; 32]), ..setup::calibration() };
    let limits = LimitPatch { session_epochs: Some(29), ..LimitPatch::default() };
    let patch = ParamsPatch { limits, ..ParamsPatch::default() };
    let messages = [
        ("RegisterModel", setup::registration(&other)),
        ("SetGuardians", ExecuteMsg::SetGuardians { model: served, guardians: vec![guardian] }),
        ("SetGuardians", ExecuteMsg::SetGuardians { model: served, guardians: Vec::new() }),
        ("UpdateCalibration", ExecuteMsg::UpdateCalibration { model: other_digest, calibration }),
        ("DeprecateModel", ExecuteMsg::DeprecateModel { model: other_digest }),
        ("UpdateParams", ExecuteMsg::UpdateParams { patch, epoch: Epoch(20) }),
        ("CancelParams", ExecuteMsg::CancelParams {}),
        ("Pause", ExecuteMsg::Pause {}),
        ("Unpause", ExecuteMsg::Unpause {}),
    ];
    for (message, msg) in messages {
        world.measure((message, 1), &world.cast.governor, Call::new(msg)).await?;
    }
    Ok(())
}

/// A batch of ten claims and one of fifty, of one inference each.
async fn many_claims(world: &World, numbers: &Numbers) -> Result<[Trip; 2]> {
    let mut trips = Vec::with_capacity(CLAIMS.len());
    for claims in CLAIMS {
        let sessions = open_sessions(world, claims).await?;
        let work = Work::new(world, numbers, &sessions, 1)?;
        let committed = world.commit(MANY, &work).await?;
        trips.push(Trip { work, committed });
    }
    trips.try_into().ok().context("not as many batches as there were to be")
}

/// So many at once: what one costs is measured elsewhere.
async fn open_sessions(world: &World, count: u32) -> Result<Vec<SessionId>> {
    let msg = world.opening(MANY).await?;
    let calls = (0..count).map(|_| Call { msg: msg.clone(), funds: plan::FEE }).collect();
    let requester = &world.cast.requester;
    let pending = requester.broadcast(calls, |_| async { Ok(()) }).await?;
    let Confirmation::Included(included) = requester.confirm(&pending).await? else {
        anyhow::bail!("{count} sessions were not opened by {}", pending.hash);
    };
    let opened = included.events.iter().filter_map(|event| match event {
        Event::SessionOpened { session, .. } => Some(*session),
        _ => None,
    });
    Ok(opened.collect())
}

async fn prove_fraud(world: &World, message: &'static str, trip: &Trip) -> Result<()> {
    let proof = trip.work.fraud(trip.committed.batch)?;
    let salt = commit_proof(world, &proof.digest()).await?;
    let call = Call::new(ExecuteMsg::ProveFraud { proof, salt });
    world.measure((message, 1), &world.cast.keeper, call).await?;
    Ok(())
}

async fn prove_equivocation(world: &World, trip: &Trip) -> Result<()> {
    let executor = world.node(MANY)?.account();
    let proof = trip.work.equivocation(world, trip.committed.batch, executor)?;
    let salt = commit_proof(world, &proof.digest()).await?;
    let call = Call::new(ExecuteMsg::ProveEquivocation { proof, salt });
    world.measure(("ProveEquivocation", 1), &world.cast.keeper, call).await?;
    Ok(())
}

/// Returns a block after the commitment, so that the proof comes in a later one, and its simulation too.
async fn commit_proof(world: &World, proof: &Digest) -> Result<HexBinary> {
    let keeper: &Sender = &world.cast.keeper;
    let salt = HexBinary::from(sha256(&[b"salt", &proof.0]));
    let hash = accusation(world.chain.domain(), keeper.account().address(), proof, &salt);
    let call = Call::new(ExecuteMsg::CommitFraud { hash });
    let committed = world.measure(("CommitFraud", 1), keeper, call).await?;
    while world.chain.height().await? <= committed.height {
        sleep(POLL).await;
    }
    Ok(salt)
}

/// One item, ten, and full pages until nothing is left; a page that was not filled is not noted.
pub async fn sweep(world: &World) -> Result<()> {
    let limits = [1, 10].into_iter().chain(std::iter::repeat(FULL_SWEEP)).take(SWEEPS);
    for limit in limits {
        let call = Call::new(ExecuteMsg::Sweep { limit });
        let (reading, included) = match Reading::of("Sweep", limit, (&world.cast.keeper, call)).await {
            Ok(swept) => swept,
            Err(error) if matches!(error.downcast_ref(), Some(TxError::Rejected { .. })) => return Ok(()),
            Err(error) => return Err(error),
        };
        let items = told!(included, Event::Swept { items } => *items).context("a Sweep tells of none")?;
        if items == limit {
            world.note(reading);
        }
    }
    anyhow::bail!("{}: there is still something to sweep after {SWEEPS} sweeps", world.plan.name)
}
