//! Domain-separated hashing: SHA-256 over borsh, one tag for each kind of content.

use borsh::BorshSerialize;
use cosmwasm_schema::cw_serde;
use sha2::{Digest as _, Sha256};

/// The chain and the contract that a signature or a draw is bound to, so that it means nothing elsewhere.
#[cw_serde]
#[derive(Eq, BorshSerialize, borsh::BorshDeserialize)]
pub struct Domain {
    pub chain_id: String,
    /// The contract's address.
    pub contract: String,
}

/// SHA-256 over the borsh bytes of the tag `assay/NAME/1` and then of `content`.
pub fn tagged<T: BorshSerialize>(name: &str, content: &T) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let tag = format!("assay/{name}/1");
    borsh::to_writer(HashWriter(&mut hasher), &(tag, content)).expect("a hasher accepts every byte");
    hasher.finalize().into()
}

/// Plain SHA-256 of the concatenated parts.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

struct HashWriter<'a>(&'a mut Sha256);

impl borsh::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> borsh::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> borsh::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_part_of_the_hash_as_a_borsh_string() {
        let mut bytes = vec![13, 0, 0, 0];
        bytes.extend(b"assay/thing/1");
        bytes.extend(5u32.to_le_bytes());
        assert_eq!(tagged("thing", &5u32), sha256(&[&bytes]));
        assert_ne!(tagged("thing", &5u32), tagged("other", &5u32));
    }
}
