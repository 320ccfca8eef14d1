//! Text to token ids and back, built from the vocabulary inside the GGUF file.
//!
//! The file carries a SentencePiece BPE vocabulary without its merge list. SentencePiece merges the adjacent
//! pair whose joined piece has the best score, so the list is every split of a normal piece into two normal
//! pieces, by score.

use tokenizers::decoders::{byte_fallback::ByteFallback, fuse::Fuse, sequence::Sequence, DecoderWrapper};
use tokenizers::models::bpe::{Vocab, BPE};
use tokenizers::normalizers::Replace;
use tokenizers::{AddedToken, Tokenizer as Engine};

use super::gguf::{wrong_type, Gguf, GgufError, Value};

/// SentencePiece's visible stand-in for a space.
const SPACE: &str = "\u{2581}";
/// A longer piece is never split: SentencePiece trains with at most 16 characters, and the cost grows with
/// the square.
const MAX_PIECE_BYTES: usize = 1024;

/// Why the tokenizer could not be built or used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    #[error("vocabulary in the model file")]
    Gguf(#[from] GgufError),
    #[error("tokenizer `{key}` = `{found}` is not supported, only `{expected}`")]
    Unsupported { key: &'static str, found: String, expected: &'static str },
    #[error("{tokens} tokens, {scores} scores and {kinds} token types do not match")]
    Lengths { tokens: usize, scores: usize, kinds: usize },
    #[error("token {id} has the score {score}")]
    Score { id: usize, score: f64 },
    #[error("tokens {first} and {second} are both `{piece}`")]
    Duplicate { first: u32, second: u32, piece: String },
    #[error("token {id} is outside the vocabulary of {vocabulary}")]
    OutOfVocabulary { id: u32, vocabulary: usize },
    #[error("tokenizer: {0}")]
    Engine(#[source] tokenizers::Error),
}

impl From<tokenizers::Error> for TokenizerError {
    fn from(error: tokenizers::Error) -> Self {
        TokenizerError::Engine(error)
    }
}

/// What a vocabulary entry is, by `llama_token_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    /// Unknown, control and unused entries: never produced from text, dropped from text.
    Control,
    /// Matched in the text before any merging; stored with raw spaces.
    UserDefined,
    /// `<0xNN>`, for characters without a piece.
    Byte,
}

impl Kind {
    fn from_code(code: i64) -> Self {
        match code {
            1 => Kind::Normal,
            4 => Kind::UserDefined,
            6 => Kind::Byte,
            _ => Kind::Control,
        }
    }
}

/// Encodes and decodes as SentencePiece does with the same vocabulary.
///
/// Control tokens such as `<bos>` are never recognised inside a text, so a prompt cannot smuggle one in.
pub struct Tokenizer {
    engine: Engine,
    kinds: Vec<Kind>,
    bos: Option<u32>,
    eos: Option<u32>,
}

impl Tokenizer {
    /// Builds the merge list and the encoder from the `tokenizer.ggml.*` keys.
    pub fn from_gguf(gguf: &Gguf<'_>) -> Result<Self, TokenizerError> {
        require(gguf, "tokenizer.ggml.model", "llama")?;
        require(gguf, "tokenizer.ggml.add_space_prefix", "false")?;
        let pieces = Pieces::read(gguf)?;
        let bos = match flag(gguf, "tokenizer.ggml.add_bos_token")? {
            true => Some(special(gguf, "tokenizer.ggml.bos_token_id", pieces.text.len())?),
            false => None,
        };
        let eos = match gguf.value("tokenizer.ggml.eos_token_id") {
            Ok(_) => Some(special(gguf, "tokenizer.ggml.eos_token_id", pieces.text.len())?),
            Err(_) => None,
        };

        let vocabulary = pieces.vocabulary()?;
        let merges = pieces.merges(&vocabulary);
        let model =
            BPE::builder().vocab_and_merges(vocabulary, merges).byte_fallback(true).fuse_unk(true).build()?;
        let mut engine = Engine::new(model);
        engine.with_normalizer(Some(Replace::new(" ", SPACE)?));
        engine.with_decoder(Some(Sequence::new(vec![
            DecoderWrapper::Replace(Replace::new(SPACE, " ")?),
            DecoderWrapper::ByteFallback(ByteFallback::new()),
            DecoderWrapper::Fuse(Fuse::new()),
        ])));
        engine.add_tokens(&pieces.user_defined());
        Ok(Tokenizer { engine, kinds: pieces.kinds, bos, eos })
    }

    /// Number of token ids.
    pub fn vocabulary(&self) -> usize {
        self.kinds.len()
    }

    /// The token put before every encoded text, if the model wants one.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// The token with which the model ends a text.
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// Token ids of `text`, with the leading BOS if the model wants one.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoding = self.engine.encode_fast(text, false)?;
        Ok(self.bos.into_iter().chain(encoding.get_ids().iter().copied()).collect())
    }

    /// The text of `ids`; control tokens are left out, invalid UTF-8 becomes U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        let mut visible = Vec::with_capacity(ids.len());
        for &id in ids {
            match self.kinds.get(id as usize) {
                None => return Err(TokenizerError::OutOfVocabulary { id, vocabulary: self.kinds.len() }),
                Some(Kind::Control) => {}
                Some(_) => visible.push(id),
            }
        }
        Ok(self.engine.decode(&visible, false)?)
    }
}

/// The vocabulary as the file has it, spaces in user-defined pieces made visible.
struct Pieces {
    text: Vec<String>,
    scores: Vec<f64>,
    kinds: Vec<Kind>,
}

impl Pieces {
    fn read(gguf: &Gguf<'_>) -> Result<Self, TokenizerError> {
        let tokens = gguf.array("tokenizer.ggml.tokens")?;
        let scores = gguf.array("tokenizer.ggml.scores")?;
        let kinds = gguf.array("tokenizer.ggml.token_type")?;
        if tokens.len() != scores.len() || tokens.len() != kinds.len() {
            return Err(TokenizerError::Lengths {
                tokens: tokens.len(),
                scores: scores.len(),
                kinds: kinds.len(),
            });
        }
        let mut pieces = Pieces { text: Vec::new(), scores: Vec::new(), kinds: Vec::new() };
        for (id, ((token, score), kind)) in tokens.iter().zip(scores).zip(kinds).enumerate() {
            let kind = match kind {
                Value::Signed(code) => Kind::from_code(*code),
                _ => return Err(wrong_type("tokenizer.ggml.token_type", "signed integers").into()),
            };
            let text = match token {
                Value::Text(text) if kind == Kind::UserDefined => text.replace(' ', SPACE),
                Value::Text(text) => (*text).to_owned(),
                _ => return Err(wrong_type("tokenizer.ggml.tokens", "strings").into()),
            };
            let score = match score {
                Value::Float(score) if score.is_finite() => *score,
                Value::Float(score) => return Err(TokenizerError::Score { id, score: *score }),
                _ => return Err(wrong_type("tokenizer.ggml.scores", "floats").into()),
            };
            pieces.text.push(text);
            pieces.scores.push(score);
            pieces.kinds.push(kind);
        }
        Ok(pieces)
    }

    fn vocabulary(&self) -> Result<Vocab, TokenizerError> {
        let mut vocabulary = Vocab::with_capacity(self.text.len());
        for (id, piece) in (0u32..).zip(&self.text) {
            if let Some(first) = vocabulary.insert(piece.clone(), id) {
                return Err(TokenizerError::Duplicate { first, second: id, piece: piece.clone() });
            }
        }
        Ok(vocabulary)
    }

    /// Every split of a normal piece into two normal pieces, best score first; within a piece the split whose
    /// left part has the smaller id comes first, as in transformers' converter.
    fn merges(&self, vocabulary: &Vocab) -> Vec<(String, String)> {
        let normal = |piece: &str| {
            vocabulary.get(piece).copied().filter(|id| self.kinds[*id as usize] == Kind::Normal)
        };
        let mut by_score: Vec<usize> = (0..self.text.len())
            .filter(|id| self.kinds[*id] == Kind::Normal && self.text[*id].len() <= MAX_PIECE_BYTES)
            .collect();
        by_score.sort_by(|a, b| self.scores[*b].total_cmp(&self.scores[*a]));

        let mut merges = Vec::new();
        let mut splits = Vec::new();
        for id in by_score {
            let piece = self.text[id].as_str();
            splits.clear();
            for (at, _) in piece.char_indices().skip(1) {
                let (left, right) = piece.split_at(at);
                if let (Some(left_id), Some(right_id)) = (normal(left), normal(right)) {
                    splits.push((left_id, right_id, at));
                }
            }
            splits.sort_unstable();
            merges.extend(splits.iter().map(|(_, _, at)| {
                let (left, right) = piece.split_at(*at);
                (left.to_owned(), right.to_owned())
            }));
        }
        merges
    }

    /// A piece with a space is matched against the normalised text, where spaces are already visible.
    fn user_defined(&self) -> Vec<AddedToken> {
        self.text
            .iter()
            .zip(&self.kinds)
            .filter(|(_, kind)| **kind == Kind::UserDefined)
            .map(|(piece, _)| AddedToken::from(piece.clone(), false).normalized(piece.contains(SPACE)))
            .collect()
    }
}

fn require(gguf: &Gguf<'_>, key: &'static str, expected: &'static str) -> Result<(), TokenizerError> {
    let found = match gguf.value(key)? {
        Value::Text(text) => (*text).to_owned(),
        Value::Bool(value) => value.to_string(),
        other => format!("{other:?}"),
    };
    if found != expected {
        return Err(TokenizerError::Unsupported { key, found, expected });
    }
    Ok(())
}

fn flag(gguf: &Gguf<'_>, key: &'static str) -> Result<bool, GgufError> {
    match gguf.value(key)? {
        Value::Bool(value) => Ok(*value),
        _ => Err(wrong_type(key, "a boolean")),
    }
}

/// A token id under `key`, inside the vocabulary.
fn special(gguf: &Gguf<'_>, key: &'static str, vocabulary: usize) -> Result<u32, TokenizerError> {
    let found = gguf.unsigned(key)?;
    let id = u32::try_from(found).unwrap_or(u32::MAX);
    if id as usize >= vocabulary {
        return Err(TokenizerError::OutOfVocabulary { id, vocabulary });
    }
    Ok(id)
}
