//! A model of the contract in plain Rust: what each message must do, said again and in another way.
//!
//! It keeps whole histories where the contract keeps running sums: what the pools hold, how an epoch stands and which
//! samples are contested is added up anew from the single sessions, batches and seats whenever it is asked. It foretells for
//! each message whether it is refused, and with which error, word for word. Shared with the contract are only the functions
//! of `assay-common` that are tested by themselves: hashes, the draw, the steps of the evidence, and the rules of parameters
//! and bins.

mod batches;
mod compare;
mod govern;
mod hearing;
mod juries;
mod money;
mod nodes;
mod proofs;
mod records;
mod sessions;
mod settle;
mod sweep;
mod tables;
mod tally;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use assay_common::digest::Domain;
use assay_common::ids::{BatchId, Digest, Epoch, ModelDigest, Randomness, Round, SessionId, Window};
use assay_common::msg::{ExecuteMsg, SampleKey};
use assay_common::params::Params;
use assay_common::proof::Finding;
use assay_contract::error::ContractError;
use assay_contract::sweep::Item;

pub use compare::{compare_all, compare_touched};
pub use juries::LOST;
pub use records::*;
pub use versions::History;

pub type Answer = Result<(), ContractError>;

/// What came with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Funds {
    Units(u128),
    /// So many of another denomination.
    Foreign(u128),
}

/// What a proof that is shown amounts to once it is opened against the right batch: known from how it was made.
pub type Exhibit = Result<Finding, ContractError>;

/// One message of a chain.
#[derive(Clone, Debug)]
pub struct Message {
    pub sender: String,
    pub msg: ExecuteMsg,
    pub funds: Funds,
    pub exhibit: Option<Exhibit>,
}

/// What a message is judged by besides itself.
#[derive(Clone, Debug)]
pub struct Cx {
    pub sender: String,
    pub funds: u128,
    /// Seconds since 1970.
    pub now: u64,
    pub height: u64,
    pub window: Option<Window>,
    pub epoch: Epoch,
    pub params: Params,
}

impl Cx {
    /// The epoch whose tables know of a change of now.
    pub fn next_table(&self) -> u64 {
        self.window.map_or(0, |_| self.epoch.0 + 1)
    }
}

/// Something that a message may have changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touched {
    Session(SessionId),
    Batch(BatchId),
    Account(String, u64),
}

/// (juror, window of the draw, page).
pub type PageKey = (u32, u64, u32);

#[derive(Clone, Debug)]
pub struct World {
    pub domain: Domain,
    pub governance: String,
    /// Seconds since 1970, and the block.
    pub now: u64,
    pub height: u64,
    pub params: History<Params>,
    /// (beginning, end) of every pause.
    pub pauses: Vec<(u64, u64)>,
    pub models: BTreeMap<ModelDigest, Model>,
    pub nodes: BTreeMap<String, Node>,
    /// Addresses by number.
    pub numbers: Vec<String>,
    /// Stakes by number, for each model and the epoch from which on they hold.
    pub tables: BTreeMap<(ModelDigest, u64), BTreeMap<u32, u128>>,
    /// All that ever were; those that were swept are marked.
    pub sessions: BTreeMap<SessionId, Session>,
    pub batches: BTreeMap<BatchId, Batch>,
    pub accounts: BTreeMap<(String, u64), Account>,
    pub beacons: BTreeMap<u64, (Round, Randomness)>,
    pub assignments: BTreeMap<PageKey, Vec<SampleKey>>,
    pub seats: BTreeMap<(u32, u64), u32>,
    pub commitments: BTreeMap<PageKey, (Digest, bool)>,
    pub accusations: BTreeMap<(u64, String, Digest), u64>,
    pub claimable: BTreeMap<String, u128>,
    /// The first of a window's draws of a batch that no Tally has passed.
    pub untallied: BTreeMap<(u64, BatchId), u32>,
    /// What is looked at in which epoch; the order is that of the items' stored form.
    pub agenda: BTreeMap<(u64, Vec<u8>), Item>,
    pub reserve: u128,
    pub burned: u128,
    /// What each address has paid in less what it was paid out.
    pub paid: BTreeMap<String, i128>,
    /// By the last message that was accepted.
    pub touched: BTreeSet<Touched>,
    /// How often it met with what no answer shows.
    pub met: BTreeMap<&'static str, u64>,
}

impl World {
    pub fn new(domain: Domain, governance: String, params: Params, now: u64) -> Self {
        Self {
            domain,
            governance,
            now,
            height: 0,
            params: History::first(params),
            pauses: Vec::new(),
            models: BTreeMap::new(),
            nodes: BTreeMap::new(),
            numbers: Vec::new(),
            tables: BTreeMap::new(),
            sessions: BTreeMap::new(),
            batches: BTreeMap::new(),
            accounts: BTreeMap::new(),
            beacons: BTreeMap::new(),
            assignments: BTreeMap::new(),
            seats: BTreeMap::new(),
            commitments: BTreeMap::new(),
            accusations: BTreeMap::new(),
            claimable: BTreeMap::new(),
            untallied: BTreeMap::new(),
            agenda: BTreeMap::new(),
            reserve: 0,
            burned: 0,
            paid: BTreeMap::new(),
            touched: BTreeSet::new(),
            met: BTreeMap::new(),
        }
    }

    fn meet(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }

    pub fn window(&self) -> Option<Window> {
        let clock = self.params.first_value().clock;
        let since = self.now.checked_sub(clock.start)?;
        Some(Window(since / u64::from(clock.window_seconds)))
    }

    pub fn epoch_of(&self, window: Window) -> Epoch {
        Epoch(window.0 / u64::from(self.params.first_value().clock.windows_per_epoch))
    }

    pub fn epoch(&self) -> Epoch {
        self.window().map_or(Epoch(0), |window| self.epoch_of(window))
    }

    /// The second at which a window ends.
    pub fn end_of(&self, window: Window) -> u64 {
        let clock = self.params.first_value().clock;
        clock.start + (window.0 + 1) * u64::from(clock.window_seconds)
    }

    /// The parameters in force.
    pub fn in_force(&self) -> Params {
        self.params.of(self.epoch()).expect("those of now are kept").value.clone()
    }

    /// # Errors
    /// They are not kept any more.
    pub fn params_of(&self, epoch: Epoch) -> Result<Params, ContractError> {
        let version = self.params.of(epoch).ok_or(ContractError::ParamsGone { epoch })?;
        Ok(version.value.clone())
    }

    /// What the contract must answer to a message; where it accepts, the model is what the contract must be.
    ///
    /// # Errors
    /// The refusal; the model is as it was.
    pub fn take(&mut self, message: &Message) -> Answer {
        let params = self.in_force();
        let funds = match message.funds {
            Funds::Units(units) => units,
            Funds::Foreign(amount) => {
                let (sent, denom) = (format!("{amount}other"), params.denom);
                return Err(ContractError::WrongFunds { sent, denom });
            }
        };
        let (window, epoch) = (self.window(), self.epoch());
        let sender = message.sender.clone();
        let cx = Cx { sender, funds, now: self.now, height: self.height, window, epoch, params };
        self.admit(&cx, &message.msg)?;
        self.touched.clear();
        self.act(&cx, message)?;
        *self.paid.entry(cx.sender).or_default() += i128::try_from(funds).expect("a purse");
        Ok(())
    }

    fn admit(&self, cx: &Cx, msg: &ExecuteMsg) -> Answer {
        use ExecuteMsg as M;
        if cx.window.is_none() && !is_for_before_the_start(msg) {
            return Err(ContractError::NotStarted { start: cx.params.clock.start });
        }
        let takes_funds = matches!(
            msg,
            M::RegisterNode { .. }
                | M::UpdateNode { .. }
                | M::OpenSession { .. }
                | M::TopUp { .. }
                | M::CommitBatch { .. }
        );
        if cx.funds > 0 && !takes_funds {
            let sent = format!("{}{}", cx.funds, cx.params.denom);
            return Err(ContractError::FundsNotAccepted { sent });
        }
        let pays = matches!(
            msg,
            M::Withdraw {}
                | M::Claim {}
                | M::Settle { .. }
                | M::ProveFraud { .. }
                | M::ProveEquivocation { .. }
        );
        if let Some(until) = self.paused_until().filter(|_| pays) {
            return Err(ContractError::Paused { until });
        }
        if is_of_governance(msg) && cx.sender != self.governance {
            return Err(ContractError::NotGovernance { sender: cx.sender.clone() });
        }
        let is_node = self.nodes.get(&cx.sender).is_some_and(|node| !node.has_left());
        if is_of_nodes(msg) && !is_node {
            return Err(ContractError::NotRegistered { address: cx.sender.clone() });
        }
        Ok(())
    }

    fn act(&mut self, cx: &Cx, message: &Message) -> Answer {
        use ExecuteMsg as M;
        match &message.msg {
            M::RegisterModel { spec, reference_fee, calibration } => {
                self.register_model(spec, reference_fee.u128(), calibration)
            }
            M::RegisterNode { models, endpoint } => self.register_node(cx, models, endpoint),
            M::UpdateNode { models, endpoint } => {
                self.update_node(cx, models.as_deref(), endpoint.as_deref())
            }
            M::Unbond { amount } => self.unbond(cx, amount.u128()),
            M::Withdraw {} => self.withdraw(cx),
            M::OpenSession { .. } => self.open_session(cx, &message.msg),
            M::TopUp { session } => self.top_up(cx, *session),
            M::CloseSession { session } => self.close_session(cx, *session),
            M::CommitBatch { model, root, claims } => self.commit_batch(cx, (*model, *root), claims),
            M::PostBeacon { window, signature } => self.post_beacon(cx, *window, signature),
            M::Draw { batch, limit } => self.draw(cx, *batch, *limit),
            M::CommitVerdicts { window, page, hash } => self.commit_verdicts(cx, *window, *page, *hash),
            M::RevealVerdicts { window, page, salt, verdicts } => {
                self.reveal_verdicts(cx, (*window, *page), salt, verdicts)
            }
            M::Tally { batch, from, limit } => self.tally(cx, *batch, *from, *limit),
            M::CommitFraud { hash } => self.commit_fraud(cx, *hash),
            M::ProveFraud { proof, salt } => {
                let place = (proof.batch, proof.index);
                self.prove(cx, (proof.digest(), salt), place, message.exhibit.clone())
            }
            M::ProveEquivocation { proof, salt } => {
                let place = (proof.batch, proof.index);
                self.prove(cx, (proof.digest(), salt), place, message.exhibit.clone())
            }
            M::Settle { executor, epoch, limit } => self.settle(cx, executor, *epoch, *limit),
            M::Sweep { limit } => self.sweep(cx, *limit),
            M::Claim {} => self.claim(cx),
            M::UpdateCalibration { model, calibration } => self.update_calibration(cx, *model, calibration),
            M::DeprecateModel { model } => self.deprecate(*model),
            M::SetGuardians { model, guardians } => self.set_guardians(cx, *model, guardians),
            M::UpdateParams { patch, epoch } => self.update_params(cx, patch, *epoch),
            M::CancelParams {} => self.cancel_params(cx),
            M::Pause {} => self.begin_pause(cx),
            M::Unpause {} => self.end_pause(cx),
        }
    }
}

fn is_of_governance(msg: &ExecuteMsg) -> bool {
    use ExecuteMsg as M;
    matches!(
        msg,
        M::RegisterModel { .. }
            | M::UpdateCalibration { .. }
            | M::DeprecateModel { .. }
            | M::SetGuardians { .. }
            | M::UpdateParams { .. }
            | M::CancelParams {}
            | M::Pause {}
            | M::Unpause {}
    )
}

fn is_of_nodes(msg: &ExecuteMsg) -> bool {
    use ExecuteMsg as M;
    matches!(
        msg,
        M::UpdateNode { .. }
            | M::Unbond { .. }
            | M::Withdraw {}
            | M::CommitBatch { .. }
            | M::CommitVerdicts { .. }
            | M::RevealVerdicts { .. }
    )
}

fn is_for_before_the_start(msg: &ExecuteMsg) -> bool {
    use ExecuteMsg as M;
    is_of_governance(msg)
        || matches!(
            msg,
            M::RegisterNode { .. }
                | M::OpenSession { .. }
                | M::UpdateNode { .. }
                | M::Unbond { .. }
                | M::Withdraw {}
                | M::TopUp { .. }
                | M::CloseSession { .. }
        )
}

/// An address as the contract's address book takes it; its error's words are the chain's.
///
/// # Errors
/// It is none.
fn check_address(address: &str) -> Answer {
    // The driver names no other unreadable address than this kind.
    if address.starts_with("assay1") {
        Ok(())
    } else {
        Err(ContractError::Std { reason: String::new() })
    }
}

fn check_limit(limit: u32, most: u32) -> Answer {
    if (1..=most).contains(&limit) {
        Ok(())
    } else {
        Err(ContractError::BadLimit { limit, most })
    }
}
