//! Rules about a host's files and programs. Whatever is written is removed at once, and is empty or a comment.

use std::net::TcpListener;

use crate::rules::Place::Host;
use crate::rules::{Case, check, on_host, words};
use crate::watch::{Turn, Watch};

pub const CASES: &[Case] = &[
    Case {
        rule: "Write below monitored dir",
        acts: &[
            (Host, ": >/usr/bin/$M; rm /usr/bin/$M"),
            (Host, ": >$T/new; mv $T/new /usr/local/bin/$M; rm /usr/local/bin/$M"),
        ],
        near_misses: &[
            (Host, "mkdir -p $T/usr/bin; : >$T/usr/bin/$M"),
            (Host, ": >$T/empty; cat /usr/bin/env $T/empty >$T/env"),
            (Host, ": >/usr/lib-$M; rm /usr/lib-$M"),
        ],
    },
    Case {
        rule: "Schedule Cron Jobs",
        acts: &[
            (Host, "mkdir -p /etc/cron.d; echo '# a test' >/etc/cron.d/$M; rm /etc/cron.d/$M"),
            (Host, "echo '# a test' >$T/job; mv $T/job /etc/cron.d/$M; rm /etc/cron.d/$M"),
        ],
        near_misses: &[
            (Host, "mkdir -p $T/etc/cron.d; echo '# a test' >$T/etc/cron.d/$M"),
            (Host, "cat /etc/crontab /etc/cron.d/* $T/* || true"),
        ],
    },
    Case {
        rule: "Systemd unit added or changed",
        acts: &[(
            Host,
            "mkdir -p /etc/systemd/system; echo '# a test' >/etc/systemd/system/$M; rm /etc/systemd/system/$M",
        )],
        near_misses: &[
            (Host, "mkdir -p $T/etc/systemd/system; echo '# a test' >$T/etc/systemd/system/$M"),
            (Host, "cat /etc/systemd/system/* $T/* || true"),
        ],
    },
    Case {
        rule: "Modify Shell Configuration File",
        acts: &[
            (Host, "echo '# a test' >>$T/.bashrc"),
            (Host, "mkdir -p /etc/profile.d; : >/etc/profile.d/$M; rm /etc/profile.d/$M"),
        ],
        near_misses: &[
            (Host, "echo '# a test' >>$T/bashrc"),
            (Host, "cat /etc/profile /etc/profile.d/* $T/* || true"),
        ],
    },
    Case {
        rule: "Set Setuid or Setgid bit",
        acts: &[(Host, ": >$T/file; chmod 4755 $T/file"), (Host, ": >$T/file; chmod g+s $T/file")],
        near_misses: &[
            (Host, ": >$T/file; chmod 755 $T/file"),
            (Host, "mkdir $T/shared; chmod 1777 $T/shared"),
            (Host, "! chmod 4755 $T/not-there"),
        ],
    },
    Case {
        rule: "Create Symlink Over Sensitive Files",
        acts: &[(Host, "ln -s /etc/shadow $T/$M"), (Host, "ln -s /etc $T/$M")],
        near_misses: &[
            (Host, "ln -s /etc/hostname $T/$M"),
            (Host, "mkdir $T/etc; ln -s $T/etc $T/$M"),
            (Host, ": >$T/file; ! ln -s /etc/shadow $T/file"),
        ],
    },
    Case {
        rule: "Create Hardlink Over Sensitive Files",
        acts: &[(Host, "ln /etc/shadow /etc/$M; rm /etc/$M"), (Host, "cd /etc; ln gshadow $M; rm $M")],
        near_misses: &[
            (Host, "ln /etc/hostname /etc/$M; rm /etc/$M"),
            (Host, "! ln /etc/shadow /etc/passwd; true $M"),
        ],
    },
    Case {
        rule: "Delete or rename shell history",
        acts: &[
            (Host, "echo id >>$T/.bash_history; : >$T/.bash_history"),
            (Host, "echo id >>$T/.bash_history; rm $T/.bash_history"),
            (Host, "echo id >>$T/.zsh_history; mv $T/.zsh_history $T/gone"),
        ],
        near_misses: &[
            (Host, "echo id >>$T/.bash_history; cat $T/.bash_history"),
            (
                Host,
                "HISTFILE=$T/.bash_history bash --norc -i <<<'echo hello'; grep -q hello $T/.bash_history",
            ),
            (Host, ": >$T/history; mv $T/history $T/old; rm $T/old"),
        ],
    },
    Case {
        rule: "Run shell untrusted",
        acts: &[
            (Host, "cp /bin/bash $T/nginx; $T/nginx -c \"sh -c 'true $M'; true\""),
            (Host, "cp /bin/bash $T/postgres; $T/postgres -c \"bash -c 'id $M'; true\""),
        ],
        near_misses: &[
            (Host, "cp /bin/bash $T/nginx; $T/nginx -c \"/bin/true $M; true\""),
            (Host, "cp /bin/bash $T/builder; $T/builder -c \"sh -c 'true $M'; true\""),
            (Host, "cp /bin/bash $T/postgres; $T/postgres -c \"sh -c 'true pg_wal/$M archive'; true\""),
        ],
    },
    Case {
        rule: "Redirect STDOUT/STDIN to Network Connection in Container",
        acts: &[(Host, "bash -c \"exec >/dev/tcp/127.0.0.1/$PORT 0>&1; echo $M\"")],
        near_misses: &[
            (Host, "exec 5<>/dev/tcp/127.0.0.1/$PORT"),
            (Host, "exec >$T/file 2>&1; echo hello | cat"),
        ],
    },
    Case {
        rule: "Execution from /dev/shm",
        acts: &[
            (Host, "cp /bin/true /dev/shm/$M; /dev/shm/$M; rm /dev/shm/$M"),
            (Host, "echo true >/dev/shm/$M; sh /dev/shm/$M; rm /dev/shm/$M"),
        ],
        near_misses: &[
            (Host, "cp /bin/true /dev/shm/$M; cat /dev/shm/$M; rm /dev/shm/$M"),
            (Host, "cp /bin/true $T/program; $T/program /dev/shm/$M"),
        ],
    },
    Case {
        rule: "Search Private Keys or Passwords",
        acts: &[(Host, "! grep -r 'BEGIN RSA PRIVATE' $T"), (Host, "find $T -name id_rsa")],
        near_misses: &[
            (Host, "! grep -r 'BEGIN CERTIFICATE' $T"),
            (Host, "grep -q root /etc/passwd"),
            (Host, "find $T -name 'id_*.rs'"),
            (Host, ": >$T/id_rsa; cat $T/id_rsa"),
        ],
    },
];

#[test]
fn each_rule_about_the_host_tells_the_act_and_no_near_miss() {
    let Some(_turn) = Turn::take() else { return };
    let neighbour = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = neighbour.local_addr().unwrap().port();
    let mut watch = Watch::start("json_output: true");
    let folder = watch.folder();
    let cases: Vec<&Case> = CASES.iter().collect();
    check(&mut watch, &cases, |_, mark, script| on_host(None, &words(&folder, port, mark, script)));
    watch.stop();
}
