"""Hidden states of docs/traces.md: a directory with index.json and raw little-endian f32."""

import json
import os
import sys
from pathlib import Path

import numpy as np

COPIED = ("model", "cell", "prompts", "max_new")


class HiddenStates:
    """Appends states answer by answer; `name` is `executor` or `verifier`."""

    def __init__(self, path, header, hidden, name="executor"):
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        fresh = {"format": "assay-hidden", "version": 1, "hidden": hidden, **{name: header[name] for name in COPIED}}
        self.index = {**fresh, "answers": []}
        if (self.path / "index.json").exists():
            self.index = json.loads((self.path / "index.json").read_text())
            if {**self.index, "answers": []} != {**fresh, "answers": []}:
                sys.exit(f"{path} holds hidden states of another run; choose another directory or delete it")
        self.file = open(self.path / f"{name}.f32", "ab")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def keep_only(self, done):
        """Drops the states, at the end, whose answers were not written whole: states are written first."""
        answers = self.index["answers"]
        while answers and answers[-1]["prompt"] not in done:
            answers.pop()
        if {answer["prompt"] for answer in answers} != set(done):
            sys.exit(f"{self.path} and the answers file hold different answers; delete both")
        self.file.truncate(self.rows() * self.index["hidden"] * 4)
        self.write_index()

    def rows(self):
        last = self.index["answers"][-1:]
        return last[0]["first_row"] + len(last[0]["tokens"]) if last else 0

    def add(self, answer, states):
        """`states`: [tokens, hidden]."""
        states = np.asarray(states, "<f4")
        if states.shape != (len(answer["tokens"]), self.index["hidden"]):
            raise ValueError(f"states of shape {states.shape} for {len(answer['tokens'])} tokens")
        entry = {name: answer[name] for name in ("prompt", "prompt_ids", "tokens")}
        self.index["answers"].append({**entry, "first_row": self.rows()})
        self.file.write(states.tobytes())
        self.file.flush()
        self.write_index()

    def write_index(self):
        new = self.path / "index.json.new"
        new.write_text(json.dumps(self.index, separators=(",", ":")) + "\n")
        os.replace(new, self.path / "index.json")


class Read:
    """`states` [rows, hidden] f32 of one run, with their index."""

    def __init__(self, index, states):
        self.index, self.states = index, states

    def answers(self):
        """Pairs of an answer's entry and its states [tokens, hidden], in the order of the prompts."""
        for answer in sorted(self.index["answers"], key=lambda answer: answer["prompt"]):
            first = answer["first_row"]
            yield answer, self.states[first : first + len(answer["tokens"])]


def read(path, name):
    """`name` is `executor` or `verifier`."""
    path = Path(path)
    index = json.loads((path / "index.json").read_text())
    if index.get("format") != "assay-hidden" or index.get("version") != 1:
        sys.exit(f"{path} holds no hidden states of version 1")
    states = np.fromfile(path / f"{name}.f32", "<f4").reshape(-1, index["hidden"])
    rows = sum(len(answer["tokens"]) for answer in index["answers"])
    if len(states) != rows:
        sys.exit(f"{path}/{name}.f32 has {len(states)} rows, its index {rows}")
    return Read(index, states)


def pairs(executor, verifier):
    """Answers that both have: (entry, executor's states, verifier's states)."""
    checked = {answer["prompt"]: (answer, states) for answer, states in verifier.answers()}
    for answer, states in executor.answers():
        if answer["prompt"] in checked:
            other, reference = checked[answer["prompt"]]
            if (answer["tokens"], answer["prompt_ids"]) != (other["tokens"], other["prompt_ids"]):
                sys.exit(f"prompt {answer['prompt']}: the two runs have different tokens")
            yield answer, states, reference
