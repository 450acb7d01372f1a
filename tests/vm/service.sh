#!/bin/bash
# In the guest of scripts/vmservice.sh: does with lanner's service what an administrator does. Each step prints `ok NAME`
# or `FAILED NAME` and goes on.
exec 2>&1
step() {
    local name=$1
    shift
    if "$@"; then echo "VM ok $name"; else echo "VM FAILED $name"; fi
}
# within SECONDS COMMAND...: until it succeeds.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 1
    done
}
value() { systemctl show --property "$1" --value lanner; }
alerted() { journalctl --quiet --identifier falco | grep -qF -- "$1"; }
active() { [ "$(systemctl is-active "$1")" = active ]; }
# deed FILE: reads a file that nobody should, until the alert of it is in the journal.
deed() { within 60 eval "cat $1 >/dev/null; sleep 1; alerted 'cat $1'"; }

systemctl is-system-running --wait >/dev/null
step "it started with the system" within 120 active lanner
step "by Falco's names too" eval 'active falco && active falco-modern-bpf && systemctl is-enabled --quiet falco'
step "an alert is in the journal" deed /etc/shadow
confined() { ! journalctl --quiet --unit lanner | grep -q "can't be restricted"; }
step "it confines itself further" confined

before=$(value MainPID)
cat >>/etc/falco/falco_rules.local.yaml <<'RULE'
- rule: lookout
  desc: somebody looks at the lookout
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/lookout
  output: lookout %proc.cmdline
  priority: NOTICE
RULE
echo >/etc/lookout
systemctl reload lanner
step "a rule of one's own is taken over by a reload" deed /etc/lookout
journalctl --quiet --no-pager --unit lanner | tail -n 5
step "in the same process" test "$before" = "$(value MainPID)"

relay() {
    timeout 60 setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all --no-new-privs lanner relay >/tmp/relayed &
    within 50 eval "cat /etc/shadow >/dev/null; sleep 1; grep -q 'cat /etc/shadow' /tmp/relayed"
}
step "the relay reads it as nobody" relay

mkdir -p /etc/systemd/system/lanner.service.d
printf '[Service]\nWatchdogSec=10\nRestartSec=1\n' >/etc/systemd/system/lanner.service.d/soon.conf
systemctl daemon-reload
systemctl restart lanner
kill -STOP "$(value MainPID)"
anew() { [ "$(value NRestarts)" = 1 ] && active lanner; }
step "one that hangs is started anew by the watchdog" within 120 anew
step "and watches" eval 'journalctl --quiet --rotate; journalctl --quiet --vacuum-time=1s; deed /etc/shadow'

step "its confinement is rated well" systemd-analyze security --threshold=30 --no-pager lanner >/dev/null
systemctl status --no-pager --lines=3 lanner
systemctl stop falco
step "it stops by Falco's name" test "$(systemctl is-active lanner)" = inactive
step "in good order" test "$(value Result)" = success
systemctl start lanner
step "it starts again" active lanner

# What the kernel tells of is decided by where a process is too, on hosts like this one with cgroups of version 2 alone.
container=/sys/fs/cgroup/system.slice/docker-$(printf 'ab%.0s' {1..32}).scope
mkdir "$container"
writes() { perl -e 'for (1 .. 300) { open(F, ">", $ARGV[0]) or die; close(F) }' "/tmp/$1"; }
contained() { (echo "$BASHPID" >"$container/cgroup.procs" && writes "$1"); }
# tells SAID CONDITION: watches with one rule about opens for writing and, once lanner has said that, has the host and a
# container make 300 each.
tells() {
    printf -- '- {rule: r, desc: d, priority: NOTICE, output: at %%fd.name, condition: %s}\n' \
        "'evt.type in (open, openat) and evt.is_open_write = true and $2'" >/tmp/where.yaml
    lanner run -v -r /tmp/where.yaml >/tmp/told 2>&1 &
    if within 120 grep -qF "$1" /tmp/told; then
        writes of-host
        contained of-container
        sleep 2
    fi
    kill -INT $!
    wait $!
    tail -n 1 /tmp/told
}
events() { sed -n 's/^events \([0-9]*\),.*/\1/p' /tmp/told; }
alerts_at() { grep -cF "at /tmp/$1" /tmp/told; }
tells "watching after" "fd.name startswith /tmp/of"
both=$(events)
step "rules about either are told of both" test "$(alerts_at of-host)" -eq 300 -a "$(alerts_at of-container)" -eq 300
# spared CONDITION ALERTING SPARED: alerts come of the one alone, of whose opens and no others is told.
spared() {
    tells "The kernel knows" "$1"
    [ "$(alerts_at "$2")" -eq 300 ] && [ "$(alerts_at "$3")" -eq 0 ] && [ $((both - $(events))) -gt 250 ]
}
step "rules about containers alone are spared what the host does" spared "container.id != host" of-container of-host
step "rules about the host alone are spared what containers do" spared "not container.id != host" of-host of-container
dpkg --remove lanner >/dev/null
step "removed it is gone" eval '! systemctl is-active --quiet lanner && [ ! -e /usr/bin/lanner ] && [ -e /etc/falco/falco.yaml ]'
journalctl --quiet --no-pager --unit lanner | tail -n 20
echo "VM done"
systemctl poweroff --force --force
