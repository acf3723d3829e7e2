#!/usr/bin/env python3
"""A whole ladder against eager PyTorch on the same cores.

  bench/ladder.py --data data/real --max 1e11            further options go to ladder run: --branches, --span, --set …
  bench/ladder.py --ladder ladders/real                  a ladder that is finished, of this machine
  bench/ladder.py --data data/real --max 1e11 --whole    PyTorch takes every step of every rung

Runs `foretell ladder run`, a rung a core, and then the training step of the rungs' shapes in eager PyTorch, a shape a core.
What PyTorch takes for a rung is the median of its steps times the rung's steps (with --whole the sum of as many steps), all on
one batch that is there already. Its evaluation is a forward pass of 32 rows, timed and scaled to the held-out tokens. Of a
rung that branches off another, only its own steps count, on both sides.

The table has training alone. The whole ladder is our wall-clock, with starts and checkpoints, against PyTorch's training and
evaluations, shared out evenly over the cores, without either. PyTorch's heads make up the width, where ours are of 8: it has as
many, or the next fewer that divide the width (28: two of 14 for our three), so below 16 it has less work, and hardly more or
less elsewhere. Size XXS is what has no more parameters than it, without the head.
"""
import concurrent.futures
import json
import pathlib
import queue
import sys
import tempfile
import tomllib

from common import SIZES, Bench, Table, clock, parser, peer_options

# Rows that PyTorch evaluates at once: enough that it is not held up by its calls.
EVALUATED = 32


def body(width, layers, heads, ffn, *_):
    """Parameters that multiply, but for the head; heads are as wide as the model together."""
    return layers * (4 * width * width + 3 * width * ffn)


def rung(folder, parameters):
    """Shape, rows, steps and seconds of a finished run; of a branch, from where it parts."""
    config = tomllib.loads((folder / "run.toml").read_text())
    model = config["model"]
    begun = config["origin"].get("branch", {}).get("step", 0)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    clocks = {line["step"]: line["time/seconds"] for line in lines if "train/loss" in line}
    evaluations = [line["time/seconds"] for line in lines if "val/loss" in line and line["step"] > begun]
    shape = {"width": model["hidden_size"], "layers": model["num_hidden_layers"], "heads": model["num_attention_heads"],
             "ffn": model["intermediate_size"], "seq": model["max_position_embeddings"], "rows": config["rows"],
             "vocab": model["vocab_size"]}
    steps = config["steps"] - begun
    return {"rung": folder.name, "parameters": parameters, **shape, "steps": steps, "branched_at": begun,
            "tokens": steps * shape["rows"] * shape["seq"], "seconds": clocks[config["steps"]] - clocks.get(begun, 0.0),
            "evaluated_tokens": len(evaluations) * config["evaluation"]["tokens"], "evaluation_seconds": sum(evaluations)}


def rungs_of(ladder):
    """The rungs of a finished ladder, and the version that ran it."""
    plan = ladder / "ladder.toml"
    if not plan.exists():
        sys.exit(f"{ladder}: it is no ladder, for it has no ladder.toml; give a folder that ladder run made")
    plan = tomllib.loads(plan.read_text())
    missing = [one["name"] for one in plan["rungs"] if not (ladder / "rungs" / one["name"] / "DONE").exists()]
    if missing:
        sys.exit(f"{ladder}: {len(missing)} of {len(plan['rungs'])} rungs are not finished, {missing[0]} the first; "
                 "end them with ladder run, without --rung and --dry-run")
    found = [rung(ladder / "rungs" / one["name"], one["parameters"]) for one in plan["rungs"]]
    return sorted(found, key=lambda one: one["seconds"]), plan["version"]


def run(bench, options, more):
    """Our ladder: rungs, version, seconds by the clock."""
    if options.ladder:
        return *rungs_of(options.ladder), None
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "ladder"
        start = clock()
        bench.ours("ladder", "run", "--data", options.data, "--out", out, "--max", options.max, *more,
                   threads=len(bench.cores))
        whole = clock() - start
        return *rungs_of(out), whole


def heads_there(width, heads):
    """The most heads, up to ours, that divide the width into even parts, which rotary positions need."""
    return next((n for n in range(heads, 0, -1) if width % (2 * n) == 0), None) or sys.exit(
        f"width {width}: PyTorch's peer needs an even one; leave such rungs out of the ladder")


def shape_of(one, **changes):
    values = {**one, "heads": one["eager_heads"], **changes}
    return ",".join(f"{key}={values[key]}" for key in ("width", "layers", "heads", "ffn", "seq", "rows", "vocab"))


def in_eager(bench, options, rungs):
    """Adds to every rung the seconds of its training and evaluations in PyTorch."""
    free = queue.SimpleQueue()
    for core in bench.cores:
        free.put(core)

    def milliseconds(steps, seconds, *changes):
        core = free.get()
        try:
            timing = ["--mode", "eager", "--steps", steps, "--seconds-min", seconds]
            return bench.torch("step", "--size", "XXS", *timing, changes=changes, core=core)[-1]["ms_median"]
        finally:
            free.put(core)

    def training(one):
        if options.whole:
            return one["rung"], (one["steps"], 0, "--shape", shape_of(one), "--mean")
        return shape_of(one), (12, options.seconds, "--shape", shape_of(one))

    def evaluation(one):
        shape = shape_of(one, rows=EVALUATED)
        return f"evaluation {shape}", (5, options.seconds / 4, "--shape", shape, "--forward")

    for one in rungs:
        one["eager_heads"] = heads_there(one["width"], one["heads"])
    wanted = {}
    for one in rungs[::-1]:  # the dearest first
        wanted.update(filter(None, (training(one), evaluation(one) if one["evaluated_tokens"] else None)))
    with concurrent.futures.ThreadPoolExecutor(len(bench.cores)) as pool:
        took = dict(zip(wanted, pool.map(lambda call: milliseconds(*call) / 1000, wanted.values())))
    for one in rungs:
        passes = one["evaluated_tokens"] / (EVALUATED * one["seq"])
        one["eager_seconds"] = took[training(one)[0]] * one["steps"]
        one["eager_evaluation_seconds"] = passes * took[evaluation(one)[0]] if passes else 0.0


def main():
    p = parser(__doc__)
    peer_options(p)
    p.add_argument("--data", type=pathlib.Path, help="a folder made by data build")
    p.add_argument("--max", default="1e11", help="FLOP of the dearest rung")
    p.add_argument("--ladder", type=pathlib.Path, help="a finished ladder, instead of --data and --max")
    p.add_argument("--whole", action="store_true", help="PyTorch takes all steps of all rungs: minutes, for 1e11")
    p.add_argument("--seconds", type=float, default=4.0, help="least seconds to time a step of PyTorch")
    options, more = p.parse_known_args()
    if bool(options.ladder) == bool(options.data):
        p.error("give either --data, to run a ladder on, or --ladder, one that is finished")
    if options.ladder and more:
        p.error(f"{' '.join(more)}: options of ladder run, but the one of --ladder is finished; leave them out")
    bench = Bench(options)
    cores = len(bench.cores)
    rungs, version, whole = run(bench, options, more)
    in_eager(bench, options, rungs)

    def total(field, among=rungs):
        return sum(one[field] for one in among)

    xxs = body(*SIZES["XXS"])
    table = Table(bench, "rung            ", "N", "tokens", "steps", "ours s", "eager s", "ratio", "size")
    for one in rungs:
        one["ratio"] = one["eager_seconds"] / one["seconds"]
        one["xxs"] = body(*(one[key] for key in ("width", "layers", "heads", "ffn"))) <= xxs
        bench.say(one)
        table.row(one["rung"], one["parameters"], one["tokens"], one["steps"], one["seconds"], one["eager_seconds"],
                  one["ratio"], "XXS" if one["xxs"] else "")
    small = [one for one in rungs if one["xxs"]]
    ours = (total("seconds") + total("evaluation_seconds")) / cores if whole is None else whole
    theirs = total("eager_seconds") / cores
    evaluated = theirs + total("eager_evaluation_seconds") / cores
    summary = {
        "rungs": len(rungs), "cores": cores, "ladder_version": version, "whole_steps": options.whole,
        "by_the_clock": whole is not None, "seconds": ours, "eager_seconds": evaluated, "ratio": evaluated / ours,
        "eager_seconds_training": theirs, "ratio_without_its_evaluations": theirs / ours,
        "ratio_training": total("eager_seconds") / total("seconds"), "xxs": len(small),
        "ratio_xxs": total("eager_seconds", small) / total("seconds", small) if small else None,
        "ratio_xxs_least": min((one["ratio"] for one in small), default=None),
    }
    bench.say(summary)
    table.row("training alone", *[""] * 3, total("seconds"), total("eager_seconds"), summary["ratio_training"], "all")
    table.row("whole ladder", *[""] * 3, ours, evaluated, summary["ratio"], "all")
    counted = "by the clock" if whole is not None else "as its rungs recorded, without starts and checkpoints"
    steps = "every step taken" if options.whole else "scaled from steps that were timed"
    bench.tell(f"\nthe whole ladder on {cores} cores: {ours:.1f} s {counted}, evaluations and all;\neager PyTorch "
               f"{theirs:.1f} s of training ({steps}) and {evaluated - theirs:.1f} s of evaluations (scaled):\n"
               f"{summary['ratio']:.2f} times as fast, "
               f"{summary['ratio_without_its_evaluations']:.2f} if its evaluations cost nothing")
    if small:
        bench.tell(f"rungs of size XXS: {summary['ratio_xxs']:.2f} times, the least {summary['ratio_xxs_least']:.2f}")
    else:
        bench.tell("no rung is of size XXS; a lower --max has some")


main()
