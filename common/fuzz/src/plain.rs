//! The rules once more, as docs/sampler.md words them: slow, wide numbers, no early exit that saves work. Logarithm, power and noise are
//! common's own; their vectors check those.

use std::collections::BTreeSet;

use assay_common::digest::sha256;
use assay_common::fixed::exp2_neg;
use assay_common::ids::RunSeed;
use assay_common::noise::{noise, PositionNoise};
use assay_common::row::{Entry, Leaf, Row, Surprisal, TokenId};
use assay_common::sampler::SamplingParams;

/// What a leaf shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Honest,
    Replay,
    Malformed,
    Sampling,
}

/// The leaf of these bytes, if they are one.
pub fn decode(bytes: &[u8]) -> Option<Leaf> {
    let head = |place: usize| Some(u32::from_le_bytes(bytes.get(4 * place..4 * place + 4)?.try_into().ok()?));
    let (position, token, cut) = (head(0)?, TokenId(head(1)?), entry(head(2)?, head(3)?));
    let (count, mut rest) = number(&bytes[16..])?;
    if count > 24 {
        return None;
    }
    let (mut entries, mut surprisal) = (Vec::new(), 0u64);
    for _ in 0..count {
        let (step, after) = number(rest)?;
        let (id, after) = number(after)?;
        surprisal += u64::from(step);
        entries.push(entry(u32::try_from(surprisal).ok()?, id));
        rest = after;
    }
    rest.is_empty().then_some(Leaf { position, row: Row { token, cut, entries } })
}

fn entry(surprisal: u32, id: u32) -> Entry {
    Entry { surprisal: Surprisal(surprisal), token: TokenId(id) }
}

/// A LEB128 number below 2³² in its shortest form, and what follows it.
fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let length = 1 + bytes.iter().position(|byte| *byte < 0x80)?;
    let digits = &bytes[..length];
    if length > 5 || (length > 1 && digits[length - 1] == 0) {
        return None;
    }
    let value = digits.iter().rev().fold(0u64, |value, byte| value << 7 | u64::from(byte & 0x7f));
    Some((u32::try_from(value).ok()?, &bytes[length..]))
}

/// Whether a row keeps every rule over a vocabulary.
pub fn is_well_formed(row: &Row, vocabulary: u32) -> bool {
    let Row { cut, entries, .. } = row;
    let in_range = |entry: &Entry| entry.token.0 < vocabulary && entry.surprisal.0 <= 16_384;
    let ids: BTreeSet<TokenId> = entries.iter().map(|entry| entry.token).collect();
    let sum: u128 =
        entries.iter().map(|entry| u128::from(exp2_neg(u64::from(entry.surprisal.0) << 16))).sum();
    let least = vocabulary.clamp(1, 20) as usize;
    (least..=24).contains(&entries.len())
        && entries.iter().all(in_range)
        && entries.windows(2).all(|pair| pair[0] < pair[1])
        && ids.len() == entries.len()
        && sum <= (1 << 32) + (1 << 24)
        && in_range(cut)
        && (entries.contains(cut) || (!ids.contains(&cut.token) && *cut > entries[entries.len().min(20) - 1]))
}

/// What the leaf at a position shows.
pub fn replay(
    bytes: &[u8],
    position: u32,
    vocabulary: u32,
    params: &SamplingParams,
    seed: &RunSeed,
) -> Shown {
    let Some(Leaf { position: found, row }) = decode(bytes) else { return Shown::Malformed };
    if found != position {
        return Shown::Malformed;
    }
    if !in_range(params) {
        return Shown::Sampling;
    }
    if !is_well_formed(&row, vocabulary) {
        return Shown::Malformed;
    }
    let listed = &row.entries[..row.entries.len().min(20)];
    let shows_the_cut = params.temperature_milli == 0 || (1..=20).contains(&params.top_k);
    if shows_the_cut && listed[kept(listed, params) - 1] != row.cut {
        return Shown::Replay;
    }
    let mut words = PositionNoise::new(seed, position);
    let mut score = |entry: &Entry| {
        let noise = i128::from(noise(words.word(entry.token)));
        i128::from(params.temperature_milli) * noise - 1_000 * (i128::from(entry.surprisal.0) << 16)
    };
    let within = row.entries.iter().filter(|entry| **entry <= row.cut);
    match within.map(|entry| (-score(entry), entry.token)).min() {
        None => Shown::Malformed,
        Some((_, winner)) if winner == row.token => Shown::Honest,
        Some(_) => Shown::Replay,
    }
}

fn in_range(params: &SamplingParams) -> bool {
    let penalties = &params.penalties;
    params.temperature_milli <= 100_000
        && (1..=1_000_000).contains(&params.top_p_ppm)
        && params.min_p_ppm <= 1_000_000
        && (500..=2_000).contains(&penalties.repetition_milli)
        && (-2_000..=2_000).contains(&penalties.frequency_milli)
        && (-2_000..=2_000).contains(&penalties.presence_milli)
}

/// How many of the candidates, which are not empty, the filters keep.
fn kept(candidates: &[Entry], params: &SamplingParams) -> usize {
    let temperature = u64::from(params.temperature_milli);
    if temperature == 0 {
        return 1;
    }
    let mut count =
        if params.top_k == 0 { candidates.len() } else { candidates.len().min(params.top_k as usize) };
    let weight = |entry: &Entry| {
        let over = u64::from(entry.surprisal.0 - candidates[0].surprisal.0) << 16;
        u128::from(exp2_neg(over * 1_000 / temperature))
    };
    let sum = |count: usize| candidates[..count].iter().map(weight).sum::<u128>();
    if params.top_p_ppm < 1_000_000 {
        let needed = sum(count) * u128::from(params.top_p_ppm);
        count = (0..=count).find(|prefix| sum(*prefix) * 1_000_000 >= needed).unwrap_or(count);
    }
    if params.min_p_ppm > 0 {
        let least = (1u128 << 32) * u128::from(params.min_p_ppm);
        count =
            candidates[..count].iter().position(|entry| weight(entry) * 1_000_000 < least).unwrap_or(count);
    }
    count
}

/// The root that a path leads to, by RFC 6962's split; `None` where the path does not belong to that leaf.
pub fn climb(count: u64, index: u64, leaf: [u8; 32], path: &[[u8; 32]]) -> Option<[u8; 32]> {
    if index >= count {
        return None;
    }
    if count == 1 {
        return path.is_empty().then_some(leaf);
    }
    let mut left = 1u64;
    while 2 * left < count {
        left *= 2;
    }
    let (sibling, below) = path.split_last()?;
    if index < left {
        Some(sha256(&[&[1], &climb(left, index, leaf, below)?, sibling]))
    } else {
        Some(sha256(&[&[1], sibling, &climb(count - left, index - left, leaf, below)?]))
    }
}

/// H(name, content) over the content's bytes.
pub fn tagged(name: &str, content: &[&[u8]]) -> [u8; 32] {
    let tag = format!("assay/{name}/1");
    let length = u32::try_from(tag.len()).expect("a tag is short").to_le_bytes();
    sha256(&[&length[..], tag.as_bytes(), &content.concat()])
}
