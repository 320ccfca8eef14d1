//! What an executor signs for one position: the token, the most probable candidates, and the canonical bytes of both.
//!
//! A row is decoded and [checked](Row::check) before any arithmetic on it; a row that breaks a rule is a fraud by itself.

use borsh::{BorshDeserialize, BorshSerialize};
use cosmwasm_schema::cw_serde;

use crate::fixed::{exp2_neg, ONE_Q32};

/// Most entries of a row: the listed ones and the best by score. More would dilute the distance to the validator's numbers.
pub const MAX_ENTRIES: usize = LISTED + 4;

/// The most probable tokens that every row lists, whatever the request, or the whole vocabulary where that is smaller.
pub const LISTED: usize = 20;

/// Bytes of a leaf before its row: position, token and cut.
const LEAF_HEAD: usize = 16;

/// A token's number in the vocabulary, from 0.
#[cw_serde]
#[derive(Copy, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct TokenId(pub u32);

/// −log2 of a probability, in units of 1/256 bit.
#[cw_serde]
#[derive(Copy, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Surprisal(pub u32);

impl Surprisal {
    /// 64 bits: everything less probable counts as this.
    pub const MAX: Self = Self(64 << 8);

    /// The same in Q24 bits, the format of the noise.
    pub fn q24(self) -> u64 {
        u64::from(self.0) << 16
    }
}

/// A token and its surprisal; ordered as in a row, the most probable first and ties by the smaller id.
#[cw_serde]
#[derive(Copy, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Entry {
    pub surprisal: Surprisal,
    pub token: TokenId,
}

/// One position as the executor signs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The token that was emitted.
    pub token: TokenId,
    /// The last candidate that the filters kept; the token was drawn from the candidates up to here.
    pub cut: Entry,
    /// The most probable tokens and the best by score, in order.
    pub entries: Vec<Entry>,
}

/// A row and its place in the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// 0 is the first generated token.
    pub position: u32,
    pub row: Row,
}

/// The rule that a row or its bytes break. Offsets count bytes from the start of what was decoded, indices count entries from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowRule {
    #[error("the bytes end at {offset}, inside the row")]
    Truncated { offset: usize },
    #[error("the number at byte {offset} is not in its shortest form")]
    NotMinimal { offset: usize },
    #[error("the number at byte {offset} does not fit in 32 bits")]
    Overflow { offset: usize },
    #[error("bytes are left over from byte {offset} on")]
    TrailingBytes { offset: usize },
    #[error("{found} entries, where a row has at most {MAX_ENTRIES}")]
    TooManyEntries { found: usize },
    #[error("{found} entries, where a row over this vocabulary has at least {least}")]
    TooFewEntries { found: usize, least: usize },
    #[error("entry {index} names a token outside the vocabulary")]
    OutsideVocabulary { index: usize },
    #[error("entry {index} has a surprisal of more than 64 bits")]
    SurprisalTooLarge { index: usize },
    #[error("entry {index} does not come after the entry before it")]
    NotOrdered { index: usize },
    #[error("entry {index} names a token for the second time")]
    RepeatedToken { index: usize },
    #[error("the probabilities add up to more than 1")]
    ProbabilityAboveOne,
    #[error("the cut names a token outside the vocabulary or a surprisal of more than 64 bits")]
    CutOutOfRange,
    #[error("the cut contradicts the entries")]
    CutContradictsEntries,
    #[error("the leaf says position {found} but stands at {expected}")]
    WrongPosition { found: u32, expected: u32 },
}

impl RowRule {
    /// Where in the leaf's bytes the rule is broken, for a rule of the encoding.
    pub fn offset(&self) -> Option<usize> {
        match self {
            RowRule::Truncated { offset }
            | RowRule::NotMinimal { offset }
            | RowRule::Overflow { offset }
            | RowRule::TrailingBytes { offset } => Some(*offset),
            _ => None,
        }
    }
}

impl Row {
    /// Checks everything that the row alone can break, over a vocabulary of `vocab` tokens.
    ///
    /// # Errors
    /// The first broken rule; the entries in order, then their sum, then the cut.
    pub fn check(&self, vocab: u32) -> Result<(), RowRule> {
        let found = self.entries.len();
        let least = LISTED.min(vocab as usize).max(1);
        if found < least {
            return Err(RowRule::TooFewEntries { found, least });
        }
        if found > MAX_ENTRIES {
            return Err(RowRule::TooManyEntries { found });
        }
        check_entries(&self.entries, vocab)?;
        check_cut(self.cut, &self.entries, vocab)
    }

    /// Canonical bytes of the entries: their number, then for each the step in surprisal and the id, LEB128.
    ///
    /// Entries out of order wrap around to a step that [`decode_leaf`] refuses.
    fn write_entries(&self, bytes: &mut Vec<u8>) {
        write_leb128(bytes, self.entries.len() as u32);
        let mut previous = 0u32;
        for entry in &self.entries {
            write_leb128(bytes, entry.surprisal.0.wrapping_sub(previous));
            write_leb128(bytes, entry.token.0);
            previous = entry.surprisal.0;
        }
    }
}

fn check_entries(entries: &[Entry], vocab: u32) -> Result<(), RowRule> {
    let mut sum = 0u64;
    for (index, entry) in entries.iter().enumerate() {
        let before = &entries[..index];
        if entry.token.0 >= vocab {
            return Err(RowRule::OutsideVocabulary { index });
        }
        if entry.surprisal > Surprisal::MAX {
            return Err(RowRule::SurprisalTooLarge { index });
        }
        if before.last().is_some_and(|last| last >= entry) {
            return Err(RowRule::NotOrdered { index });
        }
        if before.iter().any(|other| other.token == entry.token) {
            return Err(RowRule::RepeatedToken { index });
        }
        sum += exp2_neg(entry.surprisal.q24());
    }
    // Rounding a surprisal to 1/256 bit changes its probability by at most 0.14 %; 2⁻⁸ leaves room for the model's own sum.
    if sum > ONE_Q32 + (ONE_Q32 >> 8) {
        return Err(RowRule::ProbabilityAboveOne);
    }
    Ok(())
}

/// The first [`LISTED`] entries are the most probable tokens of all, so a cut among them is one of them; and a token has one
/// surprisal, so a cut that names an entry's token is that entry.
fn check_cut(cut: Entry, entries: &[Entry], vocab: u32) -> Result<(), RowRule> {
    if cut.token.0 >= vocab || cut.surprisal > Surprisal::MAX {
        return Err(RowRule::CutOutOfRange);
    }
    if entries.contains(&cut) {
        return Ok(());
    }
    let listed = &entries[..LISTED.min(entries.len())];
    let repeats_a_token = entries.iter().any(|entry| entry.token == cut.token);
    if repeats_a_token || listed.last().is_some_and(|last| cut < *last) {
        return Err(RowRule::CutContradictsEntries);
    }
    Ok(())
}

/// Bytes of a leaf: position, token, the cut's surprisal and id as u32 little-endian, then the entries.
pub fn encode_leaf(position: u32, row: &Row) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LEAF_HEAD + 1 + 5 * row.entries.len());
    for number in [position, row.token.0, row.cut.surprisal.0, row.cut.token.0] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    row.write_entries(&mut bytes);
    bytes
}

/// Reads the bytes of a leaf; the entries take all that follows the head.
///
/// One leaf has one encoding: what decodes encodes to the same bytes. The row is not [checked](Row::check) yet.
///
/// # Errors
/// The first broken rule of the encoding.
pub fn decode_leaf(bytes: &[u8]) -> Result<Leaf, RowRule> {
    let mut reader = Reader { bytes, offset: 0 };
    let position = reader.u32_le()?;
    let token = TokenId(reader.u32_le()?);
    let cut = Entry { surprisal: Surprisal(reader.u32_le()?), token: TokenId(reader.u32_le()?) };
    let entries = reader.entries()?;
    if reader.offset < bytes.len() {
        return Err(RowRule::TrailingBytes { offset: reader.offset });
    }
    Ok(Leaf { position, row: Row { token, cut, entries } })
}

fn write_leb128(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, RowRule> {
        let byte = self.bytes.get(self.offset).ok_or(RowRule::Truncated { offset: self.offset })?;
        self.offset += 1;
        Ok(*byte)
    }

    fn u32_le(&mut self) -> Result<u32, RowRule> {
        Ok(u32::from_le_bytes([self.byte()?, self.byte()?, self.byte()?, self.byte()?]))
    }

    fn leb128(&mut self) -> Result<u32, RowRule> {
        let offset = self.offset;
        let mut number = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            if shift == 28 && byte > 0x0f {
                return Err(RowRule::Overflow { offset });
            }
            if shift > 0 && byte == 0 {
                return Err(RowRule::NotMinimal { offset });
            }
            number |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        Ok(number)
    }

    fn entries(&mut self) -> Result<Vec<Entry>, RowRule> {
        let found = self.leb128()? as usize;
        if found > MAX_ENTRIES {
            return Err(RowRule::TooManyEntries { found });
        }
        let mut entries = Vec::with_capacity(found);
        let mut surprisal = 0u32;
        for _ in 0..found {
            let offset = self.offset;
            surprisal = surprisal.checked_add(self.leb128()?).ok_or(RowRule::Overflow { offset })?;
            entries.push(Entry { surprisal: Surprisal(surprisal), token: TokenId(self.leb128()?) });
        }
        Ok(entries)
    }
}
