#!/usr/bin/env bash
# Builds {{name}}.wasm.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v zig >/dev/null; then
    echo 'no Zig compiler: install Zig 0.17' >&2
    exit 69
fi
zig build-exe -target wasm32-wasi -OReleaseSmall -femit-bin={{name}}.wasm main.zig
