#!/usr/bin/env python3
"""A whole ladder against eager PyTorch on the same cores.

  bench/ladder.py --data data/real --max 1e11

Runs `foretell ladder run`, a rung a core, and then times the training step of every rung's shape in eager PyTorch on one of
these cores. What PyTorch would take for a rung is its step times the rung's steps; for the ladder, the sum of them shared out
evenly over the cores. Nothing is added for its evaluations, checkpoints and starts, all of which are in our time of the whole ladder.
Rungs narrower than 16 have two heads of 8 with us and two of half the width there, which is less work.
"""
import json
import pathlib
import tempfile
import tomllib

from common import SIZES, Bench, Table, clock, parser, peer_options


def parameters(width, layers, heads, ffn, *_):
    """Parameters that multiply, but for the head; heads are as wide as the model together."""
    return layers * (4 * width * width + 3 * width * ffn)


def rung(folder):
    """Shape, rows, steps and seconds of a finished run."""
    config = tomllib.loads((folder / "run.toml").read_text())
    model = config["model"]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    seconds = [line["time/seconds"] for line in lines if "train/loss" in line][-1]
    shape = {"width": model["hidden_size"], "layers": model["num_hidden_layers"], "heads": model["num_attention_heads"],
             "ffn": model["intermediate_size"], "seq": model["max_position_embeddings"], "rows": config["rows"],
             "vocab": model["vocab_size"]}
    return {"rung": folder.name, **shape, "steps": config["steps"], "seconds": seconds}


def main():
    p = parser(__doc__)
    peer_options(p)
    p.add_argument("--data", type=pathlib.Path, required=True, help="a folder made by data build")
    p.add_argument("--max", default="1e11", help="FLOP of the dearest rung")
    p.add_argument("--seconds", type=float, default=4.0, help="least seconds to time a step of PyTorch")
    options = p.parse_args()
    bench = Bench(options)
    cores = len(bench.cores)
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "ladder"
        start = clock()
        bench.ours("ladder", "run", "--data", options.data, "--out", out, "--max", options.max, threads=cores)
        whole = clock() - start
        rungs = sorted(map(rung, (out / "rungs").iterdir()), key=lambda one: one["seconds"])
    xxs = parameters(*SIZES["XXS"])
    eager = {}
    table = Table(bench, "rung            ", "N", "steps", "ours s", "eager s", "ratio", "size")
    for one in rungs:
        shape = ",".join(f"{key}={one[key]}" for key in ("width", "layers", "heads", "ffn", "seq", "rows", "vocab"))
        if shape not in eager:
            timing = ["--steps", 12, "--seconds-min", options.seconds]
            line = bench.torch("step", "--size", "XXS", "--mode", "eager", *timing, changes=["--shape", shape])[-1]
            eager[shape] = line["ms_median"] / 1000
        one["parameters"] = parameters(*(one[key] for key in ("width", "layers", "heads", "ffn")))
        one["eager_seconds"] = eager[shape] * one["steps"]
        one["ratio"] = one["eager_seconds"] / one["seconds"]
        one["xxs"] = one["parameters"] <= xxs
        bench.say(one)
        table.row(one["rung"], one["parameters"], one["steps"], one["seconds"], one["eager_seconds"], one["ratio"],
                  "XXS" if one["xxs"] else "")
    small = [one for one in rungs if one["xxs"]]
    theirs = sum(one["eager_seconds"] for one in rungs) / cores
    summary = {
        "rungs": len(rungs), "cores": cores, "seconds": whole, "eager_seconds": theirs, "ratio": theirs / whole,
        "ratio_training": sum(one["eager_seconds"] for one in rungs) / sum(one["seconds"] for one in rungs),
        "xxs": len(small), "ratio_xxs": sum(one["eager_seconds"] for one in small) / sum(one["seconds"] for one in small),
        "ratio_xxs_least": min(one["ratio"] for one in small),
    }
    bench.say(summary)
    bench.tell(f"\nthe whole ladder, evaluations and all: {whole:.1f} s, eager PyTorch {theirs:.1f} s for its training alone: "
               f"{summary['ratio']:.2f} times as fast\nrungs of size XXS: {summary['ratio_xxs']:.2f} times, the least "
               f"{summary['ratio_xxs_least']:.2f}; training alone, all rungs: {summary['ratio_training']:.2f} times")


main()
