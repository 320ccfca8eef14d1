"""The answers file of docs/traces.md: prompts, header, answers, going on after an interruption."""

import hashlib
import json
import os
import sys
from pathlib import Path


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def read_prompts(path):
    """Pairs (number, text): a prompt's number is its line's, blank lines are counted but are no prompts."""
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    return [(number, line) for number, line in enumerate(lines) if line.strip()]


def header(cell, model, scheme, prompts, max_new):
    """`model` is the SHA-256 of the weights file that defines the model; `prompts` the path of the prompts."""
    return {
        "format": "assay-answers",
        "version": 1,
        "cell": cell,
        "model": model,
        "scheme": scheme,
        "prompts": sha256_of(prompts),
        "seed_tag": "trace-seed",
        "max_new": max_new,
    }


def answer(prompt, prompt_ids, rows):
    return {"prompt": prompt, "prompt_ids": prompt_ids, "tokens": [row["token"] for row in rows], "rows": rows}


def read(path):
    """The header and the answers by prompt; a last line that was cut off is left out."""
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file if line.endswith("\n")]
    if not lines or lines[0].get("format") != "assay-answers" or lines[0].get("version") != 1:
        sys.exit(f"{path} is no answers file of version 1")
    return lines[0], {line["prompt"]: line for line in lines[1:]}


class AnswersFile:
    """Appends answers; an existing file with the same header is gone on with, another header ends the program."""

    def __init__(self, path, header):
        self.path, self.done = Path(path), set()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = self.path.read_bytes() if self.path.exists() else b""
        whole = whole[: whole.rfind(b"\n") + 1]
        if whole:
            found, done = json.loads(whole.split(b"\n", 1)[0]), read(self.path)[1]
            if found != header:
                sys.exit(f"{path} has another header; choose another file or delete it\n  there: {found}\n  now:   {header}")
            self.done = set(done)
            os.truncate(self.path, len(whole))
        self.file = open(self.path, "a", encoding="utf-8")
        if not whole:
            self.line(header)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def line(self, content):
        self.file.write(json.dumps(content, separators=(",", ":")) + "\n")
        self.file.flush()

    def add(self, answer):
        self.line(answer)
        self.done.add(answer["prompt"])
