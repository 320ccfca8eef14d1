//! The executor's residual in units of the noise that the head would make of a random hidden state.
//!
//! A validator runs two numerically different passes, reference v and second u, over the executor's tokens. Rounding in the
//! body moves the final hidden state by some δh and the logits by E·δh, E being the head's rows of the compared tokens. So
//! residuals are divided by the Gram matrix of those rows, after which each of the coordinates counts as one, and the
//! validator's own disagreement u − v tells how sensitive this position is. Measured in `docs/science.md`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::cholesky::{dot, Cholesky, NotPositive};
use crate::row::{Entry, Row, Surprisal, TokenId, LISTED, MAX_ENTRIES};

/// Most tokens that are compared at one position: those of a row and the validator's own most probable.
pub const MAX_COMPARED: usize = MAX_ENTRIES + LISTED;
/// What is known of a position before its row is looked at.
pub const FEATURES: usize = 8;

/// Share of the mean variance that is added to every coordinate: directions that the head hardly sees are not trusted.
const RIDGE: f64 = 1e-3;
/// Added beside it, so that tokens with one and the same head row have a factorisation too.
const RIDGE_FLOOR: f64 = 1e-12;
/// Added to squares before their logarithm: two passes that agree to the last bit give a number.
const SQUARE_FLOOR: f64 = 1e-9;
const DIFFERENCE_FLOOR: f64 = 1e-6;
/// Keeps a direction defined where one of the two residuals is zero.
const DIRECTION_FLOOR: f64 = 1e-18;
/// Nats of 1/256 bit.
const NATS_PER_STEP: f64 = std::f64::consts::LN_2 / 256.0;

/// What the two passes say of one position, at k compared tokens in the order of [`compared`].
#[derive(Clone, Copy, Debug)]
pub struct Passes<'a> {
    /// Natural log-probabilities of the reference pass, `[k]`; penalties applied, as in what is signed.
    pub reference: &'a [f32],
    /// The same of the second pass, `[k]`.
    pub second: &'a [f32],
    /// E·Eᵀ/d of the head's rows E `[k, d]`, not centred, `[k, k]` row by row; the lower triangle is read.
    pub gram: &'a [f32],
    pub state: State,
}

/// What the two passes say of one position whatever its row holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    /// |h_u − h_v|² of the final hidden states, after the last norm.
    pub difference_square: f64,
    /// |h_v|².
    pub reference_square: f64,
    /// Of the reference pass's whole distribution, in nats.
    pub entropy: f64,
    /// The reference pass's largest logit.
    pub top_logit: f64,
}

/// One position after whitening, before a calibration says what is usual.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Whitened {
    /// y = ln(rᵀG⁻¹r / k) of the executor's residual r.
    pub log_square: f64,
    /// ρ = rᵀG⁻¹δ / √(rᵀG⁻¹r · δᵀG⁻¹δ) in [−1, 1]: whether the executor errs where the second pass errs.
    pub direction: f64,
    /// x = (ln|h_u − h_v|², ln(δᵀG⁻¹δ / k), entropy, top logit, ln|h_v|², v₁, mean v, ln tr G).
    pub features: [f64; FEATURES],
}

impl Whitened {
    /// Every number of it.
    pub(super) fn numbers(&self) -> impl Iterator<Item = f64> {
        [self.log_square, self.direction].into_iter().chain(self.features)
    }
}

/// Why a position cannot be whitened. It is always the validator's own fault: the row was checked before.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum WhiteningError {
    #[error("{found} compared tokens: between 2 and {MAX_COMPARED} expected")]
    Compared { found: usize },
    #[error("{found} numbers of the {field} for {compared} compared tokens: {expected} expected")]
    Shape { field: &'static str, found: usize, expected: usize, compared: usize },
    #[error("number {index} of the {field} is {value}, not a finite number")]
    NotFinite { field: &'static str, index: usize, value: f64 },
    #[error("the head's rows have no Gram matrix")]
    Gram(#[from] NotPositive),
}

/// The tokens at which a row is compared with the model, with the surprisals that the executor is held to.
///
/// These are the row's entries, then those of the validator's 20 most probable that the row leaves out: their signed
/// surprisal counts as the 20th of the row, the least that the executor claims of them, or as the validator's own where
/// that is larger still. So a row that leaves out a probable token contradicts the model there, and a row of other tokens
/// cannot hide behind a constant, which centring would take out.
pub fn compared(row: &Row, own: &[Entry]) -> Vec<Entry> {
    let listed: BTreeSet<TokenId> = row.entries.iter().map(|entry| entry.token).collect();
    let last = row.entries.iter().take(LISTED).next_back();
    let floor = last.map_or(Surprisal::MAX, |entry| entry.surprisal);
    let left_out = own.iter().take(LISTED).filter(|entry| !listed.contains(&entry.token));
    let held_to = left_out.map(|entry| Entry { surprisal: entry.surprisal.max(floor), token: entry.token });
    row.entries.iter().copied().chain(held_to).collect()
}

/// Whitens one position: `signed` `[k]` are [`compared`]'s tokens.
///
/// # Errors
/// Shapes that do not fit, a number that is not finite, a matrix without a factorisation: the validator abstains.
pub fn whiten(signed: &[Entry], passes: &Passes<'_>) -> Result<Whitened, WhiteningError> {
    check(signed.len(), passes)?;
    let k = signed.len() as f64;
    let reference: Vec<f64> = passes.reference.iter().map(bounded).collect();
    let weights = softmax(&reference);
    let (matrix, trace) = centred_gram(passes.gram, &weights);
    let cholesky = Cholesky::of(matrix, signed.len())?;
    let whitened = |values: &mut dyn Iterator<Item = f64>| {
        let mut residual: Vec<f64> = values.zip(&reference).map(|(value, v)| value - v).collect();
        let mean = dot(&weights, &residual);
        residual.iter_mut().for_each(|value| *value -= mean);
        cholesky.halve(&mut residual);
        residual
    };
    let own = |entry: &Entry| -f64::from(entry.surprisal.0) * NATS_PER_STEP;
    let executor = whitened(&mut signed.iter().map(own));
    let second = whitened(&mut passes.second.iter().map(bounded));
    let (square, disagreement) = (dot(&executor, &executor), dot(&second, &second));
    let log_square = |square: f64| (square / k + SQUARE_FLOOR).ln();
    let state = &passes.state;
    Ok(Whitened {
        log_square: log_square(square),
        direction: dot(&executor, &second) / (square * disagreement + DIRECTION_FLOOR).sqrt(),
        features: [
            (state.difference_square + DIFFERENCE_FLOOR).ln(),
            log_square(disagreement),
            state.entropy,
            state.top_logit,
            (state.reference_square + DIFFERENCE_FLOOR).ln(),
            reference[0],
            reference.iter().sum::<f64>() / k,
            (trace + SQUARE_FLOOR).ln(),
        ],
    })
}

/// A row cannot say less than 2⁻⁶⁴, so neither do the passes.
fn bounded(log_probability: &f32) -> f64 {
    f64::from(*log_probability).max(-f64::from(Surprisal::MAX.0) * NATS_PER_STEP)
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut weights: Vec<f64> = logits.iter().map(|logit| (logit - top).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= sum);
    weights
}

/// G = E′E′ᵀ/d + ridge, `[k, k]` with its lower triangle filled, and tr E′E′ᵀ/d, for E′ = E − Σ p·E.
///
/// E′E′ᵀ = EEᵀ − q1ᵀ − 1qᵀ + pᵀq with q = EEᵀp: centring needs no head row.
fn centred_gram(gram: &[f32], weights: &[f64]) -> (Vec<f64>, f64) {
    let size = weights.len();
    let mut shifts = vec![0.0; size];
    let mut matrix: Vec<f64> = gram.iter().copied().map(f64::from).collect();
    for row in 0..size {
        let entries = &matrix[row * size..=row * size + row];
        shifts[row] += dot(entries, weights);
        for (shift, entry) in shifts[..row].iter_mut().zip(entries) {
            *shift += entry * weights[row];
        }
    }
    let middle = dot(&shifts, weights);
    let mut trace = 0.0;
    for row in 0..size {
        for column in 0..=row {
            matrix[row * size + column] += middle - shifts[row] - shifts[column];
        }
        trace += matrix[row * size + row];
    }
    let trace = trace.max(0.0);
    let ridge = RIDGE * trace / size as f64 + RIDGE_FLOOR;
    for row in 0..size {
        matrix[row * size + row] += ridge;
    }
    (matrix, trace)
}

fn check(compared: usize, passes: &Passes<'_>) -> Result<(), WhiteningError> {
    if !(2..=MAX_COMPARED).contains(&compared) {
        return Err(WhiteningError::Compared { found: compared });
    }
    let arrays = [
        ("reference pass", passes.reference, compared),
        ("second pass", passes.second, compared),
        ("Gram matrix", passes.gram, compared * compared),
    ];
    for (field, numbers, expected) in arrays {
        if numbers.len() != expected {
            return Err(WhiteningError::Shape { field, found: numbers.len(), expected, compared });
        }
        finite(field, &mut numbers.iter().copied().map(f64::from))?;
    }
    let State { difference_square, reference_square, entropy, top_logit } = passes.state;
    for square in [difference_square, reference_square] {
        let value = if square < 0.0 { f64::NAN } else { square };
        finite("hidden states' squares", &mut std::iter::once(value))?;
    }
    finite("entropy", &mut std::iter::once(entropy))?;
    finite("top logit", &mut std::iter::once(top_logit))
}

fn finite(field: &'static str, numbers: &mut dyn Iterator<Item = f64>) -> Result<(), WhiteningError> {
    match numbers.enumerate().find(|(_, value)| !value.is_finite()) {
        Some((index, value)) => Err(WhiteningError::NotFinite { field, index, value }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const K: usize = 20;

    /// Entries with surprisals of −3, −3.1… nats, and a head of 16 columns.
    fn position() -> (Vec<Entry>, Vec<f32>, Vec<f32>) {
        let logs: Vec<f32> = (0..K).map(|i| -3.0 - 0.1 * i as f32).collect();
        let entries = logs.iter().zip(0u32..).map(|(log, token)| Entry {
            surprisal: Surprisal((-f64::from(*log) / NATS_PER_STEP).round() as u32),
            token: TokenId(token),
        });
        let head = |i: usize, column: usize| (((i + 1) * (2 * column + 3) * 37) % 101) as f32 / 50.0 - 1.0;
        let product =
            |i: usize, j: usize| (0..16).map(|column| head(i, column) * head(j, column)).sum::<f32>();
        let gram = (0..K * K).map(|at| product(at / K, at % K) / 16.0).collect();
        (entries.collect(), logs, gram)
    }

    fn state() -> State {
        State { difference_square: 0.5, reference_square: 400.0, entropy: 3.0, top_logit: 18.0 }
    }

    fn whitened(signed: &[Entry], second: &[f32]) -> Result<Whitened, WhiteningError> {
        let (_, reference, gram) = position();
        whiten(signed, &Passes { reference: &reference, second, gram: &gram, state: state() })
    }

    #[test]
    fn a_constant_added_to_every_number_changes_nothing() {
        let (mut signed, reference, _) = position();
        let second: Vec<f32> = (0..K).map(|i| reference[i] + if i % 2 == 0 { 0.05 } else { -0.03 }).collect();
        signed[3].surprisal.0 += 40;
        let plain = whitened(&signed, &second).unwrap();
        signed.iter_mut().for_each(|entry| entry.surprisal.0 += 256);
        let moved = whitened(&signed, &second).unwrap();
        assert!((plain.log_square - moved.log_square).abs() < 1e-9);
        assert!((plain.direction - moved.direction).abs() < 1e-9);
        assert_eq!(plain.features, moved.features);
    }

    #[test]
    fn an_executor_that_errs_as_the_second_pass_errs_has_direction_one() {
        let (mut signed, _, _) = position();
        for (at, entry) in signed.iter_mut().enumerate() {
            entry.surprisal.0 = entry.surprisal.0.wrapping_add_signed(60 * ((at % 3) as i32 - 1));
        }
        let second: Vec<f32> =
            signed.iter().map(|entry| (-f64::from(entry.surprisal.0) * NATS_PER_STEP) as f32).collect();
        let same = whitened(&signed, &second).unwrap();
        assert!(same.direction > 0.999_999, "{}", same.direction);
        assert!((same.log_square - same.features[1]).abs() < 1e-4);
    }

    #[test]
    fn what_the_validator_got_wrong_is_its_own_error() {
        let (signed, reference, gram) = position();
        let broken = |at: usize, value: f32| {
            let mut numbers = reference.clone();
            numbers[at] = value;
            numbers
        };
        let error = |reference: &[f32], gram: &[f32], state: State| {
            whiten(&signed, &Passes { reference, second: &reference[..K], gram, state }).unwrap_err()
        };
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let found = error(&broken(7, value), &gram, state());
            assert!(
                matches!(found, WhiteningError::NotFinite { field: "reference pass", index: 7, .. }),
                "{found}"
            );
        }
        let shape = whiten(
            &signed[..19],
            &Passes { reference: &reference, second: &reference, gram: &gram, state: state() },
        );
        assert!(matches!(
            shape,
            Err(WhiteningError::Shape { field: "reference pass", found: 20, expected: 19, .. })
        ));
        let none = whiten(&[], &Passes { reference: &[], second: &[], gram: &[], state: state() });
        assert_eq!(none, Err(WhiteningError::Compared { found: 0 }));
        let lost = State { entropy: f64::NAN, ..state() };
        assert!(matches!(error(&reference, &gram, lost), WhiteningError::NotFinite { field: "entropy", .. }));
        let negative = State { reference_square: -1.0, ..state() };
        assert!(matches!(error(&reference, &gram, negative), WhiteningError::NotFinite { .. }));
        let mut indefinite = gram.clone();
        indefinite[K + 1] = -50.0;
        assert!(matches!(error(&reference, &indefinite, state()), WhiteningError::Gram(_)));
    }

    #[test]
    fn equal_passes_and_one_head_row_for_all_tokens_still_give_numbers() {
        let (signed, reference, _) = position();
        let gram = vec![0.25; K * K];
        let passes = Passes { reference: &reference, second: &reference, gram: &gram, state: state() };
        let position = whiten(&signed, &passes).unwrap();
        assert!(position.log_square.is_finite() && position.features.iter().all(|x| x.is_finite()));
        assert_eq!(position.direction, 0.0);
    }

    #[test]
    fn a_probable_token_that_the_row_leaves_out_is_compared_at_the_least_that_the_row_claims() {
        let entries: Vec<Entry> =
            (0..21).map(|i| Entry { surprisal: Surprisal(500 + 10 * i), token: TokenId(i) }).collect();
        let row = Row { token: TokenId(1), cut: entries[20], entries: entries[1..21].to_vec() };
        let held_to = compared(&row, &entries);
        assert_eq!(held_to[..20], row.entries);
        assert_eq!(held_to[20..], [Entry { surprisal: Surprisal(700), token: TokenId(0) }]);
        // A row of strangers: each of the validator's own is an anchor at the lower of the two probabilities.
        let strangers =
            (0..20).map(|i| Entry { surprisal: Surprisal(300 + i), token: TokenId(100 + i) }).collect();
        let row = Row { entries: strangers, ..row };
        let held_to = compared(&row, &entries);
        assert_eq!(held_to.len(), 40);
        assert_eq!(held_to[20..], entries[..20]);
    }
}
