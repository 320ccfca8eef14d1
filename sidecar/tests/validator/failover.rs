//! Two nodes of one chain, of which one is out of reach.

use std::sync::{Arc, Mutex};

use assay_common::ids::BatchId;
use assay_common::msg::ExecuteMsg;
use assay_sidecar::chain::{Call, Chain, ChainError, Confirmation, Pending, Sender, TxError};

use super::node::{Mempool, Node};
use super::suite::Suite;

/// Connected to the suite's node, with further ones behind it.
async fn connect(suite: &mut Suite, fallbacks: &[&Node]) -> Chain {
    suite.config.rpc_fallbacks = fallbacks.iter().map(|node| node.url.clone()).collect();
    suite.chain().await
}

fn break_off(node: &Node) {
    node.state().breaks_at = |_| true;
}

fn draw() -> Vec<Call> {
    vec![Call::new(ExecuteMsg::Draw { batch: BatchId(1), limit: 5 })]
}

/// Broadcasts, and returns what was stored before it.
async fn broadcast(suite: &Suite, chain: Chain) -> (Sender, Pending, Result<Pending, TxError>) {
    let sender = Sender::new(chain, suite.account.clone(), &suite.config);
    let stored = Arc::new(Mutex::new(None));
    let seen = stored.clone();
    let persist = move |pending: Pending| async move {
        *seen.lock().unwrap() = Some(pending);
        Ok(())
    };
    let sent = sender.broadcast(draw(), persist).await;
    let pending = stored.lock().unwrap().take().unwrap();
    (sender, pending, sent)
}

#[tokio::test]
async fn the_next_node_is_asked_while_the_first_is_out_of_reach_and_from_then_on() {
    let (mut suite, second) = (Suite::new().await, Node::start().await);
    second.state().height = 205;
    let chain = connect(&mut suite, &[&second]).await;
    assert_eq!(chain.height().await.unwrap(), 100);
    break_off(&suite.node);
    assert_eq!(chain.height().await.unwrap(), 205);
    suite.node.state().breaks_at = |_| false;
    assert_eq!(chain.clone().height().await.unwrap(), 205);
    break_off(&second);
    assert_eq!(chain.height().await.unwrap(), 100);
}

#[tokio::test]
async fn a_start_while_the_first_node_is_out_of_reach_uses_the_second() {
    let (mut suite, second) = (Suite::new().await, Node::start().await);
    second.state().height = 205;
    break_off(&suite.node);
    let chain = connect(&mut suite, &[&second]).await;
    assert_eq!(chain.height().await.unwrap(), 205);
    break_off(&second);
    let error = Chain::connect(&suite.config).await.err().unwrap();
    assert!(matches!(error, ChainError::Unreachable { ref rpc, .. } if *rpc == suite.node.url), "{error}");
}

#[tokio::test]
async fn a_node_of_another_chain_or_one_that_is_syncing_takes_nobody_s_place() {
    let mut suite = Suite::new().await;
    let (foreign, syncing, fit) = (Node::start().await, Node::start().await, Node::start().await);
    foreign.state().domain.chain_id = "other".into();
    syncing.state().catching_up = true;
    fit.state().height = 205;
    let unfit = connect(&mut suite, &[&foreign, &syncing]).await;
    let served = connect(&mut suite, &[&foreign, &syncing, &fit]).await;
    break_off(&suite.node);
    let error = unfit.height().await.unwrap_err();
    assert!(error.is_outage(), "{error}");
    assert_eq!(served.height().await.unwrap(), 205);
}

#[tokio::test]
async fn a_transaction_that_one_node_did_not_take_is_handed_to_the_next() {
    let (mut suite, second) = (Suite::new().await, Node::start().await);
    let chain = connect(&mut suite, &[&second]).await;
    suite.node.state().mempool = Mempool::Breaks;
    let (sender, pending, sent) = broadcast(&suite, chain).await;
    assert_eq!(sent.unwrap(), pending);
    assert!(suite.node.state().received.is_empty());
    assert_eq!(second.state().received.len(), 1);
    assert!(matches!(sender.confirm(&pending).await.unwrap(), Confirmation::Included(_)));
}

#[tokio::test]
async fn a_refusal_by_the_next_node_does_not_say_that_the_first_has_not_passed_the_transaction_on() {
    let (mut suite, second) = (Suite::new().await, Node::start().await);
    let chain = connect(&mut suite, &[&second]).await;
    suite.node.state().mempool = Mempool::IncludesAndBreaks;
    // The block has reached the second node, so there the sequence is used.
    second.state().sequence = 4;
    let (sender, pending, sent) = broadcast(&suite, chain).await;
    let error = sent.unwrap_err();
    assert!(matches!(error, TxError::Chain(ref outage) if outage.is_outage()), "{error}");
    second.state().txs = suite.node.state().txs.clone();
    let found = sender.lookup(&pending).await.unwrap();
    assert!(matches!(found, Some(Confirmation::Included(_))), "{found:?}");
}

#[tokio::test]
async fn a_node_that_is_behind_does_not_let_a_transaction_expire_at_the_height_of_another() {
    let (mut suite, second) = (Suite::new().await, Node::start().await);
    let chain = connect(&mut suite, &[&second]).await;
    suite.node.state().mempool = Mempool::Loses;
    let (sender, pending, _) = broadcast(&suite, chain).await;
    suite.node.state().height = pending.timeout_height + 2;
    second.state().height = pending.timeout_height - 1;
    suite.node.state().breaks_at = |call| call == "tx";
    assert!(sender.lookup(&pending).await.unwrap().is_none());
    second.state().height = pending.timeout_height + 2;
    assert!(matches!(sender.lookup(&pending).await.unwrap(), Some(Confirmation::Expired)));
}
