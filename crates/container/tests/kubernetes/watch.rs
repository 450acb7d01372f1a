//! Watches that end, break and expire, as kube-apiserver ends, breaks and expires them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use lanner_container::{Config, KubernetesConfig, Resolver};

use super::pods::{LIST, NODE, OnDisk, above, deployment_of, list, pod};
use super::server::{Answer, Asked, End, Server};

const UID: &str = "0b8c3c9e-3d0f-4a54-8a61-8b8f2f6f3f5d";
const NEWEST: &str = "/api/v1/pods?fieldSelector=spec.nodeName%3Dworker-1";

fn watching(version: &str) -> String {
    format!("{NEWEST}&watch=1&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion={version}")
}

fn added() -> String {
    format!(r#"{{"type":"ADDED","object":{}}}"#, pod(UID))
}

/// A bookmark as kube-apiserver writes it: a pod of which all but the version is empty.
fn bookmark(version: &str) -> String {
    format!(
        r#"{{"type":"BOOKMARK","object":{{"kind":"Pod","apiVersion":"v1","metadata":{{"resourceVersion":"{version}","creationTimestamp":null}},"spec":{{"containers":null}},"status":{{}}}}}}"#
    )
}

const EXPIRED: &str = r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version: 1000 (3473)","reason":"Expired","code":410}}"#;

/// Stays open until the server goes.
fn live() -> End {
    let (sender, more) = channel();
    // Kept for ever, so that the watch isn't ended.
    std::mem::forget(sender);
    End::Live(Arc::new(Mutex::new(more)))
}

fn start(server: &Server, host: &OnDisk) -> Resolver {
    let kubernetes = KubernetesConfig {
        enabled: true,
        server: server.plain(),
        node: NODE.to_owned(),
        ..KubernetesConfig::default()
    };
    Resolver::start(Config { kubernetes: Some(kubernetes), ..host.config() }).unwrap()
}

/// Waits until pods were asked for so often, and says how.
fn pods_asked(server: &Server, times: usize) -> Vec<Asked> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let asked: Vec<Asked> =
            server.asked().into_iter().filter(|asked| asked.path.starts_with("/api/v1/pods")).collect();
        if asked.len() >= times {
            return asked;
        }
        assert!(Instant::now() < deadline, "{asked:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn paths(asked: &[Asked]) -> Vec<&str> {
    asked.iter().map(|asked| asked.path.as_str()).collect()
}

#[test]
fn a_watch_goes_on_from_the_last_bookmark() {
    let rounds = AtomicUsize::new(0);
    let server = Server::start(None, move |asked| match asked.path.as_str() {
        LIST => list("1000", &[]),
        path if path.contains("watch=1") => match rounds.fetch_add(1, Ordering::Relaxed) {
            // Ended as one is whose time is over, then cut off in the middle of a line.
            0 => Answer::Watch(vec![bookmark("1005"), bookmark("1010")], End::Orderly),
            1 => Answer::Watch(vec![bookmark("1020")], End::Cut),
            _ => Answer::Watch(vec![added()], live()),
        },
        path => above(path),
    });
    let host = OnDisk::with_pod(UID);
    let resolver = start(&server, &host);
    let asked = pods_asked(&server, 4);
    // Nothing is listed anew, and nothing that has happened in between is missed.
    assert_eq!(paths(&asked), [LIST, &watching("1000"), &watching("1010"), &watching("1020")]);
    assert_eq!(deployment_of(&resolver, &host).as_deref(), Some("mysql-db"));
}

#[test]
fn what_is_too_old_to_be_watched_from_is_listed_anew() {
    // Both ways in which it is said: within a watch, and instead of one.
    let rounds = AtomicUsize::new(0);
    let server = Server::start(None, move |asked| match asked.path.as_str() {
        LIST => list("1000", &[]),
        NEWEST => list("3473", &[pod(UID)]),
        path if path == watching("3473") => Answer::Watch(Vec::new(), live()),
        path if path.contains("watch=1") => match rounds.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::Watch(vec![EXPIRED.to_owned()], End::Orderly),
            _ => {
                Answer::Document("410 Gone", r#"{"kind":"Status","code":410,"reason":"Expired"}"#.to_owned())
            }
        },
        path => above(path),
    });
    let host = OnDisk::with_pod(UID);
    let resolver = start(&server, &host);
    let asked = pods_asked(&server, 4);
    assert_eq!(paths(&asked), [LIST, &watching("1000"), NEWEST, &watching("3473")]);
    assert_eq!(deployment_of(&resolver, &host).as_deref(), Some("mysql-db"));
}

/// How often pods are asked for in four seconds.
fn asked_in_four_seconds(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> usize {
    let server = Server::start(None, answer);
    let host = OnDisk::with_pod(UID);
    let _resolver = start(&server, &host);
    thread::sleep(Duration::from_secs(4));
    server.times("/api/v1/pods")
}

#[test]
fn a_server_that_fails_again_and_again_is_left_in_peace() {
    // Attempts come after 0.5, 1 and 2 seconds, and up to half as much: four at most, of a list and a watch each.
    let expired = |asked: &Asked| match asked.path.contains("watch=1") {
        true => Answer::Watch(vec![added(), EXPIRED.to_owned()], End::Orderly),
        false => list("1000", &[]),
    };
    let counts = [
        thread::spawn(move || asked_in_four_seconds(expired)),
        thread::spawn(|| asked_in_four_seconds(|_| Answer::Document("404 Not Found", "{}".to_owned()))),
        thread::spawn(|| asked_in_four_seconds(|_| Answer::Document("429 Too Many Requests", String::new()))),
        thread::spawn(|| asked_in_four_seconds(|_| Answer::ok("no JSON"))),
        thread::spawn(|| {
            asked_in_four_seconds(|asked: &Asked| match asked.path.contains("watch=1") {
                true => Answer::Watch(Vec::new(), End::Orderly),
                false => list("1000", &[]),
            })
        }),
    ];
    for (count, most) in counts.into_iter().zip([8, 4, 4, 4, 5]) {
        let count = count.join().unwrap();
        assert!((2..=most).contains(&count), "{count} of {most}");
    }
}
