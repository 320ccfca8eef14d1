//! The simulated chain: storage that counts, the contract's code, and the beacon.

use std::cell::Cell;
use std::rc::Rc;

use assay_common::digest::sha256;
use assay_common::ids::Round;
use cosmwasm_std::testing::MockStorage;
use cosmwasm_std::{Empty, HexBinary, Order, Record, Storage};
use cw_multi_test::{
    App, AppBuilder, BankKeeper, Contract, ContractWrapper, DistributionKeeper, FailingModule,
    GovFailingModule, IbcFailingModule, MockApiBech32, StakeKeeper, StargateFailing, WasmKeeper,
};

const DST: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

/// Entries read from and written to the chain's storage; writes reach it when a message is accepted.
#[derive(Clone, Default)]
pub struct Counter {
    pub reads: Rc<Cell<u64>>,
    pub writes: Rc<Cell<u64>>,
}

#[derive(Default)]
pub struct CountingStorage {
    inner: MockStorage,
    counter: Counter,
}

fn count(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

impl CountingStorage {
    /// How many entries there are, and the bytes of their keys and values.
    pub fn size(&self) -> (usize, usize) {
        let entries = self.inner.range(None, None, Order::Ascending);
        entries.fold((0, 0), |(count, bytes), (key, value)| (count + 1, bytes + key.len() + value.len()))
    }
}

impl Storage for CountingStorage {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        count(&self.counter.reads);
        self.inner.get(key)
    }

    fn range<'a>(
        &'a self,
        start: Option<&[u8]>,
        end: Option<&[u8]>,
        order: Order,
    ) -> Box<dyn Iterator<Item = Record> + 'a> {
        Box::new(self.inner.range(start, end, order).inspect(|_| count(&self.counter.reads)))
    }

    fn set(&mut self, key: &[u8], value: &[u8]) {
        count(&self.counter.writes);
        self.inner.set(key, value);
    }

    fn remove(&mut self, key: &[u8]) {
        count(&self.counter.writes);
        self.inner.remove(key);
    }
}

pub type Chain = App<
    BankKeeper,
    MockApiBech32,
    CountingStorage,
    FailingModule<Empty, Empty, Empty>,
    WasmKeeper<Empty, Empty>,
    StakeKeeper,
    DistributionKeeper,
    IbcFailingModule,
    GovFailingModule,
    StargateFailing,
>;

/// The local beacon: drand quicknet's scheme under a key of its own.
pub struct Beacon(blst::min_sig::SecretKey);

impl Beacon {
    pub fn new(seed: u8) -> Self {
        Self(blst::min_sig::SecretKey::key_gen(&[seed; 32], &[]).expect("32 bytes suffice"))
    }

    pub fn public_key(&self) -> HexBinary {
        self.0.sk_to_pk().compress().to_vec().into()
    }

    pub fn sign(&self, round: Round) -> HexBinary {
        let message = sha256(&[&round.0.to_be_bytes()]);
        self.0.sign(&message, DST, &[]).compress().to_vec().into()
    }
}

pub fn chain() -> (Chain, Counter) {
    let counter = Counter::default();
    let storage = CountingStorage { inner: MockStorage::default(), counter: counter.clone() };
    let app =
        AppBuilder::new().with_api(MockApiBech32::new("assay")).with_storage(storage).build(|_, _, _| {});
    (app, counter)
}

pub fn contract() -> Box<dyn Contract<Empty>> {
    use assay_contract::contract::{execute, instantiate, migrate, query};
    Box::new(ContractWrapper::new(execute, instantiate, query).with_migrate(migrate))
}
