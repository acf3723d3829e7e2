#!/usr/bin/env python3
"""Writes the vision encoder and numbers that crates/model/tests/eyes.rs compares foretell with.

    scripts/parity.sh --python scripts/golden_eyes.py crates/model/tests/golden/idefics3

A whole Idefics3 model of random weights as transformers saves it, and in golden.safetensors, computed by torch in float32:

    pixels    [3, 3, 24, 24]  three tiles, normalised
    rows      [27, 20]        what the decoder would see of them
    cotangent [27, 20]
    grad.NAME                 gradient of the sum of rows times cotangent
    ids       [60]            a text with two pictures, of two tiles and of one
    logp      [59]            log-probability of each next token
    loss.NAME                 gradient of the sum of -logp, of some parameters
"""
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import Idefics3Config
from transformers.models.idefics3.modeling_idefics3 import Idefics3ForConditionalGeneration

SCALE, WIDTH, TILES = 2, 20, 3
LOOKED_AT = ["model.text_model.embed_tokens.weight", "model.connector.modality_projection.proj.weight",
             "model.vision_model.embeddings.patch_embedding.weight", "model.text_model.layers.0.self_attn.q_proj.weight"]


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(5)
    config = Idefics3Config(
        vision_config=dict(hidden_size=36, intermediate_size=52, num_hidden_layers=2, num_attention_heads=3, image_size=24,
                           patch_size=4),
        text_config=dict(model_type="llama", hidden_size=WIDTH, intermediate_size=24, num_hidden_layers=1,
                         num_attention_heads=2, num_key_value_heads=1, head_dim=10, vocab_size=40, pad_token_id=39),
        scale_factor=SCALE, image_token_id=39)
    model = Idefics3ForConditionalGeneration(config).eval().float()
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if p.dim() == 1:
                p.uniform_(-0.5, 1.5, generator=generator)
            else:
                p.normal_(0.0, 1.5 * p[0].numel() ** -0.5, generator=generator)
    eyes = {name: p for name, p in model.named_parameters() if name.startswith(("model.vision_model", "model.connector"))}
    pixels = torch.randn(TILES, 3, 24, 24, generator=generator)
    rows = model.model.connector(model.model.vision_model(pixel_values=pixels).last_hidden_state).reshape(-1, WIDTH)
    cotangent = torch.randn(rows.shape, generator=generator)
    (rows * cotangent).sum().backward()
    golden = {"pixels": pixels, "rows": rows.detach(), "cotangent": cotangent}
    golden |= {f"grad.{name}": p.grad.clone() for name, p in eyes.items()}

    model.zero_grad()
    ids = torch.randint(0, 39, (60,), generator=generator)
    ids[4:22] = 39
    ids[40:49] = 39
    logits = model(input_ids=ids[None], pixel_values=pixels[None]).logits[0]
    logp = torch.log_softmax(logits[:-1], -1).gather(1, ids[1:, None])[:, 0]
    (-logp.sum()).backward()
    golden |= {"ids": ids.int(), "logp": logp.detach()}
    named = dict(model.named_parameters())
    golden |= {f"loss.{name}": named[name].grad for name in LOOKED_AT}
    save_file({name: tensor.contiguous() for name, tensor in golden.items()}, folder / "golden.safetensors")
    model.save_pretrained(folder)


main()
