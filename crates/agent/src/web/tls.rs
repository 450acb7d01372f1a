//! TLS for the web server: certificate and key come from one PEM file, as Falco takes them.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::WebError;

/// How long a client may take to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Connections that are agreed upon and not served yet.
const READY: usize = 16;

/// What a PEM file means for a server.
pub(super) fn config(path: &Path) -> Result<Arc<ServerConfig>, WebError> {
    let failed = |cause| WebError::Certificate { path: path.to_owned(), cause };
    let wrong = |text: String| failed(io::Error::new(io::ErrorKind::InvalidData, text));
    let pem = std::fs::read(path).map_err(failed)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
    if chain.is_empty() {
        return Err(wrong("no certificate in PEM form is in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem);
    let key = key.map_err(|_| wrong("no private key in PEM form is in it".to_owned()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| wrong(error.to_string()))?.with_no_client_auth();
    let config = builder.with_single_cert(chain, key).map_err(|error| wrong(error.to_string()))?;
    Ok(Arc::new(config))
}

/// Connections on which both sides have agreed on keys.
pub(super) struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: io::Result<SocketAddr>,
}

impl TlsListener {
    /// Listens with a server's certificate. Clients agree on keys side by side, so that a slow one holds up none.
    pub fn new(listener: TcpListener, config: Arc<ServerConfig>) -> TlsListener {
        let (sender, ready) = mpsc::channel(READY);
        let address = listener.local_addr();
        tokio::spawn(accept(listener, TlsAcceptor::from(config), sender));
        TlsListener { ready, address }
    }
}

async fn accept(
    mut listener: TcpListener,
    acceptor: TlsAcceptor,
    sender: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    while !sender.is_closed() {
        // axum's own way to accept waits after an error that passes, such as too many open files.
        let (stream, address) = Listener::accept(&mut listener).await;
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        tokio::spawn(async move {
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                // Without a receiver the server has ended.
                let _ = sender.send((stream, address)).await;
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The other task ends only with this one.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.address.as_ref().copied().map_err(|error| io::Error::new(error.kind(), error.to_string()))
    }
}
