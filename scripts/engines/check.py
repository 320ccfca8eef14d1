"""Checks what scripts/engines shares, with numpy alone: the vectorised sampler against docs/sampler.md's second implementation,
and the files of docs/traces.md. Exit code 0 where all holds.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import answers
import hidden
import sampler
from sampler import spec

HEADER = {"cell": {"engine": "synthetic", "device": "none", "batch": 1}, "model": "00" * 32, "scheme": "bf16_f32"}


def vectors(name):
    return json.loads((spec.VECTORS / f"{name}.json").read_text())


def logits(vocabulary, seed):
    """Like a language model's: a few tokens far above a wide normal bulk."""
    random = np.random.default_rng(seed)
    values = random.normal(0, 2, vocabulary)
    values[random.integers(0, vocabulary, 30)] += random.exponential(6, 30)
    return values.astype(np.float32)


def words_and_noise_are_those_of_the_vectors():
    for case in vectors("word"):
        given = case["given"]
        found = sampler.words(spec.raw(given["run_seed"]), given["position"], [given["token"]])
        assert str(found[0]) == case["expected"], given
    cases = vectors("noise")
    found = sampler.noise(np.array([int(case["given"]["word"]) for case in cases], np.uint64))
    assert [str(number) for number in found] == [case["expected"] for case in cases]


def logarithm_is_that_of_the_vectors():
    cases = vectors("log2")
    found = sampler.log2(np.array([int(case["given"]["x"]) for case in cases], np.uint64))
    assert [str(number) for number in found] == [case["expected"] for case in cases]


def sampling_vectors_without_filters_are_met():
    count = 0
    for case in vectors("sampling"):
        given = case["given"]
        if given["sampling"] == sampler.OPEN:
            row = sampler.draw(np.array(given["surprisals"]), spec.raw(given["run_seed"]), given["position"])
            assert row["token"] == case["expected"]["token"]
            assert leaf(row, given["position"]).hex() == case["expected"]["leaf"]
            count += 1
    assert count > 0


def leaf(row, position):
    """The bytes that an executor would sign."""
    by_surprisal = lambda pair: (pair[1], pair[0])
    return spec.leaf_bytes(position, row["token"], by_surprisal(row["cut"]), list(map(by_surprisal, row["entries"])))


def rows_are_those_of_plain_python_and_replay():
    for position, vocabulary in enumerate((5, 20, 300, 5000, 5000, 262_144)):
        seed = sampler.run_seed(position)
        numbers = sampler.surprisals(logits(vocabulary, position))
        row = sampler.draw(numbers, seed, position)
        token, expected = spec.draw_token(numbers.tolist(), sampler.OPEN, seed, position)
        assert (row["token"], leaf(row, position)) == (token, expected), f"vocabulary {vocabulary}"
        assert spec.replay(expected, position, vocabulary, sampler.OPEN, seed) == "matches"
        spec.BLOCKS.clear()


def hundred_rows_of_a_whole_vocabulary_replay_and_a_changed_token_does_not():
    seed, other = sampler.run_seed(7), 0
    for position in range(100):
        row = sampler.draw(sampler.surprisals(logits(262_144, 1000 + position)), seed, position)
        assert spec.replay(leaf(row, position), position, 262_144, sampler.OPEN, seed) == "matches", position
        row["token"] = next(id for id, _ in row["entries"] if id != row["token"])
        other += spec.replay(leaf(row, position), position, 262_144, sampler.OPEN, seed).startswith("differs")
    assert other == 100


def surprisals_are_rounded_bits():
    values = logits(4000, 3)
    exact = values.astype(np.float64)
    exact = -(exact - exact.max() - np.log(np.exp(exact - exact.max()).sum())) / np.log(2) * 256
    found = sampler.surprisals(values)
    assert np.abs(found - exact).max() < 0.51
    assert sampler.surprisals(np.array([200, 0, 0], np.float32)).tolist() == [0, 16_384, 16_384]


def answers_and_hidden_states_go_on_after_an_interruption():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        prompts = folder / "prompts.txt"
        prompts.write_text("one\n\ntwo\n")
        assert answers.read_prompts(prompts) == [(0, "one"), (2, "two")]
        header = answers.header(prompts=prompts, max_new=2, **HEADER)
        row = sampler.draw(sampler.surprisals(logits(100, 0)), sampler.run_seed(0), 0)
        one, two = (answers.answer(prompt, [2, 5], [row, row]) for prompt in (0, 2))
        states = [np.full((2, 8), number, np.float32) for number in (1, 2)]
        with answers.AnswersFile(folder / "a.jsonl", header) as file, hidden.HiddenStates(folder / "h", header, 8) as kept:
            kept.keep_only(file.done)
            kept.add(one, states[0])
            file.add(one)
            kept.add(two, states[1])  # its answer's line is cut off
        with open(folder / "a.jsonl", "a") as file:
            file.write(json.dumps(two)[:20])
        with answers.AnswersFile(folder / "a.jsonl", header) as file, hidden.HiddenStates(folder / "h", header, 8) as kept:
            assert file.done == {0}
            kept.keep_only(file.done)
            kept.add(two, states[1])
            file.add(two)
        assert answers.read(folder / "a.jsonl") == (header, {0: one, 2: two})
        read = hidden.read(folder / "h", "executor")
        assert [(answer["prompt"], values[0, 0]) for answer, values in read.answers()] == [(0, 1), (2, 2)]
        try:
            answers.AnswersFile(folder / "a.jsonl", {**header, "max_new": 3})
            raise AssertionError("another header was taken")
        except SystemExit:
            pass


CHECKS = [
    words_and_noise_are_those_of_the_vectors,
    logarithm_is_that_of_the_vectors,
    sampling_vectors_without_filters_are_met,
    surprisals_are_rounded_bits,
    rows_are_those_of_plain_python_and_replay,
    hundred_rows_of_a_whole_vocabulary_replay_and_a_changed_token_does_not,
    answers_and_hidden_states_go_on_after_an_interruption,
]


def main():
    for check in CHECKS:
        start = time.monotonic()
        check()
        print(f"{check.__name__.replace('_', ' ')}: {time.monotonic() - start:.1f} s")
    print(f"{len(CHECKS)} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
