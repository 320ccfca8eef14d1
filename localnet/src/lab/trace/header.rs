//! The first line of a trace: whose answers it holds, to what, and what measured them.

use assay_common::ids::{Digest, ModelDigest};
use assay_common::judge::statistic::STATISTIC_VERSION;
use assay_common::judge::Cell;
use assay_common::session::ModelSpec;
use serde::{Deserialize, Serialize};

use super::super::executor::Role;
use super::super::prompts::Split;

pub const FORMAT: &str = "assay-trace";
/// Raised whenever a field of a trace changes.
pub const VERSION: u32 = 1;
/// Every answer's seed is `tagged` of this and the prompt's number.
pub const SEED_TAG: &str = "trace-seed";

/// What all answers of a trace share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub format: String,
    pub version: u32,
    /// Of the crates that measured.
    pub code: String,
    pub statistic_version: u32,
    pub machine: String,
    pub model: ModelDigest,
    pub spec: ModelSpec,
    /// The trace's name in tables, and what it is used as there.
    pub name: String,
    pub role: Role,
    pub cell: Cell,
    /// SHA-256 of the prompts' file.
    pub prompts: Digest,
    pub split: Split,
    pub seed_tag: String,
    pub max_new: u32,
}

/// A trace that must not be used as it was meant to.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HeaderError {
    #[error("its first line says format `{format}` version {version}, `{FORMAT}` version {VERSION} is read")]
    Format { format: String, version: u32 },
    #[error("it was measured with version {found} of the statistic, this is version {STATISTIC_VERSION}; measure it anew")]
    OtherStatistic { found: u32 },
    #[error("its digest of the model is {found}, its specification's is {expected}")]
    Model { found: ModelDigest, expected: ModelDigest },
    #[error("it is for model {found}, not for {expected}")]
    OtherModel { found: ModelDigest, expected: ModelDigest },
    #[error("its {field} is {found}, these settings have {expected}; choose another file or delete it")]
    OtherSettings { field: &'static str, found: String, expected: String },
}

impl Header {
    /// # Errors
    /// Another format or version, or a digest that is not the specification's.
    pub fn check(&self) -> Result<(), HeaderError> {
        if self.format != FORMAT || self.version != VERSION {
            return Err(HeaderError::Format { format: self.format.clone(), version: self.version });
        }
        if self.statistic_version != STATISTIC_VERSION {
            return Err(HeaderError::OtherStatistic { found: self.statistic_version });
        }
        let expected = self.spec.digest();
        if self.model != expected {
            return Err(HeaderError::Model { found: self.model, expected });
        }
        Ok(())
    }

    /// # Errors
    /// The first setting in which a trace that is there differs from what is about to be written.
    pub fn same_as(&self, expected: &Header) -> Result<(), HeaderError> {
        self.check()?;
        let json = |header: &Header| serde_json::to_value(header).unwrap_or_default();
        let (found, expected) = (json(self), json(expected));
        for field in FIELDS {
            let (found, expected) = (&found[field], &expected[field]);
            if found != expected {
                let (found, expected) = (found.to_string(), expected.to_string());
                return Err(HeaderError::OtherSettings { field, found, expected });
            }
        }
        Ok(())
    }
}

/// In the order in which they are compared.
const FIELDS: [&str; 12] = [
    "model",
    "name",
    "role",
    "split",
    "prompts",
    "max_new",
    "seed_tag",
    "cell",
    "machine",
    "code",
    "spec",
    "statistic_version",
];
