#!/usr/bin/env python3
"""Writes the pictures that crates/data/tests/pictures.rs compares foretell with.

    scripts/parity.sh --python scripts/pictures.py crates/data/tests/pictures

For each picture NAME.png and each preparation of PREPARATIONS, NAME-PREPARATION.png holds the tiles that the Idefics3
image processor of transformers makes of it on its Pillow path, one below the other, and cases.json how many rows and
columns they have. colours/ holds one small picture in ways of encoding that are easily read wrongly, and what Pillow reads.
"""
import json
import pathlib
import sys

import numpy as np
from PIL import Image, ImageDraw
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

# longest edge (0: as it comes), tile, whether to split, Pillow's filter
PREPARATIONS = {
    "shrunk": (96, 48, True, "lanczos"),
    "grown": (230, 100, True, "bicubic"),
    "as-it-comes": (0, 64, True, "bilinear"),
    "one-tile": (120, 40, False, "lanczos"),
}
SIZES = {"wide": (131, 53), "tall": (33, 170), "square": (64, 64), "digit": (28, 28), "strip": (190, 5)}
FILTERS = {"lanczos": Image.LANCZOS, "bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR}


def drawn(width, height, seed):
    """Edges, which rings follow, on something smooth."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // width, y * 255 // height, 128 + 100 * np.sin(x / 5) * np.cos(y / 4)], -1)
    picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for _ in range(12):
        a, b = rng.integers(0, [width, height]), rng.integers(0, [width, height])
        pen.line([*map(int, a), *map(int, b)], fill=tuple(map(int, rng.choice([0, 255], 3))), width=1)
    return picture


def tiles(picture, edge, tile, split, resample):
    processor = Idefics3ImageProcessorPil(
        do_resize=edge > 0, size={"longest_edge": edge or 1}, max_image_size={"longest_edge": tile},
        do_image_splitting=split, resample=FILTERS[resample], do_rescale=False, do_normalize=False, do_pad=False)
    out = processor([[picture]], return_row_col_info=True)
    pixels = np.concatenate([np.asarray(part).transpose(1, 2, 0) for part in out["pixel_values"][0]])
    return Image.fromarray(pixels.astype(np.uint8)), int(out["rows"][0][0]), int(out["cols"][0][0])


def main():
    folder = pathlib.Path(sys.argv[1])
    (folder / "colours").mkdir(parents=True, exist_ok=True)
    cases = []
    for seed, (name, size) in enumerate(SIZES.items()):
        picture = drawn(*size, seed)
        picture.save(folder / f"{name}.png")
        for preparation, (edge, tile, split, resample) in PREPARATIONS.items():
            made, rows, columns = tiles(picture, edge, tile, split, resample)
            made.save(folder / f"{name}-{preparation}.png")
            cases.append(dict(picture=name, preparation=preparation, longest_edge=edge, tile=tile, split=split,
                              filter=resample, rows=rows, columns=columns))
    (folder / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")

    picture = drawn(40, 24, 9)
    ways = folder / "colours"
    picture.save(ways / "plain.jpg", quality=95)
    picture.convert("CMYK").save(ways / "cmyk.jpg", quality=95)
    picture.convert("L").save(ways / "grey.png")
    picture.convert("P", palette=Image.ADAPTIVE).save(ways / "palette.gif")
    picture.save(ways / "lossy.webp", quality=90)
    see_through = picture.copy()
    see_through.putalpha(Image.fromarray((np.mgrid[0:24, 0:40][1] * 255 // 39).astype(np.uint8)))
    see_through.save(ways / "see-through.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    picture.save(ways / "turned.jpg", quality=95, exif=turned)
    white = Image.new("RGBA", picture.size, (255, 255, 255))
    for path in sorted(ways.glob("*.*")):
        if path.stem.endswith("-read"):
            continue
        with Image.open(path) as one:
            if path.stem == "see-through":
                read = Image.alpha_composite(white, one.convert("RGBA")).convert("RGB")
            elif path.stem == "turned":
                read = one.convert("RGB").transpose(Image.Transpose.ROTATE_270)
            else:
                read = one.convert("RGB")
        read.save(ways / f"{path.stem}-read.png")


if __name__ == "__main__":
    main()
