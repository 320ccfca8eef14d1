//! What each statistic says of answers: ours, and those of others that look at the same rows.

use assay_common::judge::statistic::{judged, Scorer, Statistic};

use super::super::trace::file::Trace;
use super::super::trace::record::Record;

/// One statistic's values of one executor's answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Of each answer.
    pub prompts: Vec<u64>,
    /// [answer][value], in the order of the positions.
    pub answers: Vec<Vec<f64>>,
}

/// A statistic of single positions whose mean over a block is looked at; larger is more suspicious.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// The judge's: s or t, by scheme.
    Judge(Statistic),
    /// Whether s is beyond 2.
    Far,
    /// The articles' normalised distance of probabilities.
    Articles,
    /// Gonka's relative distance of log-probabilities.
    Gonka,
    /// Nats by which the token is more surprising than its distribution expects.
    Surprisal,
    /// Whether the row does not give its token: a proof.
    Replay,
    /// Nats by which another token beats the emitted one under the seed's noise.
    Margin,
}

impl Looked {
    pub fn all(statistic: Statistic) -> [Self; 7] {
        use Looked::{Articles, Far, Gonka, Judge, Margin, Replay, Surprisal};
        [Judge(statistic), Far, Articles, Gonka, Surprisal, Replay, Margin]
    }

    pub fn name(self) -> &'static str {
        match self {
            Looked::Judge(Statistic::Magnitude) => "s",
            Looked::Judge(Statistic::Directed) => "t",
            Looked::Far => "far",
            Looked::Articles => "articles",
            Looked::Gonka => "gonka",
            Looked::Surprisal => "surprisal",
            Looked::Replay => "replay",
            Looked::Margin => "margin",
        }
    }

    /// Its values of an answer; distances leave out position 0, whose row may come from a prefill.
    pub fn values(self, record: &Record, scorer: &Scorer) -> Vec<f64> {
        let wide = |column: &[f32]| column.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
        match self {
            Looked::Judge(statistic) => {
                let whitened = record.measurement().whitened;
                judged(&whitened).iter().map(|position| scorer.value(statistic, position)).collect()
            }
            Looked::Far => {
                let whitened = record.measurement().whitened;
                whitened.iter().map(|position| f64::from(u8::from(scorer.is_far(position)))).collect()
            }
            Looked::Articles => judged(&wide(&record.distance)).to_vec(),
            Looked::Gonka => judged(&wide(&record.relative)).to_vec(),
            Looked::Surprisal => {
                let [surprisal, entropy, _] = &record.surprise;
                surprisal
                    .iter()
                    .zip(entropy)
                    .map(|(own, expected)| f64::from(*own) - f64::from(*expected))
                    .collect()
            }
            Looked::Replay => {
                (0..record.tokens).map(|at| f64::from(u8::from(record.mismatches.contains(&at)))).collect()
            }
            Looked::Margin => wide(&record.margin),
        }
    }

    pub fn sample(self, trace: &Trace, scorer: &Scorer) -> Sample {
        let answers = trace.records.values().map(|record| self.values(record, scorer)).collect();
        Sample { prompts: trace.records.keys().copied().collect(), answers }
    }
}

impl Sample {
    /// Means of contiguous blocks of so many values, none across two answers.
    pub fn blocks(&self, values: usize) -> Vec<f64> {
        assay_common::judge::cell::block_means(&self.answers, values)
    }

    /// The answers to these prompts, each as often as it is named.
    pub fn drawn(&self, prompts: &[u64]) -> Sample {
        let at = |prompt: &u64| self.prompts.iter().position(|own| own == prompt);
        let answers = prompts.iter().filter_map(at).map(|at| self.answers[at].clone());
        Sample { prompts: prompts.to_vec(), answers: answers.collect() }
    }

    pub fn values(&self) -> usize {
        self.answers.iter().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::super::trace::example;
    use super::*;

    #[test]
    fn distances_leave_out_the_first_position_and_proofs_count_it() {
        let mut record = example::record(1, 6);
        record.mismatches = vec![0, 4];
        let whitened: Vec<_> =
            (0..40).flat_map(|prompt| example::record(prompt, 12).measurement().whitened).collect();
        let scorer = assay_common::judge::fit::fit(&whitened).unwrap();
        let values = |looked: Looked| looked.values(&record, &scorer);
        assert_eq!(
            values(Looked::Articles),
            record.distance[1..].iter().map(|d| f64::from(*d)).collect::<Vec<_>>()
        );
        assert_eq!(values(Looked::Replay), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(values(Looked::Judge(Statistic::Magnitude)).len(), 5);
        assert_eq!(values(Looked::Far).len(), 6);
        let expected = f64::from(record.surprise[0][2]) - f64::from(record.surprise[1][2]);
        assert_eq!(values(Looked::Surprisal)[2], expected);
    }

    #[test]
    fn a_resample_has_an_answer_as_often_as_its_prompt_was_drawn() {
        let sample = Sample { prompts: vec![3, 5], answers: vec![vec![1.0, 3.0], vec![5.0]] };
        assert_eq!(sample.drawn(&[5, 3, 5, 9]).answers, [vec![5.0], vec![1.0, 3.0], vec![5.0]]);
        assert_eq!((sample.blocks(2), sample.values()), (vec![2.0], 3));
    }
}
