//! The replay compiled to wasm and run by an interpreter gives the outcomes of the native one, to the last byte.
#![allow(clippy::unwrap_used)]

mod positions;

use std::fmt::Write;
use std::path::PathBuf;

use assay_common::replay::replay_leaf;
use positions::{Position, POSITIONS, VOCAB};
use wasmi::{Config, Engine, Extern, Instance, Linker, Module, Store};

/// Cases handed over at once, to bound the module's memory.
const PAGE: usize = 8_192;

struct Wasm {
    store: Store<()>,
    instance: Instance,
}

impl Wasm {
    /// The engine refuses modules with float instructions, as the chain does.
    fn load(bytes: &[u8]) -> Self {
        let mut config = Config::default();
        config.floats(false);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, bytes).expect("the module is valid and has no float");
        let mut store = Store::new(&engine, ());
        let linker = Linker::new(&engine);
        let instance = linker.instantiate_and_start(&mut store, &module).expect("the module imports nothing");
        Self { store, instance }
    }

    fn call(&mut self, name: &str) -> usize {
        let function = self.instance.get_typed_func::<(), u32>(&self.store, name).unwrap();
        function.call(&mut self.store, ()).unwrap() as usize
    }

    fn replay(&mut self, cases: &[u8]) -> String {
        let alloc = self.instance.get_typed_func::<u32, u32>(&self.store, "alloc").unwrap();
        let at = alloc.call(&mut self.store, cases.len() as u32).unwrap() as usize;
        let Some(Extern::Memory(memory)) = self.instance.get_export(&self.store, "memory") else {
            panic!("the module exports no memory");
        };
        memory.write(&mut self.store, at, cases).unwrap();
        let length = self.call("replay");
        let at = self.call("outcomes");
        String::from_utf8(memory.data(&self.store)[at..at + length].to_vec()).unwrap()
    }
}

fn module_bytes() -> Vec<u8> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/wasm/replay.wasm");
    let path = std::env::var_os("ASSAY_REPLAY_WASM").map_or_else(|| PathBuf::from(default), PathBuf::from);
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; run scripts/contract, which builds this module", path.display())
    })
}

/// Every position as it was signed, and of every tenth also one altered bit: of the leaf, or of the seed.
fn altered(index: usize, position: &Position) -> Option<Position> {
    let mut altered = Position { row: position.row.clone(), leaf: position.leaf.clone(), ..*position };
    match index % 20 {
        3 => altered.leaf[index / 20 % position.leaf.len()] ^= 1 << (index % 8),
        13 => altered.run_seed.0[index / 20 % 32] ^= 1 << (index % 8),
        _ => return None,
    }
    Some(altered)
}

#[test]
fn native_and_wasm_outcomes_are_the_same_bytes() {
    let mut wasm = Wasm::load(&module_bytes());
    let altered: Vec<Position> =
        POSITIONS.iter().enumerate().filter_map(|(index, position)| altered(index, position)).collect();
    let mut honest = 0;
    for page in POSITIONS.chunks(PAGE).chain(altered.chunks(PAGE)) {
        let (mut cases, mut native) = (Vec::new(), String::new());
        for Position { params, run_seed, position, leaf, .. } in page {
            borsh::to_writer(&mut cases, &(VOCAB, params, run_seed, position, leaf)).unwrap();
            let outcome = replay_leaf(leaf, *position, VOCAB, params, run_seed);
            writeln!(native, "{outcome:?}").unwrap();
        }
        let replayed = wasm.replay(&cases);
        assert_eq!(replayed.lines().count(), page.len());
        for (index, (wasm, native)) in replayed.lines().zip(native.lines()).enumerate() {
            assert_eq!(wasm, native, "case {index} of a page");
        }
        assert_eq!(replayed, native);
        honest += native.lines().filter(|line| *line == "Matches").count();
    }
    assert!(honest >= POSITIONS.len());
}
