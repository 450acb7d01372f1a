#!/usr/bin/env bash
# compat: holds the release executable against what Falco answered (../shared/compat), where that is
# present. Fails when fewer pass than `tests/compat-floor.txt` says; raise the floor with what earns it.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
compat=${LANNER_COMPAT:-../shared/compat}
floor=tests/compat-floor.txt
if [ ! -e "$compat/compare.py" ]; then
    echo "compat: $compat is not here"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
cargo build --release -p lanner || exit 1
target=${CARGO_TARGET_DIR:-target}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$(realpath "$target/release/lanner")" "$work/falco"

passed=0 failed=0 skipped=0 below=0

# part NAME COMMAND...: runs one comparison, adds up its closing line and holds it against the floor.
part() {
    local name=$1 least counts
    shift
    echo "== $name"
    "$@" >"$work/$name.log" 2>&1
    grep -E '^(FAIL|fields:)' "$work/$name.log" | cut -c1-300
    counts=$(tail -n1 "$work/$name.log" | sed -nE 's/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p')
    if [ -z "$counts" ]; then
        tail -n5 "$work/$name.log"
        counts="0 1 0"
    fi
    read -r p f s <<<"$counts"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    least=$(sed -nE "s/^$name +([0-9]+)$/\1/p" $floor)
    echo "$name: $p passed, $f failed, $s skipped (floor ${least:-0})"
    if [ "$p" -lt "${least:-0}" ]; then
        echo "compat: $name fell below its floor"
        below=1
    fi
}

for kind in alerts fields stock; do
    part "$kind" python3 "$compat/compare.py" --bin "$work/falco" --kind "$kind"
done
part cases python3 "$compat/acceptance/run.py" --bin "$work/falco" -j 2
part golden python3 "$compat/acceptance/run.py" --bin "$work/falco" -j 2 \
    --cases "$compat/acceptance/cases-golden.json"

echo "$passed passed, $failed failed, $skipped skipped"
exit $below
