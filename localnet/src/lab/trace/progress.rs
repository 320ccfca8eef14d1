//! Progress on standard error: rate and remaining time, at most every ten seconds.

use std::time::{Duration, Instant};

use super::header::Header;

const EVERY: Duration = Duration::from_secs(10);

pub struct Progress {
    name: String,
    began: Instant,
    said: Instant,
    todo: usize,
    answers: usize,
    tokens: u64,
}

impl Progress {
    pub fn new(header: &Header, todo: usize, all: usize) -> Self {
        let name = format!("{} {} {}", header.spec.scheme, header.name, header.split.name());
        eprintln!("{name}: {todo} of {all} answers to go");
        let now = Instant::now();
        Self { name, began: now, said: now, todo, answers: 0, tokens: 0 }
    }

    pub fn answered(&mut self, tokens: u32) {
        self.answers += 1;
        self.tokens += u64::from(tokens);
        if self.said.elapsed() >= EVERY {
            self.said = Instant::now();
            let left = self.todo.saturating_sub(self.answers) as f64 / self.answers.max(1) as f64;
            let seconds = self.began.elapsed().as_secs_f64();
            let rate = self.tokens as f64 / seconds;
            eprintln!(
                "{}: {}/{}, {rate:.1} tokens/s, {:.0} s left",
                self.name,
                self.answers,
                self.todo,
                left * seconds
            );
        }
    }

    pub fn end(&self) {
        let Self { name, answers, tokens, began, .. } = self;
        eprintln!("{name}: {answers} answers, {tokens} tokens in {:.0} s", began.elapsed().as_secs_f64());
    }
}
