#!/usr/bin/env python3
"""A training step with pictures, in turn with PyTorch's, on the same core: encoder, pixel shuffle, connector and decoder, forward,
backward, clip and AdamW, of the same rows with as many tiles.

  bench/eyes.py                           S and M, five pairs each
  bench/eyes.py --sizes S --pairs 3

What is printed is the median over pairs of a ratio of tokens a second, each pair measured one right after the other; a ratio above 1
is in favour of foretell. `peer` is the faster of PyTorch's modes `compile` and `compile-step`, chosen for each size; eager is shown
besides. The peer's encoder is first held against transformers' numbers, and both models must have as many weights.
"""
import sys

from common import ROOT, Bench, against_peer, listed, parser, peer_options, peer_table

# S is what a plan of half an hour on two cores makes of the generated world; tiles of 64 pixels, patches of 8, tokens of 2 × 2.
SIZES = {
    "S": "width=96,layers=4,heads=3,ffn=256,seq=1024,rows=1,vocab=1063,tiles=17",
    "M": "width=384,layers=6,heads=12,ffn=1024,seq=512,rows=2,vocab=4138,tiles=15",
}
GOLDEN = ROOT / "crates/model/tests/golden/idefics3"


def main():
    p = parser(__doc__)
    peer_options(p)
    p.add_argument("--sizes", type=listed(), default=list(SIZES))
    p.add_argument("--pairs", type=int, default=5)
    p.add_argument("--modes", type=listed(), default=["compile", "compile-step", "eager"], help="of PyTorch")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--steps", type=int, default=12, help="least steps to time")
    p.add_argument("--seconds", type=float, default=4.0, help="least seconds to time")
    options = p.parse_args()
    unknown = set(options.sizes) - set(SIZES)
    if unknown:
        sys.exit(f"--sizes: {sorted(unknown)} are none of {list(SIZES)}")
    bench = Bench(options)
    script = [ROOT / "bench/torch_eyes.py", options.peer]
    bench.say(bench.with_torch([*script, "check", GOLDEN])[-1])
    table, timing = peer_table(bench), ["--steps", options.steps]
    for size in options.sizes:
        weights = {}

        def same(name, line):
            weights[name] = line["parameters"]
            if len(set(weights.values())) > 1:
                sys.exit(f"{size}: these are not the same model: {weights}")
            return line

        def ours():
            return same("ours", bench.ours("bench", "step", "--shape", SIZES[size], *timing, "--seconds", options.seconds,
                                           threads=options.threads)[-1])

        def peer(mode):
            line = [*script, "step", "--shape", SIZES[size], "--mode", mode, *timing, "--seconds-min", options.seconds,
                    "--threads", options.threads]
            return same(mode, bench.with_torch(line, options.threads)[-1])

        against_peer(bench, options, size, options.modes, ours, peer, table, shown=["parameters"])


main()
