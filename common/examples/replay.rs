//! The replay inside wasm, without a chain: `tests/sampler_wasm.rs` feeds it the positions that it replays natively.
//!
//! The host asks for a buffer with [`alloc`], writes cases into it one after another, and calls [`replay`].
//! A case is borsh: (vocabulary, parameters, run seed, position, leaf).

use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use assay_common::ids::RunSeed;
use assay_common::replay::replay_leaf;
use assay_common::sampler::SamplingParams;
use borsh::BorshDeserialize;

type Case = (u32, SamplingParams, RunSeed, u32, Vec<u8>);

static CASES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static OUTCOMES: Mutex<String> = Mutex::new(String::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer of `length` bytes for the cases, valid until the next call.
#[no_mangle]
pub extern "C" fn alloc(length: usize) -> *mut u8 {
    let mut cases = lock(&CASES);
    *cases = vec![0; length];
    cases.as_mut_ptr()
}

/// Replays the cases in the buffer; the length of the outcomes in bytes, one line of text for each case.
#[no_mangle]
pub extern "C" fn replay() -> usize {
    let cases = lock(&CASES);
    let mut outcomes = lock(&OUTCOMES);
    outcomes.clear();
    let mut rest = cases.as_slice();
    while !rest.is_empty() {
        let (vocab, params, run_seed, position, leaf) =
            Case::deserialize(&mut rest).expect("the host writes whole cases");
        let outcome = replay_leaf(&leaf, position, vocab, &params, &run_seed);
        writeln!(outcomes, "{outcome:?}").expect("a string takes every line");
    }
    outcomes.len()
}

/// Where the outcomes of the last [`replay`] are.
#[no_mangle]
pub extern "C" fn outcomes() -> *const u8 {
    lock(&OUTCOMES).as_ptr()
}
