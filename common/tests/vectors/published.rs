//! The committed files.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::vectors::{Case, Given};

/// One line of a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector<G, O> {
    pub given: G,
    pub expected: O,
}

pub fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "vectors", &format!("{name}.json")].iter().collect()
}

/// The cases of one file and the bytes that each must give.
pub type Published = Vec<(Case, Vec<u8>)>;

/// Every file's name with its cases, and for each the borsh bytes of the published outcome.
pub fn published() -> Vec<(&'static str, Published)> {
    macro_rules! read {
        ($($module:ident::$kind:ident: $file:literal,)*) => {
            vec![$(($file, read::<crate::vectors::$module::$kind>($file))),*]
        };
    }
    each_kind!(read)
}

fn read<G: Given<Outcome: DeserializeOwned> + DeserializeOwned + Into<Case>>(
    name: &str,
) -> Vec<(Case, Vec<u8>)> {
    let path = path(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let vectors: Vec<Vector<G, G::Outcome>> =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let bytes = |outcome: &G::Outcome| borsh::to_vec(outcome).expect("writing to memory does not fail");
    vectors.into_iter().map(|vector| (vector.given.into(), bytes(&vector.expected))).collect()
}
