"""What the benchmarks share: programs run in turn on pinned cores, and figures compared as ratios."""
import argparse
import ctypes.util
import datetime
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# As in the PyTorch peer: width, layers, heads, ffn, seq, rows.
SIZES = {
    "XXS": (32, 2, 2, 96, 128, 2),
    "XS": (64, 2, 2, 192, 128, 16),
    "S": (128, 4, 4, 384, 256, 8),
    "M": (384, 6, 6, 1024, 256, 4),
    "L": (768, 12, 12, 2048, 512, 2),
}


def parser(description):
    """Options of every benchmark."""
    p = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", type=pathlib.Path, help="foretell [default: target/release/foretell, built if need be]")
    p.add_argument("--cores", type=lambda text: [int(core) for core in text.split(",")],
                   help="cores to run on [default: the last ones]")
    p.add_argument("--json", action="store_true", help="JSON objects, one a line, the first about the machine")
    p.add_argument("--record", type=pathlib.Path, metavar="FILE", help="the JSON objects go to a new file, besides")
    return p


def peer_options(p):
    """Options of benchmarks against PyTorch."""
    p.add_argument("--peer", type=pathlib.Path, default=ROOT / "../shared/bench/torch_train.py", help="torch_train.py")
    p.add_argument("--python", type=pathlib.Path, help="Python with torch [default: what bench/setup.sh made]")


def listed(kind=str):
    """The type of an option that is a list with commas."""
    return lambda text: [kind(item) for item in text.split(",") if item]


class Bench:
    """The programs and where they run."""

    def __init__(self, options):
        self.options, self.allocator = options, None
        self.record = self._record(options.record) if options.record else None
        self.binary = options.binary or self._built()
        allowed = sorted(os.sched_getaffinity(0))
        self.cores = options.cores or allowed[::-1]
        if not set(self.cores) <= set(allowed):
            sys.exit(f"--cores: this process may use {allowed}")
        if not shutil.which("taskset"):
            sys.exit("taskset is missing; install util-linux")
        self.say(self.machine())

    def _built(self):
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
        return target / "release/foretell"

    def _record(self, path):
        try:
            return path.open("x")
        except FileExistsError:
            sys.exit(f"{path}: it is there already, and records stay; give another --record")
        except OSError as error:
            sys.exit(f"{path}: the record cannot be written: {error.strerror}; give another --record")

    def machine(self):
        """What a record needs besides its figures."""
        version = subprocess.run([self.binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        info = pathlib.Path("/proc/cpuinfo")
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")] \
            if info.exists() else []
        return {"version": version, "date": datetime.date.today().isoformat(), "cpu": (names or [platform.machine()])[0],
                "cores": len(names) or os.cpu_count(), "load": os.getloadavg()[0], "command": " ".join(sys.argv)}

    def say(self, row):
        """A line of the record."""
        for file in [self.record] * bool(self.record) + [sys.stdout] * self.options.json:
            print(json.dumps(row), file=file, flush=True)

    def tell(self, text=""):
        """A line for people."""
        if not self.options.json:
            print(text, flush=True)

    def pinned(self, threads):
        """The cores of so many threads, for taskset."""
        if threads > len(self.cores):
            sys.exit(f"{threads} threads: there are {len(self.cores)} cores (--cores)")
        return ["taskset", "-c", ",".join(map(str, self.cores[:threads]))]

    def ours(self, *arguments, threads=1):
        """The JSON objects that a verb prints."""
        return self.lines([*self.pinned(threads), self.binary, *arguments, "--threads", threads, "--json"])

    def torch(self, *arguments, threads=1, changes=(), core=None):
        """The JSON objects that the PyTorch peer prints; `changes` are those of bench/peer.py, `core` one of ours."""
        script = [ROOT / "bench/peer.py", self.options.peer, *changes, "--"]
        return self.with_torch([*script, *arguments, "--threads", threads], threads, core)

    def with_torch(self, script, threads=1, core=None):
        """The JSON objects that a script that needs torch, and the PyTorch peer, prints."""
        python = self.options.python or self.python()
        if not self.options.peer.exists():
            sys.exit(f"{self.options.peer}: the PyTorch peer is not there (--peer)")
        self.allocator = self.allocator or allocator()
        pinned = self.pinned(threads) if core is None else ["taskset", "-c", core]
        return self.lines([*pinned, python, *script], self.allocator)

    def python(self):
        """The Python of bench/setup.sh, else that of scripts/parity.sh."""
        venvs = [os.environ.get("FORETELL_BENCH_VENV", ROOT / "target/bench-venv"), ROOT / "target/parity-venv"]
        found = [path for path in (pathlib.Path(venv) / "bin/python" for venv in venvs) if path.exists()]
        return found[0] if found else sys.exit("there is no Python with torch; run bench/setup.sh first")

    def lines(self, command, more=None):
        """The JSON objects that a program prints, run with `more` in its environment."""
        command = [str(part) for part in command]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(more or {})})
        if done.returncode:
            sys.exit(f"{' '.join(command)}\nended with {done.returncode}: {done.stderr.strip()[-2000:]}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def allocator():
    """The environment that gives PyTorch a good allocator."""
    jemalloc = ctypes.util.find_library("jemalloc")
    if jemalloc:
        return {"LD_PRELOAD": jemalloc}
    print("without jemalloc (bench/setup.sh): PyTorch runs with glibc's allocator, tuned", file=sys.stderr)
    return {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296",
            "MALLOC_TOP_PAD_": "1073741824"}


def median(values):
    return statistics.median(list(values))


class Table:
    """Rows for people, with columns of fixed width."""

    def __init__(self, bench, *columns):
        self.bench, self.widths = bench, [max(len(name) + 2, 10) for name in columns]
        self.row(*columns)

    def row(self, *cells):
        text = [cell if isinstance(cell, str) else f"{cell:.3g}" if abs(cell) < 1000 else f"{cell:,.0f}" for cell in cells]
        first, rest = text[0].ljust(self.widths[0]), zip(text[1:], self.widths[1:])
        self.bench.tell(first + "".join(cell.rjust(width) for cell, width in rest))


def against_peer(bench, options, size, modes, ours, peer, table, shown=()):
    """Steps of ours and of each of the peer's modes in turn, by functions that give their lines: says every pair and their medians,
    with fields of ours that are `shown` besides, and adds a row."""
    pairs = []
    for number in range(options.pairs):
        pair = {"ours": ours(), **{mode: peer(mode) for mode in modes}}
        pairs.append(pair)
        bench.say({"size": size, "pair": number, **pair})

    def ms(name):
        return median(pair[name]["ms_median"] for pair in pairs)

    def ratio(name):
        return median(pair["ours"]["tokens_per_s"] / pair[name]["tokens_per_s"] for pair in pairs)

    best = min([mode for mode in modes if mode != "eager"] or modes, key=ms)
    share = median(pair["ours"]["share_of_peak"] for pair in pairs)
    eager = ratio("eager") if "eager" in modes else None
    rss, plan = (max(pair["ours"][field] for pair in pairs) for field in ("peak_rss_mb", "plan_mb"))
    bench.say({"size": size, "threads": options.threads, "pairs": len(pairs),
               **{field: pairs[0]["ours"][field] for field in shown}, "ours_ms": ms("ours"), "peer": best,
               "peer_ms": ms(best), "ratio": ratio(best), "ratio_eager": eager, "share_of_peak": share,
               "peak_rss_mb": rss, "plan_mb": plan})
    table.row(size, ms("ours"), ms(best), best, ratio(best), "-" if eager is None else eager, 100 * share, rss, plan)


def peer_table(bench):
    """The columns of :func:`against_peer`."""
    return Table(bench, "size", "ours ms", "peer ms", "peer", "ratio", "eager ratio", "peak %", "rss MB", "plan MB")


def clock():
    return time.perf_counter()
