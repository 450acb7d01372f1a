#!/usr/bin/env bash
# vmtest [KERNEL...]: runs the probe's tests under other kernels, Debian's stock ones, in QEMU without hardware help.
# Each boot has an initramfs of busybox and the tests, and sees the ends of calls as the probe would by itself (auto) or
# at their functions (fexit); what costs how many instructions is counted in boots of their own. Closes with a line for
# each boot, which names what was skipped.
# Without KERNEL, what tells most: 5.10 and 6.1 with auto, 6.12 with fexit, and the counts of both latter. With two cores,
# where one boots after the other, that takes an hour. VMTEST_ALL=1 takes all that the package registry has of 5.10, 6.1,
# 6.12, 6.18 and 7.3, also in other releases of Debian than this one, each with auto and with fexit: several times that. A
# KERNEL is the beginning of a version (6.1), which is booted with both.
# VMTEST_ONLY=NAME runs only the test files whose name begins with NAME, VMTEST_CALLS=auto, fexit, sys_exit or records boots
# each kernel once, with that. VMTEST_LINE is what kernels are told beside: 'preempt=full', or for the tests
# 'LANNER_COPIES=kprobes', which has the kernel's copies kept by kprobes. VMTEST_MINUTES=100 is what a boot may take. Boots
# share the cores: each is given two.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
minutes=${VMTEST_MINUTES:-100}
# What is booted: a kernel, and how.
kernels=("$@") pairs=()
if [ ${#kernels[@]} -gt 0 ] || [ -n "${VMTEST_ALL:-}${VMTEST_CALLS:-}" ]; then
    [ ${#kernels[@]} -gt 0 ] || kernels=(5.10 6.1 6.12 6.18 7.3)
    for kernel in "${kernels[@]}"; do
        for way in ${VMTEST_CALLS:-auto fexit}; do pairs+=("$kernel $way"); done
        pairs+=("$kernel counts")
    done
else
    pairs=("6.12 counts" "6.1 counts" "6.1 auto" "6.12 fexit" "5.10 auto")
fi
# Where kernels are looked for that this release of Debian does not have.
suites=(bullseye trixie-backports)

for tool in qemu-system-x86_64 busybox dpkg-deb apt-get cpio xz; do
    command -v "$tool" >/dev/null || { echo "vmtest: $tool is missing; run scripts/setup.sh --vm" >&2; exit 1; }
done
mkdir -p "$target/vm"
work=$(realpath "$target/vm")
exec 9>"$work/lock"
flock -n 9 || { echo "vmtest: another one is running in $work" >&2; exit 1; }

# Where this machine has its own release from, or that release's updates.
mirror_of() {
    local codename
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(CODENAME) $(REPO_URI)' | awk -v of="$codename$1" '$1 == of { print $2; exit }'
}

# Options with which apt reads other releases, without a trace in the system's own lists.
other_releases() {
    local apt=$work/apt mirror security suite
    if [ ! -e "$apt/options" ]; then
        mkdir -p "$apt"/{lists,cache/archives}/partial
        mirror=$(mirror_of "")
        security=$(mirror_of -security)
        for suite in "${suites[@]}"; do
            echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
            case $suite in *-backports) ;; *)
                [ -z "$security" ] ||
                    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $security $suite-security main"
                ;;
            esac
        done >"$apt/sources.list"
        echo "-o Dir::Etc::sourcelist=$apt/sources.list -o Dir::Etc::sourceparts=$apt/none" \
            "-o Dir::State::lists=$apt/lists -o Dir::Cache=$apt/cache" >"$apt/options.new"
        # shellcheck disable=SC2046 # several options
        apt-get $(cat "$apt/options.new") -qq update >&2 || return 1
        mv "$apt/options.new" "$apt/options"
    fi
    cat "$apt/options"
}

# Of the packages that apt knows, the newest that holds a kernel, or nothing.
newest() {
    local version=$1
    shift
    apt-cache "$@" search --names-only "^linux-(image|binary)-${version//./\\.}\.[0-9].*-cloud-amd64\$" |
        cut -d' ' -f1 | sort -t- -k3V -k2,2 | tail -1 | sed 's/-image-\([7-9]\)/-binary-\1/'
}

# Fetches a package and keeps its kernel and the modules that tests use.
unpack() {
    local package=$1 dir=$2 module
    shift 2
    rm -rf "$dir.new"
    mkdir -p "$dir.new/modules"
    (cd "$dir.new" && apt-get "$@" -qq download "$package" 2>/dev/null) || return 1
    dpkg-deb -x "$dir.new"/*.deb "$dir.new/root"
    find "$dir.new/root" -name 'vmlinuz*' -exec cp {} "$dir.new/vmlinuz" \;
    find "$dir.new/root" -name 'overlay.ko*' -o -name 'binfmt_misc.ko*' | while read -r module; do
        cp "$module" "$dir.new/modules/"
    done
    find "$dir.new/modules" -name '*.xz' -exec xz -d {} +
    rm -rf "$dir.new"/*.deb "$dir.new/root" "$dir"
    [ -e "$dir.new/vmlinuz" ] && mv "$dir.new" "$dir"
}

# Says where a kernel lies, which is fetched once.
kernel_of() {
    local version=$1 package options=()
    package=$(newest "$version")
    if [ -z "$package" ]; then
        read -ra options < <(other_releases) || return 1
        package=$(newest "$version" "${options[@]}")
        [ -n "$package" ] || return 1
    fi
    [ -e "$work/$package/vmlinuz" ] || unpack "$package" "$work/$package" "${options[@]}" || return 1
    echo "$work/$package"
}

# The executables of the probe's tests. Emulated, code that is not optimised takes several times as long.
tests() {
    CARGO_TARGET_DIR=$work/build CARGO_PROFILE_DEV_OPT_LEVEL=1 \
        cargo test --package lanner-probe --lib --test '*' --no-run --message-format=json 2>"$work/build.log" |
        grep -o '"executable":"[^"]*"' | cut -d'"' -f4 | grep "/${VMTEST_ONLY:-}"
}

# Copies the libraries of a program.
libraries_of() {
    local program=$1 root=$2 library
    ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -nL "$library" "$root$library"
    done
}

# A root file system: busybox, what tests open and run, the tests and their libraries.
root_of() {
    local root=$1 tests test name
    tests=$(tests) || { echo "vmtest: the tests are not built, or none has that name; see $work/build.log" >&2; exit 1; }
    rm -rf "$root"
    mkdir -p "$root"/{bin,dev,etc,proc,sys,tmp,root,run,tests,var,usr/bin,usr/lib,usr/sbin}
    cp "$(command -v busybox)" "$root/bin/busybox"
    chroot "$root" /bin/busybox --install -s /bin
    # as files of their own: busybox asks by which name it is called
    for name in true false; do
        rm "$root/bin/$name"
        cp -L "/bin/$name" "$root/bin/$name"
        libraries_of "/bin/$name" "$root"
    done
    echo vmtest >"$root/etc/hostname"
    echo root:x:0:0:root:/root:/bin/sh >"$root/etc/passwd"
    echo root:x:0: >"$root/etc/group"
    for test in $tests; do
        name=$(basename "$test")
        name=${name%-*}
        cp "$test" "$root/tests/$name"
        strip "$root/tests/$name"
        libraries_of "$test" "$root"
    done
    cp scripts/vminit.sh "$root/init"
    chmod +x "$root/init"
    mknod "$root/dev/console" c 5 1
}

pack() { find . -print0 | cpio --quiet -0 -o -H newc | gzip -1; }

# Boots a kernel, with what QEMU and the kernel are told; the log says what came of the tests.
# A busy host makes a guest take its timer for broken (no_timer_check).
boot() {
    local dir=$1 name=$2 machine=$3 line=$4 log=$work/$2.log begin
    begin=$(date +%s)
    (cd "$dir" && find modules | cpio --quiet -o -H newc | gzip -1) | cat "$work/initramfs.gz" - >"$work/$name.gz"
    # Kernels that change their own code on several emulated CPUs fall over now and then before anything has run (7.3).
    for _ in 1 2 3; do
        # shellcheck disable=SC2086 # several options
        timeout "$((minutes * 60))" qemu-system-x86_64 -accel tcg -cpu max $machine -m 2048 -nographic -no-reboot \
            -kernel "$dir/vmlinuz" -initrd "$work/$name.gz" \
            -append "console=ttyS0 quiet panic=-1 no_timer_check lsm=bpf $line ${VMTEST_LINE:-}" </dev/null >"$log" 2>&1 || true
        ! grep -q VMTEST-BEGIN "$log" || break
    done
    sed -i 's/\r//g' "$log"
    rm -f "$work/$name.gz"
    awk -f scripts/vmverdict.awk -v name="$name" -v package="$(basename "$dir")" -v log_file="$log" \
        -v seconds="$(($(date +%s) - begin))" "$log" | tee "$work/$name.verdict"
}

echo "vmtest: building the probe's tests"
root_of "$work/root"
(cd "$work/root" && pack) >"$work/initramfs.gz"

boots=() untested=() most=$(($(nproc) / 2))
for pair in "${pairs[@]}"; do
    read -r kernel way <<<"$pair"
    if ! dir=$(kernel_of "$kernel"); then
        [[ " ${untested[*]} " == *" $kernel "* ]] || untested+=("$kernel")
    elif [ "$way" != counts ]; then
        boots+=("$dir|$kernel-$way|-smp 2|LANNER_CALLS=$way")
    elif [ -e "$work/root/tests/cost" ]; then
        boots+=("$dir|$kernel-counts|-smp 1 -icount shift=0|LANNER_COUNTS=1 ONLY=cost*")
    fi
done

rm -f "$work"/*.verdict
for each in "${boots[@]}"; do
    IFS='|' read -r dir name machine line <<<"$each"
    while [ "$(jobs -rp | wc -l)" -ge "$((most > 0 ? most : 1))" ]; do wait -n || true; done
    boot "$dir" "$name" "$machine" "$line" &
done
wait
[ ${#untested[@]} -eq 0 ] || echo "vmtest: untested, for the package registry has none: ${untested[*]}"
ill=$(cat "$work"/*.verdict | grep -c 'NOT WELL' || true)
echo "vmtest: $((${#boots[@]} - ill)) of ${#boots[@]} boots are well"
[ "$ill" = 0 ] && [ ${#boots[@]} -gt 0 ]
