#!/usr/bin/env python3
"""Writes the reference vectors of sidecar/src/model/testdata from independent implementations.

- gemma_vector.json: log-probabilities of HuggingFace transformers on a CPU, on the very same GGUF weights with every matrix
  rounded to bf16 (docs/schemes.md), in f32; and in bf16 throughout, at the tokens that f32 finds most probable.
- tokenizer_vector.json: token ids of Google's SentencePiece, on the vocabulary of the same file.

Made with Python 3.11 and, in a virtual environment outside the repository, what scripts/engines/requirements.txt lists.

    transformers_vector.py [MODEL.gguf]    (default: $ASSAY_MODEL, else ~/.cache/assay/models/gemma-3-270m-q4_k_m.gguf)
"""

import hashlib
import json
import os
import sys
from pathlib import Path

import sentencepiece
import torch
import transformers
from gguf import GGUFReader

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engines"))
import transformers_model  # noqa: E402
from tokenizer import sentencepiece_of  # noqa: E402

OUT = Path(__file__).resolve().parents[2] / "sidecar/src/model/testdata"
DEFAULT = Path.home() / ".cache/assay/models/gemma-3-270m-q4_k_m.gguf"

FERRY = """The ferry to the island leaves twice a day, once before breakfast and once when the shops have closed. In winter the \
second crossing is often cancelled, and then the people who work on the mainland sleep in the waiting room, on benches that \
were never meant for it. Nobody complains much. The captain, who has steered the same boat for thirty-one years, says that the \
sea decides and that he only passes on the message."""

CODE = """fn median(values: &mut Vec<f64>) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    values.sort_by(|a, b| a.total_cmp(b));
    let middle = values.len() / 2;
    Some(if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 })
}
// Der Median ist robust: ein einzelner Ausreißer verschiebt ihn kaum. 中位数对异常值不敏感。"""

CLOCKMAKER = """In the upper part of the town, where the streets are too steep for carts, there used to be a workshop with a green \
door and a bell that nobody could ring. The rope had rotted away long before anyone now living was born, and the clockmaker who \
owned the place saw no reason to replace it. Those who needed him, he said, would knock, and those who did not need him should \
not be encouraged. He repaired watches on the ground floor, slept on the second, and on the floor between them he kept the \
machine about which the whole town had an opinion.

It had been ordered by the harbour office, eleven years earlier, to predict the tides. Such machines were known from larger \
ports: a row of wheels, one for each motion of the moon and the sun, a cord that ran over all of them, and a pen that drew the \
sum on a roll of paper. The office had asked for eight wheels. The clockmaker had built eight, had compared the curve with the \
marks on the harbour wall, and had not been satisfied. The error was small, a hand's breadth at most, but it was not random. It \
came and went with a slow beat of its own, like a second tide under the first. He therefore built a ninth wheel, and the error \
shrank, and what remained had a beat again, slower than before.

By the time the harbour office had stopped asking, there were forty-three wheels. The largest stood as high as a man and turned \
once in eighteen years, so that nobody had yet seen it complete its circle; the smallest was cut from the case of a lady's watch \
and trembled when somebody spoke. The paper came from the mill at Orsk in rolls of two hundred metres. Every evening the \
clockmaker went down to the wall with a lantern and a rod, read the height of the water to the width of a finger, climbed back, \
and wrote the difference into a book. When a column of differences was full he sat over it for a night with a table of \
logarithms and looked for the next wheel.

People explained this in different ways. The priest held that it was pride, because a man should not want to know the sea better \
than it knows itself. The schoolmaster called it science and sent the older children up to look, one at a time, with clean \
hands. The fishermen, who were the only ones with a use for the result, did not trust it: they had their own rules, which were \
shorter, and which were wrong about as often as the weather. His sister, who brought him soup, thought that he was lonely and \
that the machine was a way of having something to be late for.

In the spring of the twelfth year a stranger came, a woman with a leather case, who said that she measured the coast for the \
government. She knocked, and he let her in, and she stood in front of the wheels for a long time without asking anything. Then \
she opened the case and took out a notebook in which she too had written differences, from another harbour, two days' journey \
to the north. They laid the two books side by side under the lamp. The columns did not agree in size, and they did not agree in \
sign, but when he read his aloud and she read hers, line after line, they found that the pauses fell in the same places.

"So it is not the wall," said the clockmaker.

"No," said the woman. "It is not the wall, and it is not your wheels. Something is moving that neither of us has thought of." """

TEXTS = {"prose": FERRY, "code and languages": CODE, "longer than the window": CLOCKMAKER}

TOKENIZER_TEXTS = [
    "", " ", "  ", "   leading and trailing   ", "a", "Hello, world!", "The quick brown fox jumps over the lazy dog.",
    "don't can't won't I'd we've", "UPPER lower MiXeD", "1 12 123 1234 12345 3.14159 1e-9 0xFF", "\n", "\n\n\n", "a\nb\r\nc\n\n\nd",
    "\t", "\t\tindented\n\t\t\tmore", "tab\tseparated\tvalues", "trailing space ", " leading space", "two  spaces   three    four",
    "x" * 50, "ha" * 30, "=" * 40, "-----BEGIN-----", "https://example.org/path?q=1&r=%20#top", "mail@example.org",
    "Größe, Öl, Straße, naïve, façade, Ångström", "Привет, как дела?", "你好，世界。今天天气怎么样？", "こんにちは世界", "안녕하세요 세계",
    "مرحبا بالعالم", "שלום עולם", "नमस्ते दुनिया", "สวัสดีชาวโลก", "Γειά σου Κόσμε", "🦀🚢🌊", "👩‍👩‍👧‍👦 family", "e\u0301 combining, \u00e9 composed",
    "\u2581visible\u2581space", "zero\u200bwidth", "\ufeffbom", "\u0000nul\u0001\u007f", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 𓂀", "ﬁ ligature ½ ² №",
    "<bos> <eos> <start_of_turn> are text here", "<unused0><pad>", "<table><tr><td>1</td></tr></table>", "<h1>title</h1>\n<ul>\n<li>a</li>\n</ul>",
    "[multimodal] <start_of_image>", "let x: Vec<u8> = vec![0; 16]; // comment", "def f(x):\n    return x ** 2\n",
    "SELECT * FROM t WHERE a >= 1 AND b <> 'x';", "\\begin{equation} e^{i\\pi} + 1 = 0 \\end{equation}", "{\"key\": [1, 2, {\"nested\": null}]}",
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore.",
    "Donaudampfschifffahrtsgesellschaftskapitän", "antidisestablishmentarianism floccinaucinihilipilification",
    "She said: \u201cWhy?\u201d \u2014 and left\u2026", "a\u00a0b\u2003c\u3000d", "\U0010ffff\ud7ff\ue000",
]


def score_bf16(model, ids: list[int], top_ids: list[list[int]]) -> list[list[float]]:
    """For every position but the last: the log-probabilities of `top_ids` where every tensor is bf16."""
    with torch.no_grad():
        hidden = model.model(torch.tensor([ids])).last_hidden_state[0, :-1]
        rows = []
        for start in range(0, len(hidden), 64):
            exact = torch.log_softmax(model.lm_head(hidden[start : start + 64]).double(), dim=-1)
            rows += exact.gather(1, torch.tensor(top_ids[start : start + len(exact)])).tolist()
    return [[round(value, 4) for value in row] for row in rows]


def score(model, ids: list[int]) -> dict:
    """For every position but the last: log-probability of the next token, and the five most probable."""
    with torch.no_grad():
        hidden = model.model(torch.tensor([ids])).last_hidden_state[0, :-1]
        log_probs, top_ids, top_log_probs = [], [], []
        for start in range(0, len(hidden), 64):
            logits = model.lm_head(hidden[start : start + 64])
            exact = torch.log_softmax(logits.double(), dim=-1)
            targets = torch.tensor(ids[start + 1 : start + 1 + len(logits)])
            log_probs += exact.gather(1, targets[:, None])[:, 0].tolist()
            top = exact.topk(5, dim=-1)
            top_ids += top.indices.tolist()
            top_log_probs += top.values.tolist()
    return {
        "log_probs": [round(value, 6) for value in log_probs],
        "top_ids": top_ids,
        "top_log_probs": [[round(value, 6) for value in row] for row in top_log_probs],
    }


def write(name: str, content: dict) -> None:
    path = OUT / name
    path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{path}: {path.stat().st_size} bytes")


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("ASSAY_MODEL", DEFAULT))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    processor = sentencepiece_of(GGUFReader(path))
    bos = processor.bos_id()
    write("tokenizer_vector.json", {
        "reference": f"sentencepiece {sentencepiece.__version__}",
        "weights_sha256": digest,
        "texts": [{"text": text, "ids": [bos] + processor.encode(text)} for text in TOKENIZER_TEXTS],
    })
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    model = transformers_model.load(path)
    texts = []
    for name, text in TEXTS.items():
        ids = [bos] + processor.encode(text)
        print(f"{name}: {len(ids)} tokens")
        texts.append({"name": name, "text": text, "ids": ids, **score(model, ids)})
    native = model.to(torch.bfloat16)
    for text in texts:
        text["bf16_top_log_probs"] = score_bf16(native, text["ids"], text["top_ids"])
    write("gemma_vector.json", {
        "reference": f"transformers {transformers.__version__}, torch {torch.__version__}, f32, attention {model.config._attn_implementation}",
        "weights_sha256": digest,
        "texts": texts,
    })


if __name__ == "__main__":
    main()
