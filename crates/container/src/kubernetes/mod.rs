//! What Kubernetes itself knows of the pods on this node: owners, service account, node, labels of the namespace,
//! probes. One list and one watch of this node's pods; owners are read once each, namespaces at most once a minute, when a pod first
//! names them. Without an API server everything else works as before.

mod access;
mod api;
mod credentials;
mod kubeconfig;
mod objects;
mod tls;
mod watch;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lanner_machine::{Container, Owner, Pod};
use tokio::sync::{Notify, mpsc};

pub use access::KubernetesConfig;
use api::Api;
use objects::{Namespace, PodObject, Workload};

use crate::config::Config;
use crate::labels;

/// How long a container's answer waits for its pod to be told by the watch.
const PATIENCE: Duration = Duration::from_millis(500);
/// What is known of a pod stays so long after its end.
const KEPT: Duration = Duration::from_secs(60);
/// What is known of a namespace is believed so long: its labels may change.
const FRESH: Duration = Duration::from_secs(60);
/// Pods of one node (110 is Kubernetes' own limit), owners and namespaces that are remembered.
const MAX_KNOWN: usize = 4096;
/// An owner above a pod's owner above … : replica set, deployment, and whatever made that.
const MAX_OWNERS: usize = 4;
/// Containers that were answered before their pod was told of, and wait for it.
const MAX_LATE: usize = 1024;

/// The pods of this node as far as the API server has told.
#[derive(Debug)]
pub(crate) struct Kubernetes {
    config: Arc<Config>,
    settings: KubernetesConfig,
    node: String,
    answers: mpsc::Sender<Container>,
    /// Whether the last attempt has reached the server; a first one counts as such.
    reached: AtomicBool,
    pods: Mutex<HashMap<String, Known>>,
    workloads: Mutex<HashMap<String, Owned>>,
    namespaces: Mutex<HashMap<String, (Instant, Arc<Namespace>)>>,
    late: Mutex<Late>,
    news: Notify,
}

/// By their pods' ids.
#[derive(Default, Debug)]
struct Late {
    containers: HashMap<String, Vec<Container>>,
    count: usize,
}

#[derive(Debug)]
struct Known {
    pod: Arc<PodFacts>,
    ended: Option<Instant>,
}

/// An owner and the one above it.
type Owned = (Owner, Option<objects::OwnerReference>);

/// What is filled into a container's pod.
#[derive(Debug)]
struct PodFacts {
    object: PodObject,
    owners: Vec<Owner>,
    namespace: Option<Arc<Namespace>>,
}

impl Kubernetes {
    /// Nothing where Kubernetes isn't to be asked or what it takes to do so isn't there; the reason is logged.
    pub(crate) fn new(config: &Arc<Config>, answers: mpsc::Sender<Container>) -> Option<Arc<Kubernetes>> {
        let settings = config.kubernetes.clone()?;
        match settings.names_a_server().and_then(|()| settings.node()) {
            Ok(node) => Some(Arc::new(Kubernetes {
                config: config.clone(),
                settings,
                node,
                answers,
                reached: AtomicBool::new(true),
                pods: Mutex::default(),
                workloads: Mutex::default(),
                namespaces: Mutex::default(),
                late: Mutex::default(),
                news: Notify::new(),
            })),
            Err(why) => {
                tracing::warn!(%why, "Kubernetes isn't asked about pods");
                None
            }
        }
    }

    async fn learn(&self, api: &Api, object: PodObject) {
        let owners = self.owners(api, &object).await;
        let namespace = self.namespace(api, &object.metadata.namespace).await;
        let uid = object.metadata.uid.clone();
        let facts = Arc::new(PodFacts { object, owners, namespace });
        {
            let mut pods = lock(&self.pods);
            pods.retain(|_, known| known.ended.is_none_or(|ended| ended.elapsed() < KEPT));
            if pods.len() < MAX_KNOWN {
                pods.insert(uid.clone(), Known { pod: facts.clone(), ended: None });
            }
        }
        self.news.notify_waiters();
        let late = lock(&self.late).take(&uid);
        for mut container in late {
            facts.fill(&mut container, &self.config);
            // The other end is gone only when lanner ends.
            let _ = self.answers.send(container).await;
        }
    }

    fn end(&self, uid: &str) {
        if let Some(known) = lock(&self.pods).get_mut(uid) {
            known.ended = Some(Instant::now());
        }
    }

    fn end_all_but(&self, there: &[String]) {
        for (uid, known) in lock(&self.pods).iter_mut() {
            if known.ended.is_none() && !there.contains(uid) {
                known.ended = Some(Instant::now());
            }
        }
    }

    /// The chain of those that control the pod, nearest first.
    async fn owners(&self, api: &Api, pod: &PodObject) -> Vec<Owner> {
        let mut owners = Vec::new();
        let mut next = pod.metadata.controller().cloned();
        while let Some(reference) = next.take().filter(|_| owners.len() < MAX_OWNERS) {
            let (owner, above) = self.workload(api, &pod.metadata.namespace, reference).await;
            owners.push(owner);
            next = above;
        }
        owners
    }

    async fn workload(&self, api: &Api, namespace: &str, reference: objects::OwnerReference) -> Owned {
        if let Some(known) = lock(&self.workloads).get(&reference.uid) {
            return known.clone();
        }
        let mut owner = Owner {
            kind: reference.kind.clone(),
            name: reference.name.clone(),
            uid: reference.uid.clone(),
            labels: Default::default(),
        };
        // Only of these is a role's right to read worth asking for: others stand above nothing a rule names.
        let Some(path) = reference.path(namespace) else { return (owner, None) };
        let Ok(Some(object)) = api.get::<Workload>(&path).await else { return (owner, None) };
        let above = object.metadata.controller().cloned();
        owner.labels = labels::kept(object.metadata.labels, &self.config);
        let mut workloads = lock(&self.workloads);
        if workloads.len() >= MAX_KNOWN {
            workloads.clear();
        }
        workloads.insert(reference.uid, (owner.clone(), above.clone()));
        (owner, above)
    }

    async fn namespace(&self, api: &Api, name: &str) -> Option<Arc<Namespace>> {
        if let Some((since, known)) = lock(&self.namespaces).get(name) {
            if since.elapsed() < FRESH {
                return Some(known.clone());
            }
        }
        let path = format!("/api/v1/namespaces/{name}");
        let mut namespace: Namespace = api.get(&path).await.ok()??;
        namespace.metadata.labels =
            labels::kept(std::mem::take(&mut namespace.metadata.labels), &self.config);
        let namespace = Arc::new(namespace);
        let mut namespaces = lock(&self.namespaces);
        if namespaces.len() >= MAX_KNOWN {
            namespaces.clear();
        }
        namespaces.insert(name.to_owned(), (Instant::now(), namespace.clone()));
        Some(namespace)
    }

    /// Fills what Kubernetes knows into a container of a pod, waiting a bounded moment for a pod that is new. What
    /// comes later is told then.
    pub(crate) async fn fill(&self, container: &mut Container) {
        let Some(uid) = container.pod.as_ref().map(|pod| pod.uid.clone()).filter(|uid| !uid.is_empty())
        else {
            return;
        };
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let news = self.news.notified();
            if let Some(facts) = self.facts(&uid) {
                return facts.fill(container, &self.config);
            }
            let reached = self.reached.load(Ordering::Relaxed);
            if !reached || tokio::time::timeout_at(deadline, news).await.is_err() {
                break;
            }
        }
        // In one go, so that a pod that is told of just now finds the container.
        let pods = lock(&self.pods);
        match pods.get(&uid) {
            Some(known) => known.pod.fill(container, &self.config),
            None => lock(&self.late).keep(uid, container),
        }
    }

    fn facts(&self, uid: &str) -> Option<Arc<PodFacts>> {
        lock(&self.pods).get(uid).map(|known| known.pod.clone())
    }
}

impl Late {
    fn keep(&mut self, uid: String, container: &Container) {
        if self.count >= MAX_LATE {
            *self = Late::default();
        }
        self.count += 1;
        self.containers.entry(uid).or_default().push(container.clone());
    }

    fn take(&mut self, uid: &str) -> Vec<Container> {
        let containers = self.containers.remove(uid).unwrap_or_default();
        self.count -= containers.len();
        containers
    }
}

impl PodFacts {
    fn fill(&self, container: &mut Container, config: &Config) {
        let probes = self.object.probes(&container.name);
        if !probes.is_empty() {
            container.probes = probes;
        }
        let Some(pod) = &mut container.pod else { return };
        let Pod { labels: known, .. } = &*pod;
        if known.is_empty() {
            pod.labels = labels::kept(self.object.metadata.labels.clone(), config);
        }
        pod.node.clone_from(&self.object.spec.node_name);
        pod.service_account.clone_from(&self.object.spec.service_account_name);
        pod.owners.clone_from(&self.owners);
        if pod.ip.is_none() {
            pod.ip = self.object.status.pod_ip.parse().ok();
        }
        if let Some(namespace) = &self.namespace {
            pod.namespace_uid.clone_from(&namespace.metadata.uid);
            pod.namespace_labels.clone_from(&namespace.metadata.labels);
        }
    }
}

/// Whole at every moment, so a panic elsewhere does no harm to it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
