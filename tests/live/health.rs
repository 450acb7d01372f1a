//! `/healthz` says so when events no longer flow, and when they flow again.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::{Duration, Instant};

use libbpf_rs::query::{ProgInfoIter, ProgInfoQueryOptions};
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::watch::{Turn, Watch};

const RULES: &str = "\
- rule: Opened
  desc: A marked file was opened.
  condition: evt.type in (open, openat) and fd.name contains lanner-health-mark
  output: opened %fd.name
  priority: WARNING
";

/// A run with a web server on a port of its own.
fn start() -> (Watch, u16) {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    fs::write(&rules, RULES).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let watch = Watch::start(&format!(
        "rules_files: [{}]\nwebserver: {{enabled: true, listen_address: 127.0.0.1, listen_port: {port}}}",
        rules.display()
    ));
    (watch, port)
}

/// Asks until the answer has both parts.
fn health(port: u16, parts: [&str; 2], limit: Duration) -> String {
    let end = Instant::now() + limit;
    loop {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            stream.read_to_string(&mut answer).unwrap();
        }
        if parts.iter().all(|part| answer.contains(part)) {
            return answer;
        }
        assert!(Instant::now() < end, "no answer with {parts:?}, the last one: {answer}");
        thread::sleep(Duration::from_millis(500));
    }
}

const GOOD: [&str; 2] = ["HTTP/1.1 200 OK", "{\"status\": \"ok\"}"];

/// The maps of maps that a process' programs use: where they find the rings.
fn rings(pid: u32) -> Vec<MapHandle> {
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
    let programs: BTreeSet<u32> = infos
        .filter_map(|info| {
            let text = fs::read_to_string(info.ok()?.path()).ok()?;
            text.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok())
        })
        .collect();
    let options = ProgInfoQueryOptions::default().include_map_ids(true);
    let infos = ProgInfoIter::with_query_opts(options).filter(|info| programs.contains(&info.id));
    let ids: BTreeSet<u32> = infos.flat_map(|info| info.map_ids).collect();
    let maps = ids.into_iter().map(|id| MapHandle::from_map_id(id).unwrap());
    maps.filter(|map| map.map_type() == MapType::ArrayOfMaps).collect()
}

/// The programs no longer find the rings: whatever happens, no event comes.
#[test]
fn events_that_come_no_longer_are_told() {
    let Some(_turn) = Turn::take() else { return };
    let (mut watch, port) = start();
    health(port, GOOD, Duration::from_secs(5));
    let mut taken = Vec::new();
    for map in rings(watch.pid()) {
        for key in map.keys().collect::<Vec<_>>() {
            let Some(id) = map.lookup(&key, MapFlags::ANY).unwrap() else { continue };
            let ring = MapHandle::from_map_id(u32::from_ne_bytes(id.try_into().unwrap())).unwrap();
            map.delete(&key).unwrap();
            taken.push((map.info().unwrap().info.id, key, ring));
        }
    }
    assert!(!taken.is_empty(), "lanner has no rings");
    let fault =
        health(port, ["HTTP/1.1 503", "source syscall: no event has come for "], Duration::from_secs(40));
    assert!(fault.contains("{\"status\":\"error\",\"faults\":["), "{fault}");
    for (map, key, ring) in &taken {
        let map = MapHandle::from_map_id(*map).unwrap();
        map.update(key, &ring.as_fd().as_raw_fd().to_ne_bytes(), MapFlags::ANY).unwrap();
    }
    fs::write(watch.folder().join("lanner-health-mark"), "").unwrap();
    watch.alert(&["opened", "lanner-health-mark"]);
    health(port, GOOD, Duration::from_secs(5));
    assert!(watch.stop().lost > 0, "what found no ring is counted");
}

/// The thread that reads events stands still, the others go on.
#[test]
fn a_loop_that_stands_still_is_told() {
    let Some(_turn) = Turn::take() else { return };
    let (mut watch, port) = start();
    health(port, GOOD, Duration::from_secs(5));
    let reader = Pid::from_raw(watch.pid() as i32);
    ptrace::seize(reader, ptrace::Options::empty()).unwrap();
    ptrace::interrupt(reader).unwrap();
    waitpid(reader, None).unwrap();
    health(port, ["HTTP/1.1 503", "source syscall: nothing has been read for "], Duration::from_secs(40));
    ptrace::detach(reader, None::<Signal>).unwrap();
    health(port, GOOD, Duration::from_secs(5));
    fs::write(watch.folder().join("lanner-health-mark"), "").unwrap();
    watch.alert(&["opened", "lanner-health-mark"]);
    watch.stop();
}
