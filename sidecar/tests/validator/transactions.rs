use std::sync::{Arc, Mutex};

use assay_common::ids::BatchId;
use assay_common::msg::ExecuteMsg;
use assay_sidecar::chain::{Call, Chain, ChainError, Confirmation, Pending, TxError};
use assay_sidecar::config::ChainConfig;

use super::node::{message, parsed, Mempool};
use super::suite::Suite;

fn draw(batch: u64) -> Call {
    Call { msg: ExecuteMsg::Draw { batch: BatchId(batch), limit: 5 }, funds: 12 }
}

#[tokio::test]
async fn a_node_that_is_syncing_or_on_another_chain_is_refused() {
    let suite = Suite::new().await;
    let config = ChainConfig { chain_id: "other".into(), ..suite.config.clone() };
    let error = Chain::connect(&config).await.err().unwrap();
    assert!(matches!(error, ChainError::WrongChain { ref found, .. } if found == "test-1"), "{error}");
    suite.node.state().catching_up = true;
    let error = Chain::connect(&suite.config).await.err().unwrap();
    assert!(matches!(error, ChainError::Syncing { height: 100, .. }), "{error}");
}

#[tokio::test]
async fn a_transaction_is_signed_for_its_place_and_stored_before_it_is_broadcast() {
    let suite = Suite::new().await;
    let sender = suite.sender().await;
    let stored = Arc::new(Mutex::new(None));
    let (node, seen) = (suite.node.clone(), stored.clone());
    let persist = move |pending: Pending| async move {
        assert!(node.state().received.is_empty());
        *seen.lock().unwrap() = Some(pending);
        Ok(())
    };
    let pending = sender.broadcast(vec![draw(1)], persist).await.unwrap();
    assert_eq!(stored.lock().unwrap().as_ref(), Some(&pending));
    assert_eq!(pending.timeout_height, 120);
    let bytes = suite.node.state().received[0].clone();
    let (_, auth, body) = parsed(&bytes);
    let fee = auth.fee.unwrap();
    assert_eq!((fee.gas_limit, fee.amount[0].amount.as_str()), (140_000, "3500"));
    assert_eq!((auth.signer_infos[0].sequence, body.timeout_height), (3, 120));
    assert_eq!(message(&bytes), (suite.account.address().to_string(), draw(1).msg));
    let confirmation = sender.confirm(&pending).await.unwrap();
    assert!(matches!(confirmation, Confirmation::Included(ref i) if i.height == 101 && i.gas_used == 90_000));
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_broadcast() {
    let suite = Suite::new().await;
    let sender = suite.sender().await;
    let failed = sender.broadcast(vec![draw(1)], |_| async { anyhow::bail!("disk full") }).await;
    assert!(matches!(failed, Err(TxError::Persist(_))));
    assert!(suite.node.state().received.is_empty());
    sender.execute(draw(1)).await.unwrap();
}

#[tokio::test]
async fn clones_share_the_sequence_and_a_stranger_s_transaction_costs_one_block() {
    let suite = Suite::new().await;
    let sender = suite.sender().await;
    let clone = sender.clone();
    let (first, second) = tokio::join!(sender.execute(draw(1)), clone.execute(draw(2)));
    assert!(first.is_ok() && second.is_ok());
    // Another process with the same key, of which this one knows nothing.
    suite.sender().await.execute(draw(3)).await.unwrap();
    suite.node.state().ticking = true;
    sender.execute(draw(4)).await.unwrap();
    assert_eq!(suite.node.state().sequence, 7);
}

#[tokio::test]
async fn a_lost_transaction_expires_and_its_sequence_is_used_again() {
    let suite = Suite::new().await;
    let sender = suite.sender().await;
    suite.node.state().mempool = Mempool::Loses;
    let pending = sender.broadcast(vec![draw(1)], |_| async { Ok(()) }).await.unwrap();
    assert!(sender.lookup(&pending).await.unwrap().is_none());
    suite.node.state().height = pending.timeout_height + 1;
    assert!(sender.lookup(&pending).await.unwrap().is_none());
    suite.node.state().height = pending.timeout_height + 2;
    assert!(matches!(sender.lookup(&pending).await.unwrap(), Some(Confirmation::Expired)));
    suite.node.state().mempool = Mempool::Includes;
    sender.execute(draw(1)).await.unwrap();
    assert_eq!(suite.node.state().sequence, 4);
}

#[tokio::test]
async fn a_refusal_of_the_contract_is_an_error_with_its_reason() {
    let suite = Suite::new().await;
    let sender = suite.sender().await;
    let msg = ExecuteMsg::RevealVerdicts {
        window: assay_common::ids::Window(0),
        page: 0,
        salt: vec![0; 32].into(),
        verdicts: Vec::new(),
    };
    let error = sender.execute(Call::new(msg)).await.unwrap_err();
    assert!(matches!(error, TxError::Rejected { ref log, .. } if log.contains("not the window")), "{error}");
    sender.execute(draw(1)).await.unwrap();
}
