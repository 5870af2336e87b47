#!/usr/bin/env bash
# Runs one fuzz target without cargo-fuzz and without a nightly toolchain:
#   fuzz/run.sh path -max_total_time=60
# All further arguments are libFuzzer's. What it finds worth keeping goes to corpus/, a failing
# input to artifacts/; run it again with `fuzz/run.sh path artifacts/path/crash-…`.
set -euo pipefail
cd "$(dirname "$0")"

target=${1:?usage: fuzz/run.sh TARGET [libFuzzer options]}
shift

# Coverage instrumentation as cargo-fuzz sets it, without the sanitizers that need nightly: the
# code has no `unsafe` for them to watch.
export RUSTFLAGS="-Cpasses=sancov-module -Ccodegen-units=1 \
  -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
  -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares"

# With a target named, build scripts and macros stay uninstrumented.
host=$(rustc -vV | sed -n 's/^host: //p')
corpus=(corpus/"$target")
mkdir -p "${corpus[0]}" artifacts/"$target"
if [[ -d seeds/$target ]]; then corpus+=(seeds/"$target"); fi
if [[ $target == config ]]; then corpus+=(../examples); fi

cargo build --release --target "$host" --bin "$target"
exec "${CARGO_TARGET_DIR:-target}/$host/release/$target" \
  -artifact_prefix=artifacts/"$target"/ -max_len=8192 "$@" "${corpus[@]}"
