"""The integer sampler of docs/sampler.md over whole vocabularies, in numpy: the same numbers as scripts/peers/sampler_from_spec.py.

Plain Python takes seconds for one draw from 262,144 candidates; this takes milliseconds, so that an engine can decode with it. Only
temperature 1 without filters or penalties is drawn here: what docs/traces.md asks for.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers"))
import sampler_from_spec as spec  # noqa: E402

OPEN = {
    "temperature_milli": 1000,
    "top_k": 0,
    "top_p_ppm": 1_000_000,
    "min_p_ppm": 0,
    "penalties": {"repetition_milli": 1000, "frequency_milli": 0, "presence_milli": 0},
}
CAP, CANDIDATES, LISTED, BEST = 16_384, 4096, 20, 4
STEPS_PER_NAT = np.float32(256 / np.log(2))
LOG2, TAIL = (np.array(spec.TABLES[name], np.int64) for name in ("log2", "tail"))
SIGMA = np.frombuffer(b"expand 32-byte k", "<u4")


def run_seed(prompt):
    """The seed of the answer to the prompt of this number (docs/traces.md)."""
    return spec.tagged("trace-seed", spec.u64(prompt))


def surprisals(logits):
    """[vocabulary] f32 logits → surprisals in 1/256 bit, int32."""
    logits = np.ascontiguousarray(logits, np.float32)
    if not np.isfinite(logits).all():
        raise ValueError("a logit is not finite")
    below = logits - logits.max()
    log_probs = below - np.log(np.exp(below).sum(dtype=np.float32))
    return np.clip(np.rint(log_probs * -STEPS_PER_NAT), 0, CAP).astype(np.int32)


def draw(all_surprisals, seed, position):
    """[vocabulary] surprisals → the row of docs/traces.md: token, cut and entries."""
    ordered = first_candidates(all_surprisals)
    noises = noise(words(seed, position, ordered[:, 1]))
    scores = 1000 * noises - 1000 * (ordered[:, 0] << 16)
    best = ordered[np.lexsort((ordered[:, 1], -scores))[:BEST]]
    entries = sorted(set(map(tuple, ordered[:LISTED].tolist())) | set(map(tuple, best.tolist())))
    by_id = lambda candidate: [int(candidate[1]), int(candidate[0])]
    return {"token": int(best[0][1]), "cut": by_id(ordered[-1]), "entries": [by_id(entry) for entry in entries]}


def first_candidates(all_surprisals):
    """The first 4,096 candidates, or all, in order: int64 pairs (surprisal, id)."""
    capped = np.minimum(all_surprisals, CAP)
    # A histogram says up to which surprisal 4,096 candidates lie: far fewer are then sorted.
    upto = np.bincount(capped).cumsum().searchsorted(min(CANDIDATES, len(capped)))
    ids = np.flatnonzero(capped <= upto)
    order = np.argsort(capped[ids], kind="stable")[:CANDIDATES]
    return np.stack([capped[ids[order]], ids[order]], axis=1).astype(np.int64)


# ---- noise ----


def words(seed, position, ids):
    """The 64-bit words of these token ids, uint64."""
    ids = np.asarray(ids, np.int64)
    counters, place = np.unique(ids // 8, return_inverse=True)
    block = chacha20_blocks(seed, counters, position)
    low = 2 * (ids % 8)
    return block[low, place].astype(np.uint64) + (block[low + 1, place].astype(np.uint64) << np.uint64(32))


def chacha20_blocks(seed, counters, nonce):
    """[16, counters] uint32: the blocks of 16 words."""
    state = np.empty((16, len(counters)), np.uint32)
    state[:4] = SIGMA[:, None]
    state[4:12] = np.frombuffer(seed, "<u4")[:, None]
    state[12], state[13] = counters & 0xFFFF_FFFF, counters >> 32
    state[14], state[15] = nonce & 0xFFFF_FFFF, nonce >> 32
    rows = [state[i : i + 4].copy() for i in (0, 4, 8, 12)]
    for _ in range(10):
        quarter_rounds(rows)
        rows[1:] = [np.roll(row, -turn, axis=0) for turn, row in zip((1, 2, 3), rows[1:])]
        quarter_rounds(rows)
        rows[1:] = [np.roll(row, turn, axis=0) for turn, row in zip((1, 2, 3), rows[1:])]
    return np.concatenate(rows) + state


def quarter_rounds(rows):
    """Four quarter rounds, one a column, in place."""
    for x, y, z, turn in ((0, 1, 3, 16), (2, 3, 1, 12), (0, 1, 3, 8), (2, 3, 1, 7)):
        rows[x] += rows[y]
        rows[z] ^= rows[x]
        rows[z] = (rows[z] << np.uint32(turn)) | (rows[z] >> np.uint32(32 - turn))


def noise(word):
    """uint64 words → noise in Q24, int64."""
    one = np.uint64(1)
    high = word >= np.uint64(1 << 63)
    v = np.where(high, ((~word) << one) + one, one)
    x = ((v >> np.uint64(26)) & np.uint64(0xFFFF_FFFF)).astype(np.int64)
    upper = (65 << 36) - log2(v) - cubic(TAIL[(v >> np.uint64(58)).astype(np.int64)], x)
    u = np.where(high, one, (word << one) + one)
    lower = (36 << 36) - log2(((65 << 36) - log2(u)).astype(np.uint64))
    return (np.where(high, upper, lower) + (1 << 11)) >> 12


def log2(x):
    """uint64 above 0 → log2 in Q36, int64."""
    m, zeros = x.copy(), np.zeros(len(x), np.int64)
    for step in (32, 16, 8, 4, 2, 1):
        short = m < np.uint64(1 << (64 - step))
        m = np.where(short, m << np.uint64(step), m)
        zeros += np.where(short, step, 0)
    row = (m >> np.uint64(57)).astype(np.int64) % 64
    fraction = ((m >> np.uint64(25)) & np.uint64(0xFFFF_FFFF)).astype(np.int64)
    return ((63 - zeros) << 36) + cubic(LOG2[row], fraction)


def cubic(c, x):
    """[n, 4] coefficients, [n] arguments in Q32; every product fits 63 bits, as in the specification."""
    a = (c[:, 3] * x >> 32) + c[:, 2]
    b = (a * x >> 32) + c[:, 1]
    return (b * x >> 32) + c[:, 0]
