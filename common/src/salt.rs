//! Salts that hide what is committed to until it is shown. They follow from the committer's own key, so none is stored, and one that
//! restarts opens what it committed to before.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::digest::Domain;
use crate::ids::{Digest, Window};

/// What a salt hides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden<'a> {
    /// A page of verdicts on samples drawn in a window.
    Verdicts { window: Window, page: u32 },
    /// A proof, known by its digest.
    Proof(&'a Digest),
}

/// HMAC-SHA-256 under the account's secret key, over the parts of the context, each after its length as u64 little-endian.
///
/// The contract takes any 32 bytes: nobody but the committer need derive them, and by this rule it can.
pub fn salt(key: &[u8; 32], domain: &Domain, hidden: Hidden<'_>) -> [u8; 32] {
    let (chain_id, contract) = (domain.chain_id.as_bytes(), domain.contract.as_bytes());
    match hidden {
        Hidden::Verdicts { window, page } => {
            let (window, page) = (window.0.to_le_bytes(), page.to_le_bytes());
            authenticated(key, &[b"verdicts", chain_id, contract, &window, &page])
        }
        Hidden::Proof(proof) => authenticated(key, &[b"accusation", chain_id, contract, &proof.0]),
    }
}

fn authenticated(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_is_bound_to_key_chain_contract_and_all_that_it_hides() {
        let domain =
            |chain_id: &str, contract: &str| Domain { chain_id: chain_id.into(), contract: contract.into() };
        let verdicts = |window, page| Hidden::Verdicts { window: Window(window), page };
        let salts = [
            salt(&[1; 32], &domain("a", "bc"), verdicts(1, 2)),
            salt(&[2; 32], &domain("a", "bc"), verdicts(1, 2)),
            salt(&[1; 32], &domain("ab", "c"), verdicts(1, 2)),
            salt(&[1; 32], &domain("a", "bc"), verdicts(2, 2)),
            salt(&[1; 32], &domain("a", "bc"), verdicts(1, 1)),
            salt(&[1; 32], &domain("a", "bc"), Hidden::Proof(&Digest([1; 32]))),
            salt(&[1; 32], &domain("a", "bc"), Hidden::Proof(&Digest([2; 32]))),
        ];
        let distinct: std::collections::BTreeSet<[u8; 32]> = salts.into_iter().collect();
        assert_eq!(distinct.len(), salts.len());
    }
}
