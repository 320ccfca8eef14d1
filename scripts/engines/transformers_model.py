"""The model in HuggingFace transformers, in the numbers of docs/schemes.md.

| numerics | |
|---|---|
| f32 | nothing is rounded: the reference |
| bf16_f32 | every projection's input, queries, keys, values and softmax weights rounded to bf16; sums, residual stream and head in f32 |
| bf16 | transformers' own bf16: every tensor, the norms' weights and the logits too |

The first two hold bf16-valued matrices in f32; products of bf16 numbers are exact in f32, so that rounding the inputs is the scheme.
"""

import torch
import transformers
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

NUMERICS = ("f32", "bf16_f32", "bf16")
ROUNDED_ATTENTION = "bf16_inputs"


def load(path, numerics="f32", attention="sdpa"):
    """`path`: the GGUF file that defines the model. `attention`: sdpa or eager; bf16_f32 has its own, explicit."""
    if numerics == "bf16_f32":
        AttentionInterface.register(ROUNDED_ATTENTION, attention_of_rounded_inputs)
        AttentionMaskInterface.register(ROUNDED_ATTENTION, eager_mask)
        attention = ROUNDED_ATTENTION
    model = transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation=attention
    ).eval()
    round_matrices(model)
    if numerics == "bf16":
        return model.to(torch.bfloat16)
    if numerics == "bf16_f32":
        for layer in model.model.layers:
            for module in layer.modules():
                if isinstance(module, torch.nn.Linear):
                    module.register_forward_pre_hook(lambda _, inputs: tuple(map(rounded, inputs)))
    return model


def round_matrices(model):
    """Rounds every weight matrix to bf16, in place; norm weights stay as the file has them."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.copy_(parameter.bfloat16())


def rounded(values):
    return values.bfloat16().float()


def attention_of_rounded_inputs(module, query, key, value, attention_mask, scaling, **_):
    """[batch, heads, length, head dim] each, fewer heads of keys and values → [batch, length, heads, head dim]."""
    repeat = query.shape[1] // key.shape[1]
    query, key, value = rounded(query), rounded(key).repeat_interleave(repeat, 1), rounded(value).repeat_interleave(repeat, 1)
    scores = query @ key.transpose(2, 3) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = rounded(torch.softmax(scores, dim=-1))
    return (weights @ value).transpose(1, 2).contiguous(), weights


class Running:
    """A batch of answers, prompts padded on the left: what run.run decodes with."""

    def __init__(self, model, prompts):
        self.model, self.cache = model, transformers.DynamicCache(config=model.config)
        longest = max(map(len, prompts))
        self.mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts])
        self.forward(torch.tensor([[0] * (longest - len(ids)) + ids for ids in prompts]))

    @torch.inference_mode()
    def forward(self, ids):
        places = (self.mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        self.hidden = self.model.model(
            ids, attention_mask=self.mask, position_ids=places, past_key_values=self.cache, use_cache=True
        ).last_hidden_state[:, -1]

    def take(self, tokens):
        self.mask = torch.cat([self.mask, torch.ones(len(tokens), 1, dtype=self.mask.dtype)], dim=1)
        self.forward(torch.tensor(tokens)[:, None])

    @torch.inference_mode()
    def logits(self):
        return self.model.lm_head(self.hidden).float().numpy()

    def states(self):
        return self.hidden.float().numpy()


@torch.inference_mode()
def forced(model, prompt_ids, tokens):
    """[tokens, hidden]: the final hidden states that predict `tokens` after the prompt, by one pass."""
    hidden = model.model(torch.tensor([prompt_ids + tokens[:-1]]), use_cache=False).last_hidden_state[0]
    return hidden[len(prompt_ids) - 1 :]
