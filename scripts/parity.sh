#!/bin/sh
# Compares foretell with transformers and llama.cpp, both ways: parity.sh FORETELL_BINARY [options].
# With --python it runs any other script in the same environment: parity.sh --python scripts/golden.py DIR.
#
# The environment is made once, in $FORETELL_VENV (default target/parity-venv), from the pinned versions in
# parity.txt. llama.cpp is compiled on the way, with what it sees pictures by, which takes some minutes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=${FORETELL_VENV:-$here/../target/parity-venv}
wanted=$(cat "$here/parity.txt")
if [ "$(cat "$venv/.installed" 2>/dev/null || true)" != "$wanted" ]; then
    echo "parity: installing $here/parity.txt into $venv" >&2
    python3 -m venv --clear "$venv"
    # Not from the cache, which may hold a llama.cpp that was compiled without eyes (libmtmd).
    CMAKE_ARGS="-DLLAVA_BUILD=ON -DGGML_OPENMP=OFF ${CMAKE_ARGS:-}" \
        "$venv/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir -r "$here/parity.txt" >&2
    printf '%s\n' "$wanted" >"$venv/.installed"
fi
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 TOKENIZERS_PARALLELISM=false
if [ "${1:-}" = --python ]; then
    shift
    exec "$venv/bin/python" "$@"
fi
exec "$venv/bin/python" "$here/parity.py" "$@"
