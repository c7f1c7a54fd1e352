#!/usr/bin/env bash
# Builds {{name}}.wasm.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v go >/dev/null; then
    echo 'no Go compiler: install Go 1.24 or later' >&2
    exit 69
fi
export GOOS=wasip1 GOARCH=wasm
go vet ./...
go build -trimpath -ldflags='-s -w' -o {{name}}.wasm
