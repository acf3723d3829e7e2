#!/usr/bin/env python3
"""Other people's runs, foretold by `foretell bench predict` and held against what they reached.

  bench/strangers.py ../shared/data/scaling             the losses that the targets name
  bench/strangers.py ../shared/data/scaling --others    every other held-out loss of the same runs, as families of their own

Every (data set, tier, f) weighs the same. Errors are |predicted / observed - 1|; an interval score is the width of the 80 %
interval and ten times what lies outside, in % of the loss.
"""
import argparse, csv, json, subprocess, sys, tempfile
from collections import defaultdict
from pathlib import Path


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def write(path, table):
    with open(path, "w", newline="") as file:
        out = csv.DictWriter(file, table[0].keys())
        out.writeheader()
        out.writerows(table)


def runs_of(folder):
    tables = [rows(path) for path in sorted(folder.glob("*.csv"))]
    return [row for table in tables if table and "params_N" in table[0] for row in table]


def others(folder, into):
    """The same folder with every `loss_*` of `extra` as a data set of its own."""
    runs, found = [], set()
    for row in runs_of(folder):
        for name, loss in json.loads(row["extra"]).items():
            if name.startswith("loss_") and loss:
                dataset = row["dataset"] + "/" + name
                runs.append({**row, "dataset": dataset, "loss": loss, "extra": "{}"})
                found.add((row["dataset"], dataset))
    for name in ("targets.csv", "splits.csv"):
        table = [{**row, "dataset": dataset} for old, dataset in sorted(found) for row in rows(folder / name)
                 if row["dataset"] == old]
        write(into / name, table)
    known = {(row["dataset"], row["run_id"]) for row in runs}
    targets = [row for row in rows(into / "targets.csv") if (row["dataset"], row["target_run_id"]) in known]
    write(into / "targets.csv", targets)
    write(into / "runs.csv", runs)
    return into


def score(binary, folder):
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "predictions.csv"
        subprocess.run([binary, "bench", "predict", folder, "--out", out, "--quiet"], check=True, stdout=sys.stderr)
        predicted = rows(out)
    observed = {(row["dataset"], row["run_id"]): float(row["loss"]) for row in runs_of(folder)}
    tier = {(row["dataset"], row["target_run_id"]): row["tier"] for row in rows(folder / "targets.csv")}
    cells = defaultdict(list)
    for row in predicted:
        key = (row["dataset"], row["target_run_id"])
        loss = observed[key]
        ends = {level: (float(row[f"lo{level}"]), float(row[f"hi{level}"])) for level in (80, 90, 95)}
        low, high = ends[80]
        cells[row["dataset"], tier[key], float(row["f"])].append({
            "error": abs(float(row["pred"]) / loss - 1),
            "score": (high - low + 10 * (max(low - loss, 0) + max(loss - high, 0))) / loss,
            **{f"in{level}": float(a <= loss <= b) for level, (a, b) in ends.items()},
        })
    mean = lambda values: sum(values) / len(values)
    cells = {key: {name: mean([one[name] for one in group]) for name in group[0]} for key, group in cells.items()}
    reaches = sorted({key[2] for key in cells})
    return {
        "predictions": len(predicted),
        "error_percent": {f"{f:g}": round(100 * mean([c["error"] for k, c in cells.items() if k[2] == f]), 2)
                          for f in reaches},
        **{name: round(100 * mean([cell[name] for cell in cells.values()]), 1)
           for name in ("in80", "in90", "in95", "score")},
    }


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path)
    p.add_argument("--others", action="store_true")
    p.add_argument("--binary", default="target/release/foretell")
    options = p.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = others(options.folder, Path(scratch)) if options.others else options.folder
        print(json.dumps({"folder": str(options.folder), "others": options.others, **score(options.binary, folder)}))


main()
