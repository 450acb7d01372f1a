//! The list and the watch of this node's pods, and what is done when they fail: a list is asked for once, a watch goes
//! on where the last one ended, and between two attempts is a pause that grows while they fail.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Kubernetes;
use super::api::{Api, ApiError, WATCH_SECONDS};
use super::objects::{Event, PodList, PodObject};

/// Between two attempts, growing.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// A watch that went on for so long has worked, if it ended as it should and if not.
const WORKED: Duration = Duration::from_secs(1);
const WORKED_BEFORE_FAILING: Duration = Duration::from_secs(30);

/// "Not any more": the place to watch from is too long ago. "Not you": all namespaces are more than one may see.
const GONE: u16 = 410;
const FORBIDDEN: u16 = 403;

/// Where the next round begins.
#[derive(Default, Debug)]
struct Place {
    /// From which version to watch; all is listed where there is none.
    version: String,
    /// The list has to be the newest that there is: what a server remembers may be too old again.
    newest: bool,
    /// The path of the one namespace that may be watched.
    namespace: String,
    /// When the watch of this round began.
    watching: Option<Instant>,
}

impl Place {
    fn pods(&self, node: &str) -> String {
        format!("/api/v1{}/pods?fieldSelector=spec.nodeName%3D{node}", self.namespace)
    }

    fn reached(&mut self, pod: &PodObject) {
        if !pod.metadata.resource_version.is_empty() {
            self.version.clone_from(&pod.metadata.resource_version);
        }
    }

    fn failed(&mut self, error: &ApiError) {
        if !error.is_of_the_way() {
            self.version.clear();
            self.newest = error.code() == Some(GONE);
        }
    }
}

impl Kubernetes {
    /// Lists and watches this node's pods as long as lanner runs.
    pub(crate) async fn run(self: Arc<Kubernetes>) {
        let (mut place, mut pause, mut failing) = (Place::default(), Pause::default(), false);
        loop {
            place.watching = None;
            let end = self.round(&mut place).await;
            let watched = place.watching.map_or(Duration::ZERO, |since| since.elapsed());
            self.reached.store(place.watching.is_some(), Ordering::Relaxed);
            match &end {
                Ok(()) => failing = false,
                Err(error) => {
                    if failing || place.watching.is_some() {
                        tracing::debug!(%error, "the API server's watch has ended");
                    } else {
                        tracing::warn!(%error, "the API server doesn't tell of pods; it is asked again and again");
                    }
                    failing |= place.watching.is_none();
                    place.failed(error);
                }
            }
            let worked = watched >= if end.is_ok() { WORKED } else { WORKED_BEFORE_FAILING };
            tokio::time::sleep(pause.after(worked)).await;
        }
    }

    /// One watch from beginning to end, after a list where one is needed.
    async fn round(&self, place: &mut Place) -> Result<(), ApiError> {
        // What its files say may have changed.
        let api = Api::new(self.settings.access()?)?;
        if place.version.is_empty() {
            self.list(&api, place).await?;
        }
        let pods = place.pods(&self.node);
        let path = format!(
            "{pods}&watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={}",
            place.version
        );
        let mut events = api.watch(&path).await?;
        place.watching = Some(Instant::now());
        self.reached.store(true, Ordering::Relaxed);
        while let Some(event) = events.next::<Event>().await? {
            match event {
                Event::Added(pod) | Event::Modified(pod) => {
                    place.reached(&pod);
                    self.learn(&api, pod).await;
                }
                Event::Deleted(pod) => {
                    place.reached(&pod);
                    self.end(&pod.metadata.uid);
                }
                Event::Bookmark(pod) => place.reached(&pod),
                Event::Error(status) => return Err(status.into()),
            }
        }
        Ok(())
    }

    async fn list(&self, api: &Api, place: &mut Place) -> Result<(), ApiError> {
        let mut answer = self.pods(api, place).await;
        let refused = answer.as_ref().is_err_and(|error| error.code() == Some(FORBIDDEN));
        if refused && place.namespace.is_empty() && !api.namespace.is_empty() {
            tracing::warn!(namespace = api.namespace, "only pods of one namespace may be watched");
            place.namespace = format!("/namespaces/{}", api.namespace);
            answer = self.pods(api, place).await;
        }
        let list = answer?;
        let there: Vec<String> = list.items.iter().map(|pod| pod.metadata.uid.clone()).collect();
        for pod in list.items {
            self.learn(api, pod).await;
        }
        self.end_all_but(&there);
        place.version = list.metadata.resource_version;
        place.newest = false;
        Ok(())
    }

    async fn pods(&self, api: &Api, place: &Place) -> Result<PodList, ApiError> {
        let mut path = place.pods(&self.node);
        if !place.newest {
            // Whatever the server has in memory will do; the newest it would have to ask for.
            path.push_str("&resourceVersion=0");
        }
        api.get(&path).await?.ok_or_else(|| ApiError::Other(format!("there is no {path}")))
    }
}

/// How long to wait before the next attempt.
#[derive(Default)]
struct Pause {
    failures: u32,
}

impl Pause {
    /// Up to half as long again, so that all nodes of a cluster don't come at once.
    fn after(&mut self, worked: bool) -> Duration {
        self.failures = if worked { 0 } else { self.failures.saturating_add(1) };
        let grown = FIRST_PAUSE.saturating_mul(1 << self.failures.saturating_sub(1).min(16)).min(LAST_PAUSE);
        // Keys of hash maps are the standard library's chance.
        let chance = u32::try_from(RandomState::new().build_hasher().finish() % 1000).unwrap_or(0);
        grown + grown * chance / 2000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_attempts_fail() {
        let mut pause = Pause::default();
        let mut after = |worked| pause.after(worked);
        for least in [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000] {
            let (got, least) = (after(false), Duration::from_millis(least));
            assert!((least..=least * 3 / 2).contains(&got), "{got:?}");
        }
        assert!(after(true) <= FIRST_PAUSE * 3 / 2);
        assert!(after(false) <= FIRST_PAUSE * 3 / 2);
    }

    #[test]
    fn lines_are_read_as_api_servers_write_them() {
        // As kube-apiserver 1.18 and later write a bookmark: a pod without anything, its list of containers null.
        let bookmark = r#"{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":
            {"resourceVersion":"3845","creationTimestamp":null},"spec":{"containers":null},"status":{}}}"#;
        let Event::Bookmark(pod) = serde_json::from_str(bookmark).unwrap() else { panic!() };
        assert_eq!(pod.metadata.resource_version, "3845");
        let expired = r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},
            "status":"Failure","message":"too old resource version: 1 (3473)","reason":"Expired","code":410}}"#;
        let Event::Error(status) = serde_json::from_str(expired).unwrap() else { panic!() };
        let error = ApiError::from(status);
        assert_eq!(error.to_string(), "it answers 410 too old resource version: 1 (3473)");
        let mut place = Place { version: "1".to_owned(), ..Place::default() };
        place.failed(&ApiError::Late);
        assert_eq!((place.version.as_str(), place.newest), ("1", false));
        place.failed(&error);
        assert_eq!((place.version.as_str(), place.newest), ("", true));
    }
}
