//! The figures of a scheme: those of the articles, and what the statistics detect.

mod articles;
mod chart;
mod cost;
mod honest;
mod power;

use std::path::Path;

use anyhow::Result;

use super::collect::Traces;
use super::results::Results;
use super::scheme::Evaluated;

/// What figures are drawn from.
pub struct Drawn<'a> {
    pub scheme: &'a str,
    pub traces: &'a Traces,
    pub evaluated: &'a Evaluated,
    pub results: &'a Results,
}

/// A figure that was drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// In the output directory.
    pub file: String,
    pub caption: String,
}

type Draw = fn(&Drawn<'_>, &Path) -> Result<bool>;

/// Name, caption, and how it is drawn; false where the traces do not have what it needs.
const FIGURES: [(&str, &str, Draw); 12] = [
    ("counts", "Answers that passed and failed, by executor", articles::counts),
    (
        "distance",
        "The articles' distance by length of the answer: mean of the first tokens",
        articles::distance,
    ),
    ("perplexity-prefill", "The articles' perplexity u of honest and pre-filled answers", articles::prefill),
    ("perplexity-near", "A near model: u does not tell it from honest answers", articles::near_perplexity),
    ("near", "The same answers by the judge's statistic", articles::near_statistic),
    (
        "power",
        "Share of blocks detected at a rate of false alarms of 1e-3, by tokens of a block",
        power::by_tokens,
    ),
    ("roc-1", "Detection over false alarms, single tokens", power::roc_1),
    ("roc-8", "Detection over false alarms, blocks of 8 tokens", power::roc_8),
    ("tokens", "Tokens to detect at 1e-6: median and 95 % of runs", power::tokens),
    (
        "cells",
        "Honest cells: mean of the statistic and three standard deviations of answers' means",
        honest::cells,
    ),
    ("noise", "Noise on hidden states: the statistic's mean and what is detected", honest::noise),
    ("bytes", "What a token costs in bytes and what it detects", cost::bytes),
];

/// Draws what there are traces for into the directory.
///
/// # Errors
/// A file cannot be written.
pub fn draw(drawn: &Drawn<'_>, out: &Path) -> Result<Vec<Figure>> {
    let mut figures = Vec::with_capacity(FIGURES.len());
    for (name, caption, draw) in FIGURES {
        let file = format!("{}-{name}.svg", drawn.scheme);
        if draw(drawn, &out.join(&file))? {
            figures.push(Figure { file, caption: caption.to_owned() });
        }
    }
    Ok(figures)
}
