//! How the API server is reached: as every pod is told, or as the settings say.

use std::path::PathBuf;

use serde::Deserialize;

use super::api::Api;

/// Where a pod finds what it needs (kubernetes.io/docs/tasks/run-application/access-api-from-pod).
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Whether and how Kubernetes is asked. What is empty is taken from the pod's own surroundings.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub struct KubernetesConfig {
    /// Ask.
    pub enabled: bool,
    /// Address of the API server, `https://HOST:PORT`; `http://` for a local `kubectl proxy`.
    pub server: String,
    /// This node's name; else that of `FALCO_K8S_NODE_NAME`.
    pub node: String,
    /// File with the token of the service account.
    pub token_file: Option<PathBuf>,
    /// File with the certificates by which the server is recognised.
    pub ca_file: Option<PathBuf>,
}

impl KubernetesConfig {
    /// The server to ask, and this node's name; or what is missing.
    pub(super) fn access(&self) -> Result<(Api, String), String> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let node = Some(self.node.clone()).filter(|node| !node.is_empty());
        let node = node.or_else(|| variable("FALCO_K8S_NODE_NAME"));
        let node = node.ok_or("this node's name is unknown: set FALCO_K8S_NODE_NAME to spec.nodeName")?;
        let server = match self.server.as_str() {
            "" => {
                let host = variable("KUBERNETES_SERVICE_HOST").ok_or("KUBERNETES_SERVICE_HOST is not set")?;
                let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
                let host = if host.contains(':') { format!("[{host}]") } else { host };
                format!("https://{host}:{port}")
            }
            server => server.to_owned(),
        };
        let own = |file: &Option<PathBuf>, name: &str| {
            file.clone().unwrap_or_else(|| PathBuf::from(ACCOUNT).join(name))
        };
        let api = Api::new(&server, own(&self.token_file, "token"), &own(&self.ca_file, "ca.crt"))?;
        Ok((api, node))
    }
}
