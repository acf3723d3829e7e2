#!/usr/bin/env python3
"""Writes the vision encoder and numbers that crates/model/tests/eyes.rs compares foretell with.

    scripts/parity.sh --python scripts/golden_eyes.py crates/model/tests/golden/idefics3
    scripts/parity.sh --python scripts/golden_eyes.py crates/model/tests/golden/llava

A whole model of random weights as transformers saves it, Idefics3's or LLaVA's by the folder's name, and in golden.safetensors,
computed by torch in float32 (T tokens a tile: 9 of Idefics3's, 36 of LLaVA's):

    pixels    [3, 3, 24, 24]  three tiles, normalised
    rows      [3 T, 20]       what the decoder would see of them
    cotangent [3 T, 20]
    grad.NAME                 gradient of the sum of rows times cotangent
    ids       [33 + 3 T]      a text with two pictures, of two tiles and of one
    logp      [32 + 3 T]      log-probability of each next token
    loss.NAME                 gradient of the sum of -logp, of some parameters
"""
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import Idefics3Config, LlavaConfig, LlavaForConditionalGeneration
from transformers.models.idefics3.modeling_idefics3 import Idefics3ForConditionalGeneration

SCALE, WIDTH, TILES = 2, 20, 3
LOOKED_AT = {
    "idefics3": ["model.text_model.embed_tokens.weight", "model.connector.modality_projection.proj.weight",
                 "model.vision_model.embeddings.patch_embedding.weight",
                 "model.text_model.layers.0.self_attn.q_proj.weight"],
    "llava": ["model.language_model.embed_tokens.weight", "model.multi_modal_projector.linear_1.weight",
              "model.vision_tower.embeddings.patch_embedding.weight",
              "model.language_model.layers.0.self_attn.q_proj.weight"],
}


def made(layout):
    """A model of random weights, and a function from tiles to the decoder's rows."""
    vision = dict(hidden_size=36, intermediate_size=52, num_hidden_layers=2, num_attention_heads=3, image_size=24,
                  patch_size=4)
    text = dict(model_type="llama", hidden_size=WIDTH, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
                num_key_value_heads=1, head_dim=10, vocab_size=40, pad_token_id=39)
    if layout == "llava":
        config = LlavaConfig(
            vision_config=dict(model_type="siglip_vision_model", vision_use_head=False, **vision), text_config=text,
            image_token_index=39, vision_feature_layer=-1, vision_feature_select_strategy="full", image_seq_length=36)
        model = LlavaForConditionalGeneration(config).eval().float()

        def rows(pixels):
            seen = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-1]
            return model.model.multi_modal_projector(seen)
    else:
        config = Idefics3Config(vision_config=vision, text_config=text, scale_factor=SCALE, image_token_id=39)
        model = Idefics3ForConditionalGeneration(config).eval().float()

        def rows(pixels):
            return model.model.connector(model.model.vision_model(pixel_values=pixels).last_hidden_state)
    return model, rows


def fill(model, generator):
    """Random weights, in the order of their names."""
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if p.dim() == 1:
                p.uniform_(-0.5, 1.5, generator=generator)
            else:
                p.normal_(0.0, 1.5 * p[0].numel() ** -0.5, generator=generator)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    layout = folder.name
    generator = torch.Generator().manual_seed(5)
    model, encoded = made(layout)
    fill(model, generator)
    eyes = {name: p for name, p in model.named_parameters()
            if name.startswith(("model.vision", "model.connector", "model.multi_modal_projector"))}
    pixels = torch.randn(TILES, 3, 24, 24, generator=generator)
    rows = encoded(pixels).reshape(-1, WIDTH)
    cotangent = torch.randn(rows.shape, generator=generator)
    (rows * cotangent).sum().backward()
    golden = {"pixels": pixels, "rows": rows.detach(), "cotangent": cotangent}
    golden |= {f"grad.{name}": p.grad.clone() for name, p in eyes.items() if p.grad is not None}

    model.zero_grad()
    each = len(rows) // TILES
    ids = torch.randint(0, 39, (33 + 3 * each,), generator=generator)
    ids[4:4 + 2 * each] = 39
    ids[22 + 2 * each:22 + 3 * each] = 39
    logits = model(input_ids=ids[None], pixel_values=pixels if layout == "llava" else pixels[None]).logits[0]
    logp = torch.log_softmax(logits[:-1], -1).gather(1, ids[1:, None])[:, 0]
    (-logp.sum()).backward()
    golden |= {"ids": ids.int(), "logp": logp.detach()}
    named = dict(model.named_parameters())
    golden |= {f"loss.{name}": named[name].grad for name in LOOKED_AT[layout]}
    save_file({name: tensor.contiguous() for name, tensor in golden.items()}, folder / "golden.safetensors")
    model.save_pretrained(folder)


if __name__ == "__main__":
    main()
