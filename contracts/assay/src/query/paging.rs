//! Pages of collections.

use assay_common::msg::Page;

use crate::error::ContractError;

/// Items of a page that names no limit, and the most that one may name.
const DEFAULT_LIMIT: u32 = 30;
const MAX_LIMIT: u32 = 100;

pub fn limit(limit: Option<u32>) -> usize {
    let limit = limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// The first `limit` of what was found, and the key of the last while there is more.
///
/// # Errors
/// One of them cannot be read.
pub fn page<T, K>(
    mut found: impl Iterator<Item = Result<(K, T), ContractError>>,
    limit: usize,
) -> Result<Page<T, K>, ContractError> {
    let mut items = Vec::new();
    let mut last = None;
    for entry in found.by_ref().take(limit) {
        let (key, item) = entry?;
        items.push(item);
        last = Some(key);
    }
    let more = found.next().transpose()?.is_some();
    Ok(Page { items, next_start_after: last.filter(|_| more) })
}
