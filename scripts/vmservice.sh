#!/usr/bin/env bash
# vmservice [PACKAGE.deb]: boots a fresh Debian with systemd in QEMU, without hardware help, with the package installed,
# and does with the service what an administrator does (tests/vm/service.sh). Without a package it is made first.
# KERNEL=6.1 is the beginning of the kernel's version. Needs root. Closes with `N passed, N failed`.
set -euo pipefail
cd "$(dirname "$0")/.."
kernel=${KERNEL:-6.1}
minutes=${VMTEST_MINUTES:-20}
work=$(realpath -m "${CARGO_TARGET_DIR:-target}")/vm
suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)

for tool in qemu-system-x86_64 mmdebstrap cpio; do
    command -v $tool >/dev/null || { echo "vmservice: $tool is missing; run scripts/setup.sh --vm" >&2; exit 1; }
done
if [ $# -gt 0 ]; then deb=$1; else deb=$(scripts/package.sh | head -n1); fi
mkdir -p "$work"

# The kernel, as scripts/vmtest.sh keeps it.
package=$(apt-cache search --names-only "^linux-image-${kernel//./\\.}\.[0-9].*-cloud-amd64\$" | cut -d' ' -f1 | sort -V | tail -1)
[ -n "$package" ] || { echo "vmservice: the package registry has no kernel $kernel" >&2; exit 1; }
if ! compgen -G "$work/$package/boot/vmlinuz-*" >/dev/null; then
    mkdir -p "$work/$package"
    (cd "$work/$package" && apt-get -qq download "$package")
    dpkg-deb -x "$work/$package"/*.deb "$work/$package"
    rm -rf "${work:?}/$package"/*.deb "${work:?}/$package"/{lib,usr}
fi
image=$(compgen -G "$work/$package/boot/vmlinuz-*" | head -n1)

root=$work/service
rm -rf "$root"
mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,libelf1,init-system-helpers "$suite" "$root"
cp "$deb" "$root/lanner.deb"
chroot "$root" dpkg --install /lanner.deb >/dev/null
rm -rf "$root"/lanner.deb "$root"/var/cache/apt "$root"/var/lib/apt/lists "$root"/usr/share/{doc,locale,man}
install -m 755 tests/vm/service.sh "$root/usr/local/bin/vmservice"
cat >"$root/etc/systemd/system/vmservice.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=idle
ExecStart=/usr/local/bin/vmservice
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
[Install]
WantedBy=graphical.target multi-user.target
UNIT
chroot "$root" systemctl --quiet enable vmservice
chroot "$root" systemctl --quiet mask serial-getty@ttyS0.service apt-daily.timer apt-daily-upgrade.timer
ln -sf /sbin/init "$root/init"
(cd "$root" && find . -print0 | cpio --quiet -0 -o -H newc | gzip -1) >"$work/service.gz"
rm -rf "$root"

log=$work/service.log
timeout $((minutes * 60)) qemu-system-x86_64 -accel tcg -cpu max -smp 2 -m 2048 -nographic -no-reboot \
    -kernel "$image" -initrd "$work/service.gz" \
    -append "console=ttyS0 quiet panic=-1 systemd.show_status=false" </dev/null >"$log" 2>&1 || true
tr -d '\r' <"$log" | grep -aoE 'VM (ok|FAILED) .*' | sed 's/^VM //' || true
passed=$(grep -ac 'VM ok ' "$log" || true)
failed=$(grep -ac 'VM FAILED ' "$log" || true)
grep -qa 'VM done' "$log" || { echo "vmservice: it did not come to its end; the log is $log" >&2; failed=$((failed + 1)); }
[ "$failed" = 0 ] || echo "vmservice: the log is $log" >&2
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
