#!/usr/bin/env bash
# check: formatting, lints, licences and sources of dependencies, shell scripts, warnings of the eBPF programs.
# shellcheck disable=SC2317 # the functions are called by name
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
bad=0

# step NAME COMMAND...
step() {
    local name=$1
    shift
    echo "== $name"
    "$@" || { echo "check: $name failed"; bad=1; }
}

deny() {
    cargo deny --log-level error check bans licenses sources || return 1
    if cargo deny fetch db >/dev/null 2>&1; then
        cargo deny --log-level error check advisories
    else
        echo "the advisory database can't be reached: advisories not checked"
    fi
}

step "formatting" cargo fmt --all --check
# The probe's build script compiles the eBPF programs with -Wall -Werror, so this checks them too.
step "clippy and eBPF warnings" cargo clippy --workspace --all-targets --quiet -- -D warnings
step "dependencies" deny
mapfile -t scripts < <(git ls-files '*.sh' .ci/run)
step "shell scripts" shellcheck "${scripts[@]}"
[ $bad = 0 ] && echo "check: all well"
exit $bad
