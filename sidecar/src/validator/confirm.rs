//! What became of a page's transaction, by its hash.

use super::pages::{self, PageState, StoredPage};
use super::Juror;
use crate::chain::Confirmation;
use crate::poll::LookError;

/// Where a page goes when its transaction was executed, and where when it was not.
///
/// `None` where no transaction is under way.
pub fn outcomes(state: PageState) -> Option<(PageState, PageState)> {
    match state {
        PageState::Committing => Some((PageState::Committed, PageState::Assembled)),
        PageState::Revealing => Some((PageState::Revealed, PageState::Committed)),
        PageState::Assembled | PageState::Committed | PageState::Revealed | PageState::Expired => None,
    }
}

/// Asks once; a page whose transaction may still happen stays as it is.
///
/// # Errors
/// The chain cannot be asked, or the store fails.
pub async fn resolve(juror: &Juror, page: &StoredPage) -> Result<(), LookError> {
    let (Some((executed, failed)), Some(pending)) = (outcomes(page.state), &page.pending) else {
        return Ok(());
    };
    let (window, number, hash) = (page.window.0, page.page, &pending.hash);
    let to = match juror.sender.lookup(pending).await? {
        None => return Ok(()),
        Some(Confirmation::Included(included)) => {
            let (height, gas) = (included.height, included.gas_used);
            tracing::debug!(
                page.window = window,
                page.number = number,
                hash,
                height,
                gas,
                "confirm.included"
            );
            executed
        }
        Some(Confirmation::Rejected { code, log }) => {
            tracing::warn!(page.window = window, page.number = number, hash, code, log, "confirm.rejected");
            failed
        }
        Some(Confirmation::Expired) => {
            tracing::warn!(page.window = window, page.number = number, hash, "confirm.lost");
            failed
        }
    };
    pages::advance(&juror.store, page, to, None).await?;
    Ok(())
}
