//! The model as the contract would store it, against what the contract has stored.

use std::collections::{BTreeMap, BTreeSet};

use assay_common::evidence::Cusum;
use assay_common::ids::{BatchId, Epoch, SessionId};
use assay_common::msg::{EpochStatus, Tallies};
use assay_common::params::PerAlternative;
use assay_common::replay::SamplerVersion;
use assay_common::reputation::Reputation;
use assay_common::verdict::FinalOutcome;
use assay_contract::packed;
use assay_contract::state::{self as stored, NodeNumber};
use assay_contract::sweep::Item;
use assay_contract::table;
use cosmwasm_std::{Addr, Order, StdResult, Storage, Uint128};

use super::{Account, Batch, Model, Node, Sample, Session, Touched, World};

/// Everything under a key, by key.
fn all<K: Ord, T>(entries: impl Iterator<Item = StdResult<(K, T)>>) -> BTreeMap<K, T> {
    entries.map(|entry| entry.expect("what is stored is readable")).collect()
}

/// What differs, and nothing else, of two large maps.
fn same<K: Ord + std::fmt::Debug, T: PartialEq + std::fmt::Debug>(
    found: &BTreeMap<K, T>,
    expected: &BTreeMap<K, T>,
    what: &str,
) {
    let only = |of: &BTreeMap<K, T>, other: &BTreeMap<K, T>| -> Vec<String> {
        let entries = of.iter().filter(|(key, value)| other.get(key) != Some(value));
        entries.map(|(key, value)| format!("{key:?}: {value:?}")).collect()
    };
    let (more, less) = (only(found, expected), only(expected, found));
    assert!(more.is_empty() && less.is_empty(), "{what}: stored {more:#?}, foretold {less:#?}");
}

macro_rules! stored {
    ($map:expr, $storage:expr) => {
        all($map.range($storage, None, None, Order::Ascending))
    };
}

/// The pools, the nodes, and what the last message touched.
pub fn compare_touched(world: &World, storage: &dyn Storage) {
    assert_eq!(stored::POOLS.load(storage).expect("there are pools"), world.pools());
    world.check_conservation();
    compare_nodes(world, storage);
    for touched in &world.touched {
        match touched {
            Touched::Session(id) => compare_session(world, storage, *id),
            Touched::Batch(id) => compare_batch(world, storage, *id),
            Touched::Account(executor, epoch) => compare_account(world, storage, (executor, *epoch)),
        }
    }
}

/// The whole state.
pub fn compare_all(world: &World, storage: &dyn Storage) {
    compare_touched(world, storage);
    for id in world.sessions.keys() {
        compare_session(world, storage, *id);
    }
    for id in world.batches.keys() {
        compare_batch(world, storage, *id);
    }
    for (executor, epoch) in world.accounts.keys() {
        compare_account(world, storage, (executor, *epoch));
    }
    let count = |kept: usize, found: usize, what: &str| assert_eq!(kept, found, "{what}");
    let sessions = world.sessions.values().filter(|session| !session.swept).count();
    count(stored!(stored::SESSIONS, storage).len(), sessions, "sessions");
    let kept: Vec<&Batch> = world.batches.values().filter(|batch| !batch.gone).collect();
    count(stored!(stored::BATCHES, storage).len(), kept.len(), "batches");
    let samples = kept.iter().map(|batch| batch.samples.len() - batch.swept as usize).sum();
    count(stored!(stored::SAMPLES, storage).len(), samples, "samples");
    let accounts = world.accounts.values().filter(|account| !account.swept).count();
    count(stored!(stored::EPOCHS, storage).len(), accounts, "accounts");
    compare_jury_state(world, storage);
    compare_indexes(world, storage);
    compare_rules(world, storage);
}

fn compare_nodes(world: &World, storage: &dyn Storage) {
    let expected: BTreeMap<Addr, stored::Node> =
        world.nodes.iter().map(|(address, node)| (Addr::unchecked(address), node.stored())).collect();
    same(&stored!(stored::NODES, storage), &expected, "nodes");
    let jurors: BTreeMap<u32, stored::Juror> = world
        .nodes
        .values()
        .filter_map(|node| {
            let juror = node.juror?;
            let attendance = Cusum(PerAlternative(juror.attendance));
            Some((node.number, stored::Juror { earned: juror.earned.into(), attendance }))
        })
        .collect();
    same(&stored!(stored::JURORS, storage), &jurors, "jurors");
    let claimable: BTreeMap<Addr, Uint128> = world
        .claimable
        .iter()
        .map(|(address, amount)| (Addr::unchecked(address), Uint128::new(*amount)))
        .collect();
    same(&stored!(stored::CLAIMABLE, storage), &claimable, "claimable");
}

fn compare_session(world: &World, storage: &dyn Storage, id: SessionId) {
    let expected = Some(&world.sessions[&id]).filter(|session| !session.swept).map(Session::stored);
    assert_eq!(stored::SESSIONS.may_load(storage, id.0).expect("readable"), expected, "session {id}");
}

fn compare_batch(world: &World, storage: &dyn Storage, id: BatchId) {
    let batch = &world.batches[&id];
    let vocabulary = world.models[&batch.model].spec.vocabulary;
    let expected = Some(batch).filter(|batch| !batch.gone).map(|batch| batch.stored(vocabulary));
    assert_eq!(stored::BATCHES.may_load(storage, id.0).expect("readable"), expected, "batch {id}");
    for (draw, sample) in (0..).zip(&batch.samples) {
        let expected = (!batch.gone && draw >= batch.swept).then(|| sample.stored());
        let found = stored::SAMPLES.may_load(storage, (id.0, draw)).expect("readable");
        assert_eq!(found, expected, "draw {draw} of batch {id}");
    }
}

fn compare_account(world: &World, storage: &dyn Storage, (executor, epoch): (&str, u64)) {
    let account = &world.accounts[&(executor.to_string(), epoch)];
    let key = Addr::unchecked(executor);
    let found = stored::EPOCHS.may_load(storage, (&key, epoch)).expect("readable");
    let Some(found) = found.filter(|_| !account.swept) else {
        assert!(account.swept, "epoch {epoch} of {executor}");
        return;
    };
    // The model counts what is folded; the contract also keeps where that is.
    let expected = world.stored_account(account, (found.cursor, epoch));
    assert_eq!(found, expected, "epoch {epoch} of {executor}");
}

fn compare_jury_state(world: &World, storage: &dyn Storage) {
    let beacons: BTreeMap<_, _> = stored!(stored::BEACONS, storage)
        .into_iter()
        .map(|(window, stored::Beacon { round, randomness })| (window, (round, randomness)))
        .collect();
    same(&beacons, &world.beacons, "beacons");
    same(&stored!(stored::SEATS, storage), &world.seats, "seats");
    let assignments = stored!(stored::ASSIGNMENTS, storage);
    let flat: BTreeMap<_, _> = assignments
        .into_iter()
        .map(|(((juror, window), page), keys)| ((juror, window, page), keys))
        .collect();
    same(&flat, &world.assignments, "assignments");
    let commitments: BTreeMap<_, _> = stored!(stored::COMMITMENTS, storage)
        .into_iter()
        .map(|(key, page)| (key, (page.hash, page.revealed)))
        .collect();
    same(&commitments, &world.commitments, "commitments");
    let accusations: BTreeMap<_, _> = stored!(stored::FRAUD_COMMITMENTS, storage)
        .into_iter()
        .map(|((epoch, accuser, hash), height)| {
            ((epoch, accuser.into_string(), assay_common::ids::Digest(hash)), height)
        })
        .collect();
    same(&accusations, &world.accusations, "accusations");
    let standing = world.accounts.iter().filter(|(_, account)| account.status == EpochStatus::Condemned);
    let standing: BTreeMap<_, _> = standing
        .map(|((of, epoch), account)| ((Addr::unchecked(of), *epoch), account.stored_accusation()))
        .collect();
    let found = stored!(stored::ACCUSATIONS, storage);
    same(&found.into_iter().map(|(key, brought)| (key, Some(brought))).collect(), &standing, "condemned");
    let tables: BTreeMap<_, _> = stored!(stored::TABLES, storage)
        .into_keys()
        .map(|(model, epoch)| {
            let model = assay_common::ids::ModelDigest(model.try_into().expect("32 bytes"));
            let places = table::in_force(storage, &model, Epoch(epoch)).expect("readable").0;
            let mut before = 0;
            let stakes = places.into_iter().map(|place| {
                let stake = place.cumulative - before;
                before = place.cumulative;
                (place.node.0, stake)
            });
            ((model, epoch), stakes.collect::<BTreeMap<u32, u128>>())
        })
        .collect();
    same(&tables, &world.tables, "tables");
}

fn compare_indexes(world: &World, storage: &dyn Storage) {
    let batches = || world.batches.iter().filter(|(_, batch)| !batch.gone);
    let undrawn: BTreeSet<(u64, u64)> = batches()
        .filter(|(_, batch)| batch.drawn() < batch.planned)
        .map(|(id, batch)| (batch.window.0, id.0))
        .collect();
    assert_eq!(stored!(stored::UNDRAWN, storage).into_keys().collect::<BTreeSet<_>>(), undrawn);
    let untallied: BTreeMap<_, _> =
        world.untallied.iter().map(|((window, id), first)| ((*window, id.0), *first)).collect();
    same(&stored!(stored::UNTALLIED, storage), &untallied, "untallied");
    let mut contested = BTreeMap::<(u64, u64), BTreeSet<u32>>::new();
    for (id, batch) in batches() {
        for (draw, sample) in (0..).zip(&batch.samples).filter(|(_, sample)| sample.closed.is_none()) {
            if let Some((window, _)) = sample.second {
                contested.entry((window.0, id.0)).or_default().insert(draw);
            }
        }
    }
    let found: BTreeMap<_, BTreeSet<u32>> = stored!(stored::CONTESTED, storage)
        .into_iter()
        .map(|(key, draws)| (key, draws.into_iter().collect()))
        .collect();
    same(&found, &contested, "contested");
    let drawn: BTreeMap<_, _> =
        world.contested().into_iter().map(|((window, id), count)| ((window, id.0), count)).collect();
    same(&stored!(stored::CONTESTED_DRAWN, storage), &drawn, "contested, by the window of the first draw");
    let unsettled: BTreeSet<(u64, Addr)> = world
        .accounts
        .iter()
        .filter(|(_, account)| !account.status.is_settled())
        .map(|((executor, epoch), _)| (*epoch, Addr::unchecked(executor)))
        .collect();
    assert_eq!(stored!(stored::UNSETTLED, storage).into_keys().collect::<BTreeSet<_>>(), unsettled);
    let item = |(key, _): ((u64, Vec<u8>), bool)| {
        let item: Item = packed::from_bytes(&key.1).expect("readable");
        (key, item)
    };
    let agenda: BTreeMap<_, _> = stored!(stored::AGENDA, storage).into_iter().map(item).collect();
    same(&agenda, &world.agenda, "agenda");
}

fn compare_rules(world: &World, storage: &dyn Storage) {
    let versions = stored::CHARTER.load(storage).expect("there is a charter").params;
    let now = world.epoch();
    let number = |epoch| world.params.of(epoch).map(|entry| (entry.number, entry.value.clone()));
    let found = |epoch| versions.of(epoch).map(|version| (version.number, version.value.clone()));
    assert_eq!(found(now), number(now));
    assert_eq!(found(Epoch(u64::MAX)), number(Epoch(u64::MAX)));
    assert_eq!(versions.last, world.params.last_number());
    let models = stored!(stored::MODELS, storage);
    assert_eq!(models.len(), world.models.len());
    for (digest, model) in &world.models {
        let Model { spec, reference_fee, calibrations, deprecated, guardians } = model;
        let found = &models[&digest.0];
        let numbers: Vec<u32> = found.guardians.iter().map(|number| number.0).collect();
        assert_eq!((&found.spec, found.reference_fee.u128()), (spec, *reference_fee));
        assert_eq!((found.deprecated, &numbers), (*deprecated, guardians));
        for epoch in [now, Epoch(u64::MAX)] {
            let found = found.calibrations.of(epoch).map(|version| (version.number, &version.value));
            assert_eq!(found, calibrations.of(epoch).map(|entry| (entry.number, &entry.value)));
        }
    }
}

impl World {
    fn stored_account(
        &self,
        account: &Account,
        (cursor, epoch): (stored::Cursor, u64),
    ) -> stored::ExecutorEpoch {
        let batches: Vec<&Batch> = account.batches.iter().map(|id| &self.batches[id]).collect();
        let last = batches.last().expect("the first batch opens an account");
        let in_window = batches.iter().filter(|batch| batch.window == last.window);
        assert!(batches.iter().all(|batch| batch.epoch.0 == epoch));
        let mut closed = Tallies::default();
        for outcome in self.outcomes(account) {
            match outcome {
                FinalOutcome::Valid => closed.valid += 1,
                FinalOutcome::Fail { .. } => closed.fail += 1,
                FinalOutcome::Unavailable => closed.unavailable += 1,
                FinalOutcome::Inconclusive { .. } => closed.inconclusive += 1,
                FinalOutcome::Void => closed.void += 1,
            }
        }
        let (refund_fees_left, refund_pool_left) = self.refund_left(account);
        let checks: u128 = batches.iter().map(|batch| batch.prepaid() * u128::from(batch.planned)).sum();
        let (status, accusation) = match account.status {
            EpochStatus::Condemned => (EpochStatus::Open, None),
            status => (status, account.stored_accusation()),
        };
        stored::ExecutorEpoch {
            status,
            previous: account.previous,
            batches: u32::try_from(batches.len()).expect("few"),
            inferences: batches.iter().map(|batch| batch.count()).sum(),
            sampled: batches.iter().map(|batch| batch.drawn()).sum(),
            closed,
            folded: account.folded,
            advanced: account.advanced.into(),
            split_costs: account.split_costs.into(),
            cursor,
            window: last.window,
            window_samples: in_window.map(|batch| batch.planned).sum(),
            fees: self.fees(account).into(),
            reserve: batches.iter().map(|batch| batch.reserve).sum::<u128>().into(),
            checks: checks.into(),
            pending: self.pending(account).into(),
            reward: account.reward.into(),
            refunded: account.refunded.into(),
            slashed: account.slashed.into(),
            bounty: account.bounty.into(),
            accusation,
            refund_fees_left: refund_fees_left.into(),
            refund_pool_left: refund_pool_left.into(),
        }
    }
}

impl Account {
    fn stored_accusation(&self) -> Option<stored::Accusation> {
        let (accuser, finding, batch, index) = self.accusation.clone()?;
        Some(stored::Accusation { accuser: Addr::unchecked(accuser), finding, batch, index })
    }
}

impl Node {
    fn stored(&self) -> stored::Node {
        let part = |(amount, release): &(u128, u64)| stored::Unbonding {
            amount: (*amount).into(),
            release: *release,
        };
        stored::Node {
            number: NodeNumber(self.number),
            models: self.models.clone(),
            endpoint: self.endpoint.clone(),
            stake: self.stake.into(),
            unbonding: self.unbonding.iter().map(part).collect(),
            reputation: Reputation(self.reputation),
            cusum: Cusum(PerAlternative(self.evidence)),
            benched: self.benched,
            last_epoch: self.last_epoch,
        }
    }
}

impl Session {
    fn stored(&self) -> stored::Session {
        let slot =
            |(epoch, amount): (&u64, &u128)| stored::Slot { epoch: Epoch(*epoch), amount: (*amount).into() };
        stored::Session {
            requester: Addr::unchecked(&self.requester),
            executor: Addr::unchecked(&self.executor),
            model: self.model,
            user_seed: self.user_seed,
            session_key: self.key.clone(),
            fee: self.fee.into(),
            max_prompt: self.max_prompt,
            max_new: self.max_new,
            expires: self.expires,
            closes: self.closes,
            status: self.status,
            escrow: self.escrow.into(),
            nonce: self.nonce,
            mark: self.mark,
            slots: self.payments.iter().map(slot).collect(),
        }
    }
}

impl Batch {
    fn stored(&self, vocabulary: u32) -> stored::Batch {
        stored::Batch {
            executor: Addr::unchecked(&self.executor),
            model: self.model,
            root: self.root,
            count: self.count(),
            claims: self.ranges.clone(),
            window: self.window,
            epoch: self.epoch,
            rate_q32: self.rate,
            vocabulary,
            sampler: SamplerVersion(1),
            accusable: self.accusable,
            fees: self.fees.into(),
            verdict_fee: self.verdict_fee.into(),
            seats: self.seats,
            samples: self.planned,
            drawn: self.drawn(),
            closed: self.closed(),
        }
    }
}

impl Sample {
    fn stored(&self) -> stored::Sample {
        let seat = |seat: &super::Seat| stored::Seat {
            juror: NodeNumber(seat.juror),
            page: seat.page,
            verdict: seat.verdict.clone().map(|(outcome, score)| stored::Cast { outcome, score }),
        };
        stored::Sample {
            index: self.index,
            window: self.window,
            seats: self.seats.iter().map(seat).collect(),
            second: self.second.map(|(window, first)| stored::SecondLevel {
                window,
                first: u32::try_from(first).expect("few seats"),
            }),
            closed: self.closed.map(|(outcome, size_class, bin)| stored::Closed { outcome, size_class, bin }),
        }
    }
}
