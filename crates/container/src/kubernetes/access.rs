//! How the API server is reached: as every pod is told, as a kubeconfig says, or as the settings say.

use std::path::PathBuf;

use serde::Deserialize;

use super::credentials::{Access, AccessError, Pem, Trust};
use super::kubeconfig;

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
    /// This node's name; else that of `FALCO_K8S_NODE_NAME`; with a kubeconfig else this host's.
    pub node: String,
    /// File with the token of the service account.
    pub token_file: Option<PathBuf>,
    /// File with the certificates by which the server is recognised.
    pub ca_file: Option<PathBuf>,
    /// A kubeconfig, which says all of that by itself.
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context; its current one if empty.
    pub context: String,
}

/// A variable of the environment that isn't empty.
fn variable(name: &'static str) -> Result<String, AccessError> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or(AccessError::Unset(name))
}

impl KubernetesConfig {
    /// This node's name.
    pub(super) fn node(&self) -> Result<String, AccessError> {
        if !self.node.is_empty() {
            return Ok(self.node.clone());
        }
        match variable("FALCO_K8S_NODE_NAME") {
            // As a kubelet names its node, unless it is told otherwise.
            Err(_) if self.kubeconfig.is_some() => {
                let name = nix::sys::utsname::uname().map_err(|_| AccessError::NoNode)?;
                Ok(name.nodename().to_string_lossy().to_lowercase())
            }
            name => name.map_err(|_| AccessError::NoNode),
        }
    }

    /// Whether the settings and the surroundings name a server; it need not be there yet.
    pub(super) fn names_a_server(&self) -> Result<(), AccessError> {
        let given = [
            ("server", !self.server.is_empty()),
            ("token_file", self.token_file.is_some()),
            ("ca_file", self.ca_file.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((name, _)) if self.kubeconfig.is_some() => Err(AccessError::Twice(name)),
            _ if self.kubeconfig.is_some() => Ok(()),
            _ => self.server().map(drop),
        }
    }

    /// What it takes to speak to the server.
    pub(super) fn access(&self) -> Result<Access, AccessError> {
        if let Some(file) = &self.kubeconfig {
            return kubeconfig::read(file, &self.context);
        }
        let server = self.server()?;
        let own = |file: &Option<PathBuf>, name: &str| {
            file.clone().unwrap_or_else(|| PathBuf::from(ACCOUNT).join(name))
        };
        let trust = match server.starts_with("http://") {
            true => Trust::System,
            false => Trust::Authorities(Pem::read(&own(&self.ca_file, "ca.crt"))?),
        };
        Ok(Access {
            server,
            trust,
            server_name: String::new(),
            client: None,
            token: String::new(),
            token_file: Some(own(&self.token_file, "token")),
            namespace: String::new(),
        })
    }

    fn server(&self) -> Result<String, AccessError> {
        if !self.server.is_empty() {
            return Ok(self.server.clone());
        }
        let host = variable("KUBERNETES_SERVICE_HOST")?;
        let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|_| "443".to_owned());
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        Ok(format!("https://{host}:{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_says_all_by_itself() {
        let with = |text: &str| serde_json::from_str::<KubernetesConfig>(text).unwrap();
        assert!(with(r#"{"kubeconfig":"/k"}"#).names_a_server().is_ok());
        assert!(!with(r#"{"kubeconfig":"/k"}"#).node().unwrap().is_empty());
        assert_eq!(with(r#"{"kubeconfig":"/k","node":"a"}"#).node().unwrap(), "a");
        let twice = with(r#"{"kubeconfig":"/k","ca_file":"/c"}"#).names_a_server().unwrap_err();
        assert_eq!(twice.to_string(), "a kubeconfig is given and `ca_file` too: keep one of them");
        let gone = with(r#"{"server":"https://h","ca_file":"/nowhere/c"}"#).access().unwrap_err();
        assert_eq!(gone.to_string(), "/nowhere/c: No such file or directory (os error 2)");
    }
}
