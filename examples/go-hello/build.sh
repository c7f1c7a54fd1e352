#!/usr/bin/env bash
# Builds target/wasm32-wasip1/release/go-hello.wasm.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v go >/dev/null; then
    echo 'no Go compiler: .ci/compilers gets one, or install Go 1.24 or later' >&2
    exit 69
fi
target=$(cd ../.. && pwd)/target
mkdir -p "$target/wasm32-wasip1/release"
export GOOS=wasip1 GOARCH=wasm GOTOOLCHAIN=local GOFLAGS=-mod=mod GOPROXY=off
export GOCACHE="$target/go/cache" GOPATH="$target/go/path" GOENV=off
go vet ./...
go build -trimpath -ldflags='-s -w' -o "$target/wasm32-wasip1/release/go-hello.wasm"
