//! Which leaf of a batch is which inference: leaves are in the order of the claims, and in each of the nonces.

use crate::ids::{Nonce, SessionId};
use crate::msg::ClaimedRange;

/// The inference of leaf number `index`; `None` where the batch has no such leaf.
pub fn inference(claims: &[ClaimedRange], index: u32) -> Option<(SessionId, Nonce)> {
    let mut left = u64::from(index);
    for claim in claims {
        let length = length(claim);
        if left < length {
            return Some((claim.session, Nonce(claim.from.0.saturating_add(left))));
        }
        left = left.saturating_sub(length);
    }
    None
}

/// The leaf number of an inference; `None` where the batch does not hold it.
pub fn leaf(claims: &[ClaimedRange], session: SessionId, nonce: Nonce) -> Option<u32> {
    let mut before = 0u64;
    for claim in claims {
        if claim.session == session && (claim.from..=claim.to).contains(&nonce) {
            let index = before.saturating_add(nonce.0.saturating_sub(claim.from.0));
            return Some(u32::try_from(index).unwrap_or(u32::MAX));
        }
        before = before.saturating_add(length(claim));
    }
    None
}

fn length(claim: &ClaimedRange) -> u64 {
    claim.to.next().0.saturating_sub(claim.from.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_and_inferences_are_each_others_inverse() {
        let claim = |session, from, to| ClaimedRange {
            session: SessionId(session),
            from: Nonce(from),
            to: Nonce(to),
        };
        let claims = [claim(2, 5, 7), claim(3, 1, 1), claim(9, 10, 12)];
        let inferences: Vec<(u64, u64)> = (0..7)
            .map(|index| inference(&claims, index).map(|(session, nonce)| (session.0, nonce.0)))
            .map(Option::unwrap_or_default)
            .collect();
        assert_eq!(inferences, [(2, 5), (2, 6), (2, 7), (3, 1), (9, 10), (9, 11), (9, 12)]);
        assert_eq!(inference(&claims, 7), None);
        for (index, (session, nonce)) in (0..).zip(inferences) {
            assert_eq!(leaf(&claims, SessionId(session), Nonce(nonce)), Some(index));
        }
        for (session, nonce) in [(2, 4), (2, 8), (3, 2), (4, 1)] {
            assert_eq!(leaf(&claims, SessionId(session), Nonce(nonce)), None);
        }
    }
}
