#!/usr/bin/env bash
# Makes what the Python peers need: an environment with the pinned versions in $FORETELL_BENCH_VENV (default
# target/bench-venv), and jemalloc, without which page faults slow PyTorch by up to 2x. Does nothing where it is done.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${FORETELL_BENCH_VENV:-$here/../target/bench-venv}

if ! ldconfig -p | grep -q libjemalloc.so.2; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        (apt-get update -qq && apt-get install -y -qq --no-install-recommends libjemalloc2) </dev/null >/dev/null
    else
        echo "setup.sh: jemalloc is missing; install libjemalloc2, or PyTorch runs with glibc's allocator tuned instead" >&2
    fi
fi
# torch.compile makes C++ and compiles it.
command -v g++ >/dev/null || echo "setup.sh: g++ is missing, and torch.compile needs it; install g++" >&2

wanted=$(cat "$here/requirements.txt")
if [ "$(cat "$venv/.installed" 2>/dev/null || true)" != "$wanted" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt" >&2
    printf '%s\n' "$wanted" >"$venv/.installed"
fi
"$venv/bin/python" -c 'import sys, torch; print(f"{sys.executable}: torch {torch.__version__}")'
