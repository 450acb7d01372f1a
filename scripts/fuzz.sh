#!/usr/bin/env bash
# fuzz: runs each fuzz target, or those of FUZZ_TARGETS, for FUZZ_SECONDS (60) from the corpus in the repository.
# What it finds is left under fuzz/artifacts; make a unit test of it.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "fuzz: installing cargo-fuzz"
    cargo install --quiet --locked cargo-fuzz
fi
# libFuzzer's instrumentation is a nightly feature; a stable compiler takes it when told to.
export RUSTC_BOOTSTRAP=1
grown=$(mktemp -d)
trap 'rm -rf "$grown"' EXIT
for target in fuzz_targets/*.rs; do
    name=$(basename "$target" .rs)
    [[ " ${FUZZ_TARGETS:-$name} " == *" $name "* ]] || continue
    echo "== $name"
    mkdir -p "$grown/$name"
    seeds=()
    [ ! -d "corpus/$name" ] || seeds=("corpus/$name")
    # The thread that unpacks a capture ends by itself, maybe only while leaks are looked for.
    leaks=1
    [ "$name" != capture ] || leaks=0
    # New inputs go to the first folder, so that the repository's corpus stays small.
    cargo fuzz run "$name" "$grown/$name" "${seeds[@]}" -- -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 -detect_leaks=$leaks -rss_limit_mb=2048
done
