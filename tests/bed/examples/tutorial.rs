//! The attacks of the Falco tutorial for Kubernetes, done for real in pods of a containerd of their own while
//! lanner watches: `tutorial [LANNER]` (`make demo`). lanner's own words and alerts are all that is printed
//! beside a line that says what is being done.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use lanner_testbed::{API_CLIENT_IMAGE, Bed};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn main() -> Result<()> {
    let bin = std::env::args().nth(1).unwrap_or_else(|| "target/release/lanner".into());
    let bed = Bed::start()?;
    let mut lanner = watch(&bin, &bed)?;
    let result = attack(&bed);
    thread::sleep(Duration::from_secs(2));
    kill(Pid::from_raw(lanner.id().try_into()?), Signal::SIGINT)?;
    lanner.wait()?;
    result
}

fn attack(bed: &Bed) -> Result<()> {
    let database = bed.pod("mysql-db-d5dc6b85d-77hrm").start()?;
    let mysql = database.container("mysql").start()?;
    told("bash -il in the pod of a database, with a terminal");
    let mut shell = mysql.exec_tty(&["bash", "-il"])?;
    shell.line("exit")?;
    shell.wait()?;

    let pod = bed.pod("kuberecon").privileged().start()?;
    let recon = pod.container("kuberecon").image(API_CLIENT_IMAGE).privileged().start()?;
    told("kubectl in a container");
    recon.exec(&["kube-recon", "kubectl", "get", "pods"])?;

    told("a connection from a container to the port of an API server");
    // The pod is on the host's network, so that a listener here can stand for the API server.
    let _server = TcpListener::bind("127.0.0.1:6443").context("port 6443 is taken on this machine")?;
    recon.exec(&["kube-recon", "dial", "127.0.0.1", "6443"])?;

    told("setns in a container");
    recon.exec(&["bash", "-c", "amicontained /proc/self/ns/ipc && true"])?;

    told("cat /etc/shadow on the host");
    Command::new("cat").arg("/etc/shadow").stdout(Stdio::null()).status()?;
    Ok(())
}

fn told(what: &str) {
    thread::sleep(Duration::from_millis(1500));
    eprintln!("# {what}");
}

/// Starts lanner with the bed's runtime in its settings and waits until it watches.
fn watch(bin: &str, bed: &Bed) -> Result<Child> {
    let config = bed.place().dir().join("falco.yaml");
    std::fs::write(&config, settings(&bed.place().socket()))?;
    let mut lanner = Command::new(bin)
        .args(["run", "--config"])
        .arg(config)
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {bin}"))?;
    let mut words = BufReader::new(lanner.stderr.take().context("lanner's standard error")?);
    let mut line = String::new();
    while words.read_line(&mut line)? > 0 {
        eprint!("{line}");
        if line.starts_with("watching") {
            break;
        }
        line.clear();
    }
    thread::spawn(move || std::io::copy(&mut words, &mut std::io::stderr()));
    Ok(lanner)
}

fn settings(socket: &Path) -> String {
    format!(
        "stdout_output: {{enabled: true}}\nload_plugins: [container]\nplugins:\n- name: container\n  \
         library_path: libcontainer.so\n  init_config: {{engines: {{cri: {{enabled: true, sockets: [{}]}}}}}}\n",
        socket.display()
    )
}
