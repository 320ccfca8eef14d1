//! The bytes of an artifact, and the openings of those that are one.

use assay_common::artifact::{Artifact, Commitment, Mismatch};
use assay_common::ids::BatchRoot;
use assay_common::session::prompt_digest;

use crate::{choice, memory, plain, real, VOCABULARIES};

/// A byte that chooses the vocabulary, then what may be an artifact.
pub fn check(input: &[u8]) {
    let Some((chosen, bytes)) = choice(input, VOCABULARIES.len()) else { return };
    let Ok(artifact) = memory::bounded(bytes.len(), || Artifact::decode(bytes)) else { return };
    assert_eq!(artifact.encode(), bytes);
    let vocabulary = VOCABULARIES[chosen];
    match artifact.rows(vocabulary) {
        Ok(rows) => {
            assert!(keeps_the_rules(&artifact, vocabulary));
            assert_eq!(rows.len(), artifact.tokens.len());
        }
        Err(malformed) => {
            assert!(!keeps_the_rules(&artifact, vocabulary), "{malformed}");
            assert!(malformed.offset <= bytes.len(), "{malformed}");
        }
    }
    opens_only_as_committed(&artifact, bytes);
}

fn keeps_the_rules(artifact: &Artifact, vocabulary: u32) -> bool {
    let Artifact { request, prompt, tokens, leaves, .. } = artifact;
    let row_keeps = |(position, (token, bytes)): (u32, (&u32, &Vec<u8>))| {
        plain::decode(bytes).is_some_and(|leaf| {
            leaf.position == position
                && leaf.row.token.0 == *token
                && plain::is_well_formed(&leaf.row, vocabulary)
        })
    };
    request.sampling.check().is_ok()
        && !prompt.is_empty()
        && !tokens.is_empty()
        && tokens.len() <= request.max_new as usize
        && prompt.iter().chain(tokens).all(|token| *token < vocabulary)
        && leaves.len() == tokens.len()
        && (0..).zip(tokens.iter().zip(leaves)).all(row_keeps)
}

fn opens_only_as_committed(artifact: &Artifact, bytes: &[u8]) {
    let root = real::committed(artifact);
    let commitment = Commitment { root: BatchRoot(root), count: 1, index: 0, inference: real::INFERENCE };
    let opened = Artifact::open(bytes, &[], &commitment);
    if prompt_digest(&artifact.salt, &artifact.prompt) == artifact.request.prompt {
        assert_eq!(opened.as_ref(), Ok(artifact));
        let other = Commitment { root: BatchRoot([0; 32]), ..commitment };
        assert_eq!(Artifact::open(bytes, &[], &other), Err(Mismatch::Root));
    } else {
        assert_eq!(opened, Err(Mismatch::Prompt));
    }
    if let Some(last) = u32::try_from(artifact.leaves.len()).ok().and_then(|rows| rows.checked_sub(1)) {
        assert_eq!(real::proof(artifact, last).leaf(&real::INFERENCE), Some(root));
    }
}

/// Honest artifacts.
pub fn seeds() -> Vec<Vec<u8>> {
    real::samplings().map(|sampling| [&[0], &real::artifact(sampling).encode()[..]].concat()).to_vec()
}
