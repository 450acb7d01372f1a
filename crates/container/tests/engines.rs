//! The resolver against real Docker and Podman daemons: what it learns, of containers that live for moments
//! too, and what it does when a daemon hangs, dies and comes back.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use lanner_container::{Config, Request, Resolver, RuntimeState};
use lanner_machine::{ProbeKind, Runtime};
use lanner_testbed::{ENGINE_IMAGE, Engine, EngineKind, bed_or_skip};
use support::wait_for;

/// Knows of these engines' sockets alone.
fn sockets(engines: &[&Engine]) -> Config {
    Config {
        cri_sockets: Vec::new(),
        containerd_sockets: Vec::new(),
        user_sockets: Vec::new(),
        docker_sockets: engines.iter().map(|engine| engine.socket()).collect(),
        containerd_bundles: Vec::new(),
        storage_bundles: Vec::new(),
        docker_containers: Vec::new(),
        call_timeout: Duration::from_secs(2),
        patience: Duration::from_secs(3),
        ..Config::default()
    }
}

fn runtime(engine: &Engine) -> Runtime {
    match engine.kind() {
        EngineKind::Docker => Runtime::Docker,
        EngineKind::Podman => Runtime::Podman,
    }
}

fn ask(resolver: &Resolver, engine: &Engine, id: &str) {
    let request = Request { id: id[..12].to_owned(), full_id: id.to_owned(), runtime: runtime(engine) };
    assert!(resolver.ask(request));
}

fn wait_until_answering(resolver: &Resolver, number: usize) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let answering =
        || resolver.runtimes().iter().filter(|found| found.state == RuntimeState::Answers).count();
    while answering() < number {
        assert!(Instant::now() < deadline, "{:?}", resolver.runtimes());
        thread::sleep(Duration::from_millis(10));
    }
}

fn everything_is_told(engine: &Engine) {
    let options = [
        "--name",
        "web",
        "--label",
        "tier=front",
        "--label",
        &format!("long={}", "x".repeat(101)),
        "--volume",
        "/etc:/host/etc:ro",
        "--pid",
        "host",
        "--health-cmd",
        "true",
    ];
    let id = engine.start_container(&options, &["sleep", "600"]).unwrap();
    let resolver = Resolver::start(sockets(&[engine])).unwrap();
    let found = resolver.runtimes_within(Duration::from_secs(5));
    let name = format!("{:?}", engine.kind()).to_lowercase();
    assert_eq!((found[0].name.as_str(), &found[0].state), (name.as_str(), &RuntimeState::Answers));

    ask(&resolver, engine, &id);
    let known = wait_for(&resolver, |container| container.complete);
    assert_eq!((known.full_id.as_str(), known.name.as_str()), (id.as_str(), "web"));
    assert_eq!(known.image, ENGINE_IMAGE);
    assert_eq!((known.image_repository.as_str(), known.image_tag.as_str()), ("localhost/shop/web", "1.4"));
    assert_eq!(known.image_id.len(), 12);
    assert_eq!(known.labels.get("tier").map(String::as_str), Some("front"));
    assert!(!known.labels.contains_key("long"));
    assert_eq!((known.privileged, known.host_pid, known.host_network), (Some(false), true, false));
    let mount = known.mounts.iter().find(|mount| mount.dest == "/host/etc").unwrap();
    assert_eq!((mount.source.as_str(), mount.rdwr), ("/etc", false));
    assert_eq!((known.probes.len(), known.probes[0].kind), (1, ProbeKind::Healthcheck));
    assert!(known.created_ts > 1_700_000_000_000_000_000);
    assert_eq!(known.runtime, runtime(engine));
}

#[test]
fn docker_tells_everything() {
    everything_is_told(&bed_or_skip!(Engine::start(EngineKind::Docker)));
}

#[test]
fn podman_tells_everything() {
    everything_is_told(&bed_or_skip!(Engine::start(EngineKind::Podman)));
}

/// The container is gone, and every trace of it, by the time somebody asks.
fn a_short_life_is_known(engine: &Engine, config: Config) {
    let resolver = Resolver::start(config.clone()).unwrap();
    if !config.docker_sockets.is_empty() {
        wait_until_answering(&resolver, 1);
        // The stream of news begins a moment later, and Podman works for its answer where its records are.
        thread::sleep(Duration::from_millis(1500));
    }
    thread::sleep(Duration::from_millis(100));
    let id = engine.run(&["--rm", "--name", "flash"], &["cat", "/proc/self/cgroup"]).unwrap();
    let id = id.lines().find_map(id_in).unwrap_or_else(|| panic!("no id in {id}"));
    ask(&resolver, engine, &id);
    let known = wait_for(&resolver, |container| container.complete);
    assert_eq!((known.full_id.as_str(), known.name.as_str()), (id.as_str(), "flash"));
    assert_eq!(known.image, ENGINE_IMAGE);
}

/// The 64 digits of a line.
fn id_in(line: &str) -> Option<String> {
    let digits = line.split(|c: char| !c.is_ascii_hexdigit()).find(|part| part.len() == 64)?;
    Some(digits.to_owned())
}

#[test]
fn a_docker_container_that_is_gone_is_known_by_news_and_by_its_record() {
    let docker = bed_or_skip!(Engine::start(EngineKind::Docker));
    a_short_life_is_known(&docker, sockets(&[&docker]));
    let records = Config { docker_containers: vec![docker.records()], ..sockets(&[]) };
    a_short_life_is_known(&docker, records);
}

#[test]
fn a_podman_container_that_is_gone_is_known_by_its_record() {
    let podman = bed_or_skip!(Engine::start(EngineKind::Podman));
    // Where the records are, Podman says itself.
    a_short_life_is_known(&podman, sockets(&[&podman]));
    let records = Config { storage_bundles: vec![podman.records()], ..sockets(&[]) };
    a_short_life_is_known(&podman, records);
}

/// A folder as a user's session has it, below the one where lanner looks for them.
struct Session(PathBuf);

impl Drop for Session {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The service is root's; what is a user's is the place, where it comes when lanner already runs.
#[test]
fn a_users_podman_is_found_when_it_comes() {
    let podman = bed_or_skip!(Engine::start(EngineKind::Podman));
    let session = Session(PathBuf::from(format!("/run/user/lanner-{}", std::process::id())));
    std::fs::create_dir_all(session.0.join("podman")).unwrap();
    let id = podman.start_container(&["--name", "mine"], &["sleep", "600"]).unwrap();
    let config = Config { user_sockets: Config::default().user_sockets, ..sockets(&[]) };
    let resolver = Resolver::start(config.clone()).unwrap();
    let socket = session.0.join("podman/podman.sock");
    // Others may have theirs.
    let stands = |resolver: &Resolver| {
        let list = resolver.runtimes_within(Duration::from_secs(10));
        list.into_iter().find(|found| found.place == socket).map(|found| found.state)
    };
    assert_eq!(stands(&resolver), None);

    let _served = podman.serve_also(&socket).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while stands(&resolver) != Some(RuntimeState::Answers) {
        assert!(Instant::now() < deadline, "{:?}", resolver.runtimes());
        thread::sleep(Duration::from_millis(20));
    }
    ask(&resolver, &podman, &id);
    assert_eq!(wait_for(&resolver, |container| container.complete).name, "mine");
    // Who starts afterwards sees it at once.
    assert_eq!(stands(&Resolver::start(config).unwrap()), Some(RuntimeState::Answers));
}

#[test]
fn engines_hang_die_and_return_without_holding_up_each_other() {
    let mut docker = bed_or_skip!(Engine::start(EngineKind::Docker));
    let podman = bed_or_skip!(Engine::start(EngineKind::Podman));
    let in_docker = docker.start_container(&["--name", "one"], &["sleep", "600"]).unwrap();
    let in_podman = podman.start_container(&["--name", "two"], &["sleep", "600"]).unwrap();
    let config = Config { call_timeout: Duration::from_millis(500), ..sockets(&[&docker, &podman]) };
    let resolver = Resolver::start(config).unwrap();
    wait_until_answering(&resolver, 2);
    // They say where their records are a moment later.
    thread::sleep(Duration::from_millis(1500));

    docker.freeze().unwrap();
    let asked = Instant::now();
    ask(&resolver, &docker, &in_docker);
    assert!(asked.elapsed() < Duration::from_millis(50), "asking took {:?}", asked.elapsed());
    ask(&resolver, &podman, &in_podman);
    assert_eq!(wait_for(&resolver, |container| container.full_id == in_podman).name, "two");
    // Its records name the container meanwhile; the rest comes when it goes on.
    let known = wait_for(&resolver, |container| container.complete && container.full_id == in_docker);
    assert_eq!((known.name.as_str(), known.image.as_str()), ("one", ENGINE_IMAGE));
    docker.thaw().unwrap();
    wait_for(&resolver, |container| container.complete && container.full_id == in_docker);

    docker.stop().unwrap();
    ask(&resolver, &docker, &in_docker);
    wait_for(&resolver, |container| container.complete && container.full_id == in_docker);
    docker.restart().unwrap();
    ask(&resolver, &docker, &in_docker);
    // Its containers' processes went with it or not; it knows them all the same.
    wait_for(&resolver, |container| container.name == "one");
}
