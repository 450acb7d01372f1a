#!/usr/bin/env bash
# vmarm [KERNEL...]: what vmtest.sh does, on arm64: the probe's tests are built for it in a fresh Debian of their own,
# which has Rust's library for that architecture, and run under Debian's arm64 kernels (6.1 and 6.12) in QEMU.
# VMTEST_ONLY=NAME runs only the test files whose name begins with NAME, VMTEST_MINUTES=100 is what a boot may take.
# Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."

minutes=${VMTEST_MINUTES:-100}
kernels=("$@")
[ ${#kernels[@]} -gt 0 ] || kernels=(6.1 6.12)
for tool in qemu-system-aarch64 mmdebstrap busybox cpio llvm-strip dpkg-deb; do
    command -v "$tool" >/dev/null || { echo "vmarm: $tool is missing; run scripts/setup.sh --vm" >&2; exit 1; }
done
mkdir -p "${CARGO_TARGET_DIR:-target}/vm/arm64"
work=$(realpath "${CARGO_TARGET_DIR:-target}/vm/arm64")
exec 9>"$work/lock"
flock -n 9 || { echo "vmarm: another one is running in $work" >&2; exit 1; }
system=$work/system
target=aarch64-unknown-linux-gnu

# Where this machine has its own release from, or that release's updates.
mirror_of() {
    local codename
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(CODENAME) $(REPO_URI)' | awk -v of="$codename$1" '$1 == of { print $2; exit }'
}

# A Debian that has Rust for both architectures, and libraries of both.
make_system() {
    [ -e "$system/.whole" ] && return
    local two=(rustc cargo gcc gcc-aarch64-linux-gnu clang llvm make pkg-config)
    # never what is mounted there, should an earlier run have been killed
    rm -rf --one-file-system "$system"
    mmdebstrap --quiet --variant=apt --architectures=amd64,arm64 --aptopt='APT::Install-Recommends "false"' \
        --include="$(IFS=,; echo "${two[*]}"),libstd-rust-dev:arm64,libc6-dev:arm64,libelf-dev,libelf-dev:arm64" \
        --include=zlib1g-dev,zlib1g-dev:arm64 trixie "$system" "$(mirror_of "")"
    touch "$system/.whole"
}

# Runs a command there, with this folder, what is built and cargo's registry at the places that they have here.
within() {
    local registry=${CARGO_HOME:-$HOME/.cargo}
    mkdir -p "$system$PWD" "$system$work/build" "$system$registry"
    # shellcheck disable=SC2016 # the inner shell's own
    unshare --mount bash -euc '
        system=$1 folder=$2 build=$3 registry=$4
        mount --make-rprivate /
        for each in "$folder" "$build" "$registry" /dev; do mount --bind "$each" "$system$each"; done
        mount -t proc proc "$system/proc"
        shift 4
        exec chroot "$system" env -i PATH=/usr/bin:/bin CARGO_HOME="$registry" CARGO_TARGET_DIR="$build" \
            CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc CARGO_PROFILE_DEV_OPT_LEVEL=1 \
            CARGO_PROFILE_DEV_DEBUG=false sh -c "cd $folder && $*"
    ' within "$system" "$PWD" "$work/build" "$registry" "$@"
}

tests() {
    local names
    names=$(find crates/probe/tests -mindepth 1 -maxdepth 1 ! -name support -printf ' --test %f')
    cargo fetch --quiet --locked
    within "cargo test --offline --locked --ignore-rust-version --target $target --package lanner-probe --lib ${names//.rs/} --no-run \
        --message-format=json" 2>"$work/build.log" |
        grep -o '"executable":"[^"]*"' | cut -d'"' -f4 | grep "/${VMTEST_ONLY:-}"
}

# apt for arm64, without a trace in this machine's own lists.
apt_arm64() {
    local tool=$1
    shift
    "$tool" -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::status=/dev/null \
        -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts="$work/none" \
        -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" "$@"
}

fetch() {
    local package=$1 dir=$2
    rm -rf "$dir"
    mkdir -p "$dir"
    (cd "$dir" && apt_arm64 apt-get -qq download "$package" 2>/dev/null) && dpkg-deb -x "$dir"/*.deb "$dir" &&
        rm "$dir"/*.deb
}

root_of() {
    local root=$1 tests test name library applet
    tests=$(tests) || { echo "vmarm: the tests are not built, or none has that name; see $work/build.log" >&2; exit 1; }
    rm -rf "$root"
    mkdir -p "$root"/{bin,dev,etc,proc,sys,tmp,root,run,tests,var,usr/bin,usr/lib,usr/sbin,lib/aarch64-linux-gnu}
    [ -e "$work/busybox/bin/busybox" ] || fetch busybox-static "$work/busybox"
    cp "$work/busybox/bin/busybox" "$root/bin/"
    for applet in $(busybox --list | grep -vx busybox); do ln -s busybox "$root/bin/$applet"; done
    # as files of their own: busybox asks by which name it is called
    for name in true false; do
        rm "$root/bin/$name"
        echo "int main(void) { return $([ $name = true ]; echo $?); }" >"$work/build/$name.c"
        within "aarch64-linux-gnu-gcc -static -o $work/build/$name $work/build/$name.c"
        cp "$work/build/$name" "$root/bin/"
    done
    echo vmtest >"$root/etc/hostname"
    echo root:x:0:0:root:/root:/bin/sh >"$root/etc/passwd"
    echo root:x:0: >"$root/etc/group"
    for test in $tests; do
        name=$(basename "$test")
        llvm-strip -o "$root/tests/${name%-*}" "$test"
    done
    cp -L "$system/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1" "$root/lib/"
    for library in libc.so.6 libelf.so.1 libz.so.1 libzstd.so.1 libgcc_s.so.1 libm.so.6; do
        cp -L "$system/usr/lib/aarch64-linux-gnu/$library" "$root/lib/aarch64-linux-gnu/"
    done
    cp scripts/vminit.sh "$root/init"
    chmod +x "$root/init"
    mknod "$root/dev/console" c 5 1
}

boot() {
    local kernel=$1 package=$2 log=$work/$1.log begin=$SECONDS
    timeout "$((minutes * 60))" qemu-system-aarch64 -M virt -accel tcg -cpu max,pauth=off -smp 2 -m 2048 -nographic \
        -no-reboot -kernel "$(compgen -G "$work/$package/boot/vmlinuz-*" | head -1)" -initrd "$work/initramfs.gz" \
        -append "console=ttyAMA0 quiet panic=-1 lsm=bpf" </dev/null >"$log" 2>&1 || true
    sed -i 's/\r//g' "$log"
    awk -f scripts/vmverdict.awk -v name="$kernel-arm64" -v package="$package" -v log_file="$log" \
        -v seconds="$((SECONDS - begin))" "$log" | tee "$work/$kernel.verdict"
    ! grep -q 'NOT WELL' "$work/$kernel.verdict"
}

mkdir -p "$work"/{lists,cache/archives}/partial "$work/build"
codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
key=/usr/share/keyrings/debian-archive-keyring.gpg
printf 'deb [signed-by=%s] %s %s main\n' "$key" "$(mirror_of "")" "$codename" \
    "$key" "$(mirror_of -security)" "$codename-security" >"$work/sources.list"
apt_arm64 apt-get -qq update
make_system
echo "vmarm: building the probe's tests"
root_of "$work/root"
(cd "$work/root" && find . -print0 | cpio --quiet -0 -o -H newc | gzip -1) >"$work/initramfs.gz"

ill=0 booted=0
for kernel in "${kernels[@]}"; do
    package=$(apt_arm64 apt-cache search --names-only "^linux-image-${kernel//./\\.}\.[0-9].*-cloud-arm64\$" |
        cut -d' ' -f1 | sort -V | tail -1)
    if [ -z "$package" ] || { [ ! -e "$work/$package/boot" ] && ! fetch "$package" "$work/$package"; }; then
        echo "vmarm: untested, for the package registry has none: $kernel"
        continue
    fi
    boot "$kernel" "$package" || ill=1
    booted=$((booted + 1))
done
[ $ill = 0 ] && [ $booted -gt 0 ]
