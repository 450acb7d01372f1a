//! What Kubernetes knows of pods, from exchanges in the form of its API reference
//! (kubernetes.io/docs/reference/using-api/api-concepts, `efficient detection of changes`) and of lines that
//! kube-apiserver 1.15 to 1.18 wrote, as clients' authors have quoted them (`too old resource version: 1 (3473)`; a
//! bookmark's `"spec":{"containers":null}`): composed by hand, to do what a real API server does seldom. `real.rs`
//! speaks to a real one. Containers come from a containerd that is real, or from its bundles.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod access;
mod pods;
mod real;
mod server;
mod watch;

use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use lanner_container::{Config, KubernetesConfig, Request, Resolver};
use lanner_machine::{Container, ProbeKind, Runtime};
use lanner_testbed::{Bed, bed_or_skip};

use pods::{LIST, NODE, above, list, pod};
use server::{Answer, End, Server};

fn config(bed: &Bed) -> Config {
    Config {
        cri_sockets: vec![bed.place().socket()],
        containerd_sockets: Vec::new(),
        docker_sockets: Vec::new(),
        user_sockets: Vec::new(),
        containerd_bundles: Vec::new(),
        storage_bundles: Vec::new(),
        docker_containers: Vec::new(),
        ..Config::default()
    }
}

fn wait_for(resolver: &Resolver) -> Container {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut found = None;
    while found.is_none() {
        assert!(Instant::now() < deadline, "no answer");
        resolver.drain(&mut |container| found = found.take().or(Some(container).filter(|c| c.complete)));
        thread::sleep(Duration::from_millis(2));
    }
    found.unwrap_or_default()
}

fn ask(resolver: &Resolver, id: &str) {
    let request = Request { id: id[..12].to_owned(), full_id: id.to_owned(), runtime: Runtime::Cri };
    assert!(resolver.ask(request));
}

#[test]
fn a_pods_owners_account_node_and_namespace_are_known() {
    let bed = bed_or_skip!();
    let pod_of_bed = bed.pod("mysql-db-d5dc6b85d-77hrm").namespace("shop").start().unwrap();
    let mysql = pod_of_bed.container("mysql").start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "secret\n").unwrap();
    let (events, watched) = channel::<String>();
    let watched = Arc::new(Mutex::new(watched));
    let server = Server::start(None, move |asked| match asked.path.as_str() {
        _ if asked.authorization != "Bearer secret" => Answer::Document("401 Unauthorized", "{}".to_owned()),
        LIST => list("1000", &[]),
        path if path.contains("watch=1") => Answer::Watch(Vec::new(), End::Live(watched.clone())),
        path => above(path),
    });
    let kubernetes = KubernetesConfig {
        enabled: true,
        server: server.plain(),
        node: NODE.to_owned(),
        token_file: Some(token),
        ..KubernetesConfig::default()
    };
    let resolver = Resolver::start(Config { kubernetes: Some(kubernetes), ..config(&bed) }).unwrap();
    resolver.runtimes_within(Duration::from_secs(5));

    events.send(format!(r#"{{"type":"ADDED","object":{}}}"#, pod(pod_of_bed.uid()))).unwrap();
    ask(&resolver, mysql.id());
    let known = wait_for(&resolver);
    let told = known.pod.unwrap();
    assert_eq!((told.node.as_str(), told.service_account.as_str()), (NODE, "database"));
    let owners: Vec<_> = told.owners.iter().map(|owner| (&*owner.kind, &*owner.name, &*owner.uid)).collect();
    assert_eq!(owners, [("ReplicaSet", "mysql-db-d5dc6b85d", "rs-1"), ("Deployment", "mysql-db", "d-1")]);
    assert_eq!(told.owners[0].labels["app"], "mysql-db");
    assert_eq!((told.namespace_uid.as_str(), told.namespace_labels["team"].as_str()), ("ns-1", "storage"));
    assert_eq!(known.probes.len(), 1);
    assert_eq!(
        (known.probes[0].kind, known.probes[0].command.join(" ")),
        (ProbeKind::Liveness, "mysqladmin ping".into())
    );

    // A second pod of the same owner asks for nothing that is known.
    events.send(format!(r#"{{"type":"ADDED","object":{}}}"#, pod("another"))).unwrap();
    // One that has ended is known for a while.
    events.send(format!(r#"{{"type":"DELETED","object":{}}}"#, pod(pod_of_bed.uid()))).unwrap();
    thread::sleep(Duration::from_millis(200));
    ask(&resolver, mysql.id());
    assert_eq!(wait_for(&resolver).pod.unwrap().owners.len(), 2);
    assert_eq!((server.times("replicasets"), server.times("/namespaces/shop/")), (1, 1));
    assert_eq!(server.asked().iter().filter(|asked| asked.path.ends_with("/namespaces/shop")).count(), 1);
}

#[test]
fn an_api_server_that_does_not_answer_holds_up_no_answer_for_long() {
    let bed = bed_or_skip!();
    let pod = bed.pod("web-0").start().unwrap();
    let web = pod.container("web").start().unwrap();
    // Takes connections and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let kubernetes = KubernetesConfig {
        enabled: true,
        server: format!("http://{}", listener.local_addr().unwrap()),
        node: NODE.to_owned(),
        ..KubernetesConfig::default()
    };
    let resolver = Resolver::start(Config { kubernetes: Some(kubernetes), ..config(&bed) }).unwrap();
    resolver.runtimes_within(Duration::from_secs(5));
    let asked = Instant::now();
    ask(&resolver, web.id());
    let known = wait_for(&resolver);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!((known.name.as_str(), known.pod.unwrap().owners.len()), ("web", 0));
}
