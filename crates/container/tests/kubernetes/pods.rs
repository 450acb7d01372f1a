//! Pods as API servers write them, and a host on whose disk a container of one is.

use std::time::{Duration, Instant};

use lanner_container::{Config, Request, Resolver};
use lanner_machine::{Container, Runtime};

use super::server::{Answer, Asked, End};

pub const NODE: &str = "worker-1";

/// A pod of a deployment's replica set.
pub fn pod(uid: &str) -> String {
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

pub const REPLICA_SET: &str = r#"{"kind":"ReplicaSet","metadata":{"name":"mysql-db-d5dc6b85d","namespace":"shop",
    "uid":"rs-1","labels":{"app":"mysql-db"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment",
    "name":"mysql-db","uid":"d-1","controller":true}]}}"#;
pub const NAMESPACE: &str = r#"{"kind":"Namespace","metadata":{"name":"shop","uid":"ns-1",
    "labels":{"kubernetes.io/metadata.name":"shop","team":"storage"}}}"#;

/// What is asked for first.
pub const LIST: &str = "/api/v1/pods?fieldSelector=spec.nodeName%3Dworker-1&resourceVersion=0";

/// A list of these pods at a version.
pub fn list(version: &str, pods: &[String]) -> Answer {
    Answer::ok(format!(
        r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{"resourceVersion":"{version}"}},"items":[{}]}}"#,
        pods.join(",")
    ))
}

/// The objects above pods.
pub fn above(path: &str) -> Answer {
    match path {
        "/apis/apps/v1/namespaces/shop/replicasets/mysql-db-d5dc6b85d" => Answer::ok(REPLICA_SET),
        "/api/v1/namespaces/shop" => Answer::ok(NAMESPACE),
        _ => Answer::Document(
            "404 Not Found",
            r#"{"kind":"Status","code":404,"reason":"NotFound"}"#.to_owned(),
        ),
    }
}

/// A cluster with one pod, for those who show this authorization.
pub fn cluster(uid: &str, authorization: &'static str) -> impl Fn(&Asked) -> Answer + Send + Sync + 'static {
    let pods = [pod(uid)];
    let (held, more) = std::sync::mpsc::channel();
    let more = std::sync::Arc::new(std::sync::Mutex::new(more));
    // Nothing is ever sent; the watch stays open as long as the server is there.
    let held = std::sync::Mutex::new(held);
    move |asked| {
        let _ = &held;
        match asked.path.split('?').next().unwrap_or_default() {
            _ if asked.authorization != authorization => {
                let status = r#"{"kind":"Status","status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#;
                Answer::Document("401 Unauthorized", status.to_owned())
            }
            "/api/v1/pods" if asked.path.contains("watch=1") => {
                Answer::Watch(Vec::new(), End::Live(more.clone()))
            }
            "/api/v1/pods" => list("1000", &pods),
            path => above(path),
        }
    }
}

/// A host without any runtime that answers, with a bundle of a pod's container on its disk.
pub struct OnDisk {
    root: tempfile::TempDir,
}

const ID: &str = "3ad7b26ded6d8e7b23da7d48fe889434573036c27ae5a74837233de441c3601e";

impl OnDisk {
    pub fn with_pod(uid: &str) -> OnDisk {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("run/containerd/io.containerd.runtime.v2.task/k8s.io").join(ID);
        std::fs::create_dir_all(&folder).unwrap();
        let config = format!(
            r#"{{"annotations":{{"io.kubernetes.cri.container-name":"mysql","io.kubernetes.cri.container-type":"container",
            "io.kubernetes.cri.sandbox-id":"5ab7","io.kubernetes.cri.sandbox-name":"mysql-db-d5dc6b85d-77hrm",
            "io.kubernetes.cri.sandbox-namespace":"shop","io.kubernetes.cri.sandbox-uid":"{uid}"}}}}"#
        );
        std::fs::write(folder.join("config.json"), config).unwrap();
        OnDisk { root }
    }

    pub fn config(&self) -> Config {
        Config { host_root: self.root.path().to_owned(), ..Config::default() }
    }

    pub fn ask(&self, resolver: &Resolver) {
        let request = Request { id: ID[..12].to_owned(), full_id: ID.to_owned(), runtime: Runtime::Cri };
        assert!(resolver.ask(request));
    }

    /// The deployment that is told of without being asked for.
    pub fn told_later(&self, resolver: &Resolver, limit: Duration) -> Option<String> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(deployment) = complete(resolver).and_then(|container| deployment(&container)) {
                return Some(deployment);
            }
            if Instant::now() > deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn complete(resolver: &Resolver) -> Option<Container> {
    let mut found = None;
    resolver.drain(&mut |container| found = Some(container).filter(|c| c.complete).or(found.take()));
    found
}

fn deployment(container: &Container) -> Option<String> {
    let owners = &container.pod.as_ref()?.owners;
    owners.iter().find(|owner| owner.kind == "Deployment").map(|owner| owner.name.clone())
}

/// Asks for the container; its deployment when the answer is complete.
pub fn deployment_of(resolver: &Resolver, host: &OnDisk) -> Option<String> {
    host.ask(resolver);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        assert!(Instant::now() < deadline, "no answer");
        if let Some(container) = complete(resolver) {
            assert_eq!(container.name, "mysql");
            return deployment(&container);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
