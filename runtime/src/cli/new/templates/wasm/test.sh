#!/usr/bin/env bash
# Builds the function, runs it once, and compares its output.
set -euo pipefail
cd "$(dirname "$0")"

./build.sh
answer=$(hourglass invoke ./{{name}}.wasm --path /{{name}}/Ada --data four)
case $answer in
"hello Ada, from {{language}}"*" left"*"4 bytes") echo ok ;;
*) printf 'unexpected: %s\n' "$answer" >&2; exit 1 ;;
esac
