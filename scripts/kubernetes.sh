#!/usr/bin/env bash
# kubernetes: builds kube-apiserver, kubelet, kube-controller-manager, kube-scheduler and kubectl from the source of
# Debian's package `kubernetes` (1.20 in Debian 12), for the tests that speak to a real Kubernetes; without them these
# are skipped. Takes a quarter of an hour of one core, once. Says where they are. Needs root for apt-get.
set -euo pipefail
cd "$(dirname "$0")/.."
place=$(realpath -m "${CARGO_TARGET_DIR:-target}")/kubernetes
programs=(kubectl kube-apiserver kube-controller-manager kube-scheduler kubelet)

missing=
for program in "${programs[@]}"; do [ -x "$place/bin/$program" ] || missing=yes; done
if [ -n "$missing" ]; then
    need=()
    command -v go >/dev/null || need+=(golang-go)
    command -v rsync >/dev/null || need+=(rsync)
    command -v dpkg-source >/dev/null || need+=(dpkg-dev)
    [ ${#need[@]} -eq 0 ] || apt-get install -y -qq --no-install-recommends "${need[@]}" >&2

    # Sources in a list of our own, from where the machine has its packages; its own lists stay as they are.
    suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    mkdir -p "$place/lists/partial" "$place/home"
    mirror=$(apt-get indextargets --format "\$(REPO_URI)" "Codename: $suite" "Component: main" | sed -n 1p)
    [ -n "$mirror" ] || { echo "kubernetes: no repository of $suite is known here; run apt-get update" >&2; exit 1; }
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$place/sources.list"
    own=(-o "Dir::Etc::SourceList=$place/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$place/lists")
    apt-get -qq "${own[@]}" update >&2
    rm -rf "$place/source"
    (cd "$place" && apt-get -qq "${own[@]}" source --download-only kubernetes >&2 &&
        dpkg-source --extract --skip-patches kubernetes_*.dsc source >&2)

    cd "$place/source"
    export GOPATH=$PWD/.go CGO_ENABLED=0 HOME=$place/home GOPROXY=off KUBE_GIT_VERSION_FILE=$place/version
    mkdir -p "$GOPATH/src/k8s.io"
    ln -sfn ../../.. "$GOPATH/src/k8s.io/kubernetes"
    number=$(sed -n '1s/.*really\([0-9.]*\)-.*/\1/p; 1s/.*(\([0-9.]*\)[+-].*/\1/p' debian/changelog | head -n1)
    printf '%s\n' "KUBE_GIT_COMMIT=debian" "KUBE_GIT_TREE_STATE=clean" "KUBE_GIT_VERSION=v$number" \
        "KUBE_GIT_MAJOR=$(cut -d. -f1 <<<"$number")" "KUBE_GIT_MINOR=$(cut -d. -f2 <<<"$number")" >"$KUBE_GIT_VERSION_FILE"
    make all WHAT="${programs[*]/#/cmd/}" >&2
    mkdir -p "$place/bin"
    for program in "${programs[@]}"; do install -m 755 "_output/bin/$program" "$place/bin/$program"; done
    cd "$place" && rm -rf source home
fi
echo "$place/bin"
