//! Where the money is: the chain's own books against the contract's, and every session's against what it paid.

use std::collections::BTreeMap;

use anyhow::{bail, Context, Result};
use assay_common::ids::{BatchId, Epoch, SessionId};
use assay_common::msg::{BatchResponse, EpochStatus, Page, PoolsResponse, QueryMsg, SessionResponse};
use assay_sidecar::chain::Chain;
use cosmos_sdk_proto::cosmos::bank::v1beta1::{
    QueryBalanceRequest, QueryBalanceResponse, QueryDenomOwnersRequest, QueryDenomOwnersResponse,
    QuerySupplyOfRequest, QuerySupplyOfResponse,
};
use cosmos_sdk_proto::cosmos::base::query::v1beta1::PageRequest;
use cosmos_sdk_proto::cosmos::base::v1beta1::Coin;
use serde::Serialize;

use crate::standing::Standing;
use crate::wasmd::DENOM;

/// Attempts to read all books within one block.
const ATTEMPTS: usize = 40;
/// More accounts than the local net has.
const ACCOUNTS: u64 = 1_000;

/// The books at one height.
#[derive(Debug, Serialize)]
pub struct Conservation {
    pub supply_at_genesis: u128,
    pub supply_at_end: u128,
    pub burned: u128,
    pub contract_balance: u128,
    pub pools_held: u128,
    /// Over every account of the chain, module accounts and the contract included.
    pub sum_of_balances: u128,
}

impl Conservation {
    /// Reads all books between two blocks.
    pub async fn read(chain: &Chain, supply_at_genesis: u128) -> Result<Self> {
        for _ in 0..ATTEMPTS {
            let height = chain.height().await?;
            let pools: PoolsResponse = chain.query(&QueryMsg::Pools {}).await?;
            let books = Self {
                supply_at_genesis,
                supply_at_end: supply(chain).await?,
                burned: pools.burned.u128(),
                contract_balance: balance(chain, &chain.domain().contract).await?,
                pools_held: pools.held().u128(),
                sum_of_balances: sum_of_balances(chain).await?,
            };
            if chain.height().await? == height {
                return Ok(books);
            }
        }
        bail!("the chain made a block during each of {ATTEMPTS} attempts to read its books")
    }
}

/// All units of the protocol's money.
pub async fn supply(chain: &Chain) -> Result<u128> {
    let request = QuerySupplyOfRequest { denom: DENOM.into() };
    let answer: QuerySupplyOfResponse = chain.grpc("/cosmos.bank.v1beta1.Query/SupplyOf", &request).await?;
    units(answer.amount.as_ref())
}

async fn balance(chain: &Chain, address: &str) -> Result<u128> {
    let request = QueryBalanceRequest { address: address.into(), denom: DENOM.into() };
    let answer: QueryBalanceResponse = chain.grpc("/cosmos.bank.v1beta1.Query/Balance", &request).await?;
    units(answer.balance.as_ref())
}

async fn sum_of_balances(chain: &Chain) -> Result<u128> {
    let pagination = Some(PageRequest { limit: ACCOUNTS, ..PageRequest::default() });
    let request = QueryDenomOwnersRequest { denom: DENOM.into(), pagination };
    let answer: QueryDenomOwnersResponse =
        chain.grpc("/cosmos.bank.v1beta1.Query/DenomOwners", &request).await?;
    answer.denom_owners.iter().map(|owner| units(owner.balance.as_ref())).sum()
}

fn units(coin: Option<&Coin>) -> Result<u128> {
    let coin = coin.context("an answer of the chain names no amount")?;
    coin.amount.parse().with_context(|| format!("{:?} is no amount", coin.amount))
}

/// What one session put in, paid and has left.
#[derive(Debug, Serialize)]
pub struct SessionBooks {
    pub session: u64,
    pub executor: String,
    pub deposit: u128,
    pub paid_in_paid_epochs: u128,
    pub paid_in_forfeited_epochs: u128,
    /// Left at the end; refunds of forfeited epochs included.
    pub escrow: u128,
}

impl SessionBooks {
    /// Of every session, in the order of their opening; `deposit` went into each.
    pub async fn read_all(chain: &Chain, standings: &[Standing], deposit: u128) -> Result<Vec<Self>> {
        let paid = payments(chain).await?;
        let query = QueryMsg::Sessions { start_after: None, limit: None };
        let sessions: Page<SessionResponse, SessionId> = chain.query(&query).await?;
        let books = sessions.items.into_iter().map(|session| {
            let executor = standings.iter().find(|standing| standing.address == session.executor);
            let executor = executor.context("a session is with nobody")?;
            let count = |status| {
                let of_session = paid.iter().filter(|((id, _), _)| *id == session.session);
                let ended = of_session.filter(|((_, epoch), _)| {
                    executor.epoch(*epoch).is_some_and(|epoch| epoch.status == status)
                });
                ended.map(|(_, inferences)| u128::from(*inferences)).sum::<u128>() * session.fee.u128()
            };
            Ok(Self {
                session: session.session.0,
                executor: executor.name.into(),
                deposit,
                paid_in_paid_epochs: count(EpochStatus::Paid),
                paid_in_forfeited_epochs: count(EpochStatus::Forfeited),
                escrow: session.escrow.u128(),
            })
        });
        books.collect()
    }
}

/// Inferences that were claimed, by session and epoch.
async fn payments(chain: &Chain) -> Result<BTreeMap<(SessionId, Epoch), u64>> {
    let mut paid = BTreeMap::new();
    let mut start_after = None;
    loop {
        let page: Page<BatchResponse, BatchId> =
            chain.query(&QueryMsg::Batches { start_after, limit: None }).await?;
        for batch in page.items {
            for claim in batch.claims {
                *paid.entry((claim.session, batch.epoch)).or_default() += claim.to.0 - claim.from.0 + 1;
            }
        }
        start_after = page.next_start_after;
        if start_after.is_none() {
            return Ok(paid);
        }
    }
}
