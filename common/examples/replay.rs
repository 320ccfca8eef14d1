//! The outcomes of published and of random cases inside wasm, without a chain: `tests/wasm.rs` compares them with the native ones.
//!
//! The host asks for a buffer with [`alloc`], writes cases into it one after another, and calls [`compute`].

use std::sync::{Mutex, MutexGuard, PoisonError};

use borsh::BorshDeserialize;
use vectors::Case;

#[path = "../tests/vectors/mod.rs"]
mod vectors;

static CASES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static OUTCOMES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

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

/// Computes the cases in the buffer; the length of their outcomes, which are borsh vectors of bytes one after another.
#[no_mangle]
pub extern "C" fn compute() -> usize {
    let cases = lock(&CASES);
    let mut outcomes = lock(&OUTCOMES);
    outcomes.clear();
    let mut rest = cases.as_slice();
    while !rest.is_empty() {
        let case = Case::deserialize(&mut rest).expect("the host writes whole cases");
        borsh::to_writer(&mut *outcomes, &case.outcome()).expect("a vector takes every byte");
    }
    outcomes.len()
}

/// Where the outcomes of the last [`compute`] are.
#[no_mangle]
pub extern "C" fn outcomes() -> *const u8 {
    lock(&OUTCOMES).as_ptr()
}
