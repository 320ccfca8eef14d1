//! What is signed or committed to: a voucher, a receipt, a page of verdicts. Their hash is of the very bytes that they decode from, so no two
//! contents share one.

use assay_common::digest::Domain;
use assay_common::ids::{BatchId, Nonce, RequestDigest, SessionId, Window};
use assay_common::session::{voucher_digest, Receipt};
use assay_common::verdict::{
    AbstainReason, InvalidReason, Outcome, Score, UnavailableReason, Verdict, VerdictPage,
};
use borsh::{BorshDeserialize, BorshSerialize};
use cosmwasm_std::{from_json, to_json_vec, HexBinary};

use crate::{choice, memory, plain, real};

type Voucher = (Domain, SessionId, Nonce, RequestDigest);
type SignedReceipt = (Domain, Receipt);
type SaltedPage = (Domain, VerdictPage, Vec<u8>);

/// A byte that chooses the kind, then what may be one.
pub fn check(input: &[u8]) {
    let Some((kind, bytes)) = choice(input, 4) else { return };
    match kind {
        0 => {
            let Some((domain, session, nonce, request)) = decoded::<Voucher>(bytes) else { return };
            let digest = voucher_digest(&domain, session, nonce, &request);
            assert_eq!(digest.0, plain::tagged("voucher", &[bytes]));
        }
        1 => {
            let Some((domain, receipt)) = decoded::<SignedReceipt>(bytes) else { return };
            assert_eq!(receipt.digest(&domain).0, plain::tagged("receipt", &[bytes]));
            let committed = &bytes[bytes.len() - 96..];
            assert_eq!(receipt.artifact().0, plain::tagged("artifact", &[committed]));
        }
        2 => {
            let Some((domain, page, salt)) = decoded::<SaltedPage>(bytes) else { return };
            let commitment = page.commitment(&domain, &HexBinary::from(salt));
            assert_eq!(commitment.0, plain::tagged("verdicts", &[bytes]));
        }
        _ => {
            let read = memory::bounded(bytes.len(), || from_json::<Receipt>(bytes));
            let Ok(receipt) = read else { return };
            let written = to_json_vec(&receipt).expect("a receipt is plain data");
            assert_eq!(from_json::<Receipt>(written).expect("it was written"), receipt);
        }
    }
}

/// The value of these bytes, which have no other.
fn decoded<T: BorshSerialize + BorshDeserialize>(bytes: &[u8]) -> Option<T> {
    let value: T = memory::bounded(bytes.len(), || borsh::from_slice(bytes)).ok()?;
    assert_eq!(borsh::to_vec(&value).expect("writing to memory does not fail"), bytes);
    Some(value)
}

/// One of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let artifact = real::artifact(real::samplings()[0]);
    let receipt = artifact.receipt(real::INFERENCE);
    let voucher: Voucher = (real::domain(), SessionId(3), Nonce(4), receipt.request);
    let page: SaltedPage = (real::domain(), page(), vec![6; 32]);
    let binary = [borsh::to_vec(&voucher), borsh::to_vec(&(real::domain(), receipt)), borsh::to_vec(&page)];
    let json = to_json_vec(&receipt).expect("a receipt is plain data");
    let kinds = binary.map(|bytes| bytes.expect("writing to memory does not fail")).into_iter().chain([json]);
    (0u8..).zip(kinds).map(|(kind, bytes)| [&[kind], &bytes[..]].concat()).collect()
}

/// A page with a verdict of every outcome.
pub fn page() -> VerdictPage {
    let outcomes = [
        Outcome::Valid,
        Outcome::Invalid { reason: InvalidReason::Replay },
        Outcome::Malformed,
        Outcome::Unavailable { reason: UnavailableReason::Absent },
        Outcome::Inconclusive { reason: AbstainReason::NoModel },
    ];
    let score = Score { bin: 1, tokens: 5, probes: vec![2_000; 8] };
    let verdict = |(draw, outcome): (u32, Outcome)| Verdict {
        batch: BatchId(1),
        draw,
        outcome,
        score: outcome.needs_score().then(|| score.clone()),
    };
    let verdicts = (0..).zip(outcomes).map(verdict).collect();
    VerdictPage { juror: "wasm1juror".into(), window: Window(9), page: 0, verdicts }
}
