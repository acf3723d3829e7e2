#!/usr/bin/env python3
"""Bits per byte against wall-clock on a file of bytes, ours and PyTorch's, each on one core. The last tenth is held out.

  bench/race.py --bytes FILE              the same recipe: PyTorch for 120 s, ours for 85
  bench/race.py tuned --bytes FILE        both over the same grid of rate × rows: PyTorch 120 s, ours 60 s a point

Schedules are tied to the length of a race, so a shorter race is a race of its own and not the first part of a longer
one. PyTorch compiles before its clock starts.
"""
from common import Bench, Table, listed, median, parser, peer_options


def ours(bench, options, rate, seconds, rows=None, seed=0):
    more = ["--rows", rows] if rows else []
    return bench.ours("bench", "race", "--bytes", options.bytes, "--size", options.size, "--seconds", seconds, "--rate",
                      rate, "--seed", seed, *more)[-1]


def torch(bench, options, rate, seconds, rows=None):
    changes = ["--rows", rows] if rows else []
    return bench.torch("race", "--data", options.bytes, "--size", options.size, "--seconds", seconds, "--lr", rate,
                       changes=changes)[-1]


def same(bench, options):
    table = Table(bench, "pair", "peer s", "peer bits", "ours s", "our bits", "won")
    pairs = []
    for number in range(options.pairs):
        peer = torch(bench, options, options.rate, options.seconds)
        mine = ours(bench, options, options.rate, options.our_seconds or 85 / 120 * options.seconds, seed=number)
        pairs.append((mine, peer))
        bench.say({"pair": number, "ours": mine, "peer": peer})
        table.row(str(number), peer["seconds"], peer["bits_per_byte"], mine["seconds"], mine["bits_per_byte"],
                  "yes" if mine["bits_per_byte"] <= peer["bits_per_byte"] else "no")
    tokens = median(mine["tokens"] / mine["seconds"] / (peer["tokens"] / peer["seconds"]) for mine, peer in pairs)
    bits = median(mine["bits_per_byte"] - peer["bits_per_byte"] for mine, peer in pairs)
    bench.say({"race": "same", "size": options.size, "pairs": len(pairs), "bits_per_byte_above_peer": bits,
               "tokens_per_s_ratio": tokens})
    bench.tell(f"ours minus the peer's: {bits:+.4f} bits a byte; tokens a second: {tokens:.2f} times the peer's")


def tuned(bench, options):
    table = Table(bench, "rate × rows", "peer bits", "our bits")
    best = {}
    for rate in options.rates:
        for rows in options.rows:
            found = {"peer": torch(bench, options, rate, options.seconds, rows),
                     "ours": ours(bench, options, rate, options.our_seconds or options.seconds / 2, rows)}
            bench.say({"rate": rate, "rows": rows, **found})
            bits = {who: line["bits_per_byte"] for who, line in found.items()}
            table.row(f"{rate:g} × {rows}", bits["peer"], bits["ours"])
            for who in bits:
                best[who] = min(best.get(who, (float("inf"),)), (bits[who], rate, rows, found[who]["seconds"]))
    fields = ("bits_per_byte", "rate", "rows", "seconds")
    summary = {who: dict(zip(fields, row)) for who, row in best.items()}
    bench.say({"race": "tuned", "size": options.size, **summary})
    for who, row in summary.items():
        bench.tell(f"best of {who}: {row['bits_per_byte']:.4f} bits a byte after {row['seconds']:.0f} s, "
                   f"rate {row['rate']:g}, {row['rows']} rows")


def main():
    p = parser(__doc__)
    peer_options(p)
    p.add_argument("what", nargs="?", default="same", choices=["same", "tuned"])
    p.add_argument("--bytes", required=True, help="the file")
    p.add_argument("--size", default="XS")
    p.add_argument("--seconds", type=float, default=120.0, help="of the peer")
    p.add_argument("--our-seconds", type=float, help="[default: 85 of 120, or half of the peer's if tuned]")
    p.add_argument("--rate", type=float, default=3e-3)
    p.add_argument("--pairs", type=int, default=3)
    p.add_argument("--rates", type=listed(float), default=[1e-3, 3e-3, 1e-2])
    p.add_argument("--rows", type=listed(int), default=[4, 8, 16, 32])
    options = p.parse_args()
    {"same": same, "tuned": tuned}[options.what](Bench(options), options)


main()
