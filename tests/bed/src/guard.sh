#!/bin/sh
# Cleans up after a test bed. The bed's folder comes as the first line of standard input, which stays open
# as long as the test lives: its end, for whatever reason, is the sign to clean. The folder is not an
# argument, so that this process isn't found by it.
IFS= read -r bed || exit 0
case $bed in /*/lanner-bed.*) ;; *) exit 1 ;; esac
while IFS= read -r _; do :; done

# The shims' sockets lie outside the bed; where, is written in it.
sockets=$(awk 1 "$bed"/state/io.containerd.runtime.v2.task/*/*/address \
    "$bed"/exec/containerd/daemon/io.containerd.runtime.v2.task/*/*/address 2>/dev/null)

# containerd, its shims and whatever else was started with the bed's folder among its arguments.
round=0
while [ $round -lt 50 ]; do
    left=
    for process in /proc/[0-9]*; do
        if tr '\0' '\n' 2>/dev/null <"$process/cmdline" | grep -qF "$bed"; then
            kill -9 "${process#/proc/}" 2>/dev/null && left=yes
        fi
    done
    [ -n "$left" ] || break
    round=$((round + 1))
    sleep 0.05
done

# Containers of runc used by itself, whose bundles lie in the bed.
for state in /run/runc/*/state.json; do
    name=${state%/state.json}
    if grep -qsF "\"bundle=$bed/" "$state"; then runc delete --force "${name##*/}" 2>/dev/null; fi
done

# The containers, by the cgroups of the bed's pods and containers: one folder under every controller.
[ ! -e "$bed/pods" ] || while IFS= read -r pod; do
    # Anything else than an id could stand in the name of a cgroup that isn't the bed's.
    case $pod in *[!0-9a-f-]*) continue ;; ????????????????????????*) ;; *) continue ;; esac
    round=0
    while [ $round -lt 100 ]; do
        folders=$(find /sys/fs/cgroup -depth -type d -path "*$pod*" 2>/dev/null)
        [ -n "$folders" ] || break
        for folder in $folders; do
            while IFS= read -r process; do kill -9 "$process" 2>/dev/null; done <"$folder/cgroup.procs"
            rmdir "$folder" 2>/dev/null
        done
        round=$((round + 1))
        sleep 0.02
    done
done <"$bed/pods"
# What remains of the tree when no other pod uses it.
find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} \; 2>/dev/null

awk -v bed="$bed" 'index($5, bed "/") == 1 { print $5 }' /proc/self/mountinfo | sort -r |
    while IFS= read -r mount; do umount -l "$mount" 2>/dev/null; done
for socket in $sockets; do rm -f "${socket#unix://}"; done
rm -rf --one-file-system "$bed"
