#!/usr/bin/env python3
"""Speed of `data build` with a tokenizer given: MB of text a second a core, from reading to shards.

  bench/data.py ../shared/data/text/books.jsonl.gz

Without --tokenizer one of --vocab tokens is trained on the same file first; that is not timed.
"""
import json
import pathlib
import tempfile

from common import Bench, Table, clock, median, parser


def main():
    p = parser(__doc__)
    p.add_argument("sources", nargs="+")
    p.add_argument("--tokenizer", type=pathlib.Path, help="a tokenizer.json or its folder")
    p.add_argument("--vocab", type=int, default=4096)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--rounds", type=int, default=3)
    options = p.parse_args()
    bench = Bench(options)
    table = Table(bench, "round", "MB", "seconds", "MB/s a core")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        tokenizer = options.tokenizer
        if not tokenizer:
            bench.ours("data", "build", *options.sources, "--out", folder / "trained", "--vocab", options.vocab,
                       threads=len(bench.cores))
            tokenizer = folder / "trained/tokenizer.json"
        rates = []
        for number in range(options.rounds):
            out = folder / f"data-{number}"
            start = clock()
            bench.ours("data", "build", *options.sources, "--out", out, "--tokenizer", tokenizer, threads=options.threads)
            seconds = clock() - start
            manifest = json.loads((out / "manifest.json").read_text())
            size = manifest["counts"]["bytes"] / 1e6
            rates.append(size / seconds / options.threads)
            bench.say({"round": number, "text_mb": size, "seconds": seconds, "threads": options.threads,
                       "mb_per_s_core": rates[-1]})
            table.row(str(number), size, seconds, rates[-1])
        bench.say({"mb_per_s_core": median(rates), "rounds": len(rates)})


main()
