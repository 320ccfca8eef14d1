#!/usr/bin/env python3
"""Checks the files in common/vectors that docs/protocol.md describes, with a second implementation written from that page.

What docs/sampler.md describes comes from `sampler_from_spec.py`. Plain Python 3, no package. Exit code 0 where every vector
agrees and no file is without an implementation.
"""

import hashlib
import hmac
import sys

import sampler_from_spec as sampler
from sampler_from_spec import (
    Broken,
    domain,
    ids,
    leaf_hash,
    merkle_root,
    raw,
    sampling_bytes,
    sha256,
    sides,
    string,
    tagged,
    u32,
    u64,
)


def u16(number):
    return number.to_bytes(2, "little")


def listed(items):
    """A list of elements that are bytes already."""
    return u32(len(items)) + b"".join(items)


def octets(data):
    """A list of bytes."""
    return u32(len(data)) + data


def path_bytes(path):
    return listed([raw(sibling) for sibling in path])


# ---- artifacts ----


def rows_root(leaves):
    return tagged("rows", u32(len(leaves)) + merkle_root([leaf_hash(leaf) for leaf in leaves]))


def request_bytes(g, prompt):
    return raw(g["model"]) + sampling_bytes(g["sampling"]) + u32(g["max_new"]) + ids(g["stop_ids"]) + raw(prompt)


def artifact_digest(request, tokens, rows):
    return tagged("artifact", request + tokens + rows)


def rows_root_file(g):
    leaves = [bytes.fromhex(leaf) for leaf in g["leaves"]]
    tree = merkle_root([leaf_hash(leaf) for leaf in leaves])
    return {"tree": tree.hex(), "rows": rows_root(leaves).hex()}


def artifact(g):
    leaves = [bytes.fromhex(leaf) for leaf in g["leaves"]]
    asked = request_bytes(g, g["prompt_digest"])
    data = asked + raw(g["salt"]) + ids(g["prompt"]) + ids(g["tokens"]) + listed([octets(leaf) for leaf in leaves])
    tokens, rows = tagged("tokens", ids(g["tokens"])), rows_root(leaves)
    digest = artifact_digest(tagged("request", asked), tokens, rows)
    return {"bytes": data.hex(), "tokens": tokens.hex(), "rows": rows.hex(), "artifact": digest.hex()}


class Framing(Exception):
    pass


class Frame:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        if length > len(self.data) - self.at:
            raise Framing
        self.at += length
        return self.data[self.at - length : self.at]

    def u32(self):
        return int.from_bytes(self.take(4), "little")

    def i32(self):
        return int.from_bytes(self.take(4), "little", signed=True)

    def ids(self):
        start, count = self.at, self.u32()
        if 4 * count > len(self.data) - self.at:
            raise Framing
        return start, [self.u32() for _ in range(count)]

    def leaves(self):
        """Where the list begins, and of each leaf where its bytes begin, and they."""
        start, leaves = self.at, []
        for _ in range(self.u32()):
            length = self.u32()
            leaves.append((self.at, self.take(length)))
        return start, leaves


def artifact_bytes(g):
    frame = Frame(bytes.fromhex(g["bytes"]))
    try:
        frame.take(32)
        names = ["temperature_milli", "top_k", "top_p_ppm", "min_p_ppm"]
        sampling = {name: frame.u32() for name in names}
        repetition, frequency, presence = frame.u32(), frame.i32(), frame.i32()
        sampling["penalties"] = {
            "repetition_milli": repetition,
            "frequency_milli": frequency,
            "presence_milli": presence,
        }
        max_new = frame.u32()
        frame.ids()
        frame.take(64)
        prompt, tokens, leaves = frame.ids(), frame.ids(), frame.leaves()
        if frame.at < len(frame.data):
            raise Framing
    except Framing:
        return {"framed": False, "broken": None}
    broken = broken_rule(sampling, max_new, (prompt, tokens, leaves), g["vocabulary"])
    return {"framed": True, "broken": broken and {"rule": broken[0], "offset": broken[1]}}


def broken_rule(sampling, max_new, lists, vocabulary):
    (prompt_at, prompt), (tokens_at, tokens), (leaves_at, leaves) = lists
    if not sampler.in_range(sampling):
        return "Sampling", 0
    if not prompt:
        return "EmptyPrompt", prompt_at
    if not tokens:
        return "EmptyAnswer", tokens_at
    if len(tokens) > max_new:
        return "AnswerTooLong", tokens_at
    for start, some in ((prompt_at, prompt), (tokens_at, tokens)):
        for place, token in enumerate(some):
            if token >= vocabulary:
                return "TokenOutsideVocabulary", start + 4 + 4 * place
    if len(leaves) != len(tokens):
        return "RowCount", leaves_at
    for position, (start, data) in enumerate(leaves):
        try:
            found, token, cut, entries = sampler.decode(data)
            if found != position:
                raise Broken("WrongPosition")
            sampler.check_row(cut, entries, vocabulary)
            if token != tokens[position]:
                raise Broken("WrongToken")
        except Broken as rule:
            return str(rule), start + rule.offset
    return None


def claims(g):
    before = 0
    for claim in g["claims"]:
        length = int(claim["to"]) - int(claim["from"]) + 1
        if g["index"] < before + length:
            return [claim["session"], str(int(claim["from"]) + g["index"] - before)]
        before += length
    return None


# ---- what is signed ----


def signing(g):
    def signable(name, content):
        data = string(f"assay/{name}/1") + content
        return {"bytes": data.hex(), "digest": sha256(data).hex()}

    d, inference, asked = domain(g["domain"]), raw(g["inference"]), raw(g["request"])
    return {
        "voucher": signable("voucher", d + u64(g["session"]) + u64(g["nonce"]) + asked),
        "receipt": signable("receipt", d + inference + asked + raw(g["tokens"]) + raw(g["rows"])),
        "fetch": signable("fetch", d + inference + string(g["signer"]) + u64(g["unix_seconds"])),
    }


# ---- proofs ----


def accusation(accuser, proof):
    content = domain(accuser["domain"]) + string(accuser["address"]) + proof + octets(raw(accuser["salt"]))
    return tagged("accusation", content)


def climb(count, index, leaf, path):
    """The root that a path leads to; none where it has the wrong length."""
    if index >= count:
        return None
    turns = list(sides(count, index))
    if len(turns) != len(path):
        return None
    for is_left, sibling in zip(reversed(turns), path):
        leaf = sha256(b"\1" + (leaf + sibling if is_left else sibling + leaf))
    return leaf


def fraud(g):
    row, tokens = bytes.fromhex(g["row"]), raw(g["tokens"])
    asked = request_bytes(g, g["prompt"])
    opened = asked + tokens + u32(g["rows"]) + u32(g["position"]) + octets(row) + path_bytes(g["row_path"])
    proof = tagged("fraud", u64(g["batch"]) + u32(g["index"]) + path_bytes(g["batch_path"]) + opened)
    tree = climb(g["rows"], g["position"], leaf_hash(row), [raw(sibling) for sibling in g["row_path"]])
    leaf = None
    if tree is not None:
        rows = tagged("rows", u32(g["rows"]) + tree)
        inference = raw(g["inference"])
        leaf = leaf_hash(inference + artifact_digest(tagged("request", asked), tokens, rows)).hex()
    return {
        "proof": proof.hex(),
        "accusation": accusation(g["accuser"], proof).hex(),
        "leaf": leaf,
        "finding": finding(g, row),
    }


def finding(g, row):
    chain = g["chain"]
    if g["model"] != chain["model"] or g["max_new"] > chain["max_new"]:
        return "request"
    if g["rows"] > g["max_new"]:
        return "malformed"
    if chain["sampler"] != 1:
        return "unknown sampler"
    outcome = sampler.replay(row, g["position"], chain["vocabulary"], g["sampling"], raw(chain["run_seed"]))
    if outcome == "matches":
        return "nothing"
    if outcome == "parameters out of range":
        return "sampling"
    return "malformed" if outcome.startswith("malformed") else "replay"


def equivocation(g):
    receipt = b"".join(raw(g[name]) for name in ("inference", "request", "tokens", "rows"))
    signed = receipt + octets(bytes.fromhex(g["public_key"])) + octets(bytes.fromhex(g["signature"]))
    place = u64(g["batch"]) + u32(g["index"]) + raw(g["leaf"]) + path_bytes(g["path"])
    proof = tagged("equivocation", signed + place)
    promised = raw(g["inference"]) + artifact_digest(raw(g["request"]), raw(g["tokens"]), raw(g["rows"]))
    return {
        "receipt": tagged("receipt", domain(g["accuser"]["domain"]) + receipt).hex(),
        "proof": proof.hex(),
        "accusation": accusation(g["accuser"], proof).hex(),
        "differs": raw(g["leaf"]) != leaf_hash(promised),
    }


# ---- jurors ----


def probe_places(g):
    places, tokens, vocabulary = [], len(g["listed"]), g["vocabulary"]
    for number in range(8):
        h = sha256(raw(g["seed"]) + b"probe" + u32(g["index"]) + bytes([number]))
        position = int.from_bytes(h[:8], "little") % tokens
        first = int.from_bytes(h[8:16], "little") % vocabulary
        steps = ((first + step) % vocabulary for step in range(vocabulary))
        token = next((token for token in steps if token not in g["listed"][position]), first)
        places.append([position, token])
    return places


def probes(g):
    told, medians = g["told"], []
    for place in range(max(map(len, told), default=0)):
        values = sorted(own[place] for own in told if place < len(own))
        medians.append(values[(len(values) - 1) // 2])

    def agrees(own):
        within = [abs(value - median) <= g["tolerance"] for value, median in zip(own, medians)]
        return own != [] and all(sum(within[at : at + 8]) >= 6 for at in range(0, len(own), 8))

    return {"medians": medians, "agrees": [agrees(own) for own in told]}


REASONS = {
    "invalid": ["replay", "distance", "perplexity", "end", "request", "voucher"],
    "unavailable": ["absent", "mismatch"],
    "inconclusive": ["no_model", "recompute", "no_calibration"],
}
OUTCOMES = ["valid", "invalid", "malformed", "unavailable", "inconclusive"]


def kind_and_reason(outcome):
    if isinstance(outcome, str):
        return outcome, None
    ((kind, content),) = outcome.items()
    return kind, content["reason"]


def verdict_bytes(verdict):
    kind, reason = kind_and_reason(verdict["outcome"])
    outcome = bytes([OUTCOMES.index(kind)]) + (bytes([REASONS[kind].index(reason)]) if reason else b"")
    score = b"\0"
    if verdict["score"] is not None:
        s = verdict["score"]
        score = b"\1" + bytes([s["bin"]]) + u32(s["tokens"]) + listed([u16(probe) for probe in s["probes"]])
    return u64(verdict["batch"]) + u32(verdict["draw"]) + outcome + score


def verdict_page(g):
    page = string(g["juror"]) + u64(g["window"]) + u32(g["page"]) + listed(list(map(verdict_bytes, g["verdicts"])))
    content = domain(g["domain"]) + page + octets(raw(g["salt"]))
    return {"bytes": page.hex(), "hash": tagged("verdicts", content).hex()}


def salt(g):
    def mac(*parts):
        message = b"".join(u64(len(part)) + part for part in parts)
        return hmac.new(raw(g["key"]), message, hashlib.sha256).hexdigest()

    d = g["domain"]["chain_id"].encode(), g["domain"]["contract"].encode()
    return {
        "verdicts": mac(b"verdicts", *d, u64(g["window"]), u32(g["page"])),
        "accusation": mac(b"accusation", *d, raw(g["proof"])),
    }


def verdicts(g):
    told = [kind_and_reason(outcome) for outcome in g["outcomes"]]
    cast = [(kind, reason) for kind, reason in told if kind != "inconclusive"]
    count = lambda *kinds: sum(kind in kinds for kind, _ in cast)
    two_thirds = lambda number: 3 * number >= 2 * g["seats"]
    if two_thirds(count("valid")):
        end = "valid"
    elif two_thirds(count("invalid", "malformed")):
        order = [*REASONS["invalid"], "malformed"]
        reasons = [reason or kind for kind, reason in cast if kind in ("invalid", "malformed")]
        end = "fail_" + max(order, key=lambda reason: (reasons.count(reason), -order.index(reason)))
    elif two_thirds(count("invalid", "malformed", "unavailable")):
        end = "unavailable"
    else:
        end = "inconclusive_split" if two_thirds(len(cast)) else "inconclusive_quorum"
    return {"unanimous": count("valid") == len(cast) >= g["quorum"], "end": end}


def attendance(g):
    p = g["honest_miss_ppm"]
    shares = lambda miss: [sampler.MILLION - miss, miss]
    table = {"honest_ppm": shares(p), "alternatives_ppm": [shares(times * p) for times in (2, 3, 4)]}
    return sampler.evidence(
        {
            "audits": 10_000,
            "false_forfeit_one_in": g["false_bench_one_in"],
            "full_weight_tokens": 1,
            "classes": [table],
            "outcomes": [[0, 0 if attended else None] for attended in g["attended"]],
        }
    )


# ---- time and standing ----


def time(g):
    start, now, genesis = int(g["start"]), int(g["now"]), int(g["genesis"])
    if now < start:
        return None
    window = (now - start) // g["window_seconds"]
    epoch = window // g["windows_per_epoch"]
    end = start + (window + 1) * g["window_seconds"]
    wait = max(0, end + g["delay_seconds"] - genesis)
    round_number = 1 + -(-wait // g["period_seconds"])
    return {
        "window": str(window),
        "epoch": str(epoch),
        "first_window": str(epoch * g["windows_per_epoch"]),
        "end": str(end),
        "round": str(round_number),
        "signed": str(genesis + (round_number - 1) * g["period_seconds"]),
    }


def beacon(g):
    message = sha256(int(g["round"]).to_bytes(8, "big"))
    return {"message": message.hex(), "randomness": sha256(bytes.fromhex(g["signature"])).hex()}


def size_class(g):
    return sum(g["tokens"] >= edge for edge in sampler.EDGES[1:])


def reputation(g):
    million, r = sampler.MILLION, g["reputation"]
    scaled = g["base_rate_ppm"] * million**2 + (million - g["base_rate_ppm"]) * (million - r) ** 2
    rate = min(sampler.Q32, -(-scaled * sampler.Q32 // million**3))
    enough = g["checked"] >= g["min_checked"]
    enough = enough and g["conclusive"] * million >= g["checked"] * g["min_conclusive_ppm"]
    return {"rate_q32": str(rate), "reputation": min(million, r + g["step_ppm"]) if enough else r}


FILES = {
    "rows_root": rows_root_file,
    "artifact": artifact,
    "artifact_bytes": artifact_bytes,
    "claims": claims,
    "signing": signing,
    "fraud": fraud,
    "equivocation": equivocation,
    "probe_places": probe_places,
    "probes": probes,
    "verdict_page": verdict_page,
    "salt": salt,
    "verdicts": verdicts,
    "attendance": attendance,
    "time": time,
    "beacon": beacon,
    "size_class": size_class,
    "reputation": reputation,
}


def main():
    missing = {path.stem for path in sampler.VECTORS.glob("*.json")} - FILES.keys() - sampler.FILES.keys() - {"tables"}
    if missing:
        print(f"no implementation for {', '.join(sorted(missing))}")
    return 1 if sampler.check(FILES) + len(missing) else 0


if __name__ == "__main__":
    sys.exit(main())
