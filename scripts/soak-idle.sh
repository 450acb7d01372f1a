#!/usr/bin/env bash
# soak-idle [SECONDS]: a host at rest for ten minutes and a whole build of lanner must raise no alert while
# events flow, and each attack afterwards one, in the same run.
set -euo pipefail
cd "$(dirname "$0")/.."
LANNER_SOAK_SECONDS=${1:-600} cargo test -p lanner --test live -- --exact --nocapture \
    quiet::rest_and_work_raise_nothing_and_then_attacks_are_told
