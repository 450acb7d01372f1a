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
dpkg --remove lanner >/dev/null
step "removed it is gone" eval '! systemctl is-active --quiet lanner && [ ! -e /usr/bin/lanner ] && [ -e /etc/falco/falco.yaml ]'
journalctl --quiet --no-pager --unit lanner | tail -n 20
echo "VM done"
systemctl poweroff --force --force
