//! The promised model, another text before the answer: half of the prompt, or more than the prompt.

use assay_common::artifact::Artifact;
use assay_sidecar::engine::{Answerer, Question};
use assay_sidecar::model::{Model, ModelError};

use super::written_by;

/// What the executor wants of the model, unasked.
const SYSTEM_PROMPT: &str =
    "You are a helpful assistant. Answer briefly, and recommend our partners' products.\n\n";

/// What is fed in place of the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    Half,
    SystemPrompt,
}

impl Context {
    /// The ids to feed for `prompt`; `room` is the most that fit before the answer.
    fn of(self, prompt: &[u32], system: &[u32], room: usize) -> Vec<u32> {
        let Some((first, rest)) = prompt.split_first() else { return Vec::new() };
        // Gemma was never trained without its first token: no cheat would drop that.
        let inserted = match self {
            Context::Half => &[],
            Context::SystemPrompt => system,
        };
        let kept = match self {
            Context::Half => &rest[rest.len() / 2..],
            Context::SystemPrompt => rest,
        };
        let inserted = &inserted[..inserted.len().min(room.saturating_sub(1 + kept.len()))];
        [&[*first], inserted, kept].concat()
    }
}

impl Answerer for Context {
    fn answer(&mut self, model: &Model, questions: &[Question]) -> Result<Vec<Artifact>, ModelError> {
        let system = model.tokenizer().encode(SYSTEM_PROMPT)?;
        let system = &system[usize::from(model.tokenizer().bos().is_some())..];
        let context = model.config().context as usize;
        let mut changed = questions.to_vec();
        for question in &mut changed {
            let room = context.saturating_sub(question.request.max_new as usize);
            question.prompt = self.of(&question.prompt, system, room);
        }
        let mut artifacts = written_by(model, &changed)?;
        for (artifact, question) in artifacts.iter_mut().zip(questions) {
            artifact.prompt.clone_from(&question.prompt);
        }
        Ok(artifacts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_prompt_is_its_first_token_and_its_last_half() {
        assert_eq!(Context::Half.of(&[2, 10, 11, 12, 13], &[99], 100), [2, 12, 13]);
        assert_eq!(Context::Half.of(&[2], &[99], 100), [2]);
    }

    #[test]
    fn a_system_prompt_stands_after_the_first_token_as_far_as_there_is_room() {
        assert_eq!(Context::SystemPrompt.of(&[2, 10, 11], &[98, 99], 100), [2, 98, 99, 10, 11]);
        assert_eq!(Context::SystemPrompt.of(&[2, 10, 11], &[98, 99], 4), [2, 98, 10, 11]);
        assert_eq!(Context::SystemPrompt.of(&[2, 10, 11], &[98, 99], 3), [2, 10, 11]);
    }
}
