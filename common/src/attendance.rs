//! Attendance: the test that tells a juror who stays away from one whose machine was down.
//!
//! The same e-process as the evidence's, over seats instead of audits: an honest juror misses at most one share of them.

use crate::evidence::{Audit, Bins, Scheme};
use crate::params::{EvidenceParams, JuryParams, PerAlternative};

/// Seats over which the error is promised.
const SEATS: u64 = 10_000;

/// A seat that was taken, and one that was missed.
pub const ATTENDED: Audit = Audit::Pass { class: 0, bin: 0 };
pub const MISSED: Audit = Audit::Fail { class: 0 };

/// The scheme against jurors who miss twice, three and four times what an honest one may.
pub fn scheme(params: &JuryParams) -> Scheme {
    let honest = params.honest_miss_ppm;
    let alternatives = [2, 3, 4].map(|times| honest.saturating_mul(times));
    let error = EvidenceParams {
        audits: SEATS.into(),
        false_forfeit_one_in: u64::from(params.false_bench_one_in).into(),
        full_weight_tokens: 1,
    };
    Scheme::new(&error, &[Bins::verdict_only(honest, PerAlternative(alternatives))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Cusum;

    const JURY: JuryParams = JuryParams {
        seats: 3,
        quorum: 2,
        min_others_to_commit: 3,
        min_others_to_slash: 3,
        max_samples_per_window: 200,
        second_seats: 21,
        honest_miss_ppm: 100_000,
        false_bench_one_in: 1_000_000,
    };

    #[test]
    fn a_juror_that_stays_away_is_found_within_twenty_seats_and_one_that_misses_a_tenth_is_not() {
        let scheme = scheme(&JURY);
        let away = (1..100).find(|seats| {
            let misses = (0..*seats).fold(Cusum::default(), |cusum, _| cusum.after(&scheme, MISSED));
            misses.forfeits(&scheme, MISSED)
        });
        assert_eq!(away, Some(18));
        let mut tenth = Cusum::default();
        for seat in 0..10_000 {
            let audit = if seat % 10 == 0 { MISSED } else { ATTENDED };
            tenth = tenth.after(&scheme, audit);
            assert!(!tenth.forfeits(&scheme, audit), "{tenth:?}");
        }
    }
}
