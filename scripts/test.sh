#!/usr/bin/env bash
# test [CARGO-TEST-OPTION...]: runs the tests of the whole workspace, and those of the probe once more as kernels have it
# that may stop programs (LANNER_CALLS=records), and closes with `N passed, N failed, N skipped`. A test that can't run
# here prints `skipped: reason` and counts as skipped. With options, it runs what these say, once.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT

status=0

# run CARGO-TEST-OPTION...
run() {
    cargo test --no-fail-fast "$@" -- --show-output 2>&1 | tee -a "$log" | grep -vE '^(test .* \.\.\. ok|)$'
    [ "${PIPESTATUS[0]}" = 0 ] || status=1
}

run --workspace "$@"
if [ $# -eq 0 ]; then
    echo "== the probe's tests, by records of tracepoints"
    LANNER_CALLS=records run --package lanner-probe --test '*'
fi

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
