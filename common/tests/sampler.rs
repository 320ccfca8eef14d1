//! The integer sampler: exact replay of 100,008 positions, and what becomes of mutated ones.
#![allow(clippy::unwrap_used)]

mod positions;

use std::sync::LazyLock;

use assay_common::ids::RunSeed;
use assay_common::merkle::leaf_hash;
use assay_common::noise::{noise, PositionNoise};
use assay_common::penalties::Penalties;
use assay_common::replay::{replay, replay_leaf, Replay};
use assay_common::row::{decode_leaf, encode_leaf, Entry, Row, RowRule, Surprisal, TokenId, MAX_ENTRIES};
use assay_common::sampler::{
    kept, sample_full, score, top_candidates, ParamsRule, SampleError, SamplingParams,
};
use positions::{answers, Position, ANSWER, VOCAB};
use proptest::prelude::*;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rand_chacha::{ChaCha20Rng, ChaCha8Rng};

const ALL: SamplingParams = SamplingParams::OPEN;
const SEED: RunSeed = RunSeed([7; 32]);

/// 100,008 of them.
static POSITIONS: LazyLock<Vec<Position>> = LazyLock::new(|| answers().take(4_167).flatten().collect());

fn entry(surprisal: u32, token: u32) -> Entry {
    Entry { surprisal: Surprisal(surprisal), token: TokenId(token) }
}

fn replayed(position: &Position, leaf: &[u8], run_seed: &RunSeed) -> Replay {
    replay_leaf(leaf, position.position, VOCAB, &position.params, run_seed)
}

fn signed(position: &Position) -> Row {
    decode_leaf(&position.leaf).unwrap().row
}

#[test]
fn the_words_are_those_of_chacha20_in_any_order() {
    let mut words = PositionNoise::new(&SEED, 9);
    for token in [0, 31, 32, 5, 262_143, u32::MAX, 5, 33] {
        let mut chacha = ChaCha20Rng::from_seed(SEED.0);
        chacha.set_stream(9);
        chacha.set_word_pos(2 * u128::from(token));
        assert_eq!(words.word(TokenId(token)), chacha.next_u64(), "{token}");
    }
}

// ---- candidates and filters ----

#[test]
fn candidates_are_the_most_probable_and_ties_go_to_the_smaller_id() {
    let surprisals = [300, 100, 300, 20_000, 100, 16_384];
    let all =
        [entry(100, 1), entry(100, 4), entry(300, 0), entry(300, 2), entry(16_384, 3), entry(16_384, 5)];
    assert_eq!(top_candidates(&surprisals, 10), all);
    assert_eq!(top_candidates(&surprisals, 3), all[..3]);
    assert_eq!(top_candidates(&surprisals, 0), []);
}

#[test]
fn filters_keep_prefixes_in_their_order() {
    // 1/2, 1/4, 1/8, 1/8
    let candidates = [entry(256, 3), entry(512, 0), entry(768, 1), entry(768, 2)];
    let kept = |params| kept(&candidates, &params);
    assert_eq!(kept(ALL), 4);
    assert_eq!(kept(SamplingParams { temperature_milli: 0, ..ALL }), 1);
    assert_eq!(kept(SamplingParams { top_k: 3, ..ALL }), 3);
    assert_eq!(kept(SamplingParams { top_p_ppm: 750_000, ..ALL }), 2);
    assert_eq!(kept(SamplingParams { top_p_ppm: 750_001, ..ALL }), 3);
    assert_eq!(kept(SamplingParams { top_p_ppm: 1, ..ALL }), 1);
    assert_eq!(kept(SamplingParams { min_p_ppm: 250_000, ..ALL }), 4);
    assert_eq!(kept(SamplingParams { min_p_ppm: 250_001, ..ALL }), 2);
    // Top-p is a share of what top-k leaves: 1/2 of 3/4 is more than 600,000 ppm.
    assert_eq!(kept(SamplingParams { top_k: 2, top_p_ppm: 660_000, ..ALL }), 1);
    // At half the temperature the probabilities are squared: 1/4, 1/16, 1/64, 1/64.
    assert_eq!(kept(SamplingParams { temperature_milli: 500, min_p_ppm: 250_000, ..ALL }), 2);
}

#[test]
fn equal_scores_go_to_the_smaller_id() {
    // At this temperature 1000 steps of noise outweigh one step of surprisal exactly.
    let params = SamplingParams { temperature_milli: 65_536, ..ALL };
    let tie = (0..).find_map(|position| {
        let mut words = PositionNoise::new(&SEED, position);
        let [first, second] = [0, 1].map(|token| noise(words.word(TokenId(token))));
        let step = (first - second) / 1000;
        ((first - second) % 1000 == 0 && (1..15_000).contains(&step)).then_some((
            position,
            step as u32,
            first,
            second,
        ))
    });
    let (position, step, first, second) = tie.unwrap();
    let candidates = [entry(256, 1), entry(256 + step, 0)];
    let scores = [(256, second), (256 + step, first)].map(|(s, noise)| score(Surprisal(s), 65_536, noise));
    assert_eq!(scores[0], scores[1]);
    assert_eq!(sample_full(&candidates, &params, &SEED, position).unwrap().row.token, TokenId(0));
}

#[test]
fn a_request_that_cannot_be_sampled_is_refused() {
    let refused = |params: SamplingParams| sample_full(&[entry(0, 0)], &params, &SEED, 0).unwrap_err();
    let top_p = SamplingParams { top_p_ppm: 0, ..ALL };
    assert_eq!(refused(top_p), SampleError::Params(ParamsRule::TopP { found: 0 }));
    assert!(SamplingParams { temperature_milli: 100_001, ..ALL }.check().is_err());
    assert!(SamplingParams { top_p_ppm: 1_000_001, ..ALL }.check().is_err());
    assert!(SamplingParams { min_p_ppm: 1_000_001, ..ALL }.check().is_err());
    let penalised = |repetition_milli, frequency_milli, presence_milli| {
        let penalties = Penalties { repetition_milli, frequency_milli, presence_milli };
        SamplingParams { penalties, ..ALL }.check()
    };
    assert_eq!([penalised(500, -2_000, -2_000), penalised(2_000, 2_000, 2_000)], [Ok(()), Ok(())]);
    for found in [0, 499, 2_001] {
        assert_eq!(penalised(found, 0, 0), Err(ParamsRule::Repetition { found }));
    }
    for found in [-2_001, 2_001] {
        assert_eq!(penalised(1_000, found, 0), Err(ParamsRule::Frequency { found }));
        assert_eq!(penalised(1_000, 0, found), Err(ParamsRule::Presence { found }));
    }
    assert_eq!(sample_full(&[], &ALL, &SEED, 0), Err(SampleError::NoCandidate));
    let row = sample_full(&[entry(0, 0)], &ALL, &SEED, 0).unwrap().row;
    assert_eq!(replay(&row, 0, 1, &ALL, &SEED), Replay::Matches);
    assert_eq!(replay(&row, 0, 1, &top_p, &SEED), Replay::ParamsOutOfRange(ParamsRule::TopP { found: 0 }));
}

// ---- 100,008 positions ----

#[test]
fn every_honest_position_replays() {
    for (index, position) in POSITIONS.iter().enumerate() {
        assert_eq!(replayed(position, &position.leaf, &position.run_seed), Replay::Matches, "{index}");
    }
}

#[test]
fn a_token_with_a_flipped_bit_is_always_caught() {
    let mut random = ChaCha8Rng::seed_from_u64(6);
    for (index, position) in POSITIONS.iter().enumerate() {
        let mut leaf = position.leaf.clone();
        let bit = random.next_u32() as usize % 32;
        leaf[4 + bit / 8] ^= 1 << (bit % 8);
        let expected = Replay::Differs { expected: signed(position).token };
        assert_eq!(replayed(position, &leaf, &position.run_seed), expected, "{index}");
    }
}

/// A flipped bit may leave the argmax as it is; it never leaves the commitment as it is.
#[test]
fn a_leaf_with_a_flipped_bit_is_another_leaf_under_another_hash() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut still_replay = 0;
    for (index, position) in POSITIONS.iter().enumerate() {
        let mut leaf = position.leaf.clone();
        let bit = random.next_u32() as usize % (8 * leaf.len());
        leaf[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(leaf_hash(&leaf), leaf_hash(&position.leaf), "{index}");
        if let Ok(decoded) = decode_leaf(&leaf) {
            assert_eq!(encode_leaf(decoded.position, &decoded.row), leaf, "{index}");
            assert_ne!(decoded, decode_leaf(&position.leaf).unwrap(), "{index}");
        }
        still_replay += usize::from(!replayed(position, &leaf, &position.run_seed).is_fraud());
    }
    println!("{still_replay} of {} altered leaves replay, all under another hash", POSITIONS.len());
}

/// The probability that the signed token also wins under an unrelated seed: its share of the row's kept weight.
fn match_probability(position: &Position) -> f64 {
    let Position { params, .. } = position;
    let row = signed(position);
    if params.temperature_milli == 0 {
        return 1.0;
    }
    let slope = 1000.0 / 256.0 / f64::from(params.temperature_milli);
    let weight = |entry: &&Entry| (-slope * f64::from(entry.surprisal.0)).exp2();
    let kept: Vec<&Entry> = row.entries.iter().filter(|entry| **entry <= row.cut).collect();
    let token: f64 = kept.iter().filter(|entry| entry.token == row.token).map(weight).sum();
    token / kept.iter().map(weight).sum::<f64>()
}

/// A token that is nearly certain wins under any seed, so one position proves little; a whole answer does.
///
/// Answers whose tokens would all win again with probability under 1e-12 must not match: over the 4,167 answers that fails
/// an honest implementation with probability under 5e-9. The single matches must be as many as the probabilities say,
/// within 6 standard deviations, which holds the noise to the distribution that it should give.
#[test]
fn an_answer_does_not_match_under_a_seed_with_a_flipped_bit() {
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let (mut matches, mut expected, mut variance, mut bound_answers) = (0.0, 0.0, 0.0, 0);
    for (index, answer) in POSITIONS.chunks(ANSWER).enumerate() {
        let mut run_seed = answer[0].run_seed;
        let bit = random.next_u32() as usize % 256;
        run_seed.0[bit / 8] ^= 1 << (bit % 8);
        let (mut all_match, mut all_probability) = (true, 1.0);
        for position in answer {
            let probability = match_probability(position);
            let is_match = replayed(position, &position.leaf, &run_seed) == Replay::Matches;
            matches += f64::from(u8::from(is_match));
            expected += probability;
            variance += probability * (1.0 - probability);
            all_probability *= probability;
            all_match &= is_match;
        }
        if all_probability < 1e-12 {
            bound_answers += 1;
            assert!(!all_match, "answer {index} matches under another seed");
        }
    }
    println!(
        "{bound_answers} answers bound to their seed; {matches} positions match, {expected:.0} expected"
    );
    assert!(bound_answers > 1_500, "{bound_answers}");
    assert!((matches - expected).abs() < 6.0 * variance.sqrt(), "{matches} matches, {expected} expected");
}

// ---- rows ----

fn row(entries: Vec<Entry>) -> Row {
    Row { token: entries[0].token, cut: entries[0], entries }
}

/// 24 entries over a vocabulary of 100.
fn sound_row() -> Row {
    row((0..24).map(|i| entry(2000 + 10 * i, 3 * i)).collect())
}

#[test]
fn every_broken_rule_is_named() {
    let broken = |change: fn(&mut Row)| {
        let mut row = sound_row();
        change(&mut row);
        row.check(100).unwrap_err()
    };
    assert_eq!(sound_row().check(100), Ok(()));
    assert_eq!(broken(|row| row.entries.truncate(19)), RowRule::TooFewEntries { found: 19, least: 20 });
    assert_eq!(row(vec![entry(0, 0)]).check(1), Ok(()));
    let long = row((0..25).map(|i| entry(2000, i)).collect());
    assert_eq!(long.check(100), Err(RowRule::TooManyEntries { found: 25 }));
    assert_eq!(decode_leaf(&encode_leaf(0, &long)), Err(RowRule::TooManyEntries { found: 25 }));
    assert_eq!(broken(|row| row.entries[4].token.0 = 100), RowRule::OutsideVocabulary { index: 4 });
    assert_eq!(broken(|row| row.entries[23].surprisal.0 = 16_385), RowRule::SurprisalTooLarge { index: 23 });
    assert_eq!(broken(|row| row.entries.swap(6, 7)), RowRule::NotOrdered { index: 7 });
    assert_eq!(broken(|row| row.entries[9].token.0 = 0), RowRule::RepeatedToken { index: 9 });
    assert_eq!(
        broken(|row| row.entries.iter_mut().for_each(|e| e.surprisal.0 /= 3)),
        RowRule::ProbabilityAboveOne
    );
    assert_eq!(broken(|row| row.cut = entry(3000, 100)), RowRule::CutOutOfRange);
    assert_eq!(broken(|row| row.cut = entry(3000, 6)), RowRule::CutContradictsEntries);
    assert_eq!(broken(|row| row.cut = entry(2001, 98)), RowRule::CutContradictsEntries);
    let leaf = encode_leaf(3, &sound_row());
    let misplaced = RowRule::WrongPosition { found: 3, expected: 4 };
    assert_eq!(replay_leaf(&leaf, 4, 100, &ALL, &SEED), Replay::Malformed(misplaced));
}

#[test]
fn a_filter_that_keeps_listed_candidates_only_is_replayed_with_its_cut() {
    let params = SamplingParams { top_k: 5, ..ALL };
    let mut row = sample_full(&sound_row().entries, &params, &SEED, 0).unwrap().row;
    assert_eq!((row.cut, row.entries.len()), (row.entries[4], 20));
    row.cut = row.entries[5];
    assert_eq!(replay(&row, 0, 100, &params, &SEED), Replay::CutDiffers { expected: row.entries[4] });
    let greedy = SamplingParams { temperature_milli: 0, ..ALL };
    let row = sample_full(&sound_row().entries, &greedy, &SEED, 0).unwrap().row;
    assert_eq!((row.token, row.cut), (row.entries[0].token, row.entries[0]));
}

#[test]
fn a_known_position_keeps_its_bytes() {
    let surprisals: Vec<u32> = (0..100).map(|id| 600 + id * 37 % 1009).collect();
    let row = sample_full(&top_candidates(&surprisals, 4096), &ALL, &SEED, 5).unwrap().row;
    insta::assert_snapshot!(hex::encode(encode_leaf(5, &row)), @"050000003d0000003f0600001b00000017d8040007520a370a1c0a0107530a380a1d0a0207540a390a1e0a0307550a3a0a1f0a0407560a3b0a20403db90142940146");
}

prop_compose! {
    fn any_row()(
        mut entries in prop::collection::vec((any::<u32>(), any::<u32>(), 0u32..32), 0..=MAX_ENTRIES),
        token: u32, cut: (u32, u32),
    ) -> Row {
        let mut entries: Vec<Entry> = entries.drain(..).map(|(s, id, shift)| entry(s >> shift, id >> shift)).collect();
        entries.sort_unstable();
        Row { token: TokenId(token), cut: entry(cut.0, cut.1), entries }
    }
}

proptest! {
    // A failure prints its case; it is then worth a test of its own instead of a file of seeds.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decoding_inverts_encoding(position: u32, row in any_row()) {
        let leaf = decode_leaf(&encode_leaf(position, &row)).unwrap();
        prop_assert_eq!((leaf.position, leaf.row), (position, row));
    }

    #[test]
    fn no_bytes_panic_and_only_canonical_ones_decode(
        row in any_row(), edits in prop::collection::vec((any::<usize>(), any::<u8>()), 0..4), length: usize, params: [u32; 4],
    ) {
        let mut bytes = encode_leaf(0, &row);
        for (place, value) in edits {
            let place = place % bytes.len();
            bytes[place] = value;
        }
        // Half of the cases keep their length.
        bytes.truncate(length % (2 * bytes.len()));
        if let Ok(leaf) = decode_leaf(&bytes) {
            prop_assert_eq!(encode_leaf(leaf.position, &leaf.row), bytes.clone());
        }
        let [temperature_milli, top_k, top_p_ppm, min_p_ppm] = params;
        for temperature_milli in [0, temperature_milli % 3000, temperature_milli] {
            let params = SamplingParams { temperature_milli, top_k: top_k % 30, top_p_ppm: top_p_ppm % 1_000_001, min_p_ppm, ..ALL };
            let min_p = SamplingParams { min_p_ppm: min_p_ppm % 1_000_001, ..params };
            for params in [params, min_p] {
                replay_leaf(&bytes, 0, u32::MAX, &params, &SEED);
            }
        }
    }

    /// Against a model without bounds, tables of the best or prefixes.
    #[test]
    fn the_token_is_the_plain_argmax_and_the_row_replays(
        surprisals in prop::collection::vec(2000u32..4000, 1..200), seed: [u8; 32], position: u32,
        temperature_milli in 0u32..3000, top_k in 0u32..40, top_p_ppm in 1u32..=1_000_000, min_p_ppm in 0u32..100_000,
    ) {
        let (params, run_seed) = (SamplingParams { temperature_milli, top_k, top_p_ppm, min_p_ppm, ..ALL }, RunSeed(seed));
        let candidates = top_candidates(&surprisals, 4096);
        let sampled = sample_full(&candidates, &params, &run_seed, position).unwrap();
        let mut words = PositionNoise::new(&run_seed, position);
        let mut scored: Vec<(i64, TokenId)> = candidates[..sampled.kept].iter().map(|entry| {
            (-score(entry.surprisal, temperature_milli, noise(words.word(entry.token))), entry.token)
        }).collect();
        scored.sort_unstable();
        prop_assert_eq!(sampled.row.token, scored[0].1);
        prop_assert_eq!(replay(&sampled.row, position, surprisals.len() as u32, &params, &run_seed), Replay::Matches);
    }
}
