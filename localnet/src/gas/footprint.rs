//! What a contract holds in the chain's store: entries and bytes, by the map that they are of.

use std::collections::BTreeMap;

use anyhow::Result;
use assay_sidecar::chain::Chain;
use cosmos_sdk_proto::cosmos::base::query::v1beta1::PageRequest;
use cosmos_sdk_proto::cosmwasm::wasm::v1::{QueryAllContractStateRequest, QueryAllContractStateResponse};

/// Entries asked for at once.
const PAGE: u64 = 1_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub entries: u64,
    /// Of keys and values, without what the chain's own tree adds.
    pub bytes: u64,
}

/// By the name of the map or item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint(pub BTreeMap<String, Held>);

impl Footprint {
    /// Reads all of it, at the chain's last block.
    pub async fn read(chain: &Chain) -> Result<Self> {
        let (mut found, mut key) = (Self::default(), Vec::new());
        loop {
            let pagination = Some(PageRequest { key, limit: PAGE, ..PageRequest::default() });
            let address = chain.domain().contract.clone();
            let request = QueryAllContractStateRequest { address, pagination };
            let answer: QueryAllContractStateResponse =
                chain.grpc("/cosmwasm.wasm.v1.Query/AllContractState", &request).await?;
            answer.models.iter().for_each(|entry| found.add(&entry.key, entry.value.len()));
            key = answer.pagination.map(|page| page.next_key).unwrap_or_default();
            if key.is_empty() {
                return Ok(found);
            }
        }
    }

    fn add(&mut self, key: &[u8], value: usize) {
        let held = self.0.entry(map(key)).or_default();
        held.entries += 1;
        held.bytes += (key.len() + value) as u64;
    }

    /// Nothing where there is no such map.
    pub fn of(&self, map: &str) -> Held {
        self.0.get(map).copied().unwrap_or_default()
    }

    pub fn bytes(&self, maps: &[&str]) -> u64 {
        maps.iter().map(|map| self.of(map).bytes).sum()
    }

    pub fn total(&self) -> u64 {
        self.0.values().map(|held| held.bytes).sum()
    }
}

/// The name that a key begins with, under two bytes of length; the key of a single item is its name.
fn map(key: &[u8]) -> String {
    let named = key
        .split_first_chunk::<2>()
        .and_then(|(length, rest)| rest.get(..usize::from(u16::from_be_bytes(*length))));
    String::from_utf8_lossy(named.unwrap_or(key)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_belongs_to_the_map_that_its_key_names_and_an_item_to_itself() {
        let mut found = Footprint::default();
        found.add(b"\0\x01s\0\x08\0\0\0\0\0\0\0\x01\0\0\0\0", 10);
        found.add(b"\0\x01s\0\x08\0\0\0\0\0\0\0\x01\0\0\0\x01", 10);
        found.add(b"\0\x05batch\0\0\0\0\0\0\0\x01", 20);
        found.add(b"charter", 30);
        assert_eq!(found.of("s"), Held { entries: 2, bytes: 2 * 27 });
        assert_eq!(found.of("batch"), Held { entries: 1, bytes: 35 });
        assert_eq!(found.of("charter"), Held { entries: 1, bytes: 37 });
        assert_eq!(found.total(), 54 + 35 + 37);
        assert_eq!(found.of("table"), Held::default());
    }
}
