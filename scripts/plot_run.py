#!/usr/bin/env python3
"""Draws a run: plot_run.py RUN OUT.svg

Training loss (nats a token, smoothed over a fiftieth of the run, the single steps behind it) and held-out bits per byte, against the
tokens trained on. Needs nothing but Python.
"""
import json
import math
import pathlib
import sys

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 62, 62, 34, 46
TRAIN, HELD_OUT, INK, FAINT = "#4269d0", "#d1495b", "#444", "#ddd"


def read(run):
    """(tokens, loss) a step and (tokens, bits per byte) an evaluation."""
    losses, bits, tokens = [], [], {0: 0}
    for text in (run / "metrics.jsonl").read_text().splitlines():
        line = json.loads(text)
        if line.get("train/tokens") is not None:
            tokens[line["step"]] = line["train/tokens"]
        if line.get("train/loss") is not None:
            losses.append((line["train/tokens"], line["train/loss"]))
        if line.get("val/bits_per_byte") is not None and line["step"] in tokens:
            bits.append((tokens[line["step"]], line["val/bits_per_byte"]))
    return losses, bits


def smooth(points):
    """Means over windows of a fiftieth, each in the middle of its window."""
    size = max(1, len(points) // 50)
    windows = (points[i:i + size] for i in range(0, len(points), size))
    return [(sum(x for x, _ in window) / len(window), sum(y for _, y in window) / len(window)) for window in windows]


def ticks(low, high, about=5):
    """Round numbers that cover a range."""
    raw = (high - low) / about or 1.0
    unit = 10 ** math.floor(math.log10(raw))
    unit *= next(factor for factor in (1, 2, 5, 10) if factor * unit >= raw * 0.999)
    return [i * unit for i in range(math.floor(low / unit), math.ceil(high / unit) + 1)]


def short(x):
    """A number as people write it."""
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(x) >= size:
            return f"{x / size:g} {sign}"
    return f"{x:g}"


class Axis:
    """Values to places on the page."""

    def __init__(self, values, start, end, high=None):
        self.marks = ticks(min(values), max(values))
        self.low, self.high = self.marks[0], high or self.marks[-1]
        self.start, self.end = start, end

    def place(self, value):
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def text(x, y, content, anchor="middle", fill=INK):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{content}</text>'


def line(points, x, y, colour, width, opacity=1.0):
    path = " ".join(f"{x.place(a):.1f},{y.place(b):.1f}" for a, b in points)
    return (f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}" '
            f'stroke-opacity="{opacity}" stroke-linejoin="round"/>')


def draw(losses, bits):
    smoothed = smooth(losses)
    # Single steps scatter; the axis fits the smoothed curve, and the scatter is cut at its ends.
    x = Axis([0, losses[-1][0]], LEFT, WIDTH - RIGHT - 12, losses[-1][0])
    left = Axis([loss for _, loss in smoothed], HEIGHT - BOTTOM, TOP)
    shown = [(a, min(max(b, left.marks[0]), left.marks[-1])) for a, b in losses]
    step = max(1, len(shown) // 2000)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for mark in left.marks:
        y = left.place(mark)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{FAINT}"/>')
        parts.append(text(LEFT - 8, y + 4, short(round(mark, 6)), "end", TRAIN))
    for mark in x.marks:
        if mark <= x.high:
            parts.append(text(x.place(mark), HEIGHT - BOTTOM + 18, short(mark)))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "tokens trained on"))
    parts.append(text(LEFT - 44, TOP - 14, "training loss, nats a token", "start", TRAIN))
    parts.append(line(shown[::step], x, left, TRAIN, 1, 0.2))
    parts.append(line(smoothed, x, left, TRAIN, 2))
    if bits:
        right = Axis([b for _, b in bits] + [bits[-1][1] * 1.02], HEIGHT - BOTTOM, TOP)
        parts += [text(WIDTH - RIGHT + 8, right.place(mark) + 4, short(round(mark, 6)), "start", HELD_OUT) for mark in right.marks]
        parts.append(text(WIDTH - RIGHT + 44, TOP - 14, "held-out bits per byte", "end", HELD_OUT))
        parts.append(line(bits, x, right, HELD_OUT, 2))
        parts += [f'<circle cx="{x.place(a):.1f}" cy="{right.place(b):.1f}" r="3.5" fill="{HELD_OUT}"/>' for a, b in bits]
        end = bits[-1]
        parts.append(text(x.place(end[0]), right.place(end[1]) - 12, f"{end[1]:.3f}", fill=HELD_OUT))
    return "\n".join([*parts, "</svg>", ""])


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    run, out = map(pathlib.Path, sys.argv[1:])
    try:
        losses, bits = read(run)
    except OSError as error:
        sys.exit(f"{run}: is no run that has begun: {error}")
    if len(losses) < 2:
        sys.exit(f"{run}: it has no two steps to draw yet")
    out.write_text(draw(losses, bits))


if __name__ == "__main__":
    main()
