#!/usr/bin/env bash
# The test command: format, lints, documentation, NEON, all tests. It fetches what is missing by itself (rustfmt
# and clippy by rustup; a C compiler by apt-get, if run as root) and goes on after a step that failed, so that one
# run shows all that is wrong.
#
#   scripts/test.sh          about a quarter of an hour on two cores in a clean clone, two or three minutes in one that is built
#   scripts/test.sh --all    also the long kill tests, and the comparison with transformers and llama.cpp (an hour
#                            the first time: it installs them)
#
# Every step says how long it took. Steps that pass show no more than that, but for the tests, which come last.
set -uo pipefail
cd "$(dirname "$0")/.."

all=no
for option in "$@"; do
    case $option in
    --all) all=yes ;;
    *)
        echo "usage: scripts/test.sh [--all]" >&2
        exit 2
        ;;
    esac
done

begin=$SECONDS
failed=()
skipped=()
target=${CARGO_TARGET_DIR:-target}
logs=$target/test-logs
mkdir -p "$logs" || exit 1
export CARGO_TERM_COLOR=never
# Nothing is built twice where a clone is thrown away, so notes for the next build only cost time.
if [ "${CI:-}" ]; then export CARGO_INCREMENTAL=0; fi

has() { command -v "$1" >/dev/null 2>&1; }

# step NAME COMMAND…: runs it, says how it went; the output goes to a log that is shown if it fails. A command
# that ends with 3 lacks something that cannot be had here: its last line says what.
step() {
    local name=$1 start=$SECONDS log code
    shift
    log="$logs/${name// /-}.log"
    printf '%-24s ' "$name"
    "$@" >"$log" 2>&1
    code=$?
    case $code in
    0) printf 'ok       %5d s   %s\n' $((SECONDS - start)) "$(passed "$log")" ;;
    3)
        skipped+=("$name")
        printf 'SKIPPED  %5d s   %s\n' $((SECONDS - start)) "$(tail -n 1 "$log")"
        ;;
    *)
        printf 'FAILED   %5d s\n' $((SECONDS - start))
        failed+=("$name")
        grep -vE '^ *(Compiling|Checking|Documenting|Downloading|Downloaded|Blocking|Updating|Locking|Adding) ' "$log" |
            tail -n 150
        ;;
    esac
}

# How many tests a log says have passed.
passed() { awk '/^test result: ok/ { n += $4 } END { if (n) print n " tests passed" }' "$1"; }

set_up() {
    if ! has cargo; then
        echo "cargo is missing: install Rust from https://rustup.rs"
        return 1
    fi
    if ! has cc; then
        if [ "$(id -u)" = 0 ] && has apt-get; then
            (apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev) </dev/null
        fi
        has cc || { echo "a C compiler is missing (zstd is written in C): install gcc" && return 1; }
    fi
    for component in rustfmt clippy; do
        cargo "${component/rustfmt/fmt}" --version || rustup component add "$component" || return 1
    done
    cargo fetch --locked
}

step "set up" set_up
step "format" cargo fmt --all -- --check
step "lints" cargo clippy --locked --workspace --all-targets -- -D warnings
step "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
# Checked only: the fuzzer itself, which is C++, is not compiled, and nothing is linked.
step "fuzz targets" env CUSTOM_LIBFUZZER_PATH=none/libfuzzer.a cargo check --locked --manifest-path fuzz/Cargo.toml --target-dir "$target"
step "NEON compiles" scripts/neon.sh --check
step "NEON tests" scripts/neon.sh

if [ $all = yes ]; then
    export FORETELL_LONG_TESTS=1
    trained=$target/test-run
    train() {
        cargo build --locked --release && rm -rf "$trained" &&
            "$target/release/foretell" quickstart --out "$trained" --budget 20s --max 4e10 --bytes 2000000 --pictures 0 --quiet
    }
    step "release build and run" train
    look() { cargo test --locked -p report --test page && scripts/report.py "$target/tmp/report.html"; }
    step "report in Chromium" look
    eyes=$target/test-eyes
    train_eyes() {
        rm -rf "$eyes" && "$target/release/foretell" data generate --world 7 --pictures 1 --bytes 20000 --out "$eyes/world" --quiet &&
            "$target/release/foretell" data build "$eyes/world" --tokenizer bytes --out "$eyes/data" --quiet &&
            "$target/release/foretell" train --data "$eyes/data" --budget 10s --out "$eyes/run" --quiet
    }
    step "run with pictures" train_eyes
    step "parity" scripts/parity.sh "$target/release/foretell" --checkpoint "$trained/run" --eyes "$eyes/run"
fi

echo "tests:"
start=$SECONDS
cargo test --locked --workspace --no-fail-fast 2>&1 || failed+=("tests")
printf '%-24s %s       %5d s\n' "tests" "$([[ " ${failed[*]} " == *" tests "* ]] && echo FAILED || echo ok)" $((SECONDS - start))

if [ ${#failed[@]} -gt 0 ]; then
    (IFS=,; echo "failed after $((SECONDS - begin)) s: ${failed[*]}")
    exit 1
fi
# What was skipped has not passed: a run of CI that says so lacks something that its image should have.
if [ ${#skipped[@]} -gt 0 ]; then
    (IFS=,; echo "passed in $((SECONDS - begin)) s, without what could not be run here: ${skipped[*]}")
    exit 0
fi
echo "all passed in $((SECONDS - begin)) s"
