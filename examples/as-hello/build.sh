#!/usr/bin/env bash
# Builds target/wasm32-wasip1/release/as-hello.wasm.
set -euo pipefail
cd "$(dirname "$0")"

# asc takes paths that begin here, and no others.
target=../../target
modules=$target/compilers/npm/node_modules
if [ ! -x "$modules/.bin/asc" ]; then
    echo 'no AssemblyScript compiler: .ci/compilers gets one, with npm' >&2
    exit 69
fi
shim=$modules/@assemblyscript/wasi-shim
mkdir -p "$target/wasm32-wasip1/release"
"$modules/.bin/asc" hello.ts -O --config "$shim/asconfig.json" --lib "$shim/assembly" \
    --outFile "$target/wasm32-wasip1/release/as-hello.wasm"
