#!/usr/bin/env python3
"""Draws what `bench evidence` recorded: plot_evidence.py RECORDS OUT.svg [LADDER …]

Held-out bits per byte. Left: the rungs and what the targets reached, against FLOP. Right: every target, what came out as a line and
each prediction of it with its 90 % interval, its colour saying how much less than the target's compute the rungs took.
LADDER: only these, and their targets. Needs nothing but Python.
"""
import json
import math
import pathlib
import sys

from plot_run import Axis, FAINT, HELD_OUT, INK, text

WIDTH, HEIGHT = 760, 380
LEFT, MIDDLE, RIGHT, TOP, BOTTOM = 50, 380, 16, 66, 46
REACHES = {100: "#3ca951", 1000: "#4269d0", 10000: "#a463f2"}


def read(folder, names):
    """The losses of the rungs by ladder, and the predictions whose outcome is known."""
    lines = [json.loads(line) for line in (folder / "evidence.jsonl").read_text().splitlines()][1:]
    ladders = {line["ladder"]: [rung["run"] for rung in json.loads((folder / f"{line['ladder']}.json").read_text())["rungs"]]
               for line in lines if "name" not in line}
    wanted = names or list(ladders)
    return ({name: runs for name, runs in ladders.items() if name in wanted},
            [line for line in lines if "name" in line and line["ladder"] in wanted])


def reach(prediction):
    """The power of ten nearest to how many times dearer the target is."""
    times = 10 ** round(math.log10(prediction["flops"] / prediction["bound"]))
    return min(REACHES, key=lambda known: abs(math.log10(known / times)))


def circle(x, y, radius, colour, opacity=1.0):
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}" fill-opacity="{opacity}"/>'


def grid(y, left, right):
    """Lines and figures of a panel."""
    for mark in y.marks:
        yield f'<path d="M{left} {y.place(mark):.1f}H{right}" stroke="{FAINT}"/>'
        yield text(left - 8, y.place(mark) + 4, f"{mark:g}", "end")


def along(ladders, predictions):
    """Left: rungs and what the targets reached, along the compute."""
    runs = [(run["flops"], run["loss"]) for rungs in ladders.values() for run in rungs]
    ends = sorted({(line["flops"], line["observed"]) for line in predictions})
    logs = [math.log10(flops) for flops, _ in runs + ends]
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    x = Axis([low, high], LEFT, MIDDLE, high)
    y = Axis([loss for _, loss in runs + ends], HEIGHT - BOTTOM, TOP)
    yield from grid(y, LEFT, MIDDLE)
    for decade in range(low, high + 1):
        yield text(x.place(decade), HEIGHT - BOTTOM + 18, f"1e{decade}")
    yield text((LEFT + MIDDLE) / 2, HEIGHT - 8, "FLOP of a run")
    for points, radius, colour, opacity in ((runs, 2.5, INK, 0.4), (ends, 4, HELD_OUT, 1.0)):
        yield from (circle(x.place(math.log10(flops)), y.place(loss), radius, colour, opacity) for flops, loss in points)


def beside(predictions):
    """Right: what came out beside its predictions, a target a column."""
    left, right = MIDDLE + 50, WIDTH - RIGHT
    y = Axis([end for line in predictions for end in (*line["interval90"], line["observed"])], HEIGHT - BOTTOM, TOP)
    yield from grid(y, left, right)
    names = list(dict.fromkeys(line["name"] for line in sorted(predictions, key=lambda line: line["flops"])))
    for place, name in enumerate(names):
        mine = sorted((line for line in predictions if line["name"] == name), key=lambda line: (reach(line), line["ladder"]))
        centre = left + (right - left) * (place + 0.5) / len(names)
        yield text(centre, HEIGHT - BOTTOM + 18, name)
        for step, line in enumerate(mine):
            at, colour = centre + 9 * (step - 0.5 * (len(mine) - 1)), REACHES[reach(line)]
            bottom, top = (y.place(end) for end in line["interval90"])
            yield f'<path d="M{at:.1f} {bottom:.1f}V{top:.1f}" stroke="{colour}" stroke-width="2"/>'
            yield circle(at, y.place(line["predicted"]), 3, colour)
        half = 9 * 0.5 * (len(mine) + 1)
        at = y.place(mine[0]["observed"])
        yield f'<path d="M{centre - half:.1f} {at:.1f}H{centre + half:.1f}" stroke="{HELD_OUT}" stroke-width="2"/>'


def draw(ladders, predictions):
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', text(18, 20, "held-out bits per byte", "start"),
             circle(170, 16, 2.5, INK, 0.4), text(178, 20, "rungs", "start"),
             circle(226, 16, 4, HELD_OUT), text(236, 20, "came out", "start", HELD_OUT)]
    for place, times in enumerate(sorted({reach(line) for line in predictions})):
        label = f"foretold from 1/{times:,} of the compute, 90 %"
        parts.append(text(MIDDLE + 18, 20 + 16 * place, label, "start", REACHES[times]))
    return "\n".join([*parts, *along(ladders, predictions), *beside(predictions), "</svg>", ""])


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
