//! Each detection by the real thing, in a real container where it is about one, and by a near miss. The near
//! miss comes first: alerts keep the order of events, so an attack's alert without one before it says that
//! there is none.

use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use lanner_testbed::{API_CLIENT_IMAGE, bed_or_skip};

use crate::watch::{Turn, Watch};

const POD: &str = "mysql-db-d5dc6b85d-77hrm";
/// Longer than an alert waits for its container's names.
const LATE: Duration = Duration::from_millis(1200);

/// An alert without what differs from run to run and from machine to machine.
fn settled(line: &str, container: &str) -> String {
    let (_time, rest) = line.split_once(": ").unwrap();
    let changing = ["user_loginuid=", "exe_flags=", "connection=", "rport=", "gparent=", "ggparent="];
    let words = rest.split(' ').map(|word| {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        // On the host it is what the tests were started from.
        let is_ours = container == "host" && ["parent", "terminal"].contains(&key);
        match changing.iter().any(|start| word.starts_with(start)) || is_ours {
            true => format!("{key}=…"),
            false if value == container && container != "host" => format!("{key}=ID"),
            false => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_terminal_shell_in_a_container() {
    let Some(_turn) = Turn::take() else { return };
    let bed = bed_or_skip!();
    let mut watch = Watch::with_bed(&bed, "");
    let pod = bed.pod(POD).start().unwrap();
    let mysql = pod.container("mysql").start().unwrap();

    // A shell without a terminal, and one with a terminal outside containers.
    mysql.exec(&["bash", "-c", "true"]).unwrap();
    let on_host =
        Command::new("script").args(["-qec", "bash -c 'true; true'", "/dev/null"]).output().unwrap();
    assert!(on_host.status.success());

    let mut by_runc = mysql.exec_tty(&["bash", "-il"]).unwrap();
    let line = watch.alert(&["shell", "bash -il"]);
    for part in ["parent=runc", "terminal=34816", POD, "default", "image=mysql)", mysql.short_id()] {
        assert!(line.contains(part), "`{part}` is not in: {line}");
    }
    insta::assert_snapshot!("a_terminal_shell", settled(&line, mysql.short_id()));
    by_runc.line("exit").unwrap();
    by_runc.wait().unwrap();

    let mut by_shim = mysql.exec_tty_by_shim(&["bash", "--login"]).unwrap();
    let line = watch.alert(&["shell", "bash --login"]);
    for part in ["terminal=34816", POD] {
        assert!(line.contains(part), "`{part}` is not in: {line}");
    }
    // runc may have handed its child over to the shim by now.
    assert!(["parent=runc", "parent=containerd-shim"].iter().any(|parent| line.contains(parent)), "{line}");
    by_shim.line("exit").unwrap();
    thread::sleep(LATE);
    let shells = watch.alerts_with(&["terminal="]);
    assert_eq!(shells.len(), 2, "{shells:#?}");
    watch.stop();
}

#[test]
fn a_kubernetes_client_in_a_container() {
    let Some(_turn) = Turn::take() else { return };
    let bed = bed_or_skip!();
    let mut watch = Watch::with_bed(&bed, "");
    let pod = bed.pod("recon-0").start().unwrap();
    let recon = pod.container("recon").image(API_CLIENT_IMAGE).start().unwrap();

    Command::new(bed.place().program("kubectl")).args(["get", "nodes"]).output().unwrap();
    recon.exec(&["kube-recon", "ls", "/usr/bin/kubectl"]).unwrap();

    recon.exec(&["kube-recon", "kubectl", "get", "pods"]).unwrap();
    let line = watch.alert(&["kubectl get pods"]);
    insta::assert_snapshot!("a_kubernetes_client", settled(&line, recon.short_id()));
    thread::sleep(LATE);
    assert_eq!(watch.alerts_with(&["kubectl get nodes"]), Vec::<String>::new());
    assert_eq!(watch.alerts_with(&["ls /usr/bin"]), Vec::<String>::new());
    watch.stop();
}

#[test]
fn a_connection_to_the_api_server_from_a_container() {
    let Some(_turn) = Turn::take() else { return };
    let bed = bed_or_skip!();
    // The pod is on the host's network, so that a listener of ours can stand for the API server.
    let Ok(_server) = TcpListener::bind("127.0.0.1:6443") else {
        return lanner_testbed::skipped(&"port 6443 is taken on this machine");
    };
    let neighbour = TcpListener::bind("127.0.0.1:0").unwrap();
    let other_port = neighbour.local_addr().unwrap().port().to_string();
    let mut watch = Watch::with_bed(&bed, "");
    let pod = bed.pod("recon-0").start().unwrap();
    let recon = pod.container("recon").image(API_CLIENT_IMAGE).start().unwrap();

    let dialled = Command::new(bed.place().program("dial")).args(["127.0.0.1", "6443"]).status().unwrap();
    assert!(dialled.success());
    assert_eq!(recon.exec(&["dial", "127.0.0.1", &other_port]).unwrap().exit_code, 0);

    // An address that is for documentation, on the port of every web server.
    recon.exec(&["dial", "192.0.2.1", "443"]).unwrap();

    assert_eq!(recon.exec(&["kube-recon", "dial", "127.0.0.1", "6443"]).unwrap().exit_code, 0);
    let line = watch.alert(&["127.0.0.1:6443"]);
    insta::assert_snapshot!("a_connection_to_the_api_server", settled(&line, recon.short_id()));
    // The cluster's service, whether or not it answers.
    recon.exec(&["dial", "10.96.0.1", "443"]).unwrap();
    watch.alert(&["10.96.0.1:443", "recon-0"]);
    thread::sleep(LATE);
    assert_eq!(watch.alerts_with(&["192.0.2.1"]), Vec::<String>::new());
    assert_eq!(watch.alerts_with(&["127.0.0.1:6443"]).len(), 1);
    assert_eq!(watch.alerts_with(&[&format!("127.0.0.1:{other_port}")]), Vec::<String>::new());
    watch.stop();
}

#[test]
fn a_change_of_namespace_by_an_unexpected_program() {
    let Some(_turn) = Turn::take() else { return };
    let bed = bed_or_skip!();
    let mut watch = Watch::with_bed(&bed, "");
    let pod = bed.pod("recon-0").privileged().start().unwrap();
    let recon = pod.container("recon").image(API_CLIENT_IMAGE).privileged().start().unwrap();

    // What administrators do; and a program of the same name that changes nothing.
    let own = std::process::id().to_string();
    let entered = Command::new("nsenter").args(["--target", &own, "--uts", "true"]).status().unwrap();
    assert!(entered.success());
    recon.exec(&["bash", "-c", "amicontained; true"]).ok();

    // `true` keeps bash from becoming the program, so that it stays the parent.
    let done = recon.exec(&["bash", "-c", "amicontained /proc/self/ns/ipc && true"]).unwrap();
    assert_eq!(done.exit_code, 0, "{}", String::from_utf8_lossy(&done.stderr));
    let line = watch.alert(&["amicontained /proc/self/ns/ipc"]);
    insta::assert_snapshot!("a_change_of_namespace", settled(&line, recon.short_id()));
    thread::sleep(LATE);
    assert_eq!(watch.alerts_with(&["nsenter"]), Vec::<String>::new());
    assert_eq!(watch.alerts_with(&["amicontained"]).len(), 1);
    watch.stop();
}

#[test]
fn a_sensitive_file_read_on_the_host() {
    let Some(_turn) = Turn::take() else { return };
    let mut watch = Watch::start("");

    // A file beside it, and the account tools' own reading of it.
    Command::new("cat").args(["/etc/hostname", "/etc/passwd"]).output().unwrap();
    Command::new("passwd").args(["--status", "root"]).output().unwrap();

    Command::new("cat").arg("/etc/shadow").output().unwrap();
    let line = watch.alert(&["/etc/shadow", "cat /etc/shadow"]);
    insta::assert_snapshot!("a_sensitive_file", settled(&line, "host"));
    assert_eq!(watch.alerts_with(&["passwd --status"]), Vec::<String>::new());
    assert_eq!(watch.alerts_with(&["/etc/hostname"]).len(), 0);
    watch.stop();
}

#[test]
fn a_sensitive_file_read_by_other_ways() {
    let Some(_turn) = Turn::take() else { return };
    let mut watch = Watch::start("");
    // what /proc has by itself, and a file of another name
    for path in ["/proc/self/status", "/proc/self/root/etc/hostname"] {
        Command::new("cat").arg(path).output().unwrap();
    }
    for path in ["/proc/self/root/etc/shadow", "/proc/self/cwd/shadow", "//etc/../etc/./gshadow"] {
        assert!(
            Command::new("cat").arg(path).current_dir("/etc").output().unwrap().status.success(),
            "{path}"
        );
        watch.alert(&["A sensitive file was read", &format!("command=cat {path}")]);
    }
    if opened_by_handle("/etc/shadow") {
        watch.alert(&["A sensitive file was read", "evt_type=open_by_handle_at", "file=/etc/shadow"]);
    } else {
        lanner_testbed::skipped(&"files have no handles here, or there is no perl");
    }
    assert_eq!(watch.alerts_with(&["/status"]), Vec::<String>::new());
    assert_eq!(watch.alerts_with(&["/etc/hostname"]), Vec::<String>::new());
    watch.stop();
}

/// Has perl open a file by its handle, without a name; false if that can't be.
fn opened_by_handle(path: &str) -> bool {
    let [handle, open] = [nix::libc::SYS_name_to_handle_at, nix::libc::SYS_open_by_handle_at];
    let script = format!(
        "$h = pack('Ii', 120, 0) . ('\\0' x 120); $m = pack('i', 0); \
         syscall({handle}, -100, $ARGV[0], $h, $m, 0) == 0 or exit 1; \
         opendir($d, '/') or exit 1; exit(syscall({open}, fileno($d), $h, 0) < 0)"
    );
    Command::new("perl").args(["-e", &script, path]).status().is_ok_and(|status| status.success())
}
