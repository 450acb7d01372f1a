//! What Kubernetes knows of pods, from exchanges in the form of its API reference
//! (kubernetes.io/docs/reference/using-api/api-concepts, `efficient detection of changes`): composed by hand, since
//! no real API server can be had where these tests run. And containers come from a containerd that is real.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use lanner_container::{Config, KubernetesConfig, Request, Resolver};
use lanner_machine::{Container, ProbeKind, Runtime};
use lanner_testbed::{Bed, bed_or_skip};

const NODE: &str = "worker-1";

/// A pod of a deployment's replica set.
fn pod(uid: &str) -> String {
    format!(
        r#"{{"metadata":{{"name":"mysql-db-d5dc6b85d-77hrm","namespace":"shop","uid":"{uid}","resourceVersion":"1001",
        "labels":{{"app":"mysql-db"}},"ownerReferences":[{{"apiVersion":"apps/v1","kind":"ReplicaSet",
        "name":"mysql-db-d5dc6b85d","uid":"rs-1","controller":true,"blockOwnerDeletion":true}}]}},
        "spec":{{"nodeName":"{NODE}","serviceAccountName":"database","containers":[{{"name":"mysql",
        "livenessProbe":{{"exec":{{"command":["mysqladmin","ping"]}},"periodSeconds":10}},
        "readinessProbe":{{"tcpSocket":{{"port":3306}}}}}}]}},
        "status":{{"phase":"Running","podIP":"10.0.0.7"}}}}"#
    )
    .replace('\n', "")
}

const REPLICA_SET: &str = r#"{"kind":"ReplicaSet","metadata":{"name":"mysql-db-d5dc6b85d","namespace":"shop",
    "uid":"rs-1","labels":{"app":"mysql-db"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment",
    "name":"mysql-db","uid":"d-1","controller":true}]}}"#;
const NAMESPACE: &str = r#"{"kind":"Namespace","metadata":{"name":"shop","uid":"ns-1",
    "labels":{"kubernetes.io/metadata.name":"shop","team":"storage"}}}"#;

/// A server that answers as the API server would; what it is told is sent to the watch.
struct Server {
    address: String,
    events: Sender<String>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (events, watched) = channel::<String>();
        let watched = Arc::new(Mutex::new(watched));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let paths = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (watched, paths) = (watched.clone(), paths.clone());
                thread::spawn(move || answer(stream, &watched, &paths));
            }
        });
        Server { address, events, asked }
    }

    fn config(&self, token: &std::path::Path) -> KubernetesConfig {
        KubernetesConfig {
            enabled: true,
            server: self.address.clone(),
            node: NODE.to_owned(),
            token_file: Some(token.to_owned()),
            ca_file: None,
        }
    }
}

/// Ends by itself when the other side goes.
fn answer(mut stream: TcpStream, watched: &Mutex<Receiver<String>>, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    let mut authorised = false;
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
        authorised |= line.trim_end() == "authorization: Bearer secret";
        line.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    asked.lock().unwrap().push(path.clone());
    let mut send = |status: &str, body: &str| {
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    };
    match path.as_str() {
        _ if !authorised => send("401 Unauthorized", "{}"),
        "/apis/apps/v1/namespaces/shop/replicasets/mysql-db-d5dc6b85d" => send("200 OK", REPLICA_SET),
        "/api/v1/namespaces/shop" => send("200 OK", NAMESPACE),
        "/api/v1/pods?fieldSelector=spec.nodeName%3Dworker-1" => {
            send("200 OK", r#"{"kind":"PodList","metadata":{"resourceVersion":"1000"},"items":[]}"#);
        }
        "/api/v1/pods?fieldSelector=spec.nodeName%3Dworker-1&watch=1&resourceVersion=1000" => {
            write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
            while let Ok(event) = watched.lock().unwrap().recv_timeout(Duration::from_secs(30)) {
                let line = format!("{event}\n");
                if write!(stream, "{:x}\r\n{line}\r\n", line.len()).is_err() {
                    return;
                }
            }
        }
        _ => send("404 Not Found", "{}"),
    }
}

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
    let server = Server::start();
    let resolver =
        Resolver::start(Config { kubernetes: Some(server.config(&token)), ..config(&bed) }).unwrap();
    resolver.runtimes_within(Duration::from_secs(5));

    server.events.send(format!(r#"{{"type":"ADDED","object":{}}}"#, pod(pod_of_bed.uid()))).unwrap();
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
    server.events.send(format!(r#"{{"type":"ADDED","object":{}}}"#, pod("another"))).unwrap();
    // One that has ended is known for a while.
    server.events.send(format!(r#"{{"type":"DELETED","object":{}}}"#, pod(pod_of_bed.uid()))).unwrap();
    thread::sleep(Duration::from_millis(200));
    ask(&resolver, mysql.id());
    assert_eq!(wait_for(&resolver).pod.unwrap().owners.len(), 2);
    let asked = server.asked.lock().unwrap().clone();
    assert_eq!(asked.iter().filter(|path| path.contains("replicasets")).count(), 1, "{asked:?}");
    assert_eq!(asked.iter().filter(|path| path.ends_with("/namespaces/shop")).count(), 1, "{asked:?}");
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
