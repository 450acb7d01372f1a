//! Everything it takes to speak to an API server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why it isn't known how the server is reached.
#[derive(Debug, Error)]
pub(super) enum AccessError {
    #[error("{}: {error}", file.display())]
    Unread { file: PathBuf, error: io::Error },
    #[error("{of}: {why}")]
    Unfit { of: String, why: String },
    #[error("{0} is not set: outside a pod name a kubeconfig or a server")]
    Unset(&'static str),
    #[error("this node's name is unknown: set FALCO_K8S_NODE_NAME to spec.nodeName")]
    NoNode,
    #[error("a kubeconfig is given and `{0}` too: keep one of them")]
    Twice(&'static str),
}

impl AccessError {
    /// What something says is of no use.
    pub(super) fn unfit(of: impl ToString, why: impl ToString) -> AccessError {
        AccessError::Unfit { of: of.to_string(), why: why.to_string() }
    }
}

/// Everything it takes to speak to a server, as its files say at the moment.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) server: String,
    pub(super) trust: Trust,
    /// The name that the server's certificate must have, where it isn't that of the address.
    pub(super) server_name: String,
    pub(super) client: Option<Client>,
    pub(super) token: String,
    /// Read before each request: the kubelet puts a new token there before the old one ends.
    pub(super) token_file: Option<PathBuf>,
    /// Whose pods are watched when those of all namespaces may not be.
    pub(super) namespace: String,
}

/// By what the server is recognised.
#[derive(Debug)]
pub(super) enum Trust {
    /// What this system trusts.
    System,
    Authorities(Pem),
    /// Whoever answers.
    Anyone,
}

/// Certificates or a key as text, and where they are from.
#[derive(Debug)]
pub(super) struct Pem {
    pub(super) of: String,
    pub(super) text: Vec<u8>,
}

/// By what the server recognises us.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) certificate: Pem,
    pub(super) key: Pem,
}

impl Pem {
    pub(super) fn read(file: &Path) -> Result<Pem, AccessError> {
        let text = read(file)?;
        Ok(Pem { of: file.display().to_string(), text })
    }
}

pub(super) fn read(file: &Path) -> Result<Vec<u8>, AccessError> {
    fs::read(file).map_err(|error| AccessError::Unread { file: file.to_owned(), error })
}
