//! The web server of the sources of documents, over real connections.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use lanner_plugin::{BuiltIn, EventSource, Given, Refusal, Reporting, Settings, SourceStats};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

struct Hook {
    port: u16,
    source: Box<dyn EventSource>,
    stats: Arc<SourceStats>,
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn open(scheme: &str, init_config: &str) -> Hook {
    let port = free_port();
    let settings = Settings {
        name: "k8saudit".into(),
        init_config: init_config.into(),
        open_params: format!("{scheme}://127.0.0.1:{port}/k8s-audit"),
        ..Settings::default()
    };
    let stats = Arc::new(SourceStats::default());
    let reporting = Reporting::new(Arc::clone(&stats), Arc::new(|_| {}));
    let source = BuiltIn::named("k8saudit").unwrap().open(&settings, reporting).unwrap();
    Hook { port, source, stats }
}

impl Hook {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Posts a body and answers with the status.
    fn post(&self, body: &[u8]) -> u16 {
        status(&mut self.connect(), &request("POST /k8s-audit", "application/json", body))
    }

    /// The audit ids of all that waits.
    fn ids(&mut self) -> Vec<String> {
        let mut ids = Vec::new();
        let mut take = |event: &lanner_event::Event<'_>| {
            let text = String::from_utf8(event.param(1).unwrap().to_vec()).unwrap();
            ids.push(text.split("\"auditID\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned());
        };
        while matches!(self.source.give(Duration::ZERO, &mut take).unwrap(), Given::Events(_)) {}
        ids
    }
}

fn request(what: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{what} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Sends a request and reads the answer's status. The server may answer and close before it has read all.
fn status(stream: &mut (impl Read + Write), request: &[u8]) -> u16 {
    let _ = stream.write_all(request);
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.split(' ').nth(1).unwrap_or_else(|| panic!("no status: {line:?}")).parse().unwrap()
}

fn event(id: &str) -> String {
    format!(r#"{{"kind":"Event","auditID":"{id}","stageTimestamp":"2026-01-01T00:00:00.000001Z"}}"#)
}

fn list(ids: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = ids.into_iter().map(|id| event(&id)).collect();
    format!(r#"{{"kind":"EventList","items":[{}]}}"#, items.join(","))
}

#[test]
fn events_are_taken_alone_and_in_lists() {
    let mut hook = open("http", "");
    assert_eq!(hook.post(event("a").as_bytes()), 200);
    assert_eq!(hook.post(list(["b".into(), "c".into()]).as_bytes()), 200);
    assert_eq!(hook.ids(), ["a", "b", "c"]);
    assert_eq!(hook.stats.taken(), 3);
}

#[test]
fn what_is_no_good_is_refused_and_counted() {
    let mut hook = open("http", r#"{"webhookMaxBatchSize": 1048576}"#);
    let send =
        |what: &str, kind: &str| status(&mut hook.connect(), &request(what, kind, event("x").as_bytes()));
    assert_eq!(send("GET /k8s-audit", "application/json"), 405);
    assert_eq!(send("POST /elsewhere", "application/json"), 404);
    assert_eq!(send("POST /k8s-audit", "text/plain"), 415);
    assert_eq!(hook.post(b"{oops"), 400);
    assert_eq!(hook.post(b"{\"kind\":\"Pod\"}"), 400);
    assert_eq!(hook.post(event("é").as_bytes()), 200);
    assert_eq!(hook.post(b"{\"kind\":\"\xff\"}"), 400, "not UTF-8");
    assert_eq!(hook.post(&[b'['; 100_000]), 400, "nested too deeply");
    assert_eq!(hook.post(&vec![b' '; 2 << 20]), 413, "larger than a request may be");
    let large = event(&"x".repeat(300 << 10));
    assert_eq!(hook.post(large.as_bytes()), 413, "larger than an event may be");
    let mut chunked = b"POST /k8s-audit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..40 {
        chunked.extend(format!("{:x}\r\n{}\r\n", 65536, " ".repeat(65536)).bytes());
    }
    assert_eq!(status(&mut hook.connect(), &chunked), 413, "larger, and its length not announced");
    assert_eq!(hook.post(event("after").as_bytes()), 200);
    assert_eq!(hook.ids(), ["é", "after"]);
    let refused = |refusal| hook.stats.refused(refusal);
    assert_eq!((refused(Refusal::Malformed), refused(Refusal::TooLarge)), (5, 3));
}

#[test]
fn a_full_queue_says_so_and_loses_nothing() {
    let mut hook = open("http", r#"{"queueSize": 150}"#);
    let mut seen = Vec::new();
    let mut asked_again = 0;
    for batch in 0..10 {
        let body = list((0..60).map(|n| format!("{batch}-{n}")));
        while hook.post(body.as_bytes()) == 429 {
            asked_again += 1;
            seen.extend(hook.ids());
        }
    }
    // What was answered with 200 is given even after the end.
    assert!(hook.source.finish());
    seen.extend(hook.ids());
    assert!(asked_again >= 4 && hook.stats.refused(Refusal::Full) == asked_again, "{asked_again}");
    assert_eq!((seen.len(), seen.iter().collect::<BTreeSet<_>>().len()), (600, 600));
}

#[test]
fn a_port_in_use_is_told_at_once() {
    let hook = open("http", "");
    let settings =
        Settings { open_params: format!("http://127.0.0.1:{}/", hook.port), ..Settings::default() };
    let reporting = Reporting::new(Arc::default(), Arc::new(|_| {}));
    let error = BuiltIn::named("k8saudit").unwrap().open(&settings, reporting).err().unwrap().to_string();
    assert!(error.starts_with("can't listen on 127.0.0.1:"), "{error}");
}

/// An authority with a certificate for each end, in files.
struct Keys {
    dir: tempfile::TempDir,
}

impl Keys {
    fn new() -> Keys {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
        for name in ["localhost", "client"] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &authority).unwrap();
            let both = certificate.pem() + &key.serialize_pem();
            std::fs::write(dir.path().join(format!("{name}.pem")), both).unwrap();
        }
        Keys { dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn client(&self, with_certificate: bool) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(if with_certificate {
            let certificate = CertificateDer::from_pem_file(self.path("client.pem")).unwrap();
            let key = PrivateKeyDer::from_pem_file(self.path("client.pem")).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        } else {
            config.with_no_client_auth()
        })
    }
}

#[test]
fn with_https_clients_may_have_to_show_a_certificate() {
    let keys = Keys::new();
    let post = |hook: &Hook, with_certificate: bool| {
        let name = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(keys.client(with_certificate), name).unwrap();
        let mut stream = StreamOwned::new(client, hook.connect());
        let sent = stream.write_all(&request("POST /k8s-audit", "application/json", event("t").as_bytes()));
        let mut answer = [0; 12];
        sent.and_then(|()| stream.read_exact(&mut answer)).map(|()| answer.ends_with(b" 200"))
    };
    let certificate = keys.path("localhost.pem");
    let mut open_to_all = open("https", &format!(r#"{{"sslCertificate": "{certificate}"}}"#));
    assert!(post(&open_to_all, false).unwrap());
    assert_eq!(open_to_all.ids(), ["t"]);
    let config =
        format!(r#"{{"sslCertificate": "{certificate}", "sslClientCa": "{}"}}"#, keys.path("ca.pem"));
    let mut closed = open("https", &config);
    assert!(post(&closed, false).is_err());
    assert!(post(&closed, true).unwrap());
    assert_eq!(closed.ids(), ["t"]);
}
