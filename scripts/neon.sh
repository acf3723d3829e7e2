#!/bin/sh
# Tests the NEON kernels on any machine: builds the kernels crate for AArch64 and runs its tests
# under qemu. Fetches what is missing where it may: the target by rustup, the linker and the emulator
# by apt-get when run as root. Arguments go to the tests: scripts/neon.sh attention
#
# With --check it only compiles what runs on AArch64 (no linker, no emulator). It ends with 3 if
# something is missing that cannot be had; the last line says what. With --check that is Rust's target alone, and
# only where there is no rustup to fetch it: a fetch that fails is a failure.
set -eu
cd "$(dirname "$0")/.."
target=aarch64-unknown-linux-gnu

missing() {
    echo "neon.sh: $1 is missing; $2" >&2
    exit 3
}

has() { command -v "$1" >/dev/null 2>&1; }

check=no
if [ "${1:-}" = --check ]; then check=yes; fi

if [ "$(uname -m)" = aarch64 ]; then
    if [ $check = yes ]; then exec cargo check -p kernels -p engine; fi
    exec cargo test -p kernels "$@"
fi

library="$(rustc --print sysroot)/lib/rustlib/$target/lib"
if [ ! -d "$library" ]; then
    if has rustup; then
        rustup target add "$target" >&2 || [ $check = no ] || exit 1
    fi
    [ -d "$library" ] || missing "Rust's standard library for $target" "run rustup target add $target"
fi
if [ $check = yes ]; then
    exec cargo check -p kernels -p engine --target "$target"
fi

if ! has aarch64-linux-gnu-gcc || ! has qemu-aarch64; then
    if has apt-get && [ "$(id -u)" = 0 ]; then
        echo "neon.sh: installing a linker for AArch64 and qemu" >&2
        packages="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
        # shellcheck disable=SC2086
        (apt-get update -qq && apt-get install -y -qq --no-install-recommends $packages) </dev/null >/dev/null || true
    fi
    has aarch64-linux-gnu-gcc || missing aarch64-linux-gnu-gcc "install gcc-aarch64-linux-gnu"
    has qemu-aarch64 || missing qemu-aarch64 "install qemu-user"
fi

export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
exec cargo test -p kernels --target "$target" "$@"
