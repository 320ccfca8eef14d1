//! A proof of fraud as bytes, which are paid for one by one: borsh of the fields in their order, base64 in JSON.

use borsh::BorshDeserialize;
use cosmwasm_schema::schemars::gen::SchemaGenerator;
use cosmwasm_schema::schemars::schema::Schema;
use cosmwasm_schema::schemars::JsonSchema;
use cosmwasm_std::Binary;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::FraudProof;

/// Bytes that are no proof of fraud, and the part that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProof {
    #[error("the fraud proof is not in base64: {reason}")]
    NotBase64 { reason: String },
    #[error("the fraud proof's {part}, from byte {offset} on, cannot be read: {reason}")]
    Part { part: &'static str, offset: usize, reason: String },
    #[error("after the fraud proof {count} bytes are left over")]
    TrailingBytes { count: usize },
}

impl FraudProof {
    /// The canonical bytes (borsh).
    pub fn encode(&self) -> Vec<u8> {
        borsh::to_vec(self).expect("writing to memory does not fail")
    }

    /// Reads canonical bytes; what it accepts, [`FraudProof::encode`] gives back byte for byte.
    ///
    /// # Errors
    /// The first part that cannot be read, or bytes after the last.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadProof> {
        let mut reader = Reader { whole: bytes.len(), left: bytes };
        let proof = Self {
            batch: reader.part("batch")?,
            index: reader.part("index")?,
            batch_path: reader.part("batch_path")?,
            request: reader.part("request")?,
            tokens: reader.part("tokens")?,
            rows: reader.part("rows")?,
            position: reader.part("position")?,
            row: reader.part("row")?,
            row_path: reader.part("row_path")?,
        };
        match reader.left.len() {
            0 => Ok(proof),
            count => Err(BadProof::TrailingBytes { count }),
        }
    }

    fn from_base64(text: &str) -> Result<Self, BadProof> {
        let bytes = Binary::from_base64(text);
        Self::decode(&bytes.map_err(|error| BadProof::NotBase64 { reason: error.to_string() })?)
    }
}

struct Reader<'a> {
    whole: usize,
    left: &'a [u8],
}

impl Reader<'_> {
    fn part<T: BorshDeserialize>(&mut self, part: &'static str) -> Result<T, BadProof> {
        let offset = self.whole.saturating_sub(self.left.len());
        T::deserialize(&mut self.left).map_err(|error| BadProof::Part {
            part,
            offset,
            reason: error.to_string(),
        })
    }
}

impl Serialize for FraudProof {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Binary::new(self.encode()).to_base64())
    }
}

impl<'de> Deserialize<'de> for FraudProof {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        Self::from_base64(&text).map_err(D::Error::custom)
    }
}

impl JsonSchema for FraudProof {
    fn schema_name() -> String {
        "FraudProof".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Binary::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ids::{BatchId, Digest, ModelDigest, PromptDigest, TokensDigest};
    use crate::sampler::SamplingParams;
    use crate::session::Request;

    fn proof() -> FraudProof {
        FraudProof {
            batch: BatchId(3),
            index: 5,
            batch_path: vec![Digest([1; 32]); 2],
            request: Request {
                model: ModelDigest([2; 32]),
                sampling: SamplingParams::OPEN,
                max_new: 8,
                stop_ids: vec![1, 106],
                prompt: PromptDigest([3; 32]),
            },
            tokens: TokensDigest([4; 32]),
            rows: 4,
            position: 2,
            row: vec![5; 40],
            row_path: vec![Digest([6; 32]); 2],
        }
    }

    #[test]
    fn a_proof_is_base64_of_its_bytes_in_json_and_comes_back_from_there() {
        let json = serde_json::to_string(&proof()).unwrap();
        assert_eq!(json, format!("\"{}\"", Binary::new(proof().encode()).to_base64()));
        assert_eq!(serde_json::from_str::<FraudProof>(&json).unwrap(), proof());
    }

    #[test]
    fn bytes_that_end_early_name_the_part_in_which_they_end() {
        let bytes = proof().encode();
        let ends = [
            (0, "batch", 0),
            (8, "index", 8),
            (12, "batch_path", 12),
            (79, "batch_path", 12),
            (80, "request", 80),
            (187, "request", 80),
            (188, "tokens", 188),
            (220, "rows", 220),
            (224, "position", 224),
            (228, "row", 228),
            (271, "row", 228),
            (272, "row_path", 272),
            (339, "row_path", 272),
        ];
        for (end, part, offset) in ends {
            let error = FraudProof::decode(&bytes[..end]).unwrap_err();
            assert!(
                matches!(&error, BadProof::Part { part: found, offset: at, .. } if (*found, *at) == (part, offset)),
                "{end}: {error}"
            );
        }
        assert_eq!(bytes.len(), 340);
    }

    #[test]
    fn a_length_that_is_a_lie_and_bytes_left_over_are_refused() {
        let bytes = proof().encode();
        let mut longer = bytes.clone();
        longer[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        let error = FraudProof::decode(&longer).unwrap_err();
        assert!(matches!(error, BadProof::Part { part: "batch_path", offset: 12, .. }), "{error}");
        let trailing = [&bytes[..], &[0, 0]].concat();
        assert_eq!(FraudProof::decode(&trailing), Err(BadProof::TrailingBytes { count: 2 }));
    }

    #[test]
    fn json_that_is_no_proof_says_why() {
        let told = |text: &str| serde_json::from_value::<FraudProof>(text.into()).unwrap_err().to_string();
        let error = told("no base64!");
        assert!(error.starts_with("the fraud proof is not in base64: "), "{error}");
        let error = told(&Binary::new(proof().encode()[..20].to_vec()).to_base64());
        assert!(
            error.starts_with("the fraud proof's batch_path, from byte 12 on, cannot be read: "),
            "{error}"
        );
        assert_eq!(
            told(&Binary::new([&proof().encode()[..], &[7]].concat()).to_base64()),
            "after the fraud proof 1 bytes are left over"
        );
    }
}
