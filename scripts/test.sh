#!/usr/bin/env bash
# test [CARGO-TEST-OPTION...]: runs the tests of the whole workspace and closes with `N passed, N failed,
# N skipped`. A test that can't run here prints `skipped: reason` and counts as skipped.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT

cargo test --workspace --no-fail-fast "$@" -- --show-output 2>&1 | tee "$log" | grep -vE '^(test .* \.\.\. ok|)$'
status=${PIPESTATUS[0]}

# A test's output stands under `---- NAME stdout ----`; its first line that says so makes it skipped.
awk -v status="$status" '
    /^---- .* stdout ----$/ { counted = 0 }
    /^skipped: / && !counted { skipped++; counted = 1; reasons[substr($0, 10)]++ }
    /^test result: / { passed += $4; failed += $6; ignored += $8 }
    END {
        for (reason in reasons) printf "skipped %d: %s\n", reasons[reason], reason
        if (status && !failed) failed = 1
        printf "%d passed, %d failed, %d skipped\n", passed - skipped, failed, skipped + ignored
    }' "$log"
exit "$status"
