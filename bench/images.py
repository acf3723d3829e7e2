#!/usr/bin/env python3
"""Pictures to tiles against Pillow with the Idefics3 processors of transformers, on one core: from encoded bytes to normalised
numbers.

  bench/images.py ../shared/data/vision/mathvision/images/*.jpg --longest-edge 1456 --tile 364

The peers run in the environment of bench/setup.sh; the fast processor needs torchvision, and is left out, and said so, where that is not
there. It scales with another filter, since torchvision has no Lanczos for tensors: its pictures are not those of the slow one.
"""
import pathlib
import subprocess
import sys

from common import Bench, Table, median, parser

PEER = """
import io, json, sys, time
from PIL import Image
kind, edge, tile, seconds, *files = sys.argv[1:]
if kind == "pillow":
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil as Processor
    tensors = "np"
else:
    import torch, torchvision
    torch.set_num_threads(1)
    from transformers.models.idefics3.image_processing_idefics3 import Idefics3ImageProcessor as Processor
    tensors = "pt"
edge, tile = int(edge), int(tile)
processor = Processor(do_resize=edge > 0, size={"longest_edge": edge or 1}, max_image_size={"longest_edge": tile},
                      image_mean=[0.5] * 3, image_std=[0.5] * 3)
read = [open(file, "rb").read() for file in files]
decoding = preparing = rounds = 0
while rounds == 0 or decoding + preparing < float(seconds):
    for one in read:
        start = time.perf_counter()
        picture = Image.open(io.BytesIO(one)).convert("RGB")
        decoded = time.perf_counter()
        processor([[picture]], return_tensors=tensors)
        decoding += decoded - start
        preparing += time.perf_counter() - decoded
    rounds += 1
count = rounds * len(read)
print(json.dumps({"peer": kind, "pictures": len(read), "decode_ms": 1e3 * decoding / count,
                  "prepare_ms": 1e3 * preparing / count, "pictures_per_s": count / (decoding + preparing)}))
"""


def main():
    p = parser(__doc__)
    p.add_argument("files", nargs="+")
    p.add_argument("--longest-edge", type=int, default=1456)
    p.add_argument("--tile", type=int, default=364)
    p.add_argument("--seconds", type=float, default=4.0)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--python", type=pathlib.Path, help="Python with transformers, Pillow, torchvision [default: what bench/setup.sh made]")
    options = p.parse_args()
    bench = Bench(options)
    python = options.python or bench.python()
    for needed in ("transformers", "PIL"):
        if subprocess.run([python, "-c", f"import {needed}"], capture_output=True).returncode:
            sys.exit(f"{python} has no {needed}; run bench/setup.sh first, or give --python")
    fast = not subprocess.run([python, "-c", "import torchvision"], capture_output=True).returncode
    if not fast:
        print(f"{python} has no torchvision, so the fast processor is left out; bench/setup.sh installs it", file=sys.stderr)
    ratios = {kind: [] for kind in ["pillow"] + ["fast"] * fast}
    table = Table(bench, "round", "ours ms", *(f"{kind} ms" for kind in ratios), *(f"/ {kind}" for kind in ratios))
    for number in range(options.rounds):
        ours = bench.ours("bench", "images", *options.files, "--longest-edge", options.longest_edge, "--tile", options.tile,
                          "--patch", options.tile, "--seconds", options.seconds)[-1]
        bench.say({"round": number, **ours})
        milliseconds = []
        for kind, found in ratios.items():
            theirs = bench.lines([*bench.pinned(1), python, "-c", PEER, kind, options.longest_edge, options.tile,
                                  options.seconds, *options.files])[-1]
            bench.say({"round": number, **theirs})
            found.append(ours["pictures_per_s"] / theirs["pictures_per_s"])
            milliseconds.append(1e3 / theirs["pictures_per_s"])
        table.row(str(number), 1e3 / ours["pictures_per_s"], *milliseconds, *(found[-1] for found in ratios.values()))
    bench.say({f"times_{kind}": median(found) for kind, found in ratios.items()})


main()
