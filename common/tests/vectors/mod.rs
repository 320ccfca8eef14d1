//! The published cases of `common/vectors/*.json`: what is given, and how the outcome is computed from it.
//!
//! It is built into the wasm guest too, so it has neither floats nor JSON; those who read or write the files do that in
//! `published` and `generate`.

pub mod artifacts;
pub mod draw;
pub mod evidence;
pub mod hashes;
pub mod jurors;
pub mod leaves;
pub mod numbers;
pub mod proofs;
pub mod sampling;
pub mod time;
pub mod trees;

use std::fmt::Display;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a case gives; the outcome is a function of it.
pub trait Given {
    type Outcome: BorshSerialize;
    fn outcome(&self) -> Self::Outcome;
}

/// Hands the list of all kinds, each with its file, to a macro.
macro_rules! each_kind {
    ($callback:ident) => {
        $callback! {
            numbers::Log2: "log2",
            numbers::Exp2: "exp2",
            numbers::Word: "word",
            numbers::Noise: "noise",
            sampling::Truncation: "truncation",
            sampling::Sampling: "sampling",
            sampling::Replayed: "replay",
            leaves::LeafBytes: "leaf",
            trees::Tree: "merkle",
            trees::Proof: "merkle_proof",
            hashes::Seed: "run_seed",
            hashes::Asked: "request",
            hashes::Answered: "receipt",
            draw::Draw: "draw",
            draw::Jury: "jury",
            evidence::Audited: "evidence",
            evidence::Length: "size_class",
            evidence::Standing: "reputation",
            hashes::Signing: "signing",
            artifacts::Rows: "rows_root",
            artifacts::Parts: "artifact",
            artifacts::ArtifactBytes: "artifact_bytes",
            artifacts::Claims: "claims",
            proofs::Fraud: "fraud",
            proofs::Equivocation: "equivocation",
            jurors::Probed: "probe_places",
            jurors::Probes: "probes",
            jurors::Page: "verdict_page",
            jurors::Salt: "salt",
            jurors::Revealed: "verdicts",
            jurors::Attendance: "attendance",
            time::Clock: "time",
            time::Signed: "beacon",
        }
    };
}

macro_rules! case {
    ($($module:ident::$kind:ident: $file:literal,)*) => {
        /// What one case of any kind gives.
        #[derive(Clone, BorshSerialize, BorshDeserialize)]
        pub enum Case {
            $($kind($module::$kind),)*
        }
        impl Case {
            /// The borsh bytes of the outcome.
            pub fn outcome(&self) -> Vec<u8> {
                match self {
                    $(Self::$kind(given) => borsh::to_vec(&given.outcome()),)*
                }
                .expect("writing to memory does not fail")
            }
        }
        $(impl From<$module::$kind> for Case {
            fn from(given: $module::$kind) -> Self {
                Self::$kind(given)
            }
        })*
    };
}
each_kind!(case);

/// A number that is a string in JSON, because not every reader of JSON has 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Text<T>(pub T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <String as Deserialize>::deserialize(deserializer)?.parse().map(Self).map_err(D::Error::custom)
    }
}

/// Bytes that are lowercase hex in JSON.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        hex::decode(<String as Deserialize>::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}
