//! A contested sample: one juror of its first level says that it got nothing, and a second level of 18 more decides.

use anyhow::{ensure, Context, Result};
use assay_common::event::Event;
use assay_common::ids::{Epoch, Window};
use assay_common::msg::{ExecuteMsg, SampleKey};
use assay_common::probe::PROBES;
use assay_common::verdict::{Outcome, UnavailableReason, Verdict};
use assay_sidecar::chain::Call;

use super::evidence::{Numbers, Work};
use super::footprint::Footprint;
use super::pass::{valid, Committed, VERDICTS};
use super::plan;
use super::tour::{sweep, FULL};
use super::world::{told, World};

/// The verdicts of the second level, and the Tallies that open and close it.
pub const SECOND_VERDICTS: [&str; 2] = ["CommitVerdicts, second level", "RevealVerdicts, second level"];
const CONTESTING: &str = "Tally, contesting";
const DECIDING: &str = "Tally, second level";
/// In the order in which they are sent.
pub const MESSAGES: [&str; 4] = [CONTESTING, SECOND_VERDICTS[0], SECOND_VERDICTS[1], DECIDING];

/// From the batch to the sweep; what is stored before and after that.
pub async fn run(world: &World, numbers: &Numbers) -> Result<(Footprint, Footprint)> {
    let session = world.open_session(FULL, 1).await?;
    let work = Work::new(world, numbers, &[session], 1)?;
    world.at_window(Window(0)).await?;
    let committed = world.commit(FULL, &work).await?;
    let drawn = world.draw(committed, &plan::ONE).await?;
    world.hear((committed.batch, drawn), VERDICTS, &dissent).await?;
    let revealed = drawn.next().next();
    world.at_window(revealed.next()).await?;
    world.post_beacon(revealed).await?;
    let second = contest(world, committed).await?;
    world.hear((committed.batch, second), SECOND_VERDICTS, &agree).await?;
    world.at_window(second.next().next().next()).await?;
    tally(world, DECIDING, committed).await?;
    world.at_epoch(2).await?;
    world.settle(FULL, Epoch(0), &plan::ONE).await?;
    let judged = Footprint::read(&world.chain).await?;
    world.at_epoch(4).await?;
    sweep(world).await?;
    Ok((judged, Footprint::read(&world.chain).await?))
}

/// The first of the jurors got nothing, the others what they were to get.
fn dissent(juror: usize, sample: SampleKey) -> Verdict {
    let SampleKey { batch, draw } = sample;
    let outcome = Outcome::Unavailable { reason: UnavailableReason::Absent };
    if juror == 0 {
        Verdict { batch, draw, outcome, score: None }
    } else {
        valid(sample, PROBES)
    }
}

/// Who has a seat on the second level gives the probes of both.
fn agree(_: usize, sample: SampleKey) -> Verdict {
    valid(sample, 2 * PROBES)
}

/// Has the seats of the second level drawn; the window in which they are.
async fn contest(world: &World, committed: Committed) -> Result<Window> {
    let (window, seats) =
        tally(world, CONTESTING, committed).await?.context("the sample is not contested")?;
    let most = world.params.jury.second_seats - world.params.jury.seats;
    ensure!(seats == most, "a second level of {seats} seats, not of {most}");
    Ok(window)
}

/// Window and seats of a second level, if that is what comes of it.
async fn tally(
    world: &World,
    message: &'static str,
    Committed { batch, .. }: Committed,
) -> Result<Option<(Window, u32)>> {
    let call = Call::new(ExecuteMsg::Tally { batch, from: 0, limit: 1 });
    let included = world.measure((message, 1), &world.cast.keeper, call).await?;
    Ok(told!(included, Event::SampleContested { window, seats, .. } => (*window, *seats)))
}
