#!/usr/bin/env python3
"""Checks, or with --write makes, common/vectors/judge/*.json with a second implementation, written from docs/science.md alone.

Needs numpy, in an environment outside the repository:
    python3 -m venv VENV && VENV/bin/pip install numpy==2.4.6 && VENV/bin/python scripts/peers/judge_from_spec.py
Exit code 0 where every vector agrees within 1e-9. General solvers of numpy stand in for the Cholesky factors and the normal
equations of common/src/judge/, so that agreement says something.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np

VECTORS = Path(__file__).resolve().parents[2] / "common/vectors"
STEP = math.log(2) / 256
LOG_LEAST = -64 * math.log(2)
FEATURES, TERMS = 8, 17


# ---- docs/science.md, section by section ----


def whitened(case):
    """y, rho and x of one position."""
    head = np.frombuffer(bytes.fromhex(case["head"]), np.int8).reshape(len(case["signed"]), -1) / 64.0
    gram = head @ head.T / head.shape[1]
    k = len(gram)
    a = -STEP * np.array(case["signed"], float)
    v = np.maximum(np.array(case["reference"]) / -4096.0, LOG_LEAST)
    u = np.maximum(np.array(case["second"]) / -4096.0, LOG_LEAST)
    p = np.exp(v - v.max())
    p /= p.sum()
    r, delta = (a - v) - p @ (a - v), (u - v) - p @ (u - v)
    centred = np.eye(k) - np.outer(np.ones(k), p)  # E' = (I - 1 p^T) E
    g = centred @ gram @ centred.T
    trace = max(np.trace(g), 0.0)
    g += (1e-3 * trace / k + 1e-12) * np.eye(k)
    rr, rd, dd = r @ np.linalg.solve(g, r), r @ np.linalg.solve(g, delta), delta @ np.linalg.solve(g, delta)
    state = case["state"]
    x = [
        math.log(state["difference_square"] + 1e-6),
        math.log(dd / k + 1e-9),
        state["entropy"],
        state["top_logit"],
        math.log(state["reference_square"] + 1e-6),
        v[0],
        v.mean(),
        math.log(trace + 1e-9),
    ]
    return {"log_square": math.log(rr / k + 1e-9), "direction": rd / math.sqrt(rr * dd + 1e-18), "features": [float(f) for f in x]}


def terms(means, sds, x):
    z = np.clip((np.asarray(x) - means) / sds, -4, 4)
    return np.concatenate([z, z**2, np.ones(z.shape[:-1] + (1,))], axis=-1)


def statistics(scorer, position):
    """s and t of one whitened position."""
    features = scorer["predictor"]["features"]
    means, sds = (np.array([f[name] for f in features]) for name in ("mean", "sd"))
    expected = terms(means, sds, position["features"]) @ np.array(scorer["predictor"]["weights"])
    s = min(max(position["log_square"] - expected, -3.0), 3.0)
    standard = lambda moments, value: (value - moments["mean"]) / moments["sd"]
    t = standard(scorer["magnitude"], s) - 0.5 * standard(scorer["direction"], position["direction"])
    return {"magnitude": float(s), "directed": float(t)}


def fit(y, rho, x):
    """The scorer of honest positions: y [n], rho [n], x [n, 8]."""
    moments = lambda values: {"mean": float(np.mean(values)), "sd": max(float(np.std(values)), 1e-9)}
    features = [moments(column) for column in x.T]
    means, sds = (np.array([f[name] for f in features]) for name in ("mean", "sd"))
    phi = terms(means, sds, x)
    # The penalty as 16 further rows, and a solver that never forms the normal equations.
    penalty = np.sqrt(1e-6 * len(y)) * np.eye(TERMS)[: TERMS - 1]
    solve = lambda values: np.linalg.lstsq(np.vstack([phi, penalty]), np.concatenate([values, np.zeros(TERMS - 1)]), rcond=None)[0]
    first = phi @ solve(y)
    weights = solve(np.clip(y, first - 2, first + 2))
    s = np.clip(y - phi @ weights, -3, 3)
    predictor = {"features": features, "weights": [float(w) for w in weights]}
    return {"predictor": predictor, "magnitude": moments(s), "direction": moments(rho)}


# ---- cases ----


class Numbers:
    """x <- x * 6364136223846793005 + 1442695040888963407 mod 2^64; a number is the upper 32 bits over 2^32."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 32) / 2**32

    def below(self, count):
        return int(self.next() * count)

    def spread(self, width):
        return width * (2 * self.next() - 1)


def positions(seed, count):
    """Honest positions by rule: for each its eight features, then rho, then y."""
    numbers = Numbers(seed)
    y, rho, x = [], [], []
    for _ in range(count):
        features = [numbers.spread(1 + j) - 2 * j for j in range(FEATURES)]
        rho.append(numbers.spread(0.9))
        wild = 9.0 if numbers.below(40) == 0 else 0.0
        y.append(0.6 * features[0] - 0.05 * features[1] ** 2 + 0.3 * features[5] + numbers.spread(0.8) + wild)
        x.append(features)
    return np.array(y), np.array(rho), np.array(x)


def whitening_case(number):
    numbers = Numbers(1_000_003 + number)
    k, width = (2 + numbers.below(43), 32) if number % 3 else (20, 2 ** (3 + number % 4))
    row = lambda: bytes(numbers.below(256) for _ in range(width))
    head = [row() for _ in range(k)]
    if number % 25 == 7:  # tokens whose head rows are nearly one
        head = [head[0][:-1] + bytes([numbers.below(256)]) for _ in range(k)]
    reference = sorted(int(4096 * (0.2 + 9 * numbers.next())) for _ in range(k))
    if number % 25 == 11:  # beyond what a row can say
        reference[-1] = 4096 * 50
    noise = [0.0, 1e-3, 0.03, 0.5, 4.0][number % 5]
    shared = [numbers.spread(noise) for _ in range(k)]
    second = [max(0, round(v + 4096 * (shared[i] + numbers.spread(0.02)))) for i, v in enumerate(reference)]
    if number % 25 == 13:
        second = reference
    part = numbers.next()
    own = lambda i, v: (v / 4096 + part * shared[i] + (1 - part) * numbers.spread(noise)) / STEP
    signed = [min(max(round(own(i, v)), 0), 64 * 256) for i, v in enumerate(reference)]
    state = {
        "difference_square": 0.0 if number % 25 == 13 else round(numbers.next() * 9, 6),
        "reference_square": round(100 + 900 * numbers.next(), 3),
        "entropy": round(6 * numbers.next(), 4),
        "top_logit": round(30 * numbers.next(), 4),
    }
    return {"signed": signed, "reference": reference, "second": second, "head": b"".join(head).hex(), "state": state}


def statistic_case(number):
    numbers = Numbers(2_000_003 + number)
    moments = lambda: {"mean": round(numbers.spread(5), 6), "sd": round(0.05 + 3 * numbers.next(), 6)}
    features = [moments() for _ in range(FEATURES)]
    reach = 9 if number % 10 == 0 else 1.5
    position = {
        "log_square": round(numbers.spread(4), 6),
        "direction": round(numbers.spread(1), 6),
        "features": [round(f["mean"] + f["sd"] * numbers.spread(reach), 6) for f in features],
    }
    weights = [round(numbers.spread(0.25), 6) for _ in range(TERMS)]
    scorer = {"predictor": {"features": features, "weights": weights}, "magnitude": moments(), "direction": moments()}
    return {"scorer": scorer, "position": position}


def fit_case(number):
    return {"seed": 3_000_003 + number, "positions": 340 + 11 * (number % 40)}


FILES = {
    "judge/whitening": (whitening_case, whitened),
    "judge/statistic": (statistic_case, lambda case: statistics(case["scorer"], case["position"])),
    "judge/fit": (fit_case, lambda case: fit(*positions(case["seed"], case["positions"]))),
}
CASES = 210


def differences(found, expected, path=""):
    """Where two outcomes differ by more than 1e-9 of the expected number, or 1e-12."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        return [d for key in expected for d in differences(found[key], expected[key], f"{path}.{key}")]
    if isinstance(expected, list):
        assert len(found) == len(expected), path
        return [d for i, e in enumerate(expected) for d in differences(found[i], e, f"{path}[{i}]")]
    return [] if abs(found - expected) <= 1e-9 * abs(expected) + 1e-12 else [f"{path}: {found} is not {expected}"]


def main():
    write, failed = "--write" in sys.argv[1:], 0
    for name, (make, outcome) in FILES.items():
        path = VECTORS / f"{name}.json"
        if write:
            lines = [json.dumps({"case": case, "outcome": outcome(case)}) for case in map(make, range(CASES))]
            path.write_text("[\n" + ",\n".join(lines) + "\n]\n")
        cases = json.loads(path.read_text())
        for number, case in enumerate(cases):
            for difference in differences(outcome(case["case"]), case["outcome"]):
                failed += 1
                print(f"{name}, case {number}{difference}")
        print(f"{name}: {len(cases)} cases", "written" if write else "compared")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
