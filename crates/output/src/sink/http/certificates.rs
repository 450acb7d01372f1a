//! Certificates and keys from PEM files.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, parse_pem};

/// What a file was for and why it can't be used.
type Failure = (String, io::Error);

fn failure(key: &str, path: &Path, cause: io::Error) -> Failure {
    (format!("{key}: cannot use {}", path.display()), cause)
}

fn nothing(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no {what} in PEM form is in it"))
}

/// The items of a file that can be read; anything else in it is passed over.
fn items(path: &Path) -> io::Result<Vec<PemItem<'static>>> {
    let text = std::fs::read(path)?;
    Ok(parse_pem(&text).filter_map(Result::ok).collect())
}

fn certificates(path: &Path) -> io::Result<Vec<Certificate<'static>>> {
    let certificate = |item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    };
    Ok(items(path)?.into_iter().filter_map(certificate).collect())
}

/// The authorities of a file, which the setting `key` names.
pub(super) fn file(key: &str, path: &Path) -> Result<RootCerts, Failure> {
    match certificates(path) {
        Ok(found) if found.is_empty() => Err(failure(key, path, nothing("certificate"))),
        Ok(found) => Ok(RootCerts::Specific(Arc::new(found))),
        Err(cause) => Err(failure(key, path, cause)),
    }
}

/// The authorities in the files of a folder, each once: such folders hold the same certificates under several
/// names.
pub(super) fn folder(key: &str, path: &Path) -> Result<RootCerts, Failure> {
    let entries = std::fs::read_dir(path).map_err(|cause| failure(key, path, cause))?;
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let of_file = certificates(&entry.path()).unwrap_or_default();
        found.extend(of_file.into_iter().filter(|c| seen.insert(c.der().to_vec())));
    }
    if found.is_empty() {
        return Err(failure(key, path, nothing("file with a certificate")));
    }
    Ok(RootCerts::Specific(Arc::new(found)))
}

/// What the client shows of itself.
pub(super) fn client(certificate: &Path, key: &Path) -> Result<ClientCert, Failure> {
    let failed = |cause| failure("http_output.client_cert", certificate, cause);
    let chain = certificates(certificate).map_err(failed)?;
    if chain.is_empty() {
        return Err(failed(nothing("certificate")));
    }
    let failed = |cause| failure("http_output.client_key", key, cause);
    let key = items(key).map_err(failed)?.into_iter().find_map(|item| match item {
        PemItem::PrivateKey(key) => Some(key),
        _ => None,
    });
    let key: PrivateKey<'static> = key.ok_or_else(|| failed(nothing("private key")))?;
    Ok(ClientCert::new_with_certs(&chain, key))
}
