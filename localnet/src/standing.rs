//! Where every node stands, read from the contract.

use anyhow::Result;
use assay_common::evidence::Cusum;
use assay_common::ids::Epoch;
use assay_common::msg::{EpochResponse, EvidenceResponse, NodeResponse, Page, QueryMsg, Tallies};
use assay_common::reputation::Reputation;
use assay_sidecar::chain::Chain;

use crate::nodes::Node;

/// One node as the contract knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    pub name: &'static str,
    pub address: String,
    pub role: String,
    pub reputation: Reputation,
    pub cusum: Cusum,
    pub bound: i64,
    pub epochs: Vec<EpochResponse>,
}

impl Standing {
    pub async fn read(chain: &Chain, node: &Node) -> Result<Self> {
        let executor = node.address.clone();
        let known: NodeResponse = chain.query(&QueryMsg::Node { address: executor.clone() }).await?;
        let evidence: EvidenceResponse =
            chain.query(&QueryMsg::Evidence { executor: executor.clone() }).await?;
        let query = QueryMsg::Epochs { executor: executor.clone(), start_after: None, limit: None };
        // One page holds more epochs than a run has.
        let epochs: Page<EpochResponse, Epoch> = chain.query(&query).await?;
        Ok(Self {
            name: node.name,
            address: executor,
            role: node.role(),
            reputation: known.reputation,
            cusum: evidence.cusum,
            bound: evidence.bound,
            epochs: epochs.items,
        })
    }

    pub async fn read_all(chain: &Chain, nodes: &[Node]) -> Result<Vec<Self>> {
        let mut standings = Vec::with_capacity(nodes.len());
        for node in nodes {
            standings.push(Self::read(chain, node).await?);
        }
        Ok(standings)
    }

    pub fn epoch(&self, epoch: Epoch) -> Option<&EpochResponse> {
        self.epochs.iter().find(|known| known.epoch == epoch)
    }

    /// Whether this node's epoch has been paid or forfeited.
    pub fn is_settled(&self, epoch: Epoch) -> bool {
        self.epoch(epoch).is_some_and(|epoch| epoch.inferences > 0 && epoch.status.is_settled())
    }

    /// The outcomes of all its epochs together.
    pub fn closed(&self) -> Tallies {
        self.epochs.iter().fold(Tallies::default(), |sum, epoch| {
            let Tallies { valid, fail, unavailable, inconclusive, void } = epoch.closed;
            Tallies {
                valid: sum.valid + valid,
                fail: sum.fail + fail,
                unavailable: sum.unavailable + unavailable,
                inconclusive: sum.inconclusive + inconclusive,
                void: sum.void + void,
            }
        })
    }

    /// A sum over its epochs.
    pub fn sum<T: std::iter::Sum>(&self, of: impl Fn(&EpochResponse) -> T) -> T {
        self.epochs.iter().map(of).sum()
    }
}
