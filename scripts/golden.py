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

gguf/ holds one more model as transformers saved it, and the same written by llama.cpp's own Python package, with
tensors of every type that foretell reads.

The sizes are chosen to be awkward: no width is a multiple of 16, heads times head size is not the width, key and
value heads are shared, and 160 tokens are more than two tiles of attention.
"""
import json
import pathlib
import sys

import gguf
import numpy as np
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


def golden_gguf(folder):
    """A Llama of one layer as GGUF. The tensors' rows and names are those of llama.cpp's converter."""
    torch.manual_seed(0)
    config = LlamaConfig(hidden_size=32, intermediate_size=32, num_attention_heads=2, num_key_value_heads=1, head_dim=8,
                         vocab_size=24, num_hidden_layers=1, max_position_embeddings=48, rms_norm_eps=1e-5,
                         rope_theta=50_000.0, tie_word_embeddings=False, bos_token_id=None, eos_token_id=2)
    model = LlamaForCausalLM(config)
    randomise(model, torch.Generator().manual_seed(3))
    kinds = gguf.GGMLQuantizationType
    layer = {"self_attn.q_proj": ("attn_q", kinds.F16), "self_attn.k_proj": ("attn_k", kinds.F32),
             "self_attn.v_proj": ("attn_v", kinds.BF16), "self_attn.o_proj": ("attn_output", kinds.F16),
             "mlp.gate_proj": ("ffn_gate", kinds.Q8_0), "mlp.up_proj": ("ffn_up", kinds.Q8_0),
             "mlp.down_proj": ("ffn_down", kinds.Q8_0), "input_layernorm": ("attn_norm", kinds.F32),
             "post_attention_layernorm": ("ffn_norm", kinds.F32)}
    names = {f"model.layers.0.{hf}.weight": (f"blk.0.{name}.weight", kind) for hf, (name, kind) in layer.items()}
    names |= {"model.embed_tokens.weight": ("token_embd.weight", kinds.BF16),
              "model.norm.weight": ("output_norm.weight", kinds.F32), "lm_head.weight": ("output.weight", kinds.Q8_0)}

    folder.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(folder / "model.gguf", "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(50_000.0)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([chr(ord("a") + i) for i in range(22)] + ["ab", "abc"])
    writer.add_token_types([1] * 2 + [3] + [1] * 21)
    writer.add_token_merges(["a b", "ab c"])
    writer.add_eos_token_id(2)
    kept = {}
    for hf, p in model.named_parameters():
        name, kind = names[hf]
        data = gguf.quantize(p.detach().numpy(), kind)
        kept[hf] = torch.from_numpy(np.ascontiguousarray(gguf.dequantize(data, kind), dtype=np.float32))
        if hf.endswith(("q_proj.weight", "k_proj.weight")):
            heads = data.shape[0] // config.head_dim
            data = data.reshape(heads, 2, config.head_dim // 2, -1).swapaxes(1, 2).reshape(data.shape)
        writer.add_tensor(name, np.ascontiguousarray(data), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model.load_state_dict(kept)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def main():
    torch.set_num_threads(1)
    for name in MODELS:
        folder = pathlib.Path(sys.argv[1]) / name
        folder.mkdir(parents=True, exist_ok=True)
        golden(name, folder)
    golden_gguf(pathlib.Path(sys.argv[1]) / "gguf")


if __name__ == "__main__":
    main()
