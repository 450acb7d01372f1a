#!/bin/sh
# The first process of a guest of vmtest.sh: runs the tests one after the other and says what came of each.
# Nobody may leave the file system that the kernel starts with (pivot_root); the tests get another one.
if [ -z "${MOVED:-}" ]; then
    mkdir /moved
    mount -t tmpfs root /moved
    for each in /*; do [ "$each" = /moved ] || cp -a "$each" /moved/; done
    MOVED=1 exec /moved/bin/busybox switch_root /moved /init
fi
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs trace /sys/kernel/tracing 2>/dev/null
mount -t debugfs debug /sys/kernel/debug 2>/dev/null
for module in /modules/*.ko; do [ ! -e "$module" ] || insmod "$module"; done
ip link set lo up
# shellcheck disable=SC3045 # busybox has it
ulimit -n 4096
# what the kernel does not know of its command line, it hands to us as variables
for test in /tests/${ONLY:-*}; do
    name=${test##*/}
    begin=$(cut -d. -f1 /proc/uptime)
    echo "VMTEST-BEGIN $name"
    timeout "${PATIENCE:-1500}" "$test" --test-threads=1 --show-output 2>&1
    echo "VMTEST-END $name $? $(($(cut -d. -f1 /proc/uptime) - begin)) s"
done
# an emulated machine that waits for a busy one is taken for stuck
dmesg | grep -E 'BUG: |WARNING: |Oops: |general protection' | grep -v 'soft lockup' | sed 's/^/VMTEST-KERNEL /'
echo VMTEST-DONE
poweroff -f
