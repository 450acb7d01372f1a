//! A server that answers as an API server would, by a script; plain or by TLS with an authority of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// What was asked, and by whom.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub authorization: String,
}

/// What is answered.
pub enum Answer {
    /// A status and a document.
    Document(&'static str, String),
    /// A watch of these lines, and how it ends.
    Watch(Vec<String>, End),
}

pub enum End {
    /// As the server ends it when its time is over.
    Orderly,
    /// The connection breaks.
    Cut,
    /// Goes on with the lines that the test sends.
    Live(Arc<Mutex<Receiver<String>>>),
}

impl Answer {
    pub fn ok(document: impl Into<String>) -> Answer {
        Answer::Document("200 OK", document.into())
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// Answers as long as the test runs.
pub struct Server {
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub fn start(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (log, answer) = (asked.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer, tls) = (log.clone(), answer.clone(), tls.clone());
                thread::spawn(move || serve(stream, tls, &log, &*answer));
            }
        });
        Server { port, asked }
    }

    pub fn plain(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How often a path was asked for that has this in it.
    pub fn times(&self, part: &str) -> usize {
        self.asked().iter().filter(|asked| asked.path.contains(part)).count()
    }
}

/// Ends by itself when the other side goes.
fn serve(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    log: &Mutex<Vec<Asked>>,
    answer: &dyn Fn(&Asked) -> Answer,
) {
    let stream: Box<dyn Stream> = match tls {
        None => Box::new(stream),
        Some(config) => Box::new(StreamOwned::new(ServerConnection::new(config).unwrap(), stream)),
    };
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    // A handshake that fails ends here.
    if reader.read_line(&mut first).is_err() {
        return;
    }
    let (mut authorization, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
        if let Some(word) = line.strip_prefix("authorization: ") {
            authorization = word.trim_end().to_owned();
        }
        line.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let asked = Asked { path, authorization };
    log.lock().unwrap().push(asked.clone());
    let _ = tell(reader.get_mut(), answer(&asked));
}

fn tell(stream: &mut dyn Stream, answer: Answer) -> std::io::Result<()> {
    let (lines, end) = match answer {
        Answer::Document(status, body) => {
            let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: ");
            write!(stream, "{head}{}\r\n\r\n{body}", body.len())?;
            return stream.flush();
        }
        Answer::Watch(lines, end) => (lines, end),
    };
    // As kube-apiserver sends it.
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nCache-Control: no-cache, private\r\nContent-Type: application/json\r\n"
    )?;
    write!(stream, "Transfer-Encoding: chunked\r\n\r\n")?;
    let mut send = |line: &str| {
        write!(stream, "{:x}\r\n{line}\n\r\n", line.len() + 1)?;
        stream.flush()
    };
    lines.iter().try_for_each(|line| send(line))?;
    match end {
        End::Orderly => {
            write!(stream, "0\r\n\r\n")?;
            stream.flush()
        }
        End::Cut => {
            write!(stream, "40\r\n{{\"type\":")?;
            stream.flush()
        }
        End::Live(more) => {
            while let Ok(line) = more.lock().unwrap().recv_timeout(Duration::from_secs(30)) {
                send(&line)?;
            }
            Ok(())
        }
    }
}

/// An authority, a server's certificate and a client's, as files.
pub struct Keys {
    folder: tempfile::TempDir,
}

impl Keys {
    pub fn new() -> Keys {
        let keys = Keys { folder: tempfile::tempdir().unwrap() };
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let write = |name: &str, text: String| std::fs::write(keys.path(name), text).unwrap();
        write("ca.pem", authority.pem());
        for (name, known_as) in
            [("server", vec!["127.0.0.1", "kubernetes.default"]), ("client", vec!["lanner"])]
        {
            let key = KeyPair::generate().unwrap();
            let known_as: Vec<String> = known_as.into_iter().map(str::to_owned).collect();
            let params = CertificateParams::new(known_as).unwrap();
            write(&format!("{name}.pem"), params.signed_by(&key, &authority).unwrap().pem());
            write(&format!("{name}.key"), key.serialize_pem());
        }
        keys
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Settings of a server, which may insist on a client's certificate.
    pub fn server(&self, wants_client: bool) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = vec![CertificateDer::from_pem_file(self.path("server.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap();
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = if wants_client {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
            let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(clients.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    }
}
