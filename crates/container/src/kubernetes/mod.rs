//! What Kubernetes itself knows of the pods on this node: owners, service account, node, labels of the namespace,
//! probes. One list and one watch of this node's pods; owners and namespaces are read once each, when a pod first
//! names them. Without an API server everything else works as before.

mod access;
mod api;
mod objects;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lanner_machine::{Container, Owner, Pod};
use tokio::sync::Notify;

pub use access::KubernetesConfig;
use api::{Api, ApiError};
use objects::{Event, Namespace, PodList, PodObject, Workload};

use crate::config::Config;
use crate::labels;

/// How long a container's answer waits for its pod to be told by the watch.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two attempts to reach the API server, growing.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// What is known of a pod stays so long after its end.
const KEPT: Duration = Duration::from_secs(60);
/// Pods of one node (110 is Kubernetes' own limit), owners and namespaces that are remembered.
const MAX_KNOWN: usize = 4096;
/// An owner above a pod's owner above … : replica set, deployment, and whatever made that.
const MAX_OWNERS: usize = 4;

/// The pods of this node as far as the API server has told.
#[derive(Debug)]
pub(crate) struct Kubernetes {
    config: Arc<Config>,
    api: Api,
    node: String,
    pods: Mutex<HashMap<String, Known>>,
    workloads: Mutex<HashMap<String, Owned>>,
    namespaces: Mutex<HashMap<String, Arc<Namespace>>>,
    news: Notify,
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
    pub(crate) fn new(config: &Arc<Config>) -> Option<Arc<Kubernetes>> {
        let settings = config.kubernetes.as_ref()?;
        match settings.access() {
            Ok((api, node)) => Some(Arc::new(Kubernetes {
                config: config.clone(),
                api,
                node,
                pods: Mutex::default(),
                workloads: Mutex::default(),
                namespaces: Mutex::default(),
                news: Notify::new(),
            })),
            Err(why) => {
                tracing::warn!(why, "Kubernetes isn't asked about pods");
                None
            }
        }
    }

    /// Lists and watches this node's pods as long as lanner runs.
    pub(crate) async fn run(self: Arc<Kubernetes>) {
        let mut retry = FIRST_RETRY;
        loop {
            match self.list_and_watch().await {
                // The server ends every watch after some minutes.
                Ok(()) => retry = FIRST_RETRY,
                Err(error) => {
                    tracing::debug!(%error, "the API server doesn't answer");
                    tokio::time::sleep(retry).await;
                    retry = (retry * 2).min(LAST_RETRY);
                }
            }
        }
    }

    async fn list_and_watch(&self) -> Result<(), ApiError> {
        let path = format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{}", self.node);
        let Some(list) = self.api.get::<PodList>(&path).await? else { return Ok(()) };
        let there: Vec<String> = list.items.iter().map(|pod| pod.metadata.uid.clone()).collect();
        for pod in list.items {
            self.learn(pod).await;
        }
        self.end_all_but(&there);
        let from = format!("{path}&watch=1&resourceVersion={}", list.metadata.resource_version);
        let mut events = self.api.watch(&from).await?;
        while let Some(event) = events.next::<Event>().await? {
            match event.kind.as_str() {
                "ADDED" | "MODIFIED" => self.learn(event.object).await,
                "DELETED" => self.end(&event.object.metadata.uid),
                "BOOKMARK" => {}
                // What was to be watched from is too long ago: list anew.
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    async fn learn(&self, object: PodObject) {
        let owners = self.owners(&object).await;
        let namespace = self.namespace(&object.metadata.namespace).await;
        let uid = object.metadata.uid.clone();
        let mut pods = lock(&self.pods);
        pods.retain(|_, known| known.ended.is_none_or(|ended| ended.elapsed() < KEPT));
        if pods.len() < MAX_KNOWN {
            pods.insert(uid, Known { pod: Arc::new(PodFacts { object, owners, namespace }), ended: None });
        }
        drop(pods);
        self.news.notify_waiters();
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
    async fn owners(&self, pod: &PodObject) -> Vec<Owner> {
        let mut owners = Vec::new();
        let mut next = pod.metadata.controller().cloned();
        while let Some(reference) = next.take().filter(|_| owners.len() < MAX_OWNERS) {
            let (owner, above) = self.workload(&pod.metadata.namespace, reference).await;
            owners.push(owner);
            next = above;
        }
        owners
    }

    async fn workload(&self, namespace: &str, reference: objects::OwnerReference) -> Owned {
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
        let Ok(Some(object)) = self.api.get::<Workload>(&path).await else { return (owner, None) };
        let above = object.metadata.controller().cloned();
        owner.labels = labels::kept(object.metadata.labels, &self.config);
        let mut workloads = lock(&self.workloads);
        if workloads.len() >= MAX_KNOWN {
            workloads.clear();
        }
        workloads.insert(reference.uid, (owner.clone(), above.clone()));
        (owner, above)
    }

    async fn namespace(&self, name: &str) -> Option<Arc<Namespace>> {
        if let Some(known) = lock(&self.namespaces).get(name) {
            return Some(known.clone());
        }
        let path = format!("/api/v1/namespaces/{name}");
        let mut namespace: Namespace = self.api.get(&path).await.ok()??;
        namespace.metadata.labels =
            labels::kept(std::mem::take(&mut namespace.metadata.labels), &self.config);
        let namespace = Arc::new(namespace);
        let mut namespaces = lock(&self.namespaces);
        if namespaces.len() >= MAX_KNOWN {
            namespaces.clear();
        }
        namespaces.insert(name.to_owned(), namespace.clone());
        Some(namespace)
    }

    /// Fills what Kubernetes knows into a container of a pod, waiting a bounded moment for a pod that is new.
    pub(crate) async fn fill(&self, container: &mut Container) {
        let Some(uid) = container.pod.as_ref().map(|pod| pod.uid.clone()).filter(|uid| !uid.is_empty())
        else {
            return;
        };
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let news = self.news.notified();
            if let Some(facts) = lock(&self.pods).get(&uid).map(|known| known.pod.clone()) {
                return facts.fill(container, &self.config);
            }
            if tokio::time::timeout_at(deadline, news).await.is_err() {
                return;
            }
        }
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
