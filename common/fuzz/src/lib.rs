//! What must hold of bytes from strangers, whatever they are: one module for each target, and for each a seed from real values.
//!
//! "It does not panic" is the least of it. Bytes that are accepted have one encoding, no length that they claim is believed before
//! the bytes are there, and what is decided about them is what [`plain`], a second and slower reading of the rules, decides.

pub mod artifact;
pub mod equivocation;
pub mod fraud;
pub mod memory;
pub mod message;
pub mod plain;
pub mod real;
pub mod row;
pub mod signed;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// Vocabularies that the first byte of an input chooses from.
const VOCABULARIES: [u32; 6] = [real::VOCABULARY, 0, 1, 19, 262_144, u32::MAX];

/// Splits off the byte that chooses, as an index below `choices`.
fn choice(bytes: &[u8], choices: usize) -> Option<(usize, &[u8])> {
    bytes.split_first().map(|(first, rest)| (usize::from(*first) % choices, rest))
}
