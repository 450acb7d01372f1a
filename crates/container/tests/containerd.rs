//! The resolver against a real containerd: what it learns, and what it does when containerd hangs, dies and
//! comes back.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::HashMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use lanner_container::{Config, Request, Resolver, RuntimeState};
use lanner_machine::{Container, Runtime, container_of_cgroups};
use lanner_testbed::{Bed, Registered, bed_or_skip};
use support::wait_for;

/// Knows of the bed alone; where the bundles are is left for containerd to say.
fn config(bed: &Bed) -> Config {
    Config {
        cri_sockets: vec![bed.place().socket()],
        containerd_sockets: vec![bed.place().socket()],
        docker_sockets: Vec::new(),
        user_sockets: Vec::new(),
        containerd_bundles: Vec::new(),
        storage_bundles: Vec::new(),
        docker_containers: Vec::new(),
        call_timeout: Duration::from_millis(200),
        patience: Duration::from_millis(800),
        ..Config::default()
    }
}

/// Speaks to nobody.
fn on_disk_alone(bed: &Bed) -> Config {
    Config { cri_sockets: Vec::new(), containerd_sockets: Vec::new(), ..config(bed) }
}

fn request(full_id: &str) -> Request {
    Request { id: full_id[..12].to_owned(), full_id: full_id.to_owned(), runtime: Runtime::Cri }
}

/// What differs from run to run, made the same.
fn settled(mut container: Container) -> Container {
    let image = "6f7e2741b66b";
    assert_eq!(container.image_id.len(), image.len());
    if !container.image_digest.is_empty() {
        assert!(container.image_digest.starts_with("sha256:"), "{}", container.image_digest);
        container.image_digest = "sha256:…".to_owned();
    }
    assert!(container.created_ts > 1_700_000_000_000_000_000);
    let pod = container.pod.as_mut().unwrap();
    assert_eq!(pod.uid.len(), 36);
    assert_eq!(pod.sandbox_id.len(), 64);
    pod.uid = "uid".to_owned();
    pod.sandbox_id = "sandbox".to_owned();
    for mount in &mut container.mounts {
        if mount.source.contains("lanner-bed") {
            mount.source = "in the bed".to_owned();
        }
    }
    Container {
        id: "id".to_owned(),
        full_id: "full id".to_owned(),
        image_id: image.to_owned(),
        created_ts: 1,
        ..container
    }
}

#[test]
fn a_container_and_its_sandbox_are_known_by_their_ids() {
    let bed = bed_or_skip!();
    let pod = bed.pod("mysql-db-d5dc6b85d-77hrm").label("app", "mysql-db").privileged().start().unwrap();
    let mysql = pod
        .container("mysql")
        .label("tier", "storage")
        .label("long", &"x".repeat(101))
        .mount("/etc", "/host/etc")
        .privileged()
        .start()
        .unwrap();

    let resolver = Resolver::start(config(&bed)).unwrap();
    let runtimes = resolver.runtimes_within(Duration::from_secs(5));
    assert_eq!(runtimes.len(), 1);
    assert_eq!((runtimes[0].name.as_str(), &runtimes[0].state), ("containerd", &RuntimeState::Answers));
    assert!(!runtimes[0].version.is_empty());

    let asked = Instant::now();
    assert!(resolver.ask(request(mysql.id())));
    let known = wait_for(&resolver, |container| container.complete);
    assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
    assert_eq!(known.full_id, mysql.id());
    assert_eq!(known.pod.as_ref().unwrap().uid, pod.uid());
    assert_eq!(known.pod.as_ref().unwrap().sandbox_id, pod.id());
    insta::assert_debug_snapshot!("container", settled(known));

    assert!(resolver.ask(request(pod.id())));
    let known = wait_for(&resolver, |container| container.complete);
    insta::assert_debug_snapshot!("sandbox", settled(known));
}

#[test]
fn a_hung_runtime_holds_up_nobody_and_is_asked_again() {
    let bed = bed_or_skip!();
    let pod = bed.pod("web-0").namespace("shop").start().unwrap();
    let web = pod.container("web").label("tier", "front").start().unwrap();
    let resolver = Resolver::start(config(&bed)).unwrap();
    resolver.runtimes_within(Duration::from_secs(5));

    bed.freeze().unwrap();
    let asked = Instant::now();
    assert!(resolver.ask(request(web.id())));
    resolver.drain(&mut |_| {});
    assert!(asked.elapsed() < Duration::from_millis(50), "asking took {:?}", asked.elapsed());
    // The bundle on disk names the pod and the image, though not the labels.
    let known = wait_for(&resolver, |container| container.complete);
    let late = asked.elapsed();
    assert!(late >= Duration::from_millis(700) && late < Duration::from_secs(3), "{late:?}");
    assert_eq!(known.pod.as_ref().unwrap().name, "web-0");
    assert_eq!(known.pod.as_ref().unwrap().namespace, "shop");
    assert_eq!(known.image_repository, "docker.io/library/mysql");
    assert!(known.labels.is_empty());
    assert!(matches!(resolver.runtimes()[0].state, RuntimeState::Silent(_)));

    bed.thaw().unwrap();
    let known = wait_for(&resolver, |container| !container.labels.is_empty());
    assert_eq!(known.labels["tier"], "front");
    assert!(known.complete);
    assert_eq!(resolver.runtimes()[0].state, RuntimeState::Answers);
}

#[test]
fn a_runtime_that_dies_and_returns_is_found_again() {
    let mut bed = bed_or_skip!();
    let (first, second) = {
        let pod = bed.pod("web-0").start().unwrap();
        let first = pod.container("first").start().unwrap().id().to_owned();
        (first, pod.container("second").start().unwrap().id().to_owned())
    };
    let resolver = Resolver::start(config(&bed)).unwrap();
    assert!(resolver.ask(request(&first)));
    assert_eq!(wait_for(&resolver, |container| container.complete).name, "first");

    bed.stop_containerd().unwrap();
    assert!(resolver.ask(request(&second)));
    let known = wait_for(&resolver, |container| container.complete);
    assert_eq!(known.name, "second");

    bed.start_containerd().unwrap();
    let known = wait_for(&resolver, |container| container.created_ts > 0);
    assert_eq!((known.name.as_str(), known.complete), ("second", true));
    assert!(resolver.ask(request(&first)));
    let known = wait_for(&resolver, |container| container.full_id == first);
    assert_eq!(known.pod.unwrap().name, "web-0");
}

#[test]
fn a_runtime_that_comes_late_is_found() {
    let mut bed = bed_or_skip!();
    let id = bed.pod("web-0").start().unwrap().container("web").start().unwrap().id().to_owned();
    bed.stop_containerd().unwrap();
    fs::remove_file(bed.place().socket()).unwrap();

    let resolver = Resolver::start(config(&bed)).unwrap();
    assert!(resolver.runtimes().is_empty());
    bed.start_containerd().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while resolver.runtimes().iter().all(|runtime| runtime.state != RuntimeState::Answers) {
        assert!(Instant::now() < deadline, "{:?}", resolver.runtimes());
        thread::sleep(Duration::from_millis(10));
    }
    assert!(resolver.ask(request(&id)));
    assert_eq!(wait_for(&resolver, |container| container.complete).name, "web");
}

#[test]
fn what_no_runtime_knows_is_complete_after_the_patience() {
    let bed = bed_or_skip!();
    let resolver = Resolver::start(config(&bed)).unwrap();
    resolver.runtimes_within(Duration::from_secs(5));
    let asked = Instant::now();
    let nobody = "0".repeat(64);
    assert!(resolver.ask(request(&nobody)));
    let known = wait_for(&resolver, |container| container.complete);
    assert!(asked.elapsed() >= Duration::from_millis(700), "{:?}", asked.elapsed());
    assert_eq!((known.full_id, known.name, known.pod), (nobody, String::new(), None));
}

#[test]
fn many_are_asked_about_at_once() {
    let bed = bed_or_skip!();
    let pod = bed.pod("web-0").start().unwrap();
    let web = pod.container("web").start().unwrap();
    let resolver = Resolver::start(Config { max_pending: 64, ..config(&bed) }).unwrap();
    resolver.runtimes_within(Duration::from_secs(5));
    // More than there is room for: some are refused, and every one that was taken is answered.
    let taken = (0..2000).filter(|_| resolver.ask(request(web.id()))).count();
    assert!((64..2000).contains(&taken), "{taken} of 2000 were taken");
    let mut answered = 0;
    let deadline = Instant::now() + Duration::from_secs(20);
    while answered < taken {
        assert!(Instant::now() < deadline, "{answered} of {taken} were answered");
        resolver.drain(&mut |container| {
            assert_eq!(container.name, "web");
            answered += usize::from(container.complete);
        });
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn the_cgroup_of_a_container_names_it() {
    let bed = bed_or_skip!();
    let pod = bed.pod("web-0").start().unwrap();
    let web = pod.container("web").start().unwrap();
    let lines = fs::read_to_string(format!("/proc/{}/cgroup", web.pid().unwrap())).unwrap();
    // As events carry them: `controllers=path`.
    let cgroups: Vec<String> = lines
        .lines()
        .filter_map(|line| line.splitn(3, ':').skip(1).collect::<Vec<_>>().try_into().ok())
        .map(|[controllers, path]: [&str; 2]| format!("{controllers}={path}"))
        .collect();
    let found = container_of_cgroups(&cgroups.iter().map(String::as_bytes).collect());
    let found = found.unwrap_or_else(|| panic!("no container in {cgroups:?}"));
    assert_eq!((&found.full_id[..], &found.id[..]), (web.id().as_bytes(), web.short_id().as_bytes()));
}

#[test]
fn a_container_that_is_gone_before_anybody_asks_is_known() {
    let bed = bed_or_skip!();
    // CRI would still know of it: only what was on disk is asked here.
    let config = Config { containerd_bundles: vec![bed.place().bundles()], ..on_disk_alone(&bed) };
    let resolver = Resolver::start(config).unwrap();
    let id = {
        let pod = bed.pod("flash-0").namespace("shop").start().unwrap();
        let flash = pod.container("flash").start().unwrap();
        let id = flash.id().to_owned();
        flash.stop().unwrap();
        pod.stop().unwrap();
        id
    };
    let bundle = bed.place().bundles().join("k8s.io").join(&id);
    let deadline = Instant::now() + Duration::from_secs(5);
    while bundle.exists() {
        assert!(Instant::now() < deadline, "the bundle stays");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(resolver.ask(request(&id)));
    let known = wait_for(&resolver, |container| container.complete);
    assert_eq!((known.full_id.as_str(), known.name.as_str()), (id.as_str(), "flash"));
    let pod = known.pod.unwrap();
    assert_eq!((pod.name.as_str(), pod.namespace.as_str()), ("flash-0", "shop"));
}

/// What CRI says by itself is more than what is on disk: labels are in no bundle.
#[test]
fn what_cri_told_of_a_container_is_known_when_it_can_no_longer_be_asked() {
    let bed = bed_or_skip!();
    let resolver = Resolver::start(config(&bed)).unwrap();
    let version = resolver.runtimes_within(Duration::from_secs(5)).remove(0).version;
    if version.starts_with("1.6") {
        return lanner_testbed::skipped(&format!(
            "containerd {version} has no events of CRI: 1.7 is the first"
        ));
    }
    // The stream begins a moment after the first answer.
    thread::sleep(Duration::from_secs(1));
    let pod = bed.pod("web-0").start().unwrap();
    let web = pod.container("web").label("tier", "front").start().unwrap();
    thread::sleep(Duration::from_secs(1));
    bed.freeze().unwrap();
    let asked = Instant::now();
    assert!(resolver.ask(request(web.id())));
    let known = wait_for(&resolver, |container| container.complete);
    assert!(asked.elapsed() < Duration::from_millis(150), "{:?}", asked.elapsed());
    assert_eq!(known.labels.get("tier").map(String::as_str), Some("front"));
    bed.thaw().unwrap();
}

#[test]
fn a_containerd_in_an_unknown_place_is_found_by_its_mounts() {
    let bed = bed_or_skip!();
    let pod = bed.pod("web-0").start().unwrap();
    let web = pod.container("web").start().unwrap();
    let resolver = Resolver::start(on_disk_alone(&bed)).unwrap();
    assert!(resolver.ask(request(web.id())));
    let known = wait_for(&resolver, |container| container.complete);
    assert_eq!((known.name.as_str(), known.pod.unwrap().name.as_str()), ("web", "web-0"));
    assert_eq!(known.image_repository, "docker.io/library/mysql");
}

/// A container outside Kubernetes, as `nerdctl` would make it.
fn registered(number: usize) -> Registered {
    let labels = (0..10).map(|label| (format!("org.example.label-{label}"), "v".repeat(60)));
    Registered {
        id: format!("{number:064x}"),
        image: "docker.io/library/redis:7".to_owned(),
        labels: labels.chain([("nerdctl/name".to_owned(), format!("redis-{number}"))]).collect(),
        spec:
            r#"{"linux":{"namespaces":[{"type":"pid"},{"type":"ipc"}],"maskedPaths":["/proc/kcore"]},"mounts":
            [{"destination":"/data","type":"bind","source":"/srv/data","options":["rbind","ro"]}]}"#
                .to_owned(),
    }
}

#[test]
fn containerd_itself_tells_of_what_is_not_kubernetes() {
    let bed = bed_or_skip!();
    bed.register("tools", registered(1)).unwrap();
    let resolver = Resolver::start(config(&bed)).unwrap();
    resolver.runtimes_within(Duration::from_secs(5));
    let id = registered(1).id;
    assert!(resolver.ask(Request { runtime: Runtime::Docker, ..request(&id) }));
    let known = wait_for(&resolver, |container| container.complete);
    assert_eq!((known.full_id.as_str(), known.name.as_str()), (id.as_str(), "redis-1"));
    assert_eq!((known.image_repository.as_str(), known.image_tag.as_str()), ("docker.io/library/redis", "7"));
    assert_eq!((known.host_pid, known.host_network, known.privileged), (false, true, Some(false)));
    assert_eq!((known.mounts[0].dest.as_str(), known.mounts[0].rdwr), ("/data", false));
    assert_eq!((known.labels.len(), known.pod), (11, None));
    assert!(known.created_ts > 1_700_000_000_000_000_000);
}

/// Memory that this process has in use, in KiB (proc(5): `statm`, in pages).
fn resident() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4
}

#[test]
fn two_thousand_containers_are_known_in_bounded_memory() {
    let bed = bed_or_skip!();
    for number in 1..=2000 {
        bed.register("tools", registered(number)).unwrap();
    }
    let config =
        Config { call_timeout: Duration::from_secs(10), patience: Duration::from_secs(60), ..config(&bed) };
    let resolver = Resolver::start(config).unwrap();
    resolver.runtimes_within(Duration::from_secs(5));
    let before = resident();
    let asked = Instant::now();
    for number in 1..=2000 {
        assert!(resolver.ask(request(&registered(number).id)));
    }
    let mut known = HashMap::new();
    while known.len() < 2000 {
        assert!(asked.elapsed() < Duration::from_secs(60), "{} are known", known.len());
        resolver.drain(&mut |container| {
            if container.complete {
                known.insert(container.full_id.clone(), container);
            }
        });
        thread::sleep(Duration::from_millis(5));
    }
    let grown = resident().saturating_sub(before);
    println!("2000 containers in {:?}, {grown} KiB", asked.elapsed());
    assert!(known.values().all(|container| container.name.starts_with("redis-")));
    assert!(grown < 24 << 10, "{grown} KiB");
}
