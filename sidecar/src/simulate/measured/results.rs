//! What a calibration and measured scores come to under the contract's evidence, as data.

use assay_common::evidence::size_class;
use assay_common::judge::cell::CellSummary;
use serde::Serialize;

use super::detection::Detection;
use super::forfeits::Forfeits;
use super::near_equal::{Deal, NearEqual};
use super::rare::Rare;
use super::scores::{AnswerTokens, Counts, Scores};
use super::sequential::SequentialTest;
use super::shares::{heavier, Means, Shares};
use super::Basis;
use crate::simulate::gain::{loss, Gain};
use crate::simulate::terms::{EvidenceTerms, Terms};

/// One false forfeit in so many runs: often enough to be counted.
const COUNTED_ONE_IN: u64 = 1_000;
/// Shares of its answers that an attack is taken to cheat on.
const CHEATED: [f64; 3] = [1.0, 0.2, 0.05];
/// Inferences in an epoch of the two nodes that the page knows.
pub const VOLUMES: [u32; 2] = [100, 10_000];
/// Shares of its answers that a near-equal model is taken to give.
pub const NEAR_SHARES: [f64; 2] = [1.0, 0.2];
/// Costs of near-equal models, of a million of an honest answer's.
pub const COSTS_PPM: [i64; 3] = [700_000, 800_000, 900_000];
const SHIFTS: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 4.0];
/// Lengths of answers for near-equal models: what the laboratory measures, and full weight.
const LENGTHS: [u32; 3] = [16, 64, 512];

/// How much is simulated.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sizes {
    /// Honest nodes, and the epochs of each.
    pub honest: (u64, u32),
    /// Excursions of each counter.
    pub paths: u64,
    /// Cheats condemned for each figure, and the audits after which one is let go.
    pub careers: u64,
    pub most_audits: i64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { honest: (1_000, 1_000), paths: 100_000, careers: 401, most_audits: 50_000 }
    }
}

/// Honest answers of one length, and how often they forfeit their executor.
#[derive(Clone, Debug, Serialize)]
pub struct HonestRow {
    pub name: String,
    pub tokens: AnswerTokens,
    /// Answers that the shares rest on; none where they are declared or follow from a histogram.
    pub answers: Option<u64>,
    pub shares: Shares,
    /// Whether the promise covers them: no tail is heavier than declared.
    pub covered: bool,
    /// At one in a thousand, counted, and the same by importance sampling.
    pub counted: Forfeits,
    pub sampled: Rare,
    /// At the network's own setting.
    pub rare: Rare,
}

/// A measured attack at one length and one cheated share.
#[derive(Clone, Debug, Serialize)]
pub struct AttackRow {
    pub name: String,
    pub tokens: AnswerTokens,
    pub answers: u64,
    pub fails: f64,
    /// The near-equal model that it looks like, in position standard deviations.
    pub equivalent: f64,
    pub share: f64,
    pub detection: Detection,
    /// What it has gained by then less what the forfeit costs, for each of [`VOLUMES`]; none without a cost, or where the
    /// cheats were let go.
    pub nets: Option<[f64; 2]>,
}

/// A model of a given distance, at one length.
#[derive(Clone, Debug, Serialize)]
pub struct ShiftRow {
    pub tokens: AnswerTokens,
    pub shift: f64,
    pub fails: f64,
    pub detection: Detection,
    /// For each of [`COSTS_PPM`] and each of [`VOLUMES`].
    pub nets: [[f64; 2]; 3],
}

/// Where a near-equal model ceases to pay.
#[derive(Clone, Debug, Serialize)]
pub struct BoundaryRow {
    pub tokens: AnswerTokens,
    pub deal: Deal,
    /// It pays if it is condemned later.
    pub audits: f64,
    pub shift: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Results {
    pub sizes: Sizes,
    pub honest: Vec<HonestRow>,
    pub attacks: Vec<AttackRow>,
    pub shifts: Vec<ShiftRow>,
    pub boundaries: Vec<BoundaryRow>,
}

impl Results {
    pub fn of(basis: &Basis, terms: &Terms, sizes: Sizes, seed: u64) -> Self {
        let trial = Trial { basis, terms, sizes, seed };
        Self {
            sizes,
            honest: trial.honest(),
            attacks: trial.attacks(),
            shifts: LENGTHS.iter().flat_map(|tokens| trial.shifts(AnswerTokens(*tokens))).collect(),
            boundaries: LENGTHS.iter().flat_map(|tokens| trial.boundaries(AnswerTokens(*tokens))).collect(),
        }
    }
}

/// What every part of the results is computed from.
struct Trial<'a> {
    basis: &'a Basis,
    terms: &'a Terms,
    sizes: Sizes,
    seed: u64,
}

impl Trial<'_> {
    fn honest(&self) -> Vec<HonestRow> {
        let full = AnswerTokens(self.terms.evidence.full_weight_tokens);
        let (worst, shares) = self.worst_histogram(full);
        let mut rows = vec![
            self.honest_row("the declared worst", full, None, self.declared(full)),
            self.honest_row(&worst, full, None, shares),
        ];
        for tokens in self.basis.scores.iter().flat_map(Scores::honest_lengths) {
            if let Some((name, counts)) = self.worst_counted(tokens) {
                rows.push(self.honest_row(name, tokens, Some(counts.answers), Shares::counted(counts)));
            }
        }
        rows
    }

    fn honest_row(
        &self,
        name: &str,
        tokens: AnswerTokens,
        answers: Option<u64>,
        shares: Shares,
    ) -> HonestRow {
        let test = SequentialTest::new(&self.basis.calibration, &self.terms.evidence, tokens);
        let often = EvidenceTerms { false_forfeit_one_in: COUNTED_ONE_IN, ..self.terms.evidence };
        let often = SequentialTest::new(&self.basis.calibration, &often, tokens);
        HonestRow {
            name: name.to_owned(),
            tokens,
            answers,
            covered: shares.is_within(&self.declared(tokens)),
            counted: Forfeits::count(&often, &shares, self.sizes.honest, self.seed),
            sampled: Rare::estimate(&often, &shares, self.sizes.paths, self.seed),
            rare: Rare::estimate(&test, &shares, self.sizes.paths, self.seed),
            shares,
        }
    }

    /// The worst honest spread at a length, as the chain has it.
    fn declared(&self, tokens: AnswerTokens) -> Shares {
        let classes = &self.basis.calibration.bins;
        let class = usize::from(size_class(tokens.0));
        Shares::declared(classes.get(class).unwrap_or(&classes[0]))
    }

    /// The certified cell whose histogram gives the heaviest tail.
    fn worst_histogram(&self, tokens: AnswerTokens) -> (String, Shares) {
        let calibration = &self.basis.calibration;
        let shares = |cell: &CellSummary| {
            (cell.cell.setting.clone(), Means::of(cell, tokens.0).shares(calibration, 0.0))
        };
        let worst = calibration.cells.iter().map(shares).max_by(|a, b| heavier(&a.1, &b.1));
        worst.unwrap_or_else(|| (String::new(), self.declared(tokens)))
    }

    /// The measured cell with the heaviest tail.
    fn worst_counted(&self, tokens: AnswerTokens) -> Option<(&str, &Counts)> {
        let cells = self.basis.scores.iter().flat_map(|scores| &scores.cells);
        let measured = cells.filter_map(|(name, lengths)| Some((name.as_str(), lengths.get(&tokens)?)));
        measured.max_by(|a, b| heavier(&Shares::counted(a.1), &Shares::counted(b.1)))
    }

    fn attacks(&self) -> Vec<AttackRow> {
        let attacks = self.basis.scores.iter().flat_map(|scores| &scores.attacks);
        let measured = attacks.flat_map(|(name, attack)| {
            attack.lengths.iter().map(move |(tokens, counts)| (name, attack.cost, *tokens, counts))
        });
        let mut rows = Vec::new();
        for (name, cost, tokens, counts) in measured {
            let near = NearEqual::new(&self.basis.calibration, self.terms, tokens);
            let equivalent = near.equivalent(counts);
            for share in CHEATED {
                let detection = self.detection(tokens, counts, share);
                rows.push(AttackRow {
                    name: name.clone(),
                    tokens,
                    answers: counts.answers,
                    fails: Shares::counted(counts).fails(),
                    equivalent,
                    share,
                    detection,
                    nets: cost
                        .filter(|_| detection.condemns())
                        .map(|cost| self.nets(cost, share, &detection)),
                });
            }
        }
        rows
    }

    /// How soon a cheat on this share of its answers is condemned, its others those of the worst honest cell.
    fn detection(&self, tokens: AnswerTokens, cheat: &Counts, share: f64) -> Detection {
        let counted = self.worst_counted(tokens).map(|(_, counts)| Shares::counted(counts));
        let honest = counted.unwrap_or_else(|| self.worst_histogram(tokens).1);
        let test = SequentialTest::new(&self.basis.calibration, &self.terms.evidence, tokens);
        let mixed = Shares::counted(cheat).mixed(share, &honest);
        Detection::of(&test, &mixed, (self.sizes.careers, self.sizes.most_audits), self.seed)
    }

    fn nets(&self, cost: f64, share: f64, detection: &Detection) -> [f64; 2] {
        let mut terms = self.terms.clone();
        terms.prices.cheat_generation = (cost * terms.prices.generation as f64).round() as i64;
        let gain = Gain::until(&terms, share, detection.median).gain;
        VOLUMES.map(|volume| gain - loss(&terms, volume))
    }

    fn shifts(&self, tokens: AnswerTokens) -> Vec<ShiftRow> {
        let near = NearEqual::new(&self.basis.calibration, self.terms, tokens);
        let row = |shift: f64| {
            let detection = near.detection((shift, 1.0), self.sizes.most_audits, self.seed);
            let audits = detection.median.value as f64;
            let deals = |cost_ppm| VOLUMES.map(|volume| Deal { cost_ppm, volume, share: 1.0 });
            let nets = |cost_ppm| deals(cost_ppm).map(|deal| deal.net(self.terms, audits));
            let fails = near.shares(shift).fails();
            ShiftRow { tokens, shift, fails, detection, nets: COSTS_PPM.map(nets) }
        };
        SHIFTS.map(row).into()
    }

    fn boundaries(&self, tokens: AnswerTokens) -> Vec<BoundaryRow> {
        let near = NearEqual::new(&self.basis.calibration, self.terms, tokens);
        let row = |deal: Deal| BoundaryRow {
            tokens,
            deal,
            audits: deal.breaks_even(self.terms),
            shift: near.boundary(deal, self.seed),
        };
        deals().map(row).collect()
    }
}

/// By cost, then by volume, then by share.
fn deals() -> impl Iterator<Item = Deal> {
    let volumes = || VOLUMES.into_iter().flat_map(|volume| NEAR_SHARES.map(|share| (volume, share)));
    let of_cost = move |cost_ppm| volumes().map(move |(volume, share)| Deal { cost_ppm, volume, share });
    COSTS_PPM.into_iter().flat_map(of_cost)
}
