#!/usr/bin/env bash
# setup [--test | --check | --package | --image | --vm | --cluster]: installs what building lanner needs, with --test
# what its tests need too, with --check what `make check` needs, with --package and --image what those need, with --vm
# what tests under other kernels need, with --cluster what a real Kubernetes needs. Says what it installs and why; does nothing where all is there.
set -euo pipefail

packages=()

# need PACKAGE REASON TEST...: the package is wanted where the test fails.
need() {
    local package=$1 reason=$2
    shift 2
    "$@" >/dev/null 2>&1 && return
    packages+=("$package")
    echo "setup: $package is missing: $reason"
}

has() { command -v "$1"; }
gocode() { [ -e "/usr/share/gocode/src/$1" ]; }
header() { [ -e "/usr/include/$1" ] || compgen -G "/usr/include/*/$1"; }

need gcc "compiles libbpf and links the executable" has cc
need make "builds libbpf" has make
need clang "compiles the eBPF programs" has clang
need llvm "strips the eBPF programs" has llvm-strip
need libelf-dev "libbpf reads ELF" header libelf.h
need zlib1g-dev "libelf is linked with zlib" header zlib.h
need protobuf-compiler "compiles the protocol of container runtimes (CRI)" has protoc
need pkg-config "finds libelf and zlib" has pkg-config

for option in "$@"; do
    case $option in
    --test)
        need containerd "the test bed runs real pods" has containerd
        need runc "the test bed runs real containers" has runc
        need docker.io "the test bed runs Docker containers" has dockerd
        need podman "the test bed runs Podman containers" has podman
        need lxc "the test bed runs LXC containers" has lxc-execute
        need systemd-container "the test bed runs containers of systemd-nspawn" has systemd-nspawn
        need busybox-static "the root file system of the test images" test -e /bin/busybox
        need iproute2 "network namespaces for the tests" has ip
        need bsdutils "gives a program a terminal (script)" has script
        need python3 "runs the compatibility comparison" has python3
        need mmdebstrap "a fresh system in which the package is installed" has mmdebstrap
        need systemd "judges how its service is confined (systemd-analyze)" has systemd-analyze
        need sysdig "reads what lanner records" has sysdig
        need golang-go "renders the Helm chart as Helm does" has go
        need golang-github-masterminds-sprig-dev "the functions of Helm's templates" gocode github.com/Masterminds/sprig
        need golang-gopkg-yaml.v3-dev "YAML for the same" gocode gopkg.in/yaml.v3
        need python3-venv "keeps Kubernetes' schemas apart from the system's Python" python3 -c 'import ensurepip, venv'
        need prometheus "promtool reads lanner's metrics" has promtool
        ;;
    --package)
        need mmdebstrap "the C library of an older system, and the image's root file system" has mmdebstrap
        need binutils "strips the executable and reads which C library it asks for" has objdump
        ;;
    --image)
        need mmdebstrap "the C library of an older system, and the image's root file system" has mmdebstrap
        need binutils "strips the executable and reads which C library it asks for" has objdump
        need buildah "builds the images" bash -c 'command -v buildah || command -v podman'
        ;;
    --vm)
        need qemu-system-x86 "boots other kernels" has qemu-system-x86_64
        need qemu-system-arm "boots kernels of arm64 (scripts/vmarm.sh)" has qemu-system-aarch64
        need busybox-static "the root file system of the guests" test -e /bin/busybox
        need mmdebstrap "the root file system of a guest with systemd" has mmdebstrap
        need cpio "packs it" has cpio
        need xz-utils "unpacks modules of kernels" has xz
        ;;
    --cluster)
        need etcd-server "the store of Kubernetes" has etcd
        need containernetworking-plugins "the network of its pods" test -x /usr/lib/cni/ptp
        need openssl "the key of its accounts" has openssl
        need golang-go "builds Kubernetes from Debian's source" has go
        need rsync "the same" has rsync
        need dpkg-dev "unpacks the source" has dpkg-source
        ;;
    --check)
        need shellcheck "checks the shell scripts" has shellcheck
        ;;
    *)
        echo "setup: unknown option $option (use --test, --check, --package, --image, --vm or --cluster)" >&2
        exit 2
        ;;
    esac
done

if [ ${#packages[@]} -gt 0 ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "setup: run this as root, or install them: apt-get install ${packages[*]}" >&2
        exit 1
    fi
    echo "setup: installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # A policy of 101 keeps services (containerd) from being started by their package.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
        trap 'rm -f $policy' EXIT
    fi
    apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

# Debian 12's own cargo is older than the crates in use need.
wanted=1.85
cargo_version() { has cargo >/dev/null && cargo --version | cut -d' ' -f2; }
new_enough() { [ "$(printf '%s\n%s\n' $wanted "$(cargo_version)" | sort -V | head -n1)" = $wanted ]; }
if ! has cargo >/dev/null && [ -e "$HOME/.cargo/env" ]; then
    # shellcheck disable=SC1091
    . "$HOME/.cargo/env"
fi
if ! new_enough; then
    echo "setup: installing Rust by rustup: lanner needs $wanted or later, there is $(cargo_version || echo none)"
    if ! has rustup >/dev/null && apt-cache show rustup >/dev/null 2>&1; then
        apt-get install -y -qq --no-install-recommends rustup
    fi
    if has rustup >/dev/null; then
        rustup default stable
    else
        has curl >/dev/null || apt-get install -y -qq --no-install-recommends curl ca-certificates
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal -c clippy -c rustfmt
    fi
fi

if [[ " $* " == *" --check "* ]] && ! cargo deny --version >/dev/null 2>&1; then
    echo "setup: installing cargo-deny: it checks licences and advisories of dependencies"
    cargo install --quiet --locked cargo-deny
fi

# What only exists as a Python package. A test that lacks one is skipped and says so.
python=${CARGO_TARGET_DIR:-target}/python
# package PIP_NAME MODULE WHY
package() {
    "$python/bin/python3" -c "import $2" >/dev/null 2>&1 && return
    echo "setup: installing $1 in $python: it $3"
    { [ -x "$python/bin/pip" ] || python3 -m venv "$python"; } && "$python/bin/pip" install --quiet "$1" ||
        echo "setup: $1 can't be installed; the tests that need it will be skipped" >&2
}
if [[ " $* " == *" --test "* ]]; then
    package kubernetes-validate==1.37.0 kubernetes_validate "holds the chart's objects against Kubernetes' schemas"
    package 'moto[server,s3,sqs]==5.2.5' moto.server "plays S3 and SQS"
fi
