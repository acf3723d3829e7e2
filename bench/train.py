#!/usr/bin/env python3
"""`train` on real data against `bench step` of the same shape, and against its own plan.

  bench/train.py --data data/real --sizes XS,S,M --seconds 30

For each size and pair: tokens a second of both; planned seconds and bytes against those taken; the time from the start of
the process to its first finished step.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

from common import SIZES, Bench, Table, clock, median, parser


def watched(command, until=None):
    """Runs a program: its JSON lines with the seconds at which they came, its seconds, its peak memory in bytes.

    It is interrupted when a line with the field `until` has come.
    """
    start = clock()
    lines = []
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            for line in process.stdout:
                lines.append((clock() - start, json.loads(line)))
                if until and until in lines[-1][1]:
                    process.send_signal(signal.SIGINT)
                    until = None
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 128 + signal.SIGINT):
            errors.seek(0)
            sys.exit(f"{' '.join(map(str, command))}\nended with {process.returncode}: {errors.read()[-2000:]}")
    return lines, clock() - start, usage.ru_maxrss * 1024


def arrival(lines, field):
    """When the first line with a field came, and the line."""
    return next(((at, line) for at, line in lines if field in line), (None, None))


def measure(bench, options, size, folder):
    width, layers, heads, ffn, seq, rows = SIZES[size]
    vocab = json.loads((options.data / "manifest.json").read_text())["tokenizer"]["vocab_size"]
    step = bench.ours("bench", "step", "--size", size, "--shape", f"vocab={vocab}", "--seconds", min(options.seconds, 4),
                      threads=options.threads)[-1]
    settings = {"width": width, "layers": layers, "heads": heads, "ffn": ffn, "seq": seq, "rows": rows,
                "tied": "false", "max_epochs": 1e9, **dict(pair.split("=", 1) for pair in options.set)}
    sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    tokens = step["tokens_per_s"] * options.seconds
    common = [*bench.pinned(options.threads), bench.binary, "train", "--threads", options.threads, "--json"]
    # The run is planned by one process and made by another, so that each has its own peak of memory.
    lines, _, planning = watched([*common, "--data", options.data, "--budget", f"D={tokens:.0f}", "--out",
                                  folder / "planned", *sets], until="train/loss")
    plan = arrival(lines, "plan")[1]["plan"]
    lines, seconds, peak = watched([*common, "--config", folder / "planned/run.toml", "--out", folder / "run"])
    summary = lines[-1][1]
    trained = summary["tokens"] / summary["seconds"]
    return {
        "size": size, "threads": options.threads, "tokens_per_s": trained, "tokens_per_s_step": step["tokens_per_s"],
        "ratio": trained / step["tokens_per_s"],
        "seconds": seconds, "seconds_planned": plan["seconds"]["total"],
        "seconds_training": summary["seconds"], "seconds_training_planned": plan["seconds"]["training"],
        "memory_mb": peak / 2**20, "memory_planned_mb": plan["memory_bytes"] / 2**20,
        "memory_while_planning_mb": planning / 2**20, "first_step_s": arrival(lines, "train/loss")[0],
    }


def main():
    p = parser(__doc__)
    p.add_argument("--data", type=pathlib.Path, required=True, help="a folder made by data build")
    p.add_argument("--sizes", default=["XS", "S", "M"], type=lambda text: text.split(","))
    p.add_argument("--seconds", type=float, default=30.0, help="of each run")
    p.add_argument("--pairs", type=int, default=3)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="settings of the run")
    options = p.parse_args()
    bench = Bench(options)
    table = Table(bench, "size", "tokens/s", "of step %", "s planned", "s taken", "MB planned", "MB taken", "first step s")
    for size in options.sizes:
        found = []
        for _ in range(options.pairs):
            with tempfile.TemporaryDirectory() as folder:
                found.append(measure(bench, options, size, pathlib.Path(folder)))
                bench.say(found[-1])
        middle = {key: median(row[key] for row in found) for key in found[0] if key != "size"}
        table.row(size, middle["tokens_per_s"], 100 * middle["ratio"], middle["seconds_planned"], middle["seconds"],
                  middle["memory_planned_mb"], middle["memory_mb"], middle["first_step_s"])
        bench.say({"size": size, "pairs": len(found), "medians": middle})


main()
