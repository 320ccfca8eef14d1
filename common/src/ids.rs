//! Newtypes of ids, units and digests. Numbers are strings in JSON, digests lowercase hex; binary forms hold both raw.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use cosmwasm_schema::cw_schema::Schemaifier;
use cosmwasm_schema::schemars::gen::SchemaGenerator;
use cosmwasm_schema::schemars::schema::Schema;
use cosmwasm_schema::schemars::JsonSchema;
use cosmwasm_std::{HexBinary, Uint64};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is not the id or digest that it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}: {expected} expected")]
pub struct ParseIdError {
    pub kind: &'static str,
    pub text: String,
    pub expected: &'static str,
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize, Schemaifier)]
        #[schemaifier(crate = "cosmwasm_schema::cw_schema", type = cosmwasm_schema::cw_schema::NodeType::Integer { precision: 64, signed: false })]
        pub struct $name(pub u64);

        impl $name {
            /// The id after this one; ids never reach the end of u64.
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                text.parse().map(Self).map_err(|_| ParseIdError {
                    kind: stringify!($name),
                    text: text.into(),
                    expected: "a number below 2^64",
                })
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(&self.0)
                } else {
                    serializer.serialize_u64(self.0)
                }
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    <String as Deserialize>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
                } else {
                    <u64 as Deserialize>::deserialize(deserializer).map(Self)
                }
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> String {
                stringify!($name).into()
            }
            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                Uint64::json_schema(generator)
            }
        }
    };
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize, Schemaifier)]
        #[schemaifier(crate = "cosmwasm_schema::cw_schema", type = cosmwasm_schema::cw_schema::NodeType::HexBinary)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0; 32];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseIdError {
                    kind: stringify!($name),
                    text: text.into(),
                    expected: "64 hexadecimal digits",
                })?;
                Ok(Self(bytes))
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    Serialize::serialize(&self.0, serializer)
                }
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    <String as Deserialize>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
                } else {
                    <[u8; 32] as Deserialize>::deserialize(deserializer).map(Self)
                }
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> String {
                stringify!($name).into()
            }
            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                HexBinary::json_schema(generator)
            }
        }
    };
}

number!(
    /// A requester's prepaid relation with one executor; assigned by the chain from 1.
    SessionId
);
number!(
    /// The place of an inference in its session; rises strictly from 1.
    Nonce
);
number!(
    /// One commitment of an executor to many inferences; assigned by the chain from 1.
    BatchId
);
number!(
    /// A settlement period: a whole number of windows, counted from 0.
    Epoch
);
number!(
    /// The unit of protocol time, counted from 0 at the start of epoch 0.
    Window
);
number!(
    /// A round of the randomness beacon; counted from 1.
    Round
);

digest!(
    /// A SHA-256 digest without a narrower name.
    Digest
);
digest!(
    /// Digest of a model specification: weights, tokenizer, numeric scheme.
    ModelDigest
);
digest!(
    /// H(session, nonce) on one chain and contract.
    InferenceId
);
digest!(
    /// Digest of what the requester asked for: model, sampling, limits and the prompt's digest.
    RequestDigest
);
digest!(
    /// Digest of the salted prompt tokens.
    PromptDigest
);
digest!(
    /// Digest of the emitted tokens.
    TokensDigest
);
digest!(
    /// Number and Merkle root of the leaves (position, token, cut, row) of one artifact.
    RowsRoot
);
digest!(
    /// Digest of request, tokens and rows: what a batch commits to for one inference.
    ArtifactDigest
);
digest!(
    /// Merkle root over the inferences of one batch.
    BatchRoot
);
digest!(
    /// SHA-256 of a beacon round's signature.
    Randomness
);
digest!(
    /// The requester's share of the sampling seed; public from the opening of the session.
    UserSeed
);
digest!(
    /// SHA-256(user_seed ‖ inference_id): the key of the sampler's noise.
    RunSeed
);
digest!(
    /// Everything drawn for a batch follows from it.
    DrawSeed
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_are_strings_in_json_and_digests_are_hex() {
        assert_eq!(serde_json::to_string(&BatchId(7)).unwrap(), "\"7\"");
        assert_eq!(serde_json::from_str::<BatchId>("\"7\"").unwrap(), BatchId(7));
        let digest = Digest([0xab; 32]);
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("\"{}\"", "ab".repeat(32)));
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
    }

    #[test]
    fn a_bad_digest_is_refused_with_what_was_expected() {
        let error = "xyz".parse::<RowsRoot>().unwrap_err();
        assert_eq!(error.to_string(), "\"xyz\" is not a RowsRoot: 64 hexadecimal digits expected");
    }
}
