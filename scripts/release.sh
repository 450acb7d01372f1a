#!/usr/bin/env bash
# release: builds the release executable so that it runs with the C library of Debian 11 (glibc 2.31) and of any later
# system, and says where it is. It is compiled and linked against Debian 11's own headers and libraries; nothing of
# them is run. Needs clang, binutils and mmdebstrap.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=bullseye
newest=2.31
out=$(realpath -m "${CARGO_TARGET_DIR:-target}")/debian11
sysroot=$out/sysroot

# gcc looks into its own system first, whatever root it is told; clang doesn't.
cc=$out/cc
if [ ! -e "$cc" ]; then
    rm -rf "$sysroot"
    mkdir -p "$out"
    mmdebstrap --quiet --variant=extract --include=libc6-dev,libgcc-10-dev,libelf-dev,zlib1g-dev $suite "$sysroot"
    # Absolute links would lead out of the root.
    find "$sysroot" -lname '/*' | while read -r link; do ln -sfnr "$sysroot$(readlink "$link")" "$link"; done
    printf '#!/bin/sh\nexec clang --sysroot="%s" "$@"\n' "$sysroot" >"$cc.new"
    chmod +x "$cc.new"
    mv "$cc.new" "$cc"
fi

triple=$(rustc -vV | sed -n 's/^host: //p')
linker=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$triple")_LINKER
env CC="$cc" "$linker=$cc" CARGO_TARGET_DIR="$out" cargo build --release -p lanner >&2

executable=$out/release/lanner
glibc=$(objdump -T "$executable" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n1)
if [ "$(printf '%s\n' "${glibc#GLIBC_}" $newest | sort -V | tail -n1)" != $newest ]; then
    echo "release: $executable asks for $glibc, newer than $newest:" >&2
    objdump -T "$executable" | grep -F "$glibc" >&2
    exit 1
fi
echo "$executable"
