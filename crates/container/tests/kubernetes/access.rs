//! How the server is reached: in a cluster, and by kubeconfigs, over TLS with an authority of the cluster's own.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use lanner_container::{Config, KubernetesConfig, Resolver};

use super::pods::{NODE, OnDisk, cluster, deployment_of};
use super::server::{Answer, Keys, Server};

const UID: &str = "5f1c0c3e-6f6b-4c5a-9d43-2c1a3f0e8b11";

/// A kubeconfig beside the keys.
fn kubeconfig(keys: &Keys, cluster: &str, user: &str) -> KubernetesConfig {
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\nclusters:\n- name: c\n  cluster: {{{cluster}}}\n\
         users:\n- name: u\n  user: {{{user}}}\ncontexts:\n- name: here\n  context: {{cluster: c, user: u, namespace: shop}}\n"
    );
    fs::write(keys.path("config"), text).unwrap();
    KubernetesConfig {
        enabled: true,
        node: NODE.to_owned(),
        kubeconfig: Some(keys.path("config")),
        ..KubernetesConfig::default()
    }
}

/// The deployment of the pod's container, if it becomes known.
fn known_by(kubernetes: KubernetesConfig) -> Option<String> {
    let host = OnDisk::with_pod(UID);
    let resolver = Resolver::start(Config { kubernetes: Some(kubernetes), ..host.config() }).unwrap();
    deployment_of(&resolver, &host)
}

#[test]
fn a_pods_own_account_reaches_a_server_of_a_private_authority() {
    let keys = Keys::new();
    let server = Server::start(Some(keys.server(false)), cluster(UID, "Bearer of-the-account"));
    fs::write(keys.path("token"), "of-the-account\n").unwrap();
    let own = KubernetesConfig {
        enabled: true,
        server: format!("https://127.0.0.1:{}", server.port),
        node: NODE.to_owned(),
        token_file: Some(keys.path("token")),
        ca_file: Some(keys.path("ca.pem")),
        ..KubernetesConfig::default()
    };
    assert_eq!(known_by(own.clone()).as_deref(), Some("mysql-db"));
    // Another authority is no reason to believe it.
    let before = server.asked().len();
    let stranger = KubernetesConfig { ca_file: Some(Keys::new().path("ca.pem")), ..own };
    assert_eq!(known_by(stranger), None);
    assert_eq!(server.asked().len(), before);
}

#[test]
fn a_client_certificate_is_shown_to_a_server_that_wants_one() {
    let keys = Keys::new();
    let server = Server::start(Some(keys.server(true)), cluster(UID, ""));
    let there = format!("server: 'https://127.0.0.1:{}', certificate-authority: ca.pem", server.port);
    let by_files = kubeconfig(&keys, &there, "client-certificate: client.pem, client-key: client.key");
    assert_eq!(known_by(by_files).as_deref(), Some("mysql-db"));
    let nobody = kubeconfig(&keys, &there, "");
    let before = server.asked().len();
    assert_eq!(known_by(nobody), None);
    assert_eq!(server.asked().len(), before);

    let packed = |name: &str| {
        use base64::prelude::{BASE64_STANDARD, Engine};
        BASE64_STANDARD.encode(fs::read(keys.path(name)).unwrap())
    };
    let there = format!(
        "server: 'https://127.0.0.1:{}', certificate-authority-data: {}, tls-server-name: kubernetes.default",
        server.port,
        packed("ca.pem")
    );
    let user = format!(
        "client-certificate-data: {}, client-key-data: {}",
        packed("client.pem"),
        packed("client.key")
    );
    assert_eq!(known_by(kubeconfig(&keys, &there, &user)).as_deref(), Some("mysql-db"));
}

#[test]
fn a_token_is_shown_and_read_again_when_it_changes() {
    let keys = Keys::new();
    let server = Server::start(Some(keys.server(false)), cluster(UID, "Bearer second"));
    let there = format!("server: 'https://127.0.0.1:{}', certificate-authority: ca.pem", server.port);
    assert_eq!(known_by(kubeconfig(&keys, &there, "token: second")).as_deref(), Some("mysql-db"));

    // What a kubelet or a login puts there later is taken; the token that is given besides is for before that.
    let with_file = kubeconfig(&keys, &there, "token: first, tokenFile: token");
    let host = OnDisk::with_pod(UID);
    let resolver = Resolver::start(Config { kubernetes: Some(with_file), ..host.config() }).unwrap();
    assert_eq!(deployment_of(&resolver, &host), None);
    fs::write(keys.path("token"), "second\n").unwrap();
    // The container was told without; it is told again when its pod becomes known.
    assert_eq!(host.told_later(&resolver, Duration::from_secs(10)).as_deref(), Some("mysql-db"));
    let shown: Vec<String> = server.asked().into_iter().map(|asked| asked.authorization).collect();
    assert!(shown.contains(&"Bearer first".to_owned()), "{shown:?}");
}

#[test]
fn whoever_answers_is_believed_only_if_the_kubeconfig_says_so() {
    let keys = Keys::new();
    let server = Server::start(Some(keys.server(false)), cluster(UID, ""));
    let there = format!("server: 'https://127.0.0.1:{}'", server.port);
    assert_eq!(known_by(kubeconfig(&keys, &there, "")), None);
    let anyone = format!("{there}, insecure-skip-tls-verify: true");
    assert_eq!(known_by(kubeconfig(&keys, &anyone, "")).as_deref(), Some("mysql-db"));
}

#[test]
fn a_server_behind_a_gateway_has_its_path_and_one_namespace_may_have_to_do() {
    let keys = Keys::new();
    let whole = cluster(UID, "");
    let server = Server::start(None, move |asked| {
        let Some(path) = asked.path.strip_prefix("/k8s/clusters/c-1") else { return not_found() };
        if path.starts_with("/api/v1/pods") {
            let why = r#"pods is forbidden: User \"u\" cannot list resource \"pods\" at the cluster scope"#;
            let status = format!(
                r#"{{"kind":"Status","status":"Failure","message":"{why}","reason":"Forbidden","code":403}}"#
            );
            return Answer::Document("403 Forbidden", status);
        }
        whole(&super::server::Asked { path: path.replace("/namespaces/shop/pods", "/pods"), ..asked.clone() })
    });
    let there = format!("server: '{}/k8s/clusters/c-1/'", server.plain());
    assert_eq!(known_by(kubeconfig(&keys, &there, "")).as_deref(), Some("mysql-db"));
    assert_eq!(server.times("/api/v1/pods"), 1);
}

fn not_found() -> Answer {
    Answer::Document("404 Not Found", r#"{"kind":"Status","code":404,"reason":"NotFound"}"#.to_owned())
}

#[test]
fn a_kubeconfig_that_comes_later_is_read_then() {
    let keys = Keys::new();
    let server = Server::start(None, cluster(UID, ""));
    let there = format!("server: '{}'", server.plain());
    let config = kubeconfig(&keys, &there, "");
    let (file, away): (PathBuf, PathBuf) = (keys.path("config"), keys.folder().join("away"));
    fs::rename(&file, &away).unwrap();
    let host = OnDisk::with_pod(UID);
    let resolver = Resolver::start(Config { kubernetes: Some(config), ..host.config() }).unwrap();
    thread::sleep(Duration::from_millis(200));
    fs::rename(&away, &file).unwrap();
    let told =
        deployment_of(&resolver, &host).or_else(|| host.told_later(&resolver, Duration::from_secs(10)));
    assert_eq!(told.as_deref(), Some("mysql-db"));
}
