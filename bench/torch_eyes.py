"""The PyTorch peer of a step with pictures: the decoder of ../shared/bench/torch_train.py with an encoder in the SigLIP layout, pixel
shuffle and connector, timed as that file times its own.

  torch_eyes.py torch_train.py step --shape width=128,layers=4,heads=4,ffn=352,seq=512,rows=2,vocab=298,tiles=15 [--mode compile]
  torch_eyes.py torch_train.py check crates/model/tests/golden/idefics3     # the encoder against transformers' numbers

Patches come in the order in which those of a token stand side by side, as foretell's own, so that the pixel shuffle costs nothing.
"""
import argparse
import ast
import json
import pathlib
import resource
import statistics
import struct
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


def definitions(path):
    """The classes and functions of the peer of text, which would run if it were imported."""
    kinds = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef)
    tree = ast.parse(pathlib.Path(path).read_text(), path)
    tree.body = [node for node in tree.body if isinstance(node, kinds)]
    space = {}
    exec(compile(tree, path, "exec"), space)
    return space


def order(side, scale):
    """A tile's patches, by their place row by row: tokens row by row, and in each its square of patches."""
    squares = [(y, x) for y in range(0, side, scale) for x in range(0, side, scale)]
    return [(y + dy) * side + x + dx for y, x in squares for dy in range(scale) for dx in range(scale)]


class Layer(nn.Module):
    def __init__(s, c, h, f):
        super().__init__()
        s.h = h
        s.n1, s.n2 = nn.LayerNorm(c, eps=1e-6), nn.LayerNorm(c, eps=1e-6)
        s.qkv, s.o = nn.Linear(c, 3 * c), nn.Linear(c, c)
        s.fc1, s.fc2 = nn.Linear(c, f), nn.Linear(f, c)

    def forward(s, x):
        N, P, c = x.shape
        q, k, v = s.qkv(s.n1(x)).view(N, P, 3, s.h, c // s.h).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        x = x + s.o(y.transpose(1, 2).reshape(N, P, c))
        return x + s.fc2(F.gelu(s.fc1(s.n2(x)), approximate="tanh"))


class Encoder(nn.Module):
    def __init__(s, c, layers, heads, ffn, tile, patch, scale, width):
        super().__init__()
        side = tile // patch
        s.square = scale * scale
        s.patch = nn.Linear(3 * patch * patch, c)
        s.place = nn.Embedding(side * side, c)
        s.layers = nn.ModuleList(Layer(c, heads, ffn) for _ in range(layers))
        s.norm, s.connector = nn.LayerNorm(c, eps=1e-6), nn.Linear(s.square * c, width, bias=False)
        s.register_buffer("order", torch.tensor(order(side, scale)))

    def forward(s, patches):
        x = s.patch(patches) + s.place(s.order)
        for layer in s.layers:
            x = layer(x)
        return s.connector(s.norm(x).view(-1, s.square * x.shape[-1]))


def seeing(peer, size):
    """The model of a size: the decoder of the peer of text, in whose rows those of the tiles stand."""
    class Seeing(peer["GPT"]):
        def __init__(s, d, L, h, f, T, V, tile, patch, scale):
            super().__init__(d, L, h, f, T, V)
            s.eyes = Encoder(d, (L + 1) // 2, h, 4 * d, tile, patch, scale, d)

        def forward(s, i, y, patches, places):
            x = s.emb(i)
            x = x.flatten(0, 1).index_copy(0, places, s.eyes(patches)).view(x.shape)
            for b in s.blocks:
                x = b(x, s.cos, s.sin)
            return F.cross_entropy(s.head(s.norm(x)).flatten(0, 1), y.flatten())

    names = ("width", "layers", "heads", "ffn", "seq", "vocab", "tile", "patch", "scale_factor")
    return Seeing(*(size[name] for name in names))


def step(peer, a):
    size = {"tile": 64, "patch": 8, "scale_factor": 2}
    size |= {key: int(value) for key, value in (pair.split("=") for pair in a.shape.split(","))}
    d, T, B, V, tiles = (size[name] for name in ("width", "seq", "rows", "vocab", "tiles"))
    m = seeing(peer, size)
    run = torch.compile(m) if a.mode.startswith("compile") else m
    opt = torch.optim.AdamW(m.parameters(), lr=1e-3, fused=a.mode != "compile-step", foreach=a.mode == "compile-step")

    def update():
        torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
        opt.step()

    if a.mode == "compile-step":
        update = torch.compile(update)
    i, y = torch.randint(0, V, (2, B, T))
    patches = torch.randn(B * tiles, (size["tile"] // size["patch"]) ** 2, 3 * size["patch"] ** 2)
    tokens = (size["tile"] // size["patch"] // size["scale_factor"]) ** 2
    # Those of a row one after the other, from its beginning on.
    places = (torch.arange(B)[:, None] * T + torch.arange(tiles * tokens)).flatten()
    y.view(-1)[places] = -100  # The loss counts text only.
    ts, k = [], 0
    while k < a.steps + 5 or sum(ts) < a.seconds_min:
        t = time.perf_counter()
        loss = run(i, y, patches, places)
        loss.backward()
        update()
        opt.zero_grad(set_to_none=True)
        loss.item()
        if k >= 5:
            ts.append(time.perf_counter() - t)
        k += 1
    s = statistics.median(ts)
    multiplying = sum(layer.weight.numel() for layer in m.modules() if isinstance(layer, nn.Linear))
    print(json.dumps({"peer": f"torch-{torch.__version__}-{a.mode}", "shape": a.shape, "threads": a.threads,
                      "ms_median": s * 1e3, "ms_min": min(ts) * 1e3, "tokens_per_s": B * T / s, "parameters": multiplying,
                      "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}), flush=True)


def tensors(path):
    """A safetensors file of floats."""
    raw = path.read_bytes()
    length, = struct.unpack("<Q", raw[:8])
    body = bytearray(raw[8 + length:])
    header = {name: one for name, one in json.loads(raw[8:8 + length]).items() if name != "__metadata__"}
    read = {}
    for name, one in header.items():
        if one["dtype"] == "F32":
            start, end = one["data_offsets"]
            read[name] = torch.frombuffer(body[start:end], dtype=torch.float32).view(one["shape"])
    return read


def check(a):
    """The rows that the encoder makes of the golden file's tiles, with its weights."""
    folder = pathlib.Path(a.folder)
    config = json.loads((folder / "config.json").read_text())
    told, scale = config["vision_config"], config["scale_factor"]
    tile, patch = told["image_size"], told["patch_size"]
    golden, weights = tensors(folder / "golden.safetensors"), tensors(folder / "model.safetensors")
    width = golden["rows"].shape[1]
    eyes = Encoder(told["hidden_size"], told["num_hidden_layers"], told["num_attention_heads"], told["intermediate_size"],
                   tile, patch, scale, width)
    vision = {name.removeprefix("model.vision_model."): w for name, w in weights.items() if ".vision_model." in name}
    mine = {"connector.weight": weights["model.connector.modality_projection.proj.weight"], "order": eyes.order,
            "place.weight": vision["embeddings.position_embedding.weight"],
            "patch.weight": vision["embeddings.patch_embedding.weight"].flatten(1)}
    parts = {"patch.bias": "embeddings.patch_embedding.bias", "norm": "post_layernorm"}
    for number in range(told["num_hidden_layers"]):
        theirs = f"encoder.layers.{number}."
        parts |= {f"layers.{number}.{ours}": theirs + name for ours, name in
                  {"n1": "layer_norm1", "n2": "layer_norm2", "o": "self_attn.out_proj", "fc1": "mlp.fc1", "fc2": "mlp.fc2"}.items()}
        for kind in ("weight", "bias"):
            joined = [vision[f"{theirs}self_attn.{which}_proj.{kind}"] for which in "qkv"]
            mine[f"layers.{number}.qkv.{kind}"] = torch.cat(joined)
    for ours, name in parts.items():
        mine |= {ours: vision[name]} if name in vision else {f"{ours}.{k}": vision[f"{name}.{k}"] for k in ("weight", "bias")}
    eyes.load_state_dict(mine)
    side = tile // patch
    patches = golden["pixels"].view(-1, 3, side, patch, side, patch).permute(0, 2, 4, 1, 3, 5).reshape(-1, side * side, 3 * patch * patch)
    off = (eyes(patches[:, eyes.order]) - golden["rows"]).abs().max() / golden["rows"].abs().max()
    print(json.dumps({"check": "encoder", "apart": off.item()}), flush=True)
    if not off < 1e-5:
        sys.exit(f"the encoder's rows are {off} from the golden ones")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("peer")
    verbs = p.add_subparsers(dest="what", required=True)
    one = verbs.add_parser("step")
    one.add_argument("--shape", required=True)
    one.add_argument("--threads", type=int, default=1)
    one.add_argument("--mode", default="compile", choices=["compile", "compile-step", "eager"])
    one.add_argument("--steps", type=int, default=12)
    one.add_argument("--seconds-min", type=float, default=4.0)
    verbs.add_parser("check").add_argument("folder")
    a = p.parse_args()
    torch.manual_seed(0)
    if a.what == "check":
        check(a)
    else:
        torch.set_num_threads(a.threads)
        step(definitions(a.peer), a)


main()
