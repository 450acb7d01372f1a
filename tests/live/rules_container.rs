//! Rules about containers, by real ones; and those about programs that only the test bed has.

use std::path::Path;

use lanner_testbed::{API_CLIENT_IMAGE, bed_or_skip};

use crate::rules::Place::{Container, Host, NewContainer, NewPrivileged, Privileged};
use crate::rules::{Case, Place, check, on_host, words};
use crate::watch::{Turn, Watch};

/// What an image has is told from what was added where a container's root is an overlay, and only there.
const OF_OVERLAYS: &str = "Drop and execute new binary in container";

pub const CASES: &[Case] = &[
    Case {
        rule: "Launch Privileged Container",
        acts: &[(NewPrivileged, "true")],
        near_misses: &[(NewContainer, "true"), (Privileged, "true")],
    },
    Case {
        rule: "Mount Launched in Privileged Container",
        acts: &[(Privileged, "mount -t tmpfs $M $T")],
        near_misses: &[
            (Container, "! mount -t tmpfs $M $T"),
            (Privileged, ": >$T/empty; cat /proc/mounts $T/empty"),
            (Host, "unshare --mount mount -t tmpfs $M $T"),
        ],
    },
    Case {
        rule: "Detect release_agent File Container Escapes",
        acts: &[(Container, "echo /nothing >$T/release_agent")],
        near_misses: &[
            (Host, "echo /nothing >$T/release_agent"),
            (Container, "echo /nothing >$T/release_agents"),
            (Container, ": >$T/empty; cat /proc/sys/kernel/core_pattern $T/empty"),
        ],
    },
    Case {
        rule: "Linux Kernel Module Injection Detected",
        acts: &[(Privileged, "load-module $M")],
        // The first may not, the second is no container: nothing was loaded, nothing could be.
        near_misses: &[(Container, "load-module $M"), (Host, "load-module $M")],
    },
    Case {
        rule: "Contact cloud metadata service from container",
        acts: &[(Privileged, "dial-apart 169.254.169.254 80 $M")],
        near_misses: &[
            (Host, "dial-apart 169.254.169.254 80 $M"),
            (Privileged, "dial-apart 169.254.169.253 80 $M"),
            (Privileged, "dial-apart 169.254.169.254 81 $M"),
        ],
    },
    Case {
        rule: "Packet socket created in container",
        acts: &[(Container, "raw-socket packet $M"), (Container, "raw-socket inet $M")],
        near_misses: &[
            (Host, "raw-socket packet $M"),
            (Container, "ping inet $M"),
            (Container, "! dial 127.0.0.1 9 $M"),
        ],
    },
    Case {
        rule: "Fileless execution via memfd_create",
        // What a runtime starts from memory is itself; so the shell is to stay, as the parent.
        acts: &[
            (Container, "run-from memory /bin/busybox true $M; true"),
            (Host, "run-from memory /bin/true $M"),
        ],
        near_misses: &[
            (Container, "run-from file /bin/busybox true $M"),
            (Host, "run-from file /bin/true $M"),
            (Host, "run-from nothing /bin/true $M"),
        ],
    },
    Case {
        rule: OF_OVERLAYS,
        acts: &[(Container, "cp /bin/busybox $T/true; $T/true $M")],
        near_misses: &[
            (Container, "cp /bin/busybox $T/true; cat $T/true; /bin/true $M"),
            (Host, "cp /bin/true $T/true; $T/true $M"),
        ],
    },
    Case {
        rule: "Launch Package Management Process in Container",
        acts: &[(Container, "apk add $M")],
        near_misses: &[(Host, "apk add $M"), (Container, "ls /usr/bin/apk $T")],
    },
    Case {
        rule: "PTRACE attached to process",
        acts: &[(Container, "trace attach $M"), (Host, "trace attach $M")],
        near_misses: &[
            (Container, "trace asked $M"),
            (Host, "cp $(command -v trace) $T/gdb; (exec -a trace $T/gdb attach $M)"),
        ],
    },
    Case {
        rule: "Clear Log Activities",
        acts: &[
            (Container, "mkdir -p /var/log; : >/var/log/syslog"),
            (Container, "echo hello >>/var/log/auth.log; rm -f /var/log/auth.log $M"),
        ],
        near_misses: &[
            (Container, "mkdir -p /var/log; echo hello >>/var/log/messages; cat /var/log/messages"),
            (Container, "mkdir -p /var/log; : >/var/log/$M.log; rm /var/log/$M.log"),
        ],
    },
];

#[test]
fn each_rule_about_containers_tells_the_act_and_no_near_miss() {
    let Some(_turn) = Turn::take() else { return };
    let bed = bed_or_skip!();
    let mut watch = Watch::with_bed(&bed, "json_output: true");
    let pod = bed.pod("recon-0").privileged().start().unwrap();
    let start = |name: &str, command: &[&str], privileged: bool| {
        let plan = pod.container(name).image(API_CLIENT_IMAGE).command(command);
        if privileged { plan.privileged() } else { plan }.start().unwrap()
    };
    let plain = start("plain", &["pause"], false);
    let privileged = start("privileged", &["pause"], true);
    let (folder, programs) = (watch.folder(), bed.place().program(""));

    let mounts = plain.exec(&["cat", "/proc/mounts"]).unwrap().stdout;
    let is_overlay = String::from_utf8_lossy(&mounts).contains("overlay / overlay ");
    let cases: Vec<&Case> = CASES.iter().filter(|case| is_overlay || case.rule != OF_OVERLAYS).collect();
    check(&mut watch, &cases, |place: Place, mark: &str, script: &str| {
        let inside = words(Path::new("/tmp"), 0, mark, script);
        let bash = ["bash", "-c", &inside];
        match place {
            Host => on_host(Some(&programs), &words(&folder, 0, mark, script)),
            Container => plain.exec(&bash).unwrap().exit_code == 0,
            Privileged => privileged.exec(&bash).unwrap().exit_code == 0,
            NewContainer => !start(mark, &bash, false).id().is_empty(),
            NewPrivileged => !start(mark, &bash, true).id().is_empty(),
        }
    });
    watch.stop();
}
