#!/usr/bin/env python3
"""Writes the vision encoder and numbers that crates/model/tests/eyes.rs compares foretell with.

    scripts/parity.sh --python scripts/golden_eyes.py crates/model/tests/golden/idefics3

The encoder and connector of an Idefics3 model of random weights, in its config.json and model.safetensors, and in golden.safetensors, computed
by torch in float32:

    pixels    [3, 3, 24, 24]  three tiles, normalised
    rows      [27, 20]        what the decoder would see of them
    cotangent [27, 20]
    grad.NAME                 gradient of the sum of rows times cotangent
"""
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import Idefics3Config
from transformers.models.idefics3.modeling_idefics3 import Idefics3Model

SCALE, WIDTH, TILES = 2, 20, 3


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(5)
    config = Idefics3Config(
        vision_config=dict(hidden_size=36, intermediate_size=52, num_hidden_layers=2, num_attention_heads=3, image_size=24,
                           patch_size=4),
        text_config=dict(model_type="llama", hidden_size=WIDTH, intermediate_size=24, num_hidden_layers=1,
                         num_attention_heads=2, num_key_value_heads=1, head_dim=10, vocab_size=40, pad_token_id=0),
        scale_factor=SCALE, image_token_id=39)
    model = Idefics3Model(config).eval().float()
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if p.dim() == 1:
                p.uniform_(-0.5, 1.5, generator=generator)
            else:
                p.normal_(0.0, 1.5 * p[0].numel() ** -0.5, generator=generator)
    eyes = {name: p for name, p in model.named_parameters() if name.startswith(("vision_model", "connector"))}
    pixels = torch.randn(TILES, 3, 24, 24, generator=generator)
    rows = model.connector(model.vision_model(pixel_values=pixels).last_hidden_state).reshape(-1, WIDTH)
    cotangent = torch.randn(rows.shape, generator=generator)
    (rows * cotangent).sum().backward()
    save_file({f"model.{name}": p.detach().contiguous() for name, p in eyes.items()}, folder / "model.safetensors")
    golden = {"pixels": pixels, "rows": rows.detach(), "cotangent": cotangent}
    golden |= {f"grad.model.{name}": p.grad for name, p in eyes.items()}
    save_file({name: tensor.contiguous() for name, tensor in golden.items()}, folder / "golden.safetensors")
    config.save_pretrained(folder)


main()
