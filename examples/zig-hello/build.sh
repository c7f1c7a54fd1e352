#!/usr/bin/env bash
# Builds target/wasm32-wasip1/release/zig-hello.wasm.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v zig >/dev/null; then
    echo 'no Zig compiler: .ci/compilers gets one, or install Zig 0.17' >&2
    exit 69
fi
target=$(cd ../.. && pwd)/target
mkdir -p "$target/wasm32-wasip1/release"
export ZIG_LOCAL_CACHE_DIR="$target/zig/local" ZIG_GLOBAL_CACHE_DIR="$target/zig/global"
zig build-exe -target wasm32-wasi -OReleaseSmall -femit-bin="$target/wasm32-wasip1/release/zig-hello.wasm" \
    --dep hourglass -Mroot=hello.zig -Mhourglass=../../guest-sdk/bindings/zig/hourglass.zig
