#!/usr/bin/env python3
"""A training step, in turn with another, on the same core.

  bench/step.py                           against PyTorch: --sizes XXS,XS,S,M,L, five pairs each
  bench/step.py threads --sizes S,M       two threads over one
  bench/step.py isa --sizes S             AVX2 over AVX-512
  bench/step.py odd                       odd shapes against their neighbours

What is printed is the median over pairs of a ratio of tokens a second, each pair measured one right after the other; a
ratio above 1 is in favour of the first. With PyTorch, `peer` is the faster of its modes `compile` and `compile-step`, chosen
for each size; eager is shown besides where it was measured.
"""
from common import SIZES, Bench, Table, against_peer, listed, median, parser, peer_options, peer_table

# A shape, and the neighbours below and above it that suit the registers.
ODD = {
    "width 48": ("XS", "width=48,heads=3,ffn=144", "width=32,heads=2,ffn=96", "width=64,heads=4,ffn=192"),
    "width 80": ("XS", "width=80,heads=5,ffn=240", "width=64,heads=4,ffn=192", "width=96,heads=6,ffn=288"),
    "width 200": ("S", "width=200,heads=5,ffn=600", "width=192,heads=6,ffn=576", "width=256,heads=8,ffn=768"),
    "seq 192": ("S", "seq=192", "seq=128", "seq=256"),
    "vocab 1000": ("S", "vocab=1000", "vocab=512", "vocab=1024"),
}


def step(bench, size, options, *more, threads=1):
    timing = ["--steps", options.steps, "--seconds", options.seconds]
    return bench.ours("bench", "step", "--size", size, *timing, *more, threads=threads)[-1]


def against_torch(bench, options):
    table, timing = peer_table(bench), ["--steps", options.steps, "--seconds-min", options.seconds]
    for size in options.sizes:
        def peer(mode):
            return bench.torch("step", "--size", size, "--mode", mode, *timing, threads=options.threads)[-1]

        modes = options.modes or ["compile", "compile-step", *(["eager"] if size == "XXS" else [])]
        against_peer(bench, options, size, modes, lambda: step(bench, size, options, threads=options.threads), peer, table)


def compared(bench, options, first, second):
    """Our own step in two ways: {name, threads, options} each."""
    table = Table(bench, "size", f"{first['name']} ms", f"{second['name']} ms", "ratio")
    for size in options.sizes:
        pairs = [[step(bench, size, options, *way["more"], threads=way["threads"]) for way in (first, second)]
                 for _ in range(options.pairs)]
        ratio = median(a["tokens_per_s"] / b["tokens_per_s"] for a, b in pairs)
        ms = [median(pair[i]["ms_median"] for pair in pairs) for i in range(2)]
        names = [first["name"], second["name"]]
        bench.say({"size": size, "ways": names, "pairs": len(pairs), "ms": ms, "ratio": ratio})
        table.row(size, *ms, ratio)


def odd(bench, options):
    table = Table(bench, "shape", "peak %", "below %", "above %", "ratio")
    for name, (size, *shapes) in ODD.items():
        rounds = [[step(bench, size, options, "--shape", shape, threads=options.threads)["share_of_peak"]
                   for shape in shapes] for _ in range(options.pairs)]
        # Between its neighbours, where the share of the peak rises with the size.
        ratio = median(it / ((below + above) / 2) for it, below, above in rounds)
        it, below, above = (median(row[i] for row in rounds) for i in range(3))
        bench.say({"shape": name, "size": size, "shapes": shapes, "pairs": len(rounds), "share_of_peak": it, "below": below,
                   "above": above, "ratio": ratio})
        table.row(name, 100 * it, 100 * below, 100 * above, ratio)


def main():
    p = parser(__doc__)
    peer_options(p)
    p.add_argument("what", nargs="?", default="torch", choices=["torch", "threads", "isa", "odd"])
    p.add_argument("--sizes", type=listed(), default=list(SIZES))
    p.add_argument("--pairs", type=int, default=5)
    p.add_argument("--modes", type=listed(), help="of PyTorch [default: compile,compile-step, and eager for XXS]")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--steps", type=int, default=12, help="least steps to time")
    p.add_argument("--seconds", type=float, default=4.0, help="least seconds to time")
    options = p.parse_args()
    bench = Bench(options)
    if options.what == "torch":
        against_torch(bench, options)
    elif options.what == "threads":
        two, one = ({"name": f"{n} threads", "threads": n, "more": []} for n in (2, 1))
        compared(bench, options, two, one)
    elif options.what == "isa":
        sets = ({"name": isa, "threads": options.threads, "more": ["--isa", isa]} for isa in ("avx2", "avx512"))
        compared(bench, options, *sets)
    else:
        odd(bench, options)


main()
