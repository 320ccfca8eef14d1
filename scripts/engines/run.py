"""What every engine's script shares: options, prompts, drawing, writing, progress."""

import contextlib
import os
import sys
import time
from pathlib import Path

import answers
import hidden
import sampler
import tokenizer

CACHE = Path(os.environ.get("ASSAY_CACHE", Path.home() / ".cache/assay"))
MODEL = Path(os.environ.get("ASSAY_MODEL", CACHE / "models/gemma-3-270m-q4_k_m.gguf"))
HIDDEN = 640


def add_arguments(parser):
    parser.add_argument("--prompts", type=Path, required=True, help="beginnings of texts, one a line")
    parser.add_argument("--out", type=Path, required=True, help="the answers file; one that is there is gone on with")
    parser.add_argument("--hidden", type=Path, help="a directory for the hidden states that the tokens were drawn from")
    parser.add_argument("--count", type=int, help="only the first prompts")
    parser.add_argument("--max-new", type=int, default=64, help="tokens of each answer")
    parser.add_argument("--batch", type=int, default=1, help="answers decoded together")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--scheme", default="bf16_f32", help="the scheme that the answers are to be judged under")
    parser.add_argument("--model", type=Path, default=MODEL, help="the GGUF file that defines the model")


def run(args, engine, device, start):
    """Answers the prompts. `start(prompts)` begins a batch of token ids; it returns an object with

    - `logits()`, [batch, vocabulary] f32: those of the next position,
    - `states()`, [batch, hidden] f32: what the head made them of,
    - `take(tokens)`, which decodes one token of each.
    """
    cell = {"engine": engine, "device": device, "batch": args.batch}
    header = answers.header(cell, answers.sha256_of(args.model), args.scheme, args.prompts, args.max_new)
    encode = tokenizer.encoder(args.model)
    prompts = answers.read_prompts(args.prompts)[: args.count]
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(answers.AnswersFile(args.out, header))
        kept = args.hidden and stack.enter_context(hidden.HiddenStates(args.hidden, header, HIDDEN))
        if kept:
            kept.keep_only(file.done)
        todo = [(number, encode(text)) for number, text in prompts if number not in file.done]
        progress = Progress(len(todo) + len(file.done), len(file.done), args.max_new)
        for at in range(0, len(todo), args.batch):
            chunk = todo[at : at + args.batch]
            rows, states = draw(start([ids for _, ids in chunk]), chunk, args.max_new, kept)
            for place, (number, ids) in enumerate(chunk):
                answer = answers.answer(number, ids, rows[place])
                if kept:
                    kept.add(answer, states[place])
                file.add(answer)
            progress.tell(len(file.done))
    print(f"{args.out}: {len(file.done)} answers")


def draw(running, chunk, max_new, kept):
    """Rows, and hidden states where they are kept, of every prompt of the batch."""
    seeds = [sampler.run_seed(number) for number, _ in chunk]
    rows, states = [[] for _ in chunk], [[] for _ in chunk]
    for position in range(max_new):
        if position > 0:
            running.take([own[-1]["token"] for own in rows])
        logits, now = running.logits(), running.states() if kept else None
        for place, seed in enumerate(seeds):
            rows[place].append(sampler.draw(sampler.surprisals(logits[place]), seed, position))
            if kept:
                states[place].append(now[place].copy())
    return rows, states


class Progress:
    """One line a batch: answers, tokens a second, time left."""

    def __init__(self, total, done, max_new):
        self.total, self.first, self.max_new, self.start = total, done, max_new, time.monotonic()

    def tell(self, done):
        seconds, made = time.monotonic() - self.start, done - self.first
        rate, left = made * self.max_new / seconds, seconds / made * (self.total - done)
        print(f"{done} of {self.total} answers, {rate:.1f} tokens/s, {left / 60:.1f} min left", file=sys.stderr, flush=True)
