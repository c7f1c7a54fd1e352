#!/usr/bin/env bash
# Builds {{name}}.wasm.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v clang >/dev/null || [ ! -e "$(clang --target=wasm32-wasi --print-file-name=crt1.o)" ]; then
    echo 'no C compiler for wasm32-wasi: apt-get install clang lld wasi-libc libclang-rt-dev-wasm32' >&2
    exit 69
fi
clang --target=wasm32-wasi -O2 -Wall -Wextra -Werror main.c -o {{name}}.wasm
