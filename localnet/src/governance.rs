//! The chain's own gov module: what it decides goes through a proposal that all validators vote for.

use std::time::Duration;

use anyhow::{bail, Context, Result};
use assay_common::msg::ExecuteMsg;
use assay_sidecar::chain::tx::any;
use assay_sidecar::chain::{Chain, Sender};
use cosmos_sdk_proto::cosmos::auth::v1beta1::{
    ModuleAccount, QueryModuleAccountByNameRequest, QueryModuleAccountByNameResponse,
};
use cosmos_sdk_proto::cosmos::base::v1beta1::Coin;
use cosmos_sdk_proto::cosmos::gov::v1::{
    MsgSubmitProposal, MsgVote, Proposal, ProposalStatus, QueryProposalRequest, QueryProposalResponse,
    QueryProposalsRequest, QueryProposalsResponse, VoteOption,
};
use cosmos_sdk_proto::cosmwasm::wasm::v1::MsgExecuteContract;
use cosmos_sdk_proto::traits::Message;
use cosmos_sdk_proto::Any;
use tokio::task::JoinSet;
use tokio::time::{sleep, Instant};

use crate::preset;
use crate::wasmd::STAKING_DENOM;

const MODULE: &str = "gov";
const POLL: Duration = Duration::from_millis(500);
/// How late the end of a vote may be on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Executed,
    /// It was voted down, or one of its messages failed and all were undone; why.
    Refused(String),
}

impl Decision {
    /// # Errors
    /// The proposal was refused.
    pub fn executed(self) -> Result<()> {
        match self {
            Decision::Executed => Ok(()),
            Decision::Refused(reason) => bail!("the proposal is refused: {reason}"),
        }
    }
}

/// The contract's governance: the gov module's account, moved by the votes of those who hold stake.
#[derive(Clone)]
pub struct Governance {
    chain: Chain,
    /// Of the gov module.
    address: String,
    /// The first of them also proposes.
    voters: Vec<Sender>,
}

impl Governance {
    /// `chain` names the contract that proposals speak to.
    pub fn new(chain: Chain, address: String, voters: Vec<Sender>) -> Self {
        Self { chain, address, voters }
    }

    /// Of the gov module's account.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Proposes that the gov module says these messages to the contract, votes with everybody's stake, and waits.
    ///
    /// # Errors
    /// The proposal could not be made, or its end was not seen.
    pub async fn propose(&self, title: &str, messages: &[ExecuteMsg]) -> Result<Decision> {
        let said = |msg: &ExecuteMsg| -> Result<_> {
            Ok(any(&MsgExecuteContract {
                sender: self.address.clone(),
                contract: self.chain.domain().contract.clone(),
                msg: serde_json::to_vec(msg)?,
                funds: Vec::new(),
            }))
        };
        self.propose_messages(title, messages.iter().map(said).collect::<Result<_>>()?).await
    }

    /// [`Governance::propose`] for messages of any module.
    ///
    /// # Errors
    /// As there.
    pub async fn propose_messages(&self, title: &str, messages: Vec<Any>) -> Result<Decision> {
        let id = self.submit(title, messages).await.with_context(|| format!("no proposal {title:?}"))?;
        self.vote(id).await;
        let deadline = Instant::now() + preset::VOTING + PATIENCE;
        loop {
            if let Some(decision) = decision(&self.read(id).await?) {
                return Ok(decision);
            }
            if Instant::now() > deadline {
                bail!("proposal {id}, {title:?}, is still open {} s after its time", PATIENCE.as_secs());
            }
            sleep(POLL).await;
        }
    }

    async fn submit(&self, title: &str, messages: Vec<Any>) -> Result<u64> {
        let proposer = self.voters.first().context("nobody may propose")?;
        let proposal = MsgSubmitProposal {
            messages,
            initial_deposit: vec![Coin { denom: STAKING_DENOM.into(), amount: preset::DEPOSIT.to_string() }],
            proposer: proposer.account().address().into(),
            metadata: String::new(),
            title: title.into(),
            summary: title.into(),
            expedited: false,
        };
        proposer.execute_messages(vec![any(&proposal)]).await?;
        // Nobody else proposes on this chain.
        let request = QueryProposalsRequest::default();
        let all: QueryProposalsResponse = self.chain.grpc("/cosmos.gov.v1.Query/Proposals", &request).await?;
        Ok(all.proposals.last().context("the chain has no proposal")?.id)
    }

    /// Everybody votes yes at once. A vote that is lost shows in the result, unless the others suffice.
    async fn vote(&self, proposal_id: u64) {
        let mut votes = JoinSet::new();
        for voter in self.voters.clone() {
            let vote = MsgVote {
                proposal_id,
                voter: voter.account().address().into(),
                option: VoteOption::Yes.into(),
                metadata: String::new(),
            };
            votes.spawn(async move { voter.execute_messages(vec![any(&vote)]).await });
        }
        for vote in votes.join_all().await {
            if let Err(error) = vote {
                tracing::warn!(proposal_id, error = format!("{:#}", anyhow::Error::from(error)), "vote.lost");
            }
        }
    }

    async fn read(&self, proposal_id: u64) -> Result<Proposal> {
        let request = QueryProposalRequest { proposal_id };
        let answer: QueryProposalResponse =
            self.chain.grpc("/cosmos.gov.v1.Query/Proposal", &request).await?;
        answer.proposal.with_context(|| format!("the chain does not know proposal {proposal_id}"))
    }
}

/// The address of the gov module's account.
pub async fn address(chain: &Chain) -> Result<String> {
    let request = QueryModuleAccountByNameRequest { name: MODULE.into() };
    let path = "/cosmos.auth.v1beta1.Query/ModuleAccountByName";
    let answer: QueryModuleAccountByNameResponse = chain.grpc(path, &request).await?;
    let account = answer.account.context("the chain has no gov module")?;
    let account = ModuleAccount::decode(account.value.as_slice())?;
    Ok(account.base_account.context("the gov module has no account")?.address)
}

/// `None` while it can still be voted on.
fn decision(proposal: &Proposal) -> Option<Decision> {
    match proposal.status() {
        ProposalStatus::VotingPeriod => None,
        ProposalStatus::Passed => Some(Decision::Executed),
        ProposalStatus::Failed => Some(Decision::Refused(proposal.failed_reason.clone())),
        ProposalStatus::Rejected => {
            Some(Decision::Refused(format!("voted down: {:?}", proposal.final_tally_result)))
        }
        other @ (ProposalStatus::DepositPeriod | ProposalStatus::Unspecified) => {
            Some(Decision::Refused(format!("never put to the vote: {}", other.as_str_name())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(status: ProposalStatus) -> Proposal {
        Proposal { status: status.into(), failed_reason: "no such model".into(), ..Proposal::default() }
    }

    #[test]
    fn a_proposal_is_decided_when_its_vote_has_ended_and_a_failed_one_says_why() {
        assert_eq!(decision(&proposal(ProposalStatus::VotingPeriod)), None);
        assert_eq!(decision(&proposal(ProposalStatus::Passed)), Some(Decision::Executed));
        let failed = Decision::Refused("no such model".into());
        assert_eq!(decision(&proposal(ProposalStatus::Failed)), Some(failed));
        for never in [ProposalStatus::Rejected, ProposalStatus::DepositPeriod] {
            assert!(matches!(decision(&proposal(never)), Some(Decision::Refused(_))));
        }
    }
}
