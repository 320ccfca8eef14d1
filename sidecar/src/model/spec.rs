//! What a model file promises, as the chain knows it.

use assay_common::ids::Digest;
use assay_common::session::{ModelSpec, NumericScheme};

use super::gguf::{Gguf, GgufError};

/// The specification of the file that `gguf` was parsed from: the name that it gives itself, its digest and vocabulary.
///
/// # Errors
/// The file has no name or no vocabulary.
pub fn specification(gguf: &Gguf, file_sha256: [u8; 32], vocabulary: usize) -> Result<ModelSpec, GgufError> {
    Ok(ModelSpec {
        name: gguf.text("general.name")?.to_owned(),
        weights: Digest(file_sha256),
        scheme: NumericScheme::F32,
        vocabulary: u32::try_from(vocabulary).unwrap_or(u32::MAX),
    })
}
