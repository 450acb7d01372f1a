#!/usr/bin/env bash
# vmtest [KERNEL...]: runs the probe's tests under other kernels, Debian's stock ones, in QEMU without hardware help.
# KERNEL is the beginning of a version (6.1, 6.12); without one, all that the package registry has of those named
# below. Each is booted with an initramfs of busybox and the tests. What can't be had is said and counts as untested.
# VMTEST_ONLY=NAME runs only the test files whose name begins with NAME. VMTEST_CALLS=fexit or sys_exit has the probe see
# the ends of calls there; without it both is tried: as it would by itself, and fexit. What costs how many instructions is
# counted in a boot of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
work=$target/vm
minutes=${VMTEST_MINUTES:-20}
kernels=("$@")
[ ${#kernels[@]} -gt 0 ] || kernels=(5.10 6.1 6.12)

for tool in qemu-system-x86_64 busybox dpkg-deb apt-get; do
    command -v "$tool" >/dev/null || { echo "vmtest: $tool is missing; run scripts/setup.sh --vm" >&2; exit 1; }
done
mkdir -p "$work"
work=$(realpath "$work")

# The newest package of a kernel, or nothing.
package_of() {
    apt-cache search --names-only "^linux-image-${1//./\\.}\.[0-9].*-cloud-amd64\$" | cut -d' ' -f1 | sort -V | tail -1
}

# Says where the kernel of a package lies, which is fetched once.
kernel_of() {
    local package=$1 dir=$work/$1
    if ! compgen -G "$dir/boot/vmlinuz-*" >/dev/null; then
        mkdir -p "$dir"
        (cd "$dir" && apt-get -qq download "$package" 2>/dev/null) || return 1
        dpkg-deb -x "$dir"/*.deb "$dir"
        rm -rf "${dir:?}"/*.deb "${dir:?}"/lib "${dir:?}"/usr
    fi
    compgen -G "$dir/boot/vmlinuz-*" | head -1
}

# The executables of the probe's tests.
tests() {
    cargo test --package lanner-probe --lib --test '*' --no-run --message-format=json 2>/dev/null |
        grep -o '"executable":"[^"]*"' | cut -d'"' -f4 | grep "/${VMTEST_ONLY:-}"
}

# A root file system: busybox, what tests open and run, the tests and their libraries.
root_of() {
    local root=$1 test name library
    rm -rf "$root"
    mkdir -p "$root"/{bin,dev,etc,proc,sys,tmp,root,run,tests,var,usr/bin,usr/lib,usr/sbin}
    cp "$(command -v busybox)" "$root/bin/busybox"
    chroot "$root" /bin/busybox --install -s /bin
    echo vmtest >"$root/etc/hostname"
    echo root:x:0:0:root:/root:/bin/sh >"$root/etc/passwd"
    echo root:x:0: >"$root/etc/group"
    for test in $(tests); do
        name=$(basename "$test")
        name=${name%-*}
        cp "$test" "$root/tests/$name"
        strip "$root/tests/$name"
        ldd "$test" | grep -o '/[^ ]*' | while read -r library; do
            mkdir -p "$root$(dirname "$library")"
            cp -nL "$library" "$root$library"
        done
    done
    cat >"$root/init" <<'INIT'
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs trace /sys/kernel/tracing 2>/dev/null
mount -t debugfs debug /sys/kernel/debug 2>/dev/null
ip link set lo up
ulimit -n 4096
# what the kernel does not know of its command line, it hands to us as variables
for test in /tests/${ONLY:-*}; do
    echo "VMTEST-BEGIN $(basename "$test")"
    "$test" --test-threads=1 2>&1
    echo "VMTEST-END $(basename "$test") $?"
done
echo VMTEST-DONE
poweroff -f
INIT
    chmod +x "$root/init"
    mknod "$root/dev/console" c 5 1
}

# Boots a kernel, with what QEMU and the kernel are told, and says what came of the tests.
boot() {
    local image=$1 name=$2 machine=$3 line=$4 log=$work/$2.log started=$SECONDS passed broken ended
    # shellcheck disable=SC2086 # several options
    timeout "$((minutes * 60))" qemu-system-x86_64 -accel tcg -cpu max $machine -m 2048 -nographic -no-reboot \
        -kernel "$image" -initrd "$work/initramfs.gz" \
        -append "console=ttyS0 quiet panic=-1 lsm=bpf $line" </dev/null >"$log" 2>&1 || true
    passed=$(grep -c '^test .* \.\.\. ok' "$log" || true)
    broken=$(grep -c '^test .* \.\.\. FAILED' "$log" || true)
    ended=$(grep -a '^VMTEST-END' "$log" | tr -d '\r' | grep -vc ' 0$' || true)
    if grep -qa '^VMTEST-DONE' "$log" && [ "$broken" = 0 ] && [ "$ended" = 0 ] && [ "$passed" -gt 0 ]; then
        echo "vmtest: $(basename "$image") ${line:-by itself}: $passed passed, in $((SECONDS - started)) s"
        return 0
    fi
    echo "vmtest: $(basename "$image") ${line:-by itself}: $passed passed, $broken failed; the log is $log" >&2
    grep -a '^test .* \.\.\. FAILED\|^VMTEST-END .* [1-9]' "$log" | tr -d '\r' >&2 || true
    grep -qa '^VMTEST-DONE' "$log" || echo "vmtest: it did not come to its end" >&2
    return 1
}

calls=${VMTEST_CALLS:+LANNER_CALLS=$VMTEST_CALLS}
echo "vmtest: building the probe's tests"
root_of "$work/root"
(cd "$work/root" && find . -print0 | busybox cpio -0 -o -H newc 2>/dev/null | gzip -1) >"$work/initramfs.gz"

failed=0 untested=()
for kernel in "${kernels[@]}"; do
    package=$(package_of "$kernel")
    if [ -z "$package" ] || ! image=$(kernel_of "$package"); then
        untested+=("$kernel")
        continue
    fi
    boot "$image" "$kernel" "-smp 2" "$calls" || failed=1
    [ -n "${VMTEST_CALLS:-}" ] || boot "$image" "$kernel-fexit" "-smp 2" "LANNER_CALLS=fexit" || failed=1
    [ ! -e "$work/root/tests/cost" ] ||
        boot "$image" "$kernel-counts" "-smp 1 -icount shift=0" "LANNER_COUNTS=1 ONLY=cost" || failed=1
done
[ ${#untested[@]} -eq 0 ] || echo "vmtest: untested, for the package registry has none: ${untested[*]}"
exit $failed
