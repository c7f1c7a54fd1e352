#!/usr/bin/env bash
# Builds target/wasm32-wasip1/release/c-upper.wasm.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v clang >/dev/null || [ ! -e "$(clang --target=wasm32-wasi --print-file-name=crt1.o)" ]; then
    echo 'no C compiler for wasm32-wasi: .ci/compilers gets one, or apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32' >&2
    exit 69
fi
out=../../target/wasm32-wasip1/release
mkdir -p "$out"
clang --target=wasm32-wasi -O2 -Wall -Wextra -Werror -I ../../guest-sdk/bindings/c upper.c -o "$out/c-upper.wasm"
