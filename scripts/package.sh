#!/usr/bin/env bash
# package [--bin EXE] [--out FOLDER]: makes a Debian package and an archive for other systems, both of the same files.
# Without --bin scripts/release.sh builds the executable first. Needs dpkg-deb and binutils. `cargo deb -p lanner` makes the
# same package of crates/lanner/Cargo.toml, but for the C library that it asks for; change both.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=
out=${CARGO_TARGET_DIR:-target}/package
while [ $# -gt 0 ]; do
    case $1 in
    --bin) bin=$2 ;;
    --out) out=$2 ;;
    *) echo "package: unknown option $1 (there are --bin EXE and --out FOLDER)" >&2; exit 2 ;;
    esac
    shift 2
done
if [ -z "$bin" ]; then
    bin=$(scripts/release.sh)
fi

version=$("$bin" --version | cut -d' ' -f2)
arch=$(dpkg --print-architecture)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/lanner-$version-$arch

put() { install -D -m "$1" "$2" "$root/$3"; }
put 755 "$bin" usr/bin/lanner
strip --strip-unneeded "$root/usr/bin/lanner"
ln -s lanner "$root/usr/bin/falco"
for rules in rules/*.yaml; do put 644 "$rules" "usr/share/lanner/rules/${rules##*/}"; done
for text in docs/*.md README.md; do put 644 "$text" "usr/share/doc/lanner/${text##*/}"; done
put 644 deploy/host/copyright usr/share/doc/lanner/copyright
put 644 deploy/host/lanner.service usr/lib/systemd/system/lanner.service
put 644 deploy/host/falco.yaml etc/falco/falco.yaml
put 644 deploy/host/falco_rules.local.yaml etc/falco/falco_rules.local.yaml
install -d "$root/etc/falco/rules.d" "$root/etc/falco/config.d"

mkdir -p "$out"
archive=$out/lanner-$version-$arch.tar.gz
tar --owner=0 --group=0 --numeric-owner -C "$stage" -czf "$archive" "${root##*/}"

# The C library that the executable was linked with is the oldest that it runs with.
glibc=$(objdump -T "$bin" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n1)
install -d "$root/DEBIAN"
install -m 755 deploy/host/debian/* "$root/DEBIAN/"
cat >"$root/DEBIAN/control" <<END
Package: lanner
Version: $version
Architecture: $arch
Maintainer: lanner's maintainers <lanner@example.org>
Section: admin
Priority: optional
Depends: libc6 (>= ${glibc#GLIBC_}), libgcc-s1, libelf1 | libelf1t64, zlib1g, init-system-helpers
Provides: falco
Conflicts: falco
Replaces: falco
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Description: watches what a host's processes do and tells what breaks its rules
 System calls are watched by eBPF. It takes Falco's place: the command falco, its
 configuration in /etc/falco, its rules, its output.
END
# postinst makes these.
rmdir "$root/etc/falco/rules.d" "$root/etc/falco/config.d"
printf '/etc/falco/%s\n' falco.yaml falco_rules.local.yaml >"$root/DEBIAN/conffiles"
package=$out/lanner_${version}_$arch.deb
dpkg-deb --root-owner-group -Zgzip --build "$root" "$package" >/dev/null
echo "$package"
echo "$archive"
