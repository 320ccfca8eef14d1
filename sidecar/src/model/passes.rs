//! The two passes of a validator along an executor's tokens, and what they say at the tokens that a row lists.

use assay_common::judge::whitening::{self, State};
use tch::{Device, Kind, TchError, Tensor};

use super::forced::{Fed, Forced, Row};
use super::penalties::Prefix;
use super::surprisal::{Distribution, Spread};
use super::{Model, ModelError, Numerics, HEAD_ROWS};

/// The final hidden states of both passes, from which the head is computed only where it is asked for.
pub struct Passes<'a> {
    model: &'a Model,
    forced: Forced<'a>,
    /// [tokens, hidden], after the last norm, in f32.
    reference: Tensor,
    /// The same of the second pass.
    second: Tensor,
}

/// What both passes say of one position at k tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    pub position: u32,
    /// Natural log-probabilities of the reference pass, penalties applied, [k].
    pub reference: Vec<f32>,
    /// The same of the second pass, [k]; less the reference's normaliser, so that the second head is computed at k tokens
    /// alone. What they are off by is one number for all of a position, which centring takes out.
    pub second: Vec<f32>,
    /// E·Eᵀ/d of the head's rows E [k, hidden], not centred, [k, k] row by row.
    pub gram: Vec<f32>,
    /// |h_u − h_v|² of the final hidden states.
    pub difference_square: f64,
    /// |h_v|² of the reference pass.
    pub reference_square: f64,
    /// Of the reference pass's distribution, penalties applied.
    pub spread: Spread,
}

impl Compared {
    /// As [`assay_common::judge::whitening::whiten`] takes it.
    pub fn to_whiten(&self) -> whitening::Passes<'_> {
        whitening::Passes {
            reference: &self.reference,
            second: &self.second,
            gram: &self.gram,
            state: State {
                difference_square: self.difference_square,
                reference_square: self.reference_square,
                entropy: self.spread.entropy,
                top_logit: self.spread.top_logit,
            },
        }
    }
}

/// The rows of one piece of the head, before the second pass and the head's rows are looked at.
struct Visited {
    position: u32,
    ids: Vec<u32>,
    reference: Vec<f32>,
    spread: Spread,
    /// How the penalties stand at this position.
    prefix: Prefix,
}

impl Model {
    /// Runs both passes of the scheme over prompt and tokens; the head waits for [`Passes::compare`].
    ///
    /// # Errors
    /// Ids outside the vocabulary, an empty prompt, a sequence beyond the context, and torch's own failures.
    pub fn passes<'a>(&'a self, forced: &Forced<'a>) -> Result<Passes<'a>, ModelError> {
        let _no_grad = tch::no_grad_guard();
        let run = |numerics| -> Result<Tensor, ModelError> {
            Ok(match self.fed(forced)? {
                Some(Fed { ids, positions }) => self.gemma.prefill(&ids, positions, numerics)?,
                None => Tensor::f_zeros([0, self.gemma.config.hidden], (Kind::Float, self.gemma.device))?,
            })
        };
        let (reference, second) = (run(self.reference())?, run(Numerics::second(self.spec.scheme))?);
        Ok(Passes { model: self, forced: *forced, reference, second })
    }

    /// Final hidden states of the reference pass, after the last norm: for every token the `hidden` numbers that its logits come from.
    ///
    /// # Errors
    /// As [`Model::passes`].
    pub fn reference_states(&self, forced: &Forced<'_>) -> Result<Vec<f32>, ModelError> {
        let _no_grad = tch::no_grad_guard();
        let Some(Fed { ids, positions }) = self.fed(forced)? else { return Ok(Vec::new()) };
        let states = numbers(&self.gemma.prefill(&ids, positions, self.reference())?)?;
        Ok(states.into_iter().map(|number| number as f32).collect())
    }
}

impl Passes<'_> {
    /// Computes the second pass's head at `positions`, which ascend, and hands `visit` its distribution at each of them.
    ///
    /// # Errors
    /// As [`Passes::compare`].
    pub fn second(&self, positions: &[u32], mut visit: impl FnMut(Row<'_>)) -> Result<(), ModelError> {
        self.check(positions)?;
        let _no_grad = tch::no_grad_guard();
        let mut prefix = Prefix::new(self.forced.penalties, self.forced.prompt);
        let mut pushed = 0;
        let mut distribution = Distribution::default();
        self.model.each_row(&self.at(&self.second, positions)?, |index, mut logits| {
            let position = positions[index];
            prefix.extend(&self.forced.tokens[pushed..position as usize]);
            pushed = position as usize;
            prefix.penalise(&mut logits)?;
            distribution.fill_both(logits)?;
            visit(row(&distribution, position, self.forced.tokens[pushed]));
            Ok(())
        })
    }

    /// Computes the head at `positions`, which ascend, hands `visit` the reference pass's distribution at each of them, and
    /// compares the passes at the tokens that it returns.
    ///
    /// The head goes over 64 positions at a time, so memory does not grow with the answer.
    ///
    /// # Errors
    /// Positions that do not ascend or lie beyond the tokens, returned ids outside the vocabulary, a number that is not
    /// finite (the model's or the machine's fault, never the executor's), and torch's own failures.
    pub fn compare(
        &self,
        positions: &[u32],
        mut visit: impl FnMut(Row<'_>) -> Vec<u32>,
    ) -> Result<Vec<Compared>, ModelError> {
        self.check(positions)?;
        let _no_grad = tch::no_grad_guard();
        let mut prefix = Prefix::new(self.forced.penalties, self.forced.prompt);
        let mut pushed = 0;
        let mut distribution = Distribution::default();
        let mut compared = Vec::with_capacity(positions.len());
        for piece in positions.chunks(HEAD_ROWS as usize) {
            let (reference, second) = (self.at(&self.reference, piece)?, self.at(&self.second, piece)?);
            let mut visited = Vec::with_capacity(piece.len());
            self.model.each_row(&reference, |index, mut logits| {
                let position = piece[index];
                prefix.extend(&self.forced.tokens[pushed..position as usize]);
                pushed = position as usize;
                prefix.penalise(&mut logits)?;
                let spread = distribution.fill_spread(logits)?;
                let ids = visit(row(&distribution, position, self.forced.tokens[pushed]));
                self.model.check_ids(&ids)?;
                let reference = ids.iter().map(|id| distribution.log_probs[*id as usize]).collect();
                visited.push(Visited { position, ids, reference, spread, prefix: prefix.clone() });
                Ok(())
            })?;
            compared.extend(self.whole(visited, &reference, &second)?);
        }
        Ok(compared)
    }

    fn check(&self, positions: &[u32]) -> Result<(), ModelError> {
        let tokens = self.forced.tokens.len();
        let mut earlier = 0;
        for (index, position) in positions.iter().enumerate() {
            let found = *position as usize;
            if found >= tokens || (index > 0 && found <= earlier) {
                return Err(ModelError::Position { found, earlier, tokens });
            }
            earlier = found;
        }
        Ok(())
    }

    /// Rows of hidden states at these positions.
    fn at(&self, hidden: &Tensor, positions: &[u32]) -> Result<Tensor, TchError> {
        let index: Vec<i64> = positions.iter().map(|position| i64::from(*position)).collect();
        hidden.f_index_select(0, &Tensor::f_from_slice(&index)?.f_to_device(hidden.device())?)
    }

    /// Adds the second pass and the Gram matrices, all positions of a piece at once: `reference` and `second` are their
    /// hidden states, [rows, hidden].
    fn whole(
        &self,
        visited: Vec<Visited>,
        reference: &Tensor,
        second: &Tensor,
    ) -> Result<Vec<Compared>, ModelError> {
        let rows = visited.len();
        let widest = visited.iter().map(|position| position.ids.len()).max().unwrap_or(0);
        let heads = self.heads(&visited, widest)?; // [rows, widest, hidden]
        let hidden = self.model.gemma.config.hidden as f64;
        let grams = numbers(&heads.f_bmm(&heads.f_transpose(1, 2)?)?.f_div_scalar(hidden)?)?;
        let seconds = numbers(&heads.f_bmm(&second.f_unsqueeze(-1)?)?)?; // [rows, widest]
        let square = |states: &Tensor| -> Result<Vec<f64>, ModelError> {
            let squares = states.f_to_kind(Kind::Double)?.f_square()?;
            numbers(&squares.f_sum_dim_intlist([-1i64].as_slice(), false, Kind::Double)?)
        };
        let (differences, references) = (square(&second.f_sub(reference)?)?, square(reference)?);
        let compared = (0..rows).zip(visited).map(|(row, position)| {
            let k = position.ids.len();
            let gram = (0..k).flat_map(|line| &grams[(row * widest + line) * widest..][..k]);
            Compared {
                position: position.position,
                second: position.second(&seconds[row * widest..][..k]),
                gram: gram.map(|value| *value as f32).collect(),
                difference_square: differences[row],
                reference_square: references[row],
                reference: position.reference,
                spread: position.spread,
            }
        });
        Ok(compared.collect())
    }

    /// The head's rows of each position's tokens, token 0 where a position has fewer than the widest.
    fn heads(&self, visited: &[Visited], widest: usize) -> Result<Tensor, ModelError> {
        let padded = |position: &Visited| {
            let missing = widest - position.ids.len();
            let ids = position.ids.iter().map(|id| i64::from(*id));
            ids.chain(std::iter::repeat_n(0, missing)).collect::<Vec<i64>>()
        };
        let index: Vec<i64> = visited.iter().flat_map(padded).collect();
        let gemma = &self.model.gemma;
        let index = Tensor::f_from_slice(&index)?.f_to_device(gemma.device)?;
        let shape = [visited.len() as i64, widest as i64, gemma.config.hidden];
        Ok(gemma.head_rows(&index)?.f_view(shape)?)
    }
}

impl Visited {
    /// Log-probabilities of the second pass from its logits at this position's tokens.
    fn second(&self, logits: &[f64]) -> Vec<f32> {
        let signed = |(id, logit): (&u32, &f64)| {
            let penalised = self.prefix.penalised(*id, *logit as f32);
            (f64::from(penalised) - self.spread.log_normaliser) as f32
        };
        self.ids.iter().zip(logits).map(signed).collect()
    }
}

fn row(own: &Distribution, position: u32, token: u32) -> Row<'_> {
    Row { position, token, surprisals: &own.surprisals, log_probs: &own.log_probs }
}

/// The tensor's values in their order.
fn numbers(tensor: &Tensor) -> Result<Vec<f64>, ModelError> {
    let tensor = tensor.f_to_kind(Kind::Double)?.f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut values = vec![0f64; tensor.numel()];
    tensor.f_copy_data(&mut values, tensor.numel())?;
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(values),
        false => Err(ModelError::NotFinite),
    }
}
