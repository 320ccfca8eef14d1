//! CommitVerdicts and RevealVerdicts: jurors bind themselves to verdicts before anybody sees one.
//!
//! Of samples drawn in window d: commitments until the end of d + 1, reveals during d + 2.

use assay_common::event::Event;
use assay_common::ids::{Digest, Window};
use assay_common::probe::PROBES;
use assay_common::verdict::{Verdict, VerdictPage};
use cosmwasm_std::{HexBinary, Order, Response, Storage};
use cw_storage_plus::Bound;

use crate::error::ContractError;
use crate::node;
use crate::state::{Cast, NodeNumber, PageCommitment, COMMITMENTS, SAMPLES, SEATS};
use crate::tx::{Config, Tx};

/// Windows after the draw in which commitments are still taken.
const COMMIT_WINDOWS: u64 = 1;
/// Windows from the draw to the one of the reveals.
pub const REVEAL_AFTER: u64 = 2;
/// Bytes of a salt: HMAC-SHA-256.
const SALT_BYTES: usize = 32;

/// Stores the sender's commitment to one page of verdicts on samples drawn in `window`.
///
/// # Errors
/// The sender has no seat there, it is too early or too late, or the page is out of bounds or committed already.
pub fn commit(
    storage: &mut dyn Storage,
    tx: &Tx,
    window: Window,
    page: u32,
    hash: Digest,
) -> Result<Response, ContractError> {
    let now = tx.window()?;
    let (opens, closes) = (window, Window(window.0.saturating_add(COMMIT_WINDOWS)));
    if now < opens {
        return Err(ContractError::TooEarly { window, opens, now });
    }
    if now > closes {
        return Err(ContractError::TooLate { window, closes, now });
    }
    let juror = node::load(storage, &tx.sender)?.number;
    let seats = SEATS.may_load(storage, (juror.0, window.0))?.unwrap_or(0);
    if seats == 0 {
        return Err(ContractError::NotAssigned { juror: tx.sender.to_string(), window });
    }
    let pages = seats.div_ceil(page_size(storage, &tx.config, window)?);
    if page >= pages {
        return Err(ContractError::BadPage { page, pages });
    }
    let key = (juror.0, window.0, page);
    if COMMITMENTS.has(storage, key) {
        return Err(ContractError::AlreadyCommitted { window, page });
    }
    COMMITMENTS.save(storage, key, &PageCommitment { hash, revealed: false })?;
    Ok(Response::new().add_event(Event::VerdictsCommitted { juror: tx.sender.to_string(), window, page }))
}

/// Verdicts that a page may hold: as it was when its samples were drawn, for the seats were numbered by it.
///
/// # Errors
/// The window is earlier than every stored batch.
pub fn page_size(storage: &dyn Storage, config: &Config, drawn: Window) -> Result<u32, ContractError> {
    let epoch = config.params.clock.epoch(drawn);
    Ok(config.params_of(storage, epoch)?.limits.verdict_page)
}

/// The page that the sender shows.
pub fn page(tx: &Tx, window: Window, page: u32, verdicts: Vec<Verdict>) -> VerdictPage {
    VerdictPage { juror: tx.sender.to_string(), window, page, verdicts }
}

/// Opens a page: all of its verdicts count, or none.
///
/// # Errors
/// It is not the reveal window, the page is not the committed one, or a verdict is on a sample that does not exist,
/// was drawn in another window, has no seat for the sender, or has its verdict.
pub fn reveal(
    storage: &mut dyn Storage,
    tx: &Tx,
    page: VerdictPage,
    salt: &HexBinary,
) -> Result<Response, ContractError> {
    let (now, window) = (tx.window()?, page.window);
    let opens = Window(window.0.saturating_add(REVEAL_AFTER));
    if now < opens {
        return Err(ContractError::TooEarly { window, opens, now });
    }
    if now > opens {
        return Err(ContractError::TooLate { window, closes: opens, now });
    }
    let most = page_size(storage, &tx.config, window)?;
    let count = u32::try_from(page.verdicts.len()).unwrap_or(u32::MAX);
    if count == 0 || count > most {
        return Err(ContractError::BadVerdictCount { count, most });
    }
    let juror = node::load(storage, &tx.sender)?.number;
    open_commitment(storage, tx, (juror, &page), salt)?;
    for verdict in &page.verdicts {
        record(storage, (juror, &page), verdict)?;
    }
    let VerdictPage { juror, window, page, .. } = page;
    Ok(Response::new().add_event(Event::VerdictsRevealed { juror, window, page, verdicts: count }))
}

/// The last window for whose draws this juror committed to verdicts.
///
/// # Errors
/// Storage cannot be read.
pub fn last_window(storage: &dyn Storage, juror: NodeNumber) -> Result<Option<Window>, ContractError> {
    let first = Some(Bound::inclusive((juror.0, 0, 0)));
    let last = Some(Bound::inclusive((juror.0, u64::MAX, u32::MAX)));
    let pages = COMMITMENTS.keys(storage, first, last, Order::Descending).next().transpose()?;
    Ok(pages.map(|(_, window, _)| Window(window)))
}

fn open_commitment(
    storage: &mut dyn Storage,
    tx: &Tx,
    (juror, page): (NodeNumber, &VerdictPage),
    salt: &HexBinary,
) -> Result<(), ContractError> {
    let (window, number) = (page.window, page.page);
    if salt.len() != SALT_BYTES {
        return Err(ContractError::BadSalt { bytes: salt.len() });
    }
    let key = (juror.0, window.0, number);
    let commitment =
        COMMITMENTS.may_load(storage, key)?.ok_or(ContractError::NotCommitted { window, page: number })?;
    if commitment.revealed {
        return Err(ContractError::AlreadyRevealed { window, page: number });
    }
    let revealed = page.commitment(&tx.config.domain, salt);
    if revealed != commitment.hash {
        return Err(ContractError::RevealMismatch { committed: commitment.hash, revealed });
    }
    COMMITMENTS.save(storage, key, &PageCommitment { revealed: true, ..commitment })?;
    Ok(())
}

/// Writes a verdict into its seat.
///
/// A seat's verdict belongs on one page: else a juror could commit to every outcome, and open the one that the others chose.
fn record(
    storage: &mut dyn Storage,
    (juror, page): (NodeNumber, &VerdictPage),
    verdict: &Verdict,
) -> Result<(), ContractError> {
    let Verdict { batch, draw, .. } = *verdict;
    let mut sample =
        SAMPLES.may_load(storage, (batch.0, draw))?.ok_or(ContractError::UnknownSample { batch, draw })?;
    let at = sample
        .seats
        .iter()
        .position(|seat| seat.juror == juror)
        .ok_or_else(|| ContractError::NotSeated { juror: page.juror.clone(), batch, draw })?;
    let is_second = at >= sample.levels().0.len();
    let given = if is_second { sample.latest() } else { sample.window };
    if given != page.window {
        return Err(ContractError::WrongWindow { batch, draw, drawn: given, page: page.window });
    }
    check_score(verdict, is_second)?;
    let seat = &mut sample.seats[at];
    if seat.page != page.page {
        return Err(ContractError::WrongPage { batch, draw, page: page.page, belongs: seat.page });
    }
    if seat.verdict.is_some() {
        return Err(ContractError::DuplicateVerdict { batch, draw });
    }
    seat.verdict = Some(Cast { outcome: verdict.outcome, score: verdict.score.clone() });
    SAMPLES.save(storage, (batch.0, draw), &sample)?;
    Ok(())
}

/// A verdict that needs the model comes with the probes of its level, and no other does.
fn check_score(verdict: &Verdict, is_second: bool) -> Result<(), ContractError> {
    let Verdict { batch, draw, outcome, score } = verdict;
    let levels = if is_second { 2 } else { 1 };
    let expected = if outcome.needs_score() { PROBES.saturating_mul(levels) } else { 0 };
    let found = score.as_ref().map_or(0, |score| score.probes.len());
    if found == expected && score.is_some() == outcome.needs_score() {
        Ok(())
    } else {
        Err(ContractError::BadScore { batch: *batch, draw: *draw, found, expected })
    }
}
