//! The Docker Engine API, as Docker and Podman's service answer it (docs.docker.com/reference/api/engine).

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use http_body_util::BodyExt;
use lanner_machine::{Container, Runtime};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::docker_fill::{self, Image, Inspected};
use super::{Failure, Greeting, News, Records, http};
use crate::config::Config;
use crate::keeper::Keeper;

/// A line of the event stream longer than this is none.
const MAX_LINE: usize = 1 << 20;
const EVENTS: &str = r#"{"type":["container"],"event":["create","start","rename"]}"#;

#[derive(Debug)]
pub(crate) struct Docker {
    socket: PathBuf,
    config: Arc<Config>,
    /// Which of the two it is, once it has said so.
    runtime: OnceLock<Runtime>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Info {
    docker_root_dir: PathBuf,
    driver: String,
}

/// A line of the event stream. Podman before 5 writes `status` and `id` alone in places.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Event {
    status: String,
    id: String,
    #[serde(rename = "Action")]
    action: String,
    #[serde(rename = "Actor")]
    actor: Actor,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Actor {
    #[serde(rename = "ID")]
    id: String,
}

impl Docker {
    pub(super) fn new(socket: &Path, config: Arc<Config>) -> Docker {
        Docker { socket: socket.to_path_buf(), config, runtime: OnceLock::new() }
    }

    /// By the ping, whose headers say it all: for `/version` Podman has to work.
    pub(super) async fn greet(&self) -> Result<Greeting, Failure> {
        let answer = http::get(&self.socket, "/_ping").await?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        if header("api-version").is_none() {
            return Err(Failure::Unserved("it does not serve the Docker Engine API".to_owned()));
        }
        let podman = header("libpod-api-version").is_some();
        let (runtime, name) = if podman { (Runtime::Podman, "podman") } else { (Runtime::Docker, "docker") };
        // Another runtime at the same socket would be another installation: the first word stands.
        let _ = self.runtime.set(runtime);
        // `Docker/20.10.24 (linux)`, `Libpod/4.3.1 (linux)`.
        let server = header("server").and_then(|server| server.split_once('/'));
        let version = server.and_then(|(_, rest)| rest.split(' ').next()).unwrap_or_default();
        Ok(Greeting { name: name.to_owned(), version: version.to_owned() })
    }

    pub(super) async fn records(&self) -> Option<Records> {
        let Info { docker_root_dir: root, driver } = self.ask("/info").await.ok()??;
        if !root.is_absolute() || driver.contains('/') {
            return None;
        }
        Some(match self.runtime() {
            Runtime::Podman => (Keeper::Storage, root.join(format!("{driver}-containers"))),
            _ => (Keeper::Docker, root.join("containers")),
        })
    }

    pub(super) async fn describe(&self, container: &mut Container) -> Result<bool, Failure> {
        let id = http::quoted(&container.full_id);
        let size = if self.config.with_size { "?size=1" } else { "" };
        let Some(inspected) = self.ask::<Inspected>(&format!("/containers/{id}/json{size}")).await? else {
            return Ok(false);
        };
        // Runtimes also answer to names and to ids cut short.
        if inspected.id != container.full_id {
            return Ok(false);
        }
        let image: Option<Image> = match inspected.image.as_str() {
            "" => None,
            image => self.ask(&format!("/images/{}/json", http::quoted(image))).await?,
        };
        let joined = match inspected.network_of() {
            Some(other) => {
                self.ask::<Inspected>(&format!("/containers/{}/json", http::quoted(other))).await?
            }
            None => None,
        };
        docker_fill::container(container, inspected, &self.config);
        if let Some(image) = image {
            docker_fill::image(container, &image);
        }
        if let Some(joined) = joined {
            container.ip = container.ip.or(joined.ip());
        }
        if container.runtime == Runtime::Unknown {
            container.runtime = self.runtime();
        }
        Ok(true)
    }

    pub(super) async fn listen(&self, news: &mpsc::Sender<News>) -> Result<(), Failure> {
        let answer = http::get(&self.socket, &format!("/events?filters={}", http::quoted(EVENTS))).await?;
        if !answer.status().is_success() {
            return Err(Failure::Unserved(format!("its event stream answers {}", answer.status())));
        }
        let mut body = answer.into_body();
        let mut line = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::Silent(error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            for part in data.split_inclusive(|&byte| byte == b'\n') {
                line.extend_from_slice(part);
                if line.ends_with(b"\n") {
                    self.hand_on(&line, news).await;
                    line.clear();
                } else if line.len() > MAX_LINE {
                    return Err(Failure::Unserved("its event stream has no lines".to_owned()));
                }
            }
        }
        Ok(())
    }

    async fn hand_on(&self, line: &[u8], news: &mpsc::Sender<News>) {
        let Ok(event) = serde_json::from_slice::<Event>(line) else { return };
        let action = if event.action.is_empty() { event.status } else { event.action };
        let full_id = if event.actor.id.is_empty() { event.id } else { event.actor.id };
        let runtime = self.runtime();
        // Nobody reads any more only when lanner ends.
        let _ = news.send(News { full_id, runtime, changed: action != "create" }).await;
    }

    fn runtime(&self) -> Runtime {
        self.runtime.get().copied().unwrap_or(Runtime::Docker)
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        http::get_json(&self.socket, path).await
    }
}
