//! `examples/replay.rs` compiled to wasm and run by an interpreter that refuses floats, as the chain does.

use std::path::PathBuf;

use borsh::BorshDeserialize;
use wasmi::{Config, Engine, Extern, Instance, Linker, Module, Store};

use crate::positions::{Position, VOCAB};
use crate::vectors::sampling::Replayed;
use crate::vectors::{Bytes, Case};

/// Cases handed over at once, to bound the guest's memory.
const PAGE: usize = 8_192;

pub struct Guest {
    store: Store<()>,
    instance: Instance,
}

impl Guest {
    /// The module that scripts/contract builds.
    pub fn load() -> Self {
        let mut config = Config::default();
        config.floats(false);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, module_bytes()).expect("the module is valid and has no float");
        let mut store = Store::new(&engine, ());
        let linker = Linker::new(&engine);
        let instance = linker.instantiate_and_start(&mut store, &module).expect("the module imports nothing");
        Self { store, instance }
    }

    /// For each case the borsh bytes of its outcome.
    pub fn outcomes(&mut self, cases: &[Case]) -> Vec<Vec<u8>> {
        cases.chunks(PAGE).flat_map(|page| self.page(page)).collect()
    }

    fn page(&mut self, cases: &[Case]) -> Vec<Vec<u8>> {
        let mut bytes = Vec::new();
        for case in cases {
            borsh::to_writer(&mut bytes, case).expect("a vector takes every byte");
        }
        let alloc =
            self.instance.get_typed_func::<u32, u32>(&self.store, "alloc").expect("alloc is exported");
        let at = alloc.call(&mut self.store, bytes.len() as u32).expect("the guest has memory") as usize;
        let Some(Extern::Memory(memory)) = self.instance.get_export(&self.store, "memory") else {
            panic!("the module exports no memory");
        };
        memory.write(&mut self.store, at, &bytes).expect("the buffer is the guest's");
        let length = self.call("compute");
        let at = self.call("outcomes");
        let mut rest = &memory.data(&self.store)[at..at + length];
        let mut outcomes = Vec::with_capacity(cases.len());
        while !rest.is_empty() {
            outcomes.push(Vec::deserialize(&mut rest).expect("the guest writes whole outcomes"));
        }
        assert_eq!(outcomes.len(), cases.len());
        outcomes
    }

    fn call(&mut self, name: &str) -> usize {
        let function = self.instance.get_typed_func::<(), u32>(&self.store, name).expect("it is exported");
        function.call(&mut self.store, ()).expect("the guest does not trap") as usize
    }
}

/// The replay of a position, for the guest.
pub fn replay(position: &Position) -> Case {
    let Position { params, run_seed, position, leaf, .. } = position.clone();
    let leaf = Bytes(leaf);
    Case::Replayed(Replayed { vocabulary: VOCAB, sampling: params, run_seed, position, leaf })
}

fn module_bytes() -> Vec<u8> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/wasm/replay.wasm");
    let path = std::env::var_os("ASSAY_REPLAY_WASM").map_or_else(|| PathBuf::from(default), PathBuf::from);
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; run scripts/contract, which builds this module", path.display())
    })
}
