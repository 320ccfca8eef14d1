//! The two passes: shapes, agreement with whole passes, and bad input.

use assay_common::penalties::Penalties;
use assay_sidecar::model::{Compared, Forced, Model, ModelError, Numerics};

use super::{forced, gemma_vector, model};

const K: usize = 20;

/// A prompt of 9 tokens and 80 more, so that the head goes over two pieces.
fn text() -> (Vec<u32>, Vec<u32>) {
    let ids = &gemma_vector().texts[1].ids;
    (ids[..9].to_vec(), ids[9..89].to_vec())
}

/// Compares at the K most probable tokens, fewer at odd positions.
fn compare(model: &Model, forced: &Forced<'_>, positions: &[u32]) -> Vec<Compared> {
    let passes = model.passes(forced).expect("both passes run");
    let ids = |row: assay_sidecar::model::Row<'_>| {
        let k = K - (row.position % 2) as usize * 3;
        row.top(k).iter().map(|scored| scored.id).collect()
    };
    passes.compare(positions, ids).expect("the passes are compared")
}

/// The log-probabilities of one pass at its K most probable tokens of another, by position.
fn log_probs(model: &Model, forced: &Forced<'_>, numerics: Numerics, ids: &[Vec<u32>]) -> Vec<Vec<f32>> {
    let mut rows = Vec::new();
    model
        .score_with(forced, numerics, |row| {
            let ids = &ids[row.position as usize];
            rows.push(ids.iter().map(|id| row.log_probs[*id as usize]).collect());
        })
        .expect("scores");
    rows
}

fn most_probable(model: &Model, forced: &Forced<'_>) -> Vec<Vec<u32>> {
    let mut ids = Vec::new();
    model
        .score_with(forced, model.reference(), |row| {
            ids.push(row.top(K).iter().map(|scored| scored.id).collect());
        })
        .expect("scores");
    ids
}

#[test]
fn both_passes_say_at_the_listed_tokens_what_whole_passes_say() {
    let model = model();
    let (prompt, tokens) = text();
    for penalties in
        [Penalties::NONE, Penalties { repetition_milli: 1_300, frequency_milli: 200, presence_milli: -100 }]
    {
        let forced = Forced { penalties, ..forced(&prompt, &tokens) };
        let ids = most_probable(&model, &forced);
        let reference = log_probs(&model, &forced, model.reference(), &ids);
        let second = log_probs(&model, &forced, Numerics::second(model.spec().scheme), &ids);
        let all: Vec<u32> = (0..tokens.len() as u32).collect();
        let compared = compare(&model, &forced, &all);
        assert_eq!(compared.len(), tokens.len());
        let mut differs = false;
        for (at, position) in compared.iter().enumerate() {
            let k = position.reference.len();
            assert_eq!((position.position as usize, k), (at, K - at % 2 * 3));
            assert_eq!((position.second.len(), position.gram.len()), (k, k * k));
            assert_eq!(position.reference, reference[at][..k], "the reference at {at}");
            // The second is right up to one number for the whole row.
            let offsets: Vec<f32> = position.second.iter().zip(&second[at]).map(|(a, b)| a - b).collect();
            let spread = offsets.iter().map(|offset| (offset - offsets[0]).abs()).fold(0.0, f32::max);
            assert!(spread < 1e-4, "the second at {at}: {spread}");
            differs |= position.second != position.reference;
        }
        assert!(differs, "the two passes are not one");
    }
}

#[test]
fn gram_matrices_are_those_of_the_heads_rows_and_states_are_finite() {
    let model = model();
    let (prompt, tokens) = text();
    let compared = compare(&model, &forced(&prompt, &tokens), &[0, 5, 64, 79]);
    for Compared { gram, reference, difference_square, reference_square, spread, .. } in &compared {
        let k = reference.len();
        for line in 0..k {
            assert!(gram[line * k + line] > 0.0);
            for column in 0..k {
                let (here, mirrored) = (gram[line * k + column], gram[column * k + line]);
                assert!((here - mirrored).abs() <= 1e-6 * here.abs().max(1e-3));
                let bound = (gram[line * k + line] * gram[column * k + column]).sqrt();
                assert!(here.abs() <= bound * 1.0001, "Cauchy and Schwarz at {line}, {column}");
            }
        }
        assert!(*difference_square > 0.0 && difference_square < reference_square);
        let top = f64::from(reference[0]);
        assert!((spread.top_logit - spread.log_normaliser - top).abs() < 1e-4);
        assert!(spread.entropy > 0.0 && spread.entropy < (model.vocabulary() as f64).ln());
        assert!(spread.entropy >= -top - 1e-4, "no distribution has less entropy than its top's surprisal");
    }
}

#[test]
fn positions_that_are_asked_for_alone_get_the_same_numbers() {
    let model = model();
    let (prompt, tokens) = text();
    let penalties = Penalties { repetition_milli: 1_100, frequency_milli: 50, presence_milli: 50 };
    let forced = Forced { penalties, ..forced(&prompt, &tokens) };
    let all: Vec<u32> = (0..tokens.len() as u32).collect();
    let whole = compare(&model, &forced, &all);
    let some = compare(&model, &forced, &[3, 4, 40, 70, 79]);
    for position in &some {
        let same = &whole[position.position as usize];
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
        assert!(close(&position.reference, &same.reference) && close(&position.second, &same.second));
        assert!(close(&position.gram, &same.gram));
        assert_eq!(position.difference_square, same.difference_square);
    }
}

#[test]
fn an_answer_without_tokens_has_no_positions() {
    let model = model();
    let passes = model.passes(&forced(&[2, 9259], &[])).expect("nothing to run");
    assert_eq!(passes.compare(&[], |_| panic!("not asked")).expect("nothing to compare"), []);
    let one = passes.compare(&[0], |_| panic!("not asked"));
    assert!(matches!(one, Err(ModelError::Position { found: 0, tokens: 0, .. })));
}

#[test]
fn positions_and_ids_out_of_range_are_refused_by_name() {
    let model = model();
    let (prompt, tokens) = text();
    let passes = model.passes(&forced(&prompt, &tokens[..4])).expect("runs");
    for (positions, found) in [(vec![4], 4), (vec![0, 0], 0), (vec![2, 1], 1)] {
        let refused = passes.compare(&positions, |_| panic!("not asked"));
        assert!(matches!(refused, Err(ModelError::Position { found: at, .. }) if at == found));
    }
    let beyond = passes.compare(&[1], |_| vec![5, 262_144]);
    assert!(matches!(beyond, Err(ModelError::OutOfVocabulary { id: 262_144, position: 1, .. })));
    let unlisted = passes.compare(&[1], |_| Vec::new()).expect("nothing listed");
    assert!(unlisted[0].gram.is_empty() && unlisted[0].spread.entropy > 0.0);
    let outside = model.passes(&forced(&[2, 262_144], &[1])).err();
    assert!(matches!(outside, Some(ModelError::OutOfVocabulary { .. })));
}

#[test]
fn a_model_that_gives_no_numbers_is_our_own_error() {
    let mut model = super::load(assay_common::session::NumericScheme::Bf16F32);
    model.map_projections(|weight| weight.f_mul_scalar(f64::NAN)).expect("maps");
    let passes = model.passes(&forced(&[2, 9259], &[5, 6])).expect("runs");
    let compared = passes.compare(&[0, 1], |_| vec![5, 6]);
    assert!(matches!(compared, Err(ModelError::NotFinite)), "{compared:?}");
    assert!(matches!(model.score(&[2, 9259], &[5]), Err(ModelError::NotFinite)));
}
