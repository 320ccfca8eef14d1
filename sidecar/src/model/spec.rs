//! What a model file promises, as the chain knows it.

use assay_common::ids::Digest;
use assay_common::session::{constants_digest, ModelSpec, NumericScheme};

use super::gemma::Config;
use super::gguf::Gguf;
use super::ModelError;

/// The specification of the file that `gguf` was parsed from, run in `scheme`: the name that it gives itself, its digest,
/// the constants of its architecture and its vocabulary.
///
/// # Errors
/// The file has no name, or not what [`Config::from_gguf`] needs.
pub fn specification(
    gguf: &Gguf<'_>,
    file_sha256: [u8; 32],
    scheme: NumericScheme,
) -> Result<ModelSpec, ModelError> {
    let config = Config::from_gguf(gguf)?;
    let constants = config.constants().map(|(name, value)| (name, value.to_bits()));
    Ok(ModelSpec {
        name: gguf.text("general.name")?.to_owned(),
        weights: Digest(file_sha256),
        scheme,
        constants: constants_digest(gguf.text("general.architecture")?, &constants),
        vocabulary: u32::try_from(config.vocabulary).unwrap_or(u32::MAX),
    })
}
