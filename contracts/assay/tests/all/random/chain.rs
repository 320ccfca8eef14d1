//! One chain: the contract, the model, and the people who send messages.

use std::collections::{BTreeMap, BTreeSet};

use assay_common::evidence::Bins;
use assay_common::ids::{BatchId, Digest, ModelDigest};
use assay_common::msg::{CalibrationRecord, ExecuteMsg};
use assay_common::params::{Params, PerAlternative};
use assay_common::verdict::VerdictPage;
use assay_contract::error::ContractError;
use cosmwasm_std::{coin, Addr, Timestamp};
use cw_multi_test::{BankSudo, Executor};
use k256::ecdsa::SigningKey;

use super::dice::Dice;
use super::frauds::Shown;
use super::reach::{variant, Reach};
use crate::model::{compare_all, compare_touched, Exhibit, Funds, Message, PageKey, World};
use crate::suite::*;

/// Nodes that there are from the start; the others come and go.
const FIRST_NODES: u8 = 9;
const NODES: u8 = 12;
/// Messages between two looks at the whole state.
const WHOLE: u64 = 50;

pub struct Chain {
    pub suite: Suite,
    pub world: World,
    pub dice: Dice,
    pub reach: Reach,
    pub seed: u64,
    /// Accounts whose keys are known, nodes or not.
    pub nodes: Vec<(Addr, SigningKey)>,
    pub requesters: Vec<Addr>,
    /// The models that most of the work is for.
    pub main_models: Vec<ModelDigest>,
    /// What jurors committed to.
    pub pages: BTreeMap<PageKey, VerdictPage>,
    /// Batches whose artifacts are known.
    pub known: BTreeMap<BatchId, Committed>,
    /// Proofs that were committed to.
    pub to_show: Vec<Shown>,
    pub models_made: u64,
}

/// Windows of a day and epochs of four, so that a week's pause is within a chain's life; low bounds, and odd shares.
fn params() -> Params {
    let mut params = local_params();
    params.clock.window_seconds = 86_400;
    params.clock.windows_per_epoch = 4;
    params.beacon.period_seconds = 600;
    params.beacon.delay_seconds = 700;
    params.jury.min_others_to_slash = 5;
    params.jury.max_samples_per_window = 7;
    params.jury.false_bench_one_in = 1_000;
    params.evidence.audits = 1u64.into();
    params.evidence.false_forfeit_one_in = 1_000u64.into();
    params.reputation.min_checked = 2;
    params.fees.reserve_ppm = 12_347;
    params.fees.slash_ppm = 133_333;
    params.fraud.window_seconds = 2 * 4 * 86_400;
    let limits = &mut params.limits;
    (limits.session_epochs, limits.close_delay_epochs, limits.kept_epochs) = (5, 1, 3);
    limits.unbonding_seconds = 2 * 4 * 86_400 + 1;
    (limits.claims_per_batch, limits.inferences_per_batch) = (4, 12);
    (limits.max_prompt, limits.max_new) = (200, 100);
    (limits.draw_page, limits.verdict_page, limits.settle_page) = (6, 3, 20);
    params
}

/// Three bins that pass and one that fails; `number` tells calibrations apart.
pub fn calibration_of(number: u64) -> CalibrationRecord {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    let bins = Bins {
        honest_ppm: vec![600_000, 300_000, 90_000, 10_000],
        alternatives_ppm: PerAlternative([
            vec![540_000, 320_000, 110_000, 30_000],
            vec![400_000, 300_000, 200_000, 100_000],
            vec![150_000, 200_000, 250_000, 400_000],
        ]),
    };
    let probe_tolerance = 8 + u16::try_from(number % 3).expect("small") * 8;
    CalibrationRecord { digest: Digest(digest), probe_tolerance, bins: vec![bins] }
}

/// Says which chain failed, and where.
struct Place<'a>(u64, &'a Message, u64);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("ASSAY_RANDOM_SEED={}, message {}: {:?}", self.0, self.2, self.1);
        }
    }
}

impl Chain {
    pub fn new(seed: u64) -> Self {
        let params = params();
        let mut suite = Suite::empty(params.clone());
        let now = suite.app.block_info().time.seconds();
        let world = World::new(suite.domain(), suite.governance.to_string(), params, now);
        let nodes: Vec<(Addr, SigningKey)> = (0..NODES)
            .map(|number| {
                let key = SigningKey::from_slice(&[number + 20; 32]).expect("a scalar below the order");
                (suite.key_account(&key), key)
            })
            .collect();
        let requesters = vec![suite.account("alice"), suite.account("bob"), suite.requester.clone()];
        let mut chain = Self {
            suite,
            world,
            dice: Dice::new(seed),
            reach: Reach::default(),
            seed,
            nodes,
            requesters,
            main_models: Vec::new(),
            pages: BTreeMap::new(),
            known: BTreeMap::new(),
            to_show: Vec::new(),
            models_made: 0,
        };
        chain.begin();
        chain
    }

    /// Two models; the second has few nodes. Some of what only the time after the start allows is tried before it.
    fn begin(&mut self) {
        self.tick(0);
        for _ in 0..2 {
            let model = self.make_model();
            self.main_models.push(model);
        }
        for number in 0..usize::from(FIRST_NODES) {
            let models = if number % 2 == 0 { self.main_models.clone() } else { vec![self.main_models[0]] };
            let msg = ExecuteMsg::RegisterNode { models, endpoint: "http://10.0.0.1:8080".into() };
            let (node, _) = self.nodes[number].clone();
            let stake = MIN_STAKE + u128::from(self.dice.below(3 * 10_000_000));
            self.send(&node, msg, stake);
        }
        let (node, _) = self.nodes[0].clone();
        self.send(&node, ExecuteMsg::Sweep { limit: 1 }, 0);
        for number in 0..usize::from(FIRST_NODES) {
            let executor = self.nodes[number].0.clone();
            self.open_session_with(&executor);
        }
        let start = self.suite.params.clock.start;
        self.at(start + 5);
    }

    // --- time ---

    pub fn at(&mut self, seconds: u64) {
        self.suite.app.update_block(|block| {
            block.time = Timestamp::from_seconds(seconds);
            block.height += 1;
        });
        let block = self.suite.app.block_info();
        (self.world.now, self.world.height) = (seconds, block.height);
    }

    /// The next block, some seconds on.
    pub fn tick(&mut self, seconds: u64) {
        self.at(self.world.now + seconds);
    }

    pub fn window(&self) -> u64 {
        self.world.window().map_or(0, |window| window.0)
    }

    pub fn next_window(&mut self) {
        let end = self.world.window().map(|window| self.world.end_of(window));
        self.at(end.unwrap_or(self.suite.params.clock.start) + 5);
    }

    // --- messages ---

    pub fn send(&mut self, sender: &Addr, msg: ExecuteMsg, funds: u128) -> bool {
        self.send_with(sender, msg, Funds::Units(funds), None)
    }

    /// Sends a message to contract and model; whether it was accepted.
    pub fn send_with(
        &mut self,
        sender: &Addr,
        msg: ExecuteMsg,
        funds: Funds,
        exhibit: Option<Exhibit>,
    ) -> bool {
        let message = Message { sender: sender.to_string(), msg, funds, exhibit };
        let Some(coins) = self.coins(sender, funds) else { return false };
        let _place = Place(self.seed, &message, self.reach.sent);
        let before = self.benched();
        let expected = self.world.take(&message);
        let contract = self.suite.contract.clone();
        let found = self.suite.app.execute_contract(sender.clone(), contract, &message.msg, &coins);
        match (&expected, &found) {
            (Ok(()), Ok(response)) => {
                // A Tally may find all closed, and only note how far tallies have come.
                let silent = matches!(message.msg, ExecuteMsg::Tally { .. });
                assert!(!checked_events(response).is_empty() || silent, "nothing is said of it");
            }
            (Err(expected), Err(found)) => check_refusal(expected, &found.to_string()),
            _ => panic!("the model says {expected:?}, the contract {found:?}"),
        }
        self.reach.note(&message.msg, &expected);
        let storage = self.suite.app.contract_storage(&self.suite.contract);
        if self.reach.sent.is_multiple_of(WHOLE) {
            compare_all(&self.world, &*storage);
            self.suite.check_money();
            // Whatever was sent, what is due can be asked for.
            self.suite.due();
        } else {
            compare_touched(&self.world, &*storage);
        }
        drop(storage);
        self.check_balances(sender);
        let benched = self.benched().difference(&before).count() as u64;
        if benched > 0 {
            *self.reach.ends.entry("benched".into()).or_default() += benched;
        }
        expected.is_ok()
    }

    /// The funds as coins; none where the sender does not have so much.
    fn coins(&mut self, sender: &Addr, funds: Funds) -> Option<Vec<cosmwasm_std::Coin>> {
        match funds {
            Funds::Units(0) => Some(Vec::new()),
            Funds::Units(units) if self.suite.balance(sender) < units => None,
            Funds::Units(units) => Some(vec![coin(units, DENOM)]),
            Funds::Foreign(amount) => {
                let coins = vec![coin(amount, "other")];
                let mint = BankSudo::Mint { to_address: sender.to_string(), amount: coins.clone() };
                self.suite.app.sudo(mint.into()).expect("the bank mints");
                Some(coins)
            }
        }
    }

    /// What the bank holds for the contract and the sender.
    fn check_balances(&self, sender: &Addr) {
        let pools = self.world.pools();
        let held: u128 =
            [pools.escrow, pools.pending, pools.checks, pools.refunds, pools.reserve, pools.stakes]
                .iter()
                .map(|pool| pool.u128())
                .sum();
        let held = held + pools.claimable.u128();
        assert_eq!(self.suite.balance(&self.suite.contract), held, "{pools:?}");
        if *sender != self.suite.governance {
            let paid = self.world.paid.get(sender.as_str()).copied().unwrap_or(0);
            let purse = i128::try_from(PURSE).expect("a purse") - paid;
            assert_eq!(i128::try_from(self.suite.balance(sender)).expect("a purse"), purse);
        }
    }

    fn benched(&self) -> BTreeSet<u32> {
        self.world.nodes.values().filter(|node| node.benched).map(|node| node.number).collect()
    }
}

/// The same error with the same inputs; of the chain's own errors only the kind is foretold.
fn check_refusal(expected: &ContractError, found: &str) {
    let same = match expected {
        ContractError::Std { .. } => found.ends_with("error: Invalid input"),
        ContractError::Arithmetic { .. } => found.contains("amounts do not fit: "),
        expected => found.ends_with(&expected.to_string()),
    };
    assert!(same, "the model says {} {expected}, the contract {found}", variant(expected));
}
