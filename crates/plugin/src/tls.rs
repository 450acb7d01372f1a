//! Certificates for a server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::source::SourceError;

/// The files of a server's certificates, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    /// Its certificate and those above it.
    pub certificate: PathBuf,
    /// Its key; it may stand in the same file.
    pub key: PathBuf,
    /// Who must have signed the clients' certificates; without it clients need none.
    pub clients: Option<PathBuf>,
}

fn failed(path: &Path, why: impl std::fmt::Display) -> SourceError {
    SourceError::Settings(format!("{}: {why}", path.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SourceError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| failed(path, format!("can't read certificates: {error}")))?;
    if certificates.is_empty() {
        Err(failed(path, "there is no certificate in it"))
    } else {
        Ok(certificates)
    }
}

/// What a server needs of these files.
///
/// # Errors
/// Names the file that is no good.
pub(crate) fn server(files: &Files) -> Result<Arc<ServerConfig>, SourceError> {
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| failed(&files.key, format!("can't read the private key: {error}")))?;
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&files.certificate, error))?;
    let config = match &files.clients {
        None => config.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| failed(path, error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            config.with_client_cert_verifier(verifier.map_err(|error| failed(path, error))?)
        }
    };
    let config = config.with_single_cert(chain, key).map_err(|error| failed(&files.certificate, error))?;
    Ok(Arc::new(config))
}
