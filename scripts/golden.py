#!/usr/bin/env python3
"""Writes the small models and numbers that crates/model/tests/golden.rs compares foretell with.

    scripts/parity.sh --python scripts/golden.py crates/model/tests/golden

Each folder is a Hugging Face checkpoint of random weights, made and saved by transformers, and beside it
golden.safetensors, computed by torch in float32:

    ids           [10, 160]  tokens; row i is the batch of step i
    rows          [8]        the places of row 0 whose logits are kept
    logits        [8, V]
    loss, norm    [10]       mean next-token loss, and norm of the gradient, before each step
    grad.NAME     as NAME    gradient of step 0
    after.NAME    [n / 4]    every fourth element after ten steps of clipped AdamW
    packed.logp   [158]      row 1 as two documents of 90 and 70 tokens, run on their own

The sizes are chosen to be awkward: no width is a multiple of 16, heads times head size is not the width, key and
value heads are shared, and 160 tokens are more than two tiles of attention.
"""
import json
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

STEPS, LENGTH, SPLIT = 10, 160, 90
ROWS = [0, 1, 17, 63, 64, 100, 128, 159]
COMMON = dict(vocab_size=300, num_hidden_layers=2, max_position_embeddings=192, attention_dropout=0.0)
MODELS = {
    "qwen3": (
        Qwen3ForCausalLM,
        Qwen3Config(hidden_size=40, intermediate_size=100, num_attention_heads=3, num_key_value_heads=1, head_dim=18,
                    rms_norm_eps=1e-6, rope_theta=10_000.0, tie_word_embeddings=False, **COMMON),
        torch.bfloat16,
    ),
    "llama": (
        LlamaForCausalLM,
        LlamaConfig(hidden_size=44, intermediate_size=92, num_attention_heads=4, num_key_value_heads=2, head_dim=14,
                    rms_norm_eps=1e-5, rope_theta=500_000.0, tie_word_embeddings=True, **COMMON),
        torch.float32,
    ),
}


def randomise(model, generator):
    """Weights large enough that every part of the model matters, gains that are not one."""
    with torch.no_grad():
        for _, p in sorted(model.named_parameters()):
            if p.dim() == 1:
                p.uniform_(0.5, 1.5, generator=generator)
            else:
                p.normal_(0.0, 1.5 * p.shape[1] ** -0.5, generator=generator)


def loss_of(model, ids):
    logits = model(ids[None, :].long()).logits[0]
    return logits, F.cross_entropy(logits[:-1], ids[1:].long())


def log_probabilities(model, ids):
    logits = model(ids[None, :].long()).logits[0]
    return torch.log_softmax(logits, -1)[:-1].gather(1, ids[1:, None].long())[:, 0]


def golden(name, folder):
    make, config, dtype = MODELS[name]
    config._attn_implementation = "eager"
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(7)
    model = make(config)
    randomise(model, generator)
    model.to(dtype).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    model = make.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")

    ids = torch.randint(0, config.vocab_size, (STEPS, LENGTH), generator=generator, dtype=torch.int32)
    out = {"ids": ids, "rows": torch.tensor(ROWS, dtype=torch.int32)}
    with torch.no_grad():
        halves = [log_probabilities(model, part) for part in (ids[1, :SPLIT], ids[1, SPLIT:])]
        out["packed.logp"] = torch.cat(halves)

    named = dict(model.named_parameters())
    decays = [p for n, p in named.items() if p.dim() == 2 and "embed_tokens" not in n]
    rest = [p for n, p in named.items() if not (p.dim() == 2 and "embed_tokens" not in n)]
    optimiser = torch.optim.AdamW(
        [{"params": decays, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}],
        lr=1e-3, betas=(0.9, 0.95), eps=1e-8)
    losses, norms = [], []
    for step in range(STEPS):
        optimiser.zero_grad()
        logits, loss = loss_of(model, ids[step])
        loss.backward()
        if step == 0:
            out["logits"] = logits.detach()[ROWS]
            out.update({f"grad.{n}": p.grad.clone() for n, p in named.items()})
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item())
        losses.append(loss.item())
        optimiser.step()
    out["loss"], out["norm"] = torch.tensor(losses), torch.tensor(norms)
    out.update({f"after.{n}": p.detach().flatten()[::4] for n, p in named.items()})
    assert max(norms) > 1.0, "no step was clipped"
    save_file({n: t.contiguous() for n, t in out.items()}, folder / "golden.safetensors",
              metadata={"torch": torch.__version__})
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(json.dumps({"model": name, "bytes": size, "loss": losses, "norm": norms}))


def main():
    torch.set_num_threads(1)
    for name in MODELS:
        folder = pathlib.Path(sys.argv[1]) / name
        folder.mkdir(parents=True, exist_ok=True)
        golden(name, folder)


if __name__ == "__main__":
    main()
