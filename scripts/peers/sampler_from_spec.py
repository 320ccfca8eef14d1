#!/usr/bin/env python3
"""Checks the sampler's files in common/vectors with a second implementation, written from docs/sampler.md alone.

Plain Python 3, no package: integers, hashlib, and decimal for the tables. Exit code 0 where every vector agrees.
`hashes_from_spec.py` checks the other files.
"""

import hashlib
import json
import sys
from decimal import Decimal, getcontext
from pathlib import Path

VECTORS = Path(__file__).resolve().parents[2] / "common/vectors"
TABLES = json.loads((VECTORS / "tables.json").read_text())
Q32, MILLION = 1 << 32, 1_000_000


# ---- encoding and hashes ----


def u32(number):
    return number.to_bytes(4, "little")


def i32(number):
    return number.to_bytes(4, "little", signed=True)


def u64(number):
    return int(number).to_bytes(8, "little")


def string(text):
    data = text.encode()
    return u32(len(data)) + data


def ids(tokens):
    return u32(len(tokens)) + b"".join(map(u32, tokens))


def raw(digest):
    data = bytes.fromhex(digest)
    assert len(data) == 32
    return data


def sha256(data):
    return hashlib.sha256(data).digest()


def tagged(name, content):
    return sha256(string(f"assay/{name}/1") + content)


def domain(d):
    return string(d["chain_id"]) + string(d["contract"])


def sampling_bytes(p):
    q = p["penalties"]
    unsigned = [p["temperature_milli"], p["top_k"], p["top_p_ppm"], p["min_p_ppm"], q["repetition_milli"]]
    return b"".join(map(u32, unsigned)) + i32(q["frequency_milli"]) + i32(q["presence_milli"])


def leaf_hash(data):
    return sha256(b"\0" + data)


def node_hash(left, right):
    return sha256(b"\1" + left + right)


def split(count):
    """The largest power of two below `count`."""
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def merkle_root(hashes):
    if not hashes:
        return sha256(b"")
    if len(hashes) == 1:
        return hashes[0]
    at = split(len(hashes))
    return node_hash(merkle_root(hashes[:at]), merkle_root(hashes[at:]))


def merkle_path(hashes, index):
    if len(hashes) == 1:
        return []
    at = split(len(hashes))
    if index < at:
        return merkle_path(hashes[:at], index) + [merkle_root(hashes[at:])]
    return merkle_path(hashes[at:], index - at) + [merkle_root(hashes[:at])]


def sides(count, index):
    """From the root down: whether the leaf is to the left."""
    while count > 1:
        at = split(count)
        yield index < at
        count, index = (at, index) if index < at else (count - at, index - at)


def proves(root, count, index, leaf, path):
    if index >= count:
        return False
    turns = list(sides(count, index))
    if len(turns) != len(path) or len(path) > 32:
        return False
    for is_left, sibling in zip(reversed(turns), path):
        leaf = node_hash(leaf, sibling) if is_left else node_hash(sibling, leaf)
    return leaf == root


# ---- logarithm, power, noise ----


def cubic(c, x):
    a = (c[3] * x >> 32) + c[2]
    b = (a * x >> 32) + c[1]
    return (b * x >> 32) + c[0]


def log2(x):
    z = 64 - x.bit_length()
    m = x << z
    return ((63 - z) << 36) + cubic(TABLES["log2"][(m >> 57) % 64], (m >> 25) % Q32)


def exp2_neg(e):
    w = e >> 24
    if w > 36:
        return 0
    g = e % (1 << 24)
    return cubic(TABLES["exp2"][g >> 18], (g % (1 << 18)) << 14) >> (w + 4)


def quarter_round(s, a, b, c, d):
    for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) % Q32
        s[z] ^= s[x]
        s[z] = (s[z] << turn | s[z] >> (32 - turn)) % Q32


def chacha20_block(key, counter, nonce):
    data = b"expand 32-byte k" + key + u64(counter) + u64(nonce)
    start = [int.from_bytes(data[i : i + 4], "little") for i in range(0, 64, 4)]
    s = list(start)
    for _ in range(10):
        for column in range(4):
            quarter_round(s, column, 4 + column, 8 + column, 12 + column)
        for a, b, c, d in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter_round(s, a, b, c, d)
    return [(x + y) % Q32 for x, y in zip(s, start)]


BLOCKS = {}


def word(run_seed, position, token):
    q = 2 * token
    name = (run_seed, position, q // 16)
    if name not in BLOCKS:
        BLOCKS[name] = chacha20_block(run_seed, q // 16, position)
    block = BLOCKS[name]
    return block[q % 16] + Q32 * block[q % 16 + 1]


def noise(w):
    if w >= 1 << 63:
        v = 2 * ((1 << 64) - 1 - w) + 1
        n = (65 << 36) - log2(v) - cubic(TABLES["tail"][v >> 58], (v >> 26) % Q32)
    else:
        n = (36 << 36) - log2((65 << 36) - log2(2 * w + 1))
    return (n + (1 << 11)) >> 12


# ---- the tables, computed again ----


def tables():
    getcontext().prec = 60
    two, ln2 = Decimal(2), Decimal(2).ln()
    cosines = [(two + two.sqrt()).sqrt() / 2, (two - two.sqrt()).sqrt() / 2]  # of π/8 and 3π/8
    nodes = [(1 - c) / 2 for c in (cosines[0], cosines[1], -cosines[1], -cosines[0])]
    log = lambda x: x.ln() / ln2
    functions = {
        "log2": lambda y: log(1 + y / 64),
        "exp2": lambda y: (-y / 64 * ln2).exp(),
        "tail": lambda y: log(-log(1 - y / 128) / (y / 128)),
    }
    exact_at_0 = {"log2": 0, "exp2": 1}
    result = {}
    for name, function in functions.items():
        result[name] = []
        for row in range(64):
            c = interpolate(nodes, [function(row + x) for x in nodes])
            if row == 0 and name in exact_at_0:
                lacking = exact_at_0[name] - c[0]
                c[0], c[1] = c[0] + lacking, c[1] - lacking
            result[name].append([int((x * 2**36).to_integral_value()) for x in c])
    return result


def interpolate(nodes, values):
    """Coefficients c₀…c₃ of the cubic through four points (Lagrange)."""
    total = [Decimal(0)] * 4
    for i, node in enumerate(nodes):
        basis, scale = [Decimal(1)], values[i]
        for j, other in enumerate(nodes):
            if i != j:
                scale /= node - other
                basis = [low - other * high for low, high in zip([Decimal(0)] + basis, basis + [Decimal(0)])]
        total = [t + scale * b for t, b in zip(total, basis)]
    return total


# ---- filters and the token ----


def candidates(surprisals):
    return sorted((min(s, 16_384), token) for token, s in enumerate(surprisals))


def kept(prefix, p):
    prefix = prefix[:4096]
    t = p["temperature_milli"]
    if t == 0:
        return prefix[:1]
    if p["top_k"] > 0:
        prefix = prefix[: p["top_k"]]
    weights = [exp2_neg(((s - prefix[0][0]) << 16) * 1000 // t) for s, _ in prefix]
    if p["top_p_ppm"] < MILLION:
        total, reached, count = sum(weights), 0, 0
        while reached * MILLION < total * p["top_p_ppm"]:
            reached += weights[count]
            count += 1
        prefix, weights = prefix[:count], weights[:count]
    if p["min_p_ppm"] > 0:
        below = [i for i, weight in enumerate(weights) if weight * MILLION < Q32 * p["min_p_ppm"]]
        prefix = prefix[: below[0]] if below else prefix
    return prefix


def by_score(entries, p, run_seed, position):
    score = lambda s, token: p["temperature_milli"] * noise(word(run_seed, position, token)) - 1000 * (s << 16)
    return sorted(entries, key=lambda entry: (-score(*entry), entry[1]))


def draw_token(surprisals, p, run_seed, position):
    """The token and its leaf."""
    ordered = candidates(surprisals)
    chosen = kept(ordered, p)
    best = by_score(chosen, p, run_seed, position)[:4]
    entries = sorted(set(ordered[:20]) | set(best))
    return best[0][1], leaf_bytes(position, best[0][1], chosen[-1], entries)


def leb128(number):
    data = bytearray()
    while number >= 0x80:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(data) + bytes([number])


def leaf_bytes(position, token, cut, entries):
    data = u32(position) + u32(token) + u32(cut[0]) + u32(cut[1]) + leb128(len(entries))
    before = 0
    for s, token_id in entries:
        data += leb128(s - before) + leb128(token_id)
        before = s
    return data


# ---- leaves and replay ----


class Broken(Exception):
    """A rule of the format, and the byte of the leaf where it is broken (0 for a rule of the decoded row)."""

    def __init__(self, rule, offset=0):
        super().__init__(rule)
        self.offset = offset


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def byte(self):
        if self.at >= len(self.data):
            raise Broken("Truncated", self.at)
        self.at += 1
        return self.data[self.at - 1]

    def u32(self):
        return int.from_bytes(bytes(self.byte() for _ in range(4)), "little")

    def leb128(self):
        number, start = 0, self.at
        for place in range(5):
            byte = self.byte()
            if place == 4 and byte > 0x0F:
                raise Broken("Overflow", start)
            if place > 0 and byte == 0:
                raise Broken("NotMinimal", start)
            number |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                return number
        raise AssertionError("a fifth byte ends the number or overflows")


def decode(data):
    reader = Reader(data)
    position, token, cut = reader.u32(), reader.u32(), (reader.u32(), reader.u32())
    count = reader.leb128()
    if count > 24:
        raise Broken("TooManyEntries")
    entries, s = [], 0
    for _ in range(count):
        start = reader.at
        s += reader.leb128()
        if s >= Q32:
            raise Broken("Overflow", start)
        entries.append((s, reader.leb128()))
    if reader.at < len(data):
        raise Broken("TrailingBytes", reader.at)
    return position, token, cut, entries


def check_row(cut, entries, vocabulary):
    if len(entries) < max(1, min(20, vocabulary)):
        raise Broken("TooFewEntries")
    for i, (s, token) in enumerate(entries):
        if token >= vocabulary:
            raise Broken("OutsideVocabulary")
        if s > 16_384:
            raise Broken("SurprisalTooLarge")
        if i > 0 and entries[i] <= entries[i - 1]:
            raise Broken("NotOrdered")
        if any(other == token for _, other in entries[:i]):
            raise Broken("RepeatedToken")
    if sum(exp2_neg(s << 16) for s, _ in entries) > Q32 + (1 << 24):
        raise Broken("ProbabilityAboveOne")
    if cut[1] >= vocabulary or cut[0] > 16_384:
        raise Broken("CutOutOfRange")
    if cut not in entries:
        repeats = any(token == cut[1] for _, token in entries)
        if repeats or cut < entries[:20][-1]:
            raise Broken("CutContradictsEntries")


def in_range(p):
    q = p["penalties"]
    return (
        0 <= p["temperature_milli"] <= 100_000
        and 1 <= p["top_p_ppm"] <= MILLION
        and 0 <= p["min_p_ppm"] <= MILLION
        and 500 <= q["repetition_milli"] <= 2000
        and -2000 <= q["frequency_milli"] <= 2000
        and -2000 <= q["presence_milli"] <= 2000
    )


def replay(data, position, vocabulary, p, run_seed):
    try:
        found, token, cut, entries = decode(data)
        if found != position:
            raise Broken("WrongPosition")
        if not in_range(p):
            return "parameters out of range"
        check_row(cut, entries, vocabulary)
        if p["temperature_milli"] == 0 or 1 <= p["top_k"] <= 20:
            expected = kept(entries[:20], p)[-1]
            if expected != cut:
                return f"cut differs: ({expected[0]}, {expected[1]})"
        within = [entry for entry in entries if entry <= cut]
        if not within:
            raise Broken("CutContradictsEntries")
        winner = by_score(within, p, run_seed, position)[0][1]
        return "matches" if winner == token else f"differs: token {winner}"
    except Broken as rule:
        return f"malformed: {rule}"


# ---- the draw ----


def permuted(seed, count, draw):
    half = max(1, ((count - 1).bit_length() + 1) // 2)
    v = draw
    while True:
        left, right = v >> half, v % (1 << half)
        for r in range(4):
            f = int.from_bytes(sha256(seed + b"index" + bytes([r]) + u32(right))[:4], "little") % (1 << half)
            left, right = right, left ^ f
        v = (left << half) + right
        if v < count:
            return v


# ---- the jury and the evidence ----


def jury(g):
    seed, stakes = raw(g["seed"]), [int(stake) for stake in g["stakes"]]
    sums = [sum(stakes[: place + 1]) for place in range(len(stakes))]
    others = [place for place in range(len(stakes)) if place not in g["excluded"]]
    seats, wanted = [], min(g["seats"], len(others))
    for r in range(64 * g["seats"]):
        if len(seats) == wanted:
            break
        a = int.from_bytes(sha256(seed + b"seat" + u32(g["index"]) + u32(r))[:16], "little") % sums[-1]
        place = next(p for p, upto in enumerate(sums) if upto > a)
        if place in others and place not in seats:
            seats.append(place)
    return (seats + [place for place in others if place not in seats])[:wanted]


EDGES = [1, 8, 16, 32, 64, 128, 256, 512]


def step(g, size_class, found):
    """What an audit adds to each counter."""
    if size_class > 7:
        return [0, 0, 0]
    table = g["classes"][size_class if len(g["classes"]) > 1 else 0]
    last, edge, full = len(table["honest_ppm"]) - 1, EDGES[size_class], g["full_weight_tokens"]
    b = last if found is None else min(found, last - 1)
    n, d = (1, 1) if edge >= full else (edge, full)
    h = table["honest_ppm"][b]
    return [(log2(h * (d - n) + q[b] * n) - log2(h * d) - 64) >> 20 for q in table["alternatives_ppm"]]


def evidence(g):
    chances = min(3 * int(g["audits"]) * int(g["false_forfeit_one_in"]), (1 << 64) - 1)
    bound = (log2(chances) + 64 + (1 << 20) - 1) >> 20
    counters = [0, 0, 0]
    for size_class, found in g["outcomes"]:
        counters = [max(c, 0) + added for c, added in zip(counters, step(g, size_class, found))]
    return {"bound": bound, "counters": counters, "forfeits": max(counters) >= bound}


# ---- one function for each file ----


def truncation(g):
    chosen = kept(candidates(g["surprisals"]), g["sampling"])
    return {"count": len(chosen), "last": list(chosen[-1]) if chosen else None}


def sampling(g):
    token, leaf = draw_token(g["surprisals"], g["sampling"], raw(g["run_seed"]), g["position"])
    return {"token": token, "leaf": leaf.hex()}


def leaf(g):
    data = bytes.fromhex(g["bytes"])
    outcome = {"hash": leaf_hash(data).hex(), "leaf": None, "broken": None}
    try:
        position, token, cut, entries = decode(data)
        pairs = [list(entry) for entry in entries]
        outcome["leaf"] = {"position": position, "token": token, "cut": list(cut), "entries": pairs}
        check_row(cut, entries, g["vocabulary"])
    except Broken as rule:
        outcome["broken"] = str(rule)
    return outcome


def merkle(g):
    hashes = [leaf_hash(bytes.fromhex(data)) for data in g["leaves"]]
    there = g["index"] < len(hashes)
    path = [sibling.hex() for sibling in merkle_path(hashes, g["index"])] if there else None
    return {"root": merkle_root(hashes).hex(), "path": path}


def run_seed(g):
    inference = tagged("inference", domain(g["domain"]) + u64(g["session"]) + u64(g["nonce"]))
    return {"inference": inference.hex(), "run_seed": sha256(raw(g["user_seed"]) + inference).hex()}


def request(g):
    m = g["model"]
    scheme = {"bf16_f32": b"\0", "bf16": b"\1"}[m["scheme"]]
    content = string(m["name"]) + raw(m["weights"]) + scheme + raw(m["constants"]) + u32(m["vocabulary"])
    model = tagged("model", content)
    prompt = tagged("prompt", raw(g["salt"]) + ids(g["prompt"]))
    content = model + sampling_bytes(g["sampling"]) + u32(g["max_new"]) + ids(g["stop_ids"]) + prompt
    return {"model": model.hex(), "prompt": prompt.hex(), "request": tagged("request", content).hex()}


def receipt(g):
    d, asked, rows, inference = domain(g["domain"]), raw(g["request"]), raw(g["rows"]), raw(g["inference"])
    tokens = tagged("tokens", ids(g["tokens"]))
    artifact = tagged("artifact", asked + tokens + rows)
    return {
        "voucher": tagged("voucher", d + u64(g["session"]) + u64(g["nonce"]) + asked).hex(),
        "tokens": tokens.hex(),
        "receipt": tagged("receipt", d + inference + asked + tokens + rows).hex(),
        "artifact": artifact.hex(),
        "batch_leaf": leaf_hash(inference + artifact).hex(),
    }


def draw(g):
    content = domain(g["domain"]) + u64(g["batch"]) + raw(g["beacon"])
    seed, second = tagged("draw", content), tagged("second", content)
    samples = -(-min(int(g["rate_q32"]), Q32) * g["count"] // Q32)
    index = permuted(seed, g["count"], g["draw"])
    return {"seed": seed.hex(), "second_seed": second.hex(), "samples": samples, "index": index}


FILES = {
    "log2": lambda g: str(log2(int(g["x"]))),
    "exp2": lambda g: str(exp2_neg(int(g["e_q24"]))),
    "word": lambda g: str(word(raw(g["run_seed"]), g["position"], g["token"])),
    "noise": lambda g: str(noise(int(g["word"]))),
    "truncation": truncation,
    "sampling": sampling,
    "replay": lambda g: replay(
        bytes.fromhex(g["leaf"]), g["position"], g["vocabulary"], g["sampling"], raw(g["run_seed"])
    ),
    "leaf": leaf,
    "merkle": merkle,
    "merkle_proof": lambda g: proves(
        raw(g["root"]), g["count"], g["index"], raw(g["leaf"]), [raw(sibling) for sibling in g["path"]]
    ),
    "run_seed": run_seed,
    "request": request,
    "receipt": receipt,
    "draw": draw,
    "jury": jury,
    "evidence": evidence,
}


def check(files):
    """The number of files with a case that differs."""
    failed = 0
    for name, function in files.items():
        cases = json.loads((VECTORS / f"{name}.json").read_text())
        wrong = [i for i, case in enumerate(cases) if function(case["given"]) != case["expected"]]
        print(f"{name}: {len(cases)} cases" + (f", {len(wrong)} DIFFER, the first is {wrong[0]}" if wrong else ""))
        failed += bool(wrong)
    return failed


def main():
    differ = tables() != TABLES
    if differ:
        print("tables: not those that docs/sampler.md describes")
    return 1 if check(FILES) + differ else 0


if __name__ == "__main__":
    sys.exit(main())
