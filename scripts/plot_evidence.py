#!/usr/bin/env python3
"""Draws what `bench evidence` recorded: plot_evidence.py RECORDS OUT.svg [LADDER …]

Held-out bits per byte against FLOP: the rungs of each ladder, then every target: what came out as a point, and beside it each
prediction of it with its 90 % interval, its colour saying how many times dearer than the rungs that foretold it the target is.
LADDER: only these, and their targets. Needs nothing but Python.
"""
import json
import math
import pathlib
import sys

from plot_run import Axis, FAINT, HELD_OUT, INK, text

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 62, 20, 58, 46
REACHES = {100: "#3ca951", 1000: "#4269d0", 10000: "#a463f2"}


def read(folder, names):
    """The losses of the rungs by ladder, and the predictions whose outcome is known."""
    lines = [json.loads(line) for line in (folder / "evidence.jsonl").read_text().splitlines()][1:]
    ladders = {line["ladder"]: [rung["run"] for rung in json.loads((folder / f"{line['ladder']}.json").read_text())["rungs"]]
               for line in lines if "target" not in line}
    wanted = names or list(ladders)
    return ({name: runs for name, runs in ladders.items() if name in wanted},
            [line for line in lines if "target" in line and line["ladder"] in wanted])


def reach(prediction):
    """The power of ten nearest to how many times dearer the target is."""
    times = 10 ** round(math.log10(prediction["flops"] / prediction["bound"]))
    return min(REACHES, key=lambda known: abs(math.log10(known / times)))


def draw(ladders, predictions):
    runs = [run for rungs in ladders.values() for run in rungs]
    flops = [run["flops"] for run in runs] + [line["flops"] for line in predictions]
    low, high = math.floor(math.log10(min(flops))), math.log10(max(flops)) + 0.6
    x = Axis([low, high], LEFT, WIDTH - RIGHT, high)
    losses = [run["loss"] for run in runs] + [end for line in predictions for end in line["interval90"]]
    y = Axis(losses, HEIGHT - BOTTOM, TOP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for mark in y.marks:
        parts.append(f'<path d="M{LEFT} {y.place(mark):.1f}H{WIDTH - RIGHT}" stroke="{FAINT}"/>')
        parts.append(text(LEFT - 8, y.place(mark) + 4, f"{mark:g}", "end"))
    for decade in range(low, math.floor(high) + 1):
        parts.append(text(x.place(decade), HEIGHT - BOTTOM + 18, f"1e{decade}"))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "FLOP of a run"))
    parts.append(text(LEFT - 44, 18, "held-out bits per byte", "start"))
    at = LEFT + 110
    parts.append(f'<circle cx="{at}" cy="14" r="2.5" fill="{INK}" fill-opacity="0.5"/>' + text(at + 8, 18, "rungs", "start"))
    parts.append(f'<circle cx="{at + 60}" cy="14" r="4" fill="{HELD_OUT}"/>' + text(at + 70, 18, "came out", "start", HELD_OUT))
    shown = sorted({reach(line) for line in predictions})
    for place, times in enumerate(shown):
        label = f"foretold from 1/{times:,}, 90 %"
        parts.append(text(LEFT - 44 + 190 * place, 38, label, "start", REACHES[times]))
    parts += [f'<circle cx="{x.place(math.log10(run["flops"])):.1f}" cy="{y.place(run["loss"]):.1f}" r="2.5" fill="{INK}" '
              'fill-opacity="0.4"/>' for run in runs]
    targets = sorted({(line["flops"], line["target"]) for line in predictions})
    start = x.place(math.log10(max(run["flops"] for run in runs))) + 30
    for place, (_, name) in enumerate(targets):
        # Targets of nearly the same cost are drawn side by side, in their order.
        centre = start + (WIDTH - RIGHT - 30 - start) * (place + 0.5) / len(targets)
        mine = sorted((line for line in predictions if line["target"] == name), key=lambda line: (reach(line), line["ladder"]))
        for step, line in enumerate(mine):
            at, colour = centre + 7 * (step + 1), REACHES[reach(line)]
            bottom, top = (y.place(end) for end in line["interval90"])
            parts.append(f'<path d="M{at:.1f} {bottom:.1f}V{top:.1f}" stroke="{colour}" stroke-width="2"/>')
            parts.append(f'<circle cx="{at:.1f}" cy="{y.place(line["predicted"]):.1f}" r="2.5" fill="{colour}"/>')
        parts.append(f'<circle cx="{centre:.1f}" cy="{y.place(mine[0]["observed"]):.1f}" r="4" fill="{HELD_OUT}"/>')
        parts.append(text(centre, y.place(mine[0]["observed"]) + 20, name, fill=HELD_OUT))
    return "\n".join([*parts, "</svg>", ""])


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    folder, out = map(pathlib.Path, sys.argv[1:3])
    try:
        ladders, predictions = read(folder, sys.argv[3:])
    except OSError as error:
        sys.exit(f"{folder}: holds no records of bench evidence: {error}")
    if not predictions:
        sys.exit(f"{folder}: no target of it is done")
    out.write_text(draw(ladders, predictions))


if __name__ == "__main__":
    main()
