//! What jurors say, and what becomes of it.

use assay_common::attendance::{self, ATTENDED, MISSED};
use assay_common::digest::Domain;
use assay_common::evidence::Cusum;
use assay_common::ids::{Digest, DrawSeed, Window};
use assay_common::params::JuryParams;
use assay_common::probe::{agree, medians, places};
use assay_common::salt::{salt, Hidden};
use assay_common::verdict::{level_one, level_two, LevelOne, Outcome, Verdict, VerdictPage};
use borsh::{BorshDeserialize, BorshSerialize};
use cosmwasm_std::HexBinary;
use serde::{Deserialize, Serialize};

use super::evidence::{local, Counted};
use super::{Bytes, Given};

/// A leaf of a batch, and the ids that its rows list.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Probed {
    pub seed: DrawSeed,
    pub index: u32,
    pub vocabulary: u32,
    /// One list for each token of the answer.
    pub listed: Vec<Vec<u32>>,
}

impl Given for Probed {
    /// Position and token of each probe.
    type Outcome = Vec<(u32, u32)>;
    fn outcome(&self) -> Vec<(u32, u32)> {
        let listed = |position: u32, token: u32| self.listed[position as usize].contains(&token);
        let answer = (self.listed.len() as u32, self.vocabulary);
        let places = places(&self.seed, self.index, answer, listed);
        places.into_iter().map(|place| (place.position, place.token)).collect()
    }
}

/// The probes of a jury, in 1/256 bit.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Probes {
    /// Of each juror; those of the first draw's seed, then those of the second's.
    pub told: Vec<Vec<u16>>,
    pub tolerance: u16,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct ProbesOutcome {
    pub medians: Vec<u16>,
    /// Of each juror.
    pub agrees: Vec<bool>,
}

impl Given for Probes {
    type Outcome = ProbesOutcome;
    fn outcome(&self) -> ProbesOutcome {
        let told: Vec<&[u16]> = self.told.iter().map(Vec::as_slice).collect();
        let medians = medians(&told);
        let agrees = told.iter().map(|own| agree(own, &medians, self.tolerance)).collect();
        ProbesOutcome { medians, agrees }
    }
}

/// A page of verdicts and the salt that hides it.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Page {
    pub domain: Domain,
    pub juror: String,
    pub window: Window,
    pub page: u32,
    pub verdicts: Vec<Verdict>,
    pub salt: Digest,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct PageOutcome {
    /// The page as it is hashed.
    pub bytes: Bytes,
    /// What CommitVerdicts sends.
    pub hash: Digest,
}

impl Given for Page {
    type Outcome = PageOutcome;
    fn outcome(&self) -> PageOutcome {
        let Self { domain, juror, window, page, verdicts, salt } = self.clone();
        let page = VerdictPage { juror, window, page, verdicts };
        let bytes = borsh::to_vec(&page).expect("writing to memory does not fail");
        PageOutcome { bytes: Bytes(bytes), hash: page.commitment(&domain, &HexBinary::from(salt.0)) }
    }
}

/// A secret key, and what it hides.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Salt {
    pub key: Digest,
    pub domain: Domain,
    pub window: Window,
    pub page: u32,
    pub proof: Digest,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct SaltOutcome {
    /// Of the page of verdicts.
    pub verdicts: Digest,
    /// Of the accusation.
    pub accusation: Digest,
}

impl Given for Salt {
    type Outcome = SaltOutcome;
    fn outcome(&self) -> SaltOutcome {
        let salt = |hidden| Digest(salt(&self.key.0, &self.domain, hidden));
        let Self { window, page, .. } = *self;
        SaltOutcome {
            verdicts: salt(Hidden::Verdicts { window, page }),
            accusation: salt(Hidden::Proof(&self.proof)),
        }
    }
}

/// The verdicts that a jury's seats revealed.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Revealed {
    pub quorum: u32,
    /// Those without a verdict too.
    pub seats: u32,
    pub outcomes: Vec<Outcome>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct RevealedOutcome {
    /// Whether the verdicts end a sample at the first level, if its probes agree.
    pub unanimous: bool,
    /// How they end it where they are all that there will be.
    pub end: String,
}

impl Given for Revealed {
    type Outcome = RevealedOutcome;
    fn outcome(&self) -> RevealedOutcome {
        RevealedOutcome {
            unanimous: level_one(self.quorum as usize, &self.outcomes) == LevelOne::Valid,
            end: level_two(self.seats as usize, &self.outcomes).to_string(),
        }
    }
}

/// The seats of one juror, in their order.
#[derive(Clone, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Attendance {
    pub honest_miss_ppm: u32,
    pub false_bench_one_in: u32,
    pub attended: Vec<bool>,
}

impl Given for Attendance {
    /// `forfeits` is whether the juror is benched.
    type Outcome = Counted;
    fn outcome(&self) -> Counted {
        let Self { honest_miss_ppm, false_bench_one_in, .. } = *self;
        let scheme = attendance::scheme(&JuryParams { honest_miss_ppm, false_bench_one_in, ..local().jury });
        let audits = self.attended.iter().map(|attended| if *attended { ATTENDED } else { MISSED });
        let cusum = audits.fold(Cusum::default(), |cusum, audit| cusum.after(&scheme, audit));
        Counted { bound: scheme.bound, counters: cusum.0 .0, forfeits: cusum.highest() >= scheme.bound }
    }
}
