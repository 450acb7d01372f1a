#!/usr/bin/env bash
# image [--bin EXE]: builds the images localhost/lanner:VERSION and localhost/lanner:VERSION-slim, from Debian's
# packages and this machine's libraries alone. Without --bin scripts/release.sh builds the executable first. Needs
# root, mmdebstrap, and buildah or podman.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=
if [ "${1:-}" = --bin ]; then
    bin=$2
elif [ $# -gt 0 ]; then
    echo "image: unknown option $1 (there is --bin EXE)" >&2
    exit 2
else
    bin=$(scripts/release.sh)
fi
builder=$(command -v buildah || command -v podman) || { echo "image: neither buildah nor podman is installed" >&2; exit 1; }
suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
version=$("$bin" --version | cut -d' ' -f2)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

install -D -m 755 "$bin" "$work/lanner"
strip --strip-unneeded "$work/lanner"
cp deploy/host/falco.yaml deploy/host/falco_rules.local.yaml deploy/image/Containerfile "$work/"
mkdir "$work/rules" && cp rules/*.yaml "$work/rules/"

# The executable's libraries, those that plugins of others ask of glibc, and how servers are recognised.
slim=$work/slim
mkdir -p "$slim"/{etc,tmp,usr/bin,host}
ldd "$bin" | grep -o '/[^ ]*' | while read -r library; do install -D -m 755 "$library" "$slim$library"; done
for library in libdl.so.2 libpthread.so.0 librt.so.1 libresolv.so.2 libnss_dns.so.2 libnss_files.so.2; do
    found=$(ldconfig -p | awk -v name="$library" '$1 == name && !found++ { print $NF }')
    [ -z "$found" ] || install -D -m 755 "$found" "$slim$found"
done
install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$slim/etc/ssl/certs/ca-certificates.crt"
printf 'root:x:0:0:root:/:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$slim/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$slim/etc/group"
ln -s lanner "$slim/usr/bin/falco"
tar --owner=0 --group=0 --numeric-owner -C "$slim" -cf "$work/slim.tar" .

mmdebstrap --quiet --variant=essential --include=ca-certificates,curl,jq,libelf1 \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --customize-hook="ln -s lanner \"\$1/usr/bin/falco\"; mkdir \"\$1/host\"" \
    --customize-hook="rm -rf \"\$1\"/var/cache/apt \"\$1\"/var/lib/apt/lists" "$suite" "$work/full.tar"

for target in slim full; do
    tag=$version
    [ $target = full ] || tag=$version-slim
    "$builder" build --quiet --target $target --tag "localhost/lanner:$tag" -f "$work/Containerfile" "$work"
    echo "localhost/lanner:$tag"
done
