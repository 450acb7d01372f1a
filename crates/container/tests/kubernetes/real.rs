//! A real kube-apiserver, asked with the rights that the chart gives and no others.

use std::time::{Duration, Instant};

use lanner_container::{Config, KubernetesConfig, Resolver};
use lanner_testbed::{ApiServer, bed_or_skip};

use super::pods::{NODE, OnDisk, deployment_of};

/// The rights are those of `deploy/helm/lanner/templates/rbac.yaml`, held against it below.
const CLUSTER: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: storage}}
---
apiVersion: v1
kind: Namespace
metadata: {name: lanner}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: database, namespace: shop}
automountServiceAccountToken: false
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: lanner, namespace: lanner}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: lanner}
rules:
  - apiGroups: [""]
    resources: [pods, namespaces]
    verbs: [get, list, watch]
  - apiGroups: [apps]
    resources: [replicasets]
    verbs: [get]
  - apiGroups: [batch]
    resources: [jobs]
    verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: lanner}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: lanner}
subjects: [{kind: ServiceAccount, name: lanner, namespace: lanner}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: mysql-db, namespace: shop}
spec:
  selector: {matchLabels: {app: mysql-db}}
  template:
    metadata: {labels: {app: mysql-db}}
    spec: {containers: [{name: mysql, image: mysql}]}
"#;

fn uid(api: &ApiServer, object: &[&str]) -> String {
    let words = [&["--namespace", "shop", "get"], object, &["--output", "jsonpath={.metadata.uid}"]].concat();
    api.kubectl(&words, "").unwrap()
}

/// What the deployment controller would make.
fn make_replica_set(api: &ApiServer) -> String {
    let deployment = uid(api, &["deployment", "mysql-db"]);
    let set = format!(
        r#"
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: mysql-db-d5dc6b85d
  namespace: shop
  labels: {{app: mysql-db}}
  ownerReferences:
    - {{apiVersion: apps/v1, kind: Deployment, name: mysql-db, uid: {deployment}, controller: true}}
spec:
  selector: {{matchLabels: {{app: mysql-db}}}}
  template:
    metadata: {{labels: {{app: mysql-db}}}}
    spec: {{containers: [{{name: mysql, image: mysql}}]}}
"#
    );
    api.kubectl(&["apply", "-f", "-"], &set).unwrap();
    uid(api, &["replicaset", "mysql-db-d5dc6b85d"])
}

/// What the replica set's controller and the scheduler would make.
fn make_pod(api: &ApiServer, name: &str, node: &str, set: &str) -> String {
    let pod = format!(
        r#"
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  namespace: shop
  labels: {{app: mysql-db}}
  ownerReferences:
    - {{apiVersion: apps/v1, kind: ReplicaSet, name: mysql-db-d5dc6b85d, uid: {set}, controller: true}}
spec:
  nodeName: {node}
  serviceAccountName: database
  containers:
    - name: mysql
      image: mysql
      livenessProbe: {{exec: {{command: [mysqladmin, ping]}}}}
"#
    );
    api.kubectl(&["apply", "-f", "-"], &pod).unwrap();
    uid(api, &["pod", name])
}

/// The server watches its own pods too.
const SERVERS_OWN: usize = 1;

/// Reads the API server's metrics until that many watches of pods are open beside its own.
fn wait_for_watches(api: &ApiServer, wanted: usize) {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let metrics = api.kubectl(&["get", "--raw", "/metrics"], "").unwrap();
        let of_pods = |line: &&str| {
            line.starts_with("apiserver_longrunning_gauge")
                && line.contains(r#"resource="pods""#)
                && line.contains(r#"verb="WATCH""#)
        };
        let number = |line: &str| line.rsplit(' ').next().and_then(|number| number.parse::<usize>().ok());
        let open: usize = metrics.lines().filter(of_pods).filter_map(number).sum();
        if open == SERVERS_OWN + wanted {
            return;
        }
        assert!(Instant::now() < end, "{open} watches are open");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_real_api_server_tells_owners_with_the_charts_rights_and_through_its_restart() {
    let chart = include_str!("../../../../deploy/helm/lanner/templates/rbac.yaml");
    let rules =
        |text: &str| text.split("\nrules:\n").nth(1).unwrap().split("\n---").next().unwrap().to_owned();
    assert_eq!(rules(chart), rules(CLUSTER));

    let mut api = bed_or_skip!(ApiServer::start());
    api.kubectl(&["apply", "-f", "-"], CLUSTER).unwrap();
    let set = make_replica_set(&api);
    let host = OnDisk::with_pod(&make_pod(&api, "mysql-db-d5dc6b85d-77hrm", NODE, &set));
    let other_node = OnDisk::with_pod(&make_pod(&api, "mysql-db-d5dc6b85d-other", "worker-2", &set));

    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "of-nobody").unwrap();
    let kubernetes = KubernetesConfig {
        enabled: true,
        server: api.address(),
        node: NODE.to_owned(),
        token_file: Some(token.clone()),
        ca_file: Some(api.authority()),
        ..KubernetesConfig::default()
    };
    let config = |host: &OnDisk| Config { kubernetes: Some(kubernetes.clone()), ..host.config() };

    // It lets nobody in without a token, and lanner goes on without it until it has one.
    let resolver = Resolver::start(config(&host)).unwrap();
    assert_eq!(deployment_of(&resolver, &host), None);
    std::fs::write(&token, api.token_of("lanner", "lanner").unwrap()).unwrap();
    let told = host.told_later(&resolver, Duration::from_secs(60));
    assert_eq!(told.as_deref(), Some("mysql-db"));
    wait_for_watches(&api, 1);
    assert_eq!(deployment_of(&resolver, &host).as_deref(), Some("mysql-db"));
    // Another node's pod is none of ours.
    let elsewhere = Resolver::start(config(&other_node)).unwrap();
    assert_eq!(deployment_of(&elsewhere, &other_node), None);
    drop(elsewhere);

    // A pod that comes while the watch is open.
    let newer = OnDisk::with_pod(&make_pod(&api, "mysql-db-d5dc6b85d-newer", NODE, &set));
    let second = Resolver::start(config(&newer)).unwrap();
    let told = deployment_of(&second, &newer).or_else(|| newer.told_later(&second, Duration::from_secs(10)));
    assert_eq!(told.as_deref(), Some("mysql-db"));
    drop(second);

    // The server goes and comes back; what happens then is heard again.
    api.stop().unwrap();
    assert_eq!(deployment_of(&resolver, &host).as_deref(), Some("mysql-db"));
    api.restart().unwrap();
    wait_for_watches(&api, 1);
}
