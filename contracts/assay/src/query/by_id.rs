//! Several items in one query: the answers to the queries of the single items as one list.

use assay_common::msg::QueryMsg;
use cosmwasm_std::Binary;

use super::{single, Asked};
use crate::error::ContractError;

/// Ids that one query may name: each costs what an item of a page does.
const MAX_IDS: usize = 100;

/// The answers about several items, each as its own query has it.
///
/// # Errors
/// There are too many, or one is refused for another reason than that there is no such item.
pub fn each<I>(asked: &Asked, ids: Vec<I>, query: impl Fn(I) -> QueryMsg) -> Result<Binary, ContractError> {
    list(asked, ids.into_iter().map(query).collect())
}

/// The answers in the order of the queries, `null` where there is no such item.
///
/// Every answer is JSON already: put together as text, a list costs none of the code that its items would cost again.
fn list(asked: &Asked, queries: Vec<QueryMsg>) -> Result<Binary, ContractError> {
    if queries.len() > MAX_IDS {
        return Err(ContractError::TooManyIds { count: queries.len(), most: MAX_IDS });
    }
    let mut json = vec![b'['];
    for (place, query) in queries.into_iter().enumerate() {
        if place > 0 {
            json.push(b',');
        }
        match single(asked, query) {
            Ok(item) => json.extend_from_slice(&item),
            Err(error) if is_unknown(&error) => json.extend_from_slice(b"null"),
            Err(error) => return Err(error),
        }
    }
    json.push(b']');
    Ok(json.into())
}

fn is_unknown(error: &ContractError) -> bool {
    matches!(
        error,
        ContractError::UnknownModel { .. }
            | ContractError::NotRegistered { .. }
            | ContractError::UnknownSession { .. }
            | ContractError::UnknownBatch { .. }
            | ContractError::UnknownSample { .. }
            | ContractError::UnknownEpoch { .. }
    )
}
