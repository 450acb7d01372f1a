//! The sink against real servers, plain and with TLS, that fail, stall and come back.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::read::GzDecoder;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::{OutputOptions, Outputs};
use lanner_alert::{Line, Priority};

/// What a server does with a request.
#[derive(Clone, Copy)]
enum Act {
    Answer(u16),
    Stall,
    Hang,
}

/// Head and body.
type Request = (String, Vec<u8>);

#[derive(Clone, Default)]
struct Log {
    acts: Arc<Mutex<VecDeque<Act>>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A server until it is dropped.
struct Server {
    address: SocketAddr,
    ended: Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, std::sync::atomic::Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn serve(address: SocketAddr, log: &Log, tls: Option<Arc<ServerConfig>>) -> Server {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (seen, log) = (Arc::clone(&ended), log.clone());
    let thread = std::thread::spawn(move || {
        for stream in listener.incoming() {
            if seen.load(std::sync::atomic::Ordering::SeqCst) {
                return;
            }
            let (stream, log, tls) = (stream.unwrap(), log.clone(), tls.clone());
            std::thread::spawn(move || {
                stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                match tls {
                    None => answer(stream, &log),
                    Some(config) => {
                        answer(StreamOwned::new(ServerConnection::new(config).unwrap(), stream), &log);
                    }
                }
            });
        }
    });
    Server { address, ended, thread: Some(thread) }
}

/// One connection; each answer closes it, so that every request is a connection of its own.
fn answer(stream: impl Stream, log: &Log) {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let length = head.to_ascii_lowercase();
    let length = length.lines().find_map(|l| l.strip_prefix("content-length: ")?.trim().parse().ok());
    let mut body = vec![0; length.expect("a length")];
    stream.read_exact(&mut body).unwrap();
    match log.acts.lock().unwrap().pop_front().unwrap_or(Act::Answer(200)) {
        Act::Answer(status) => {
            log.requests.lock().unwrap().push((head, body));
            let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
            let _ = stream.get_mut().write_all(text.as_bytes());
            let _ = stream.get_mut().flush();
        }
        Act::Stall => drop(stream.read(&mut [0])),
        Act::Hang => {}
    }
}

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn options(url: String) -> HttpOptions {
    HttpOptions {
        url,
        user_agent: "falcosecurity/falco".into(),
        json: true,
        trust: Trust::Folder("/nowhere".into()),
        client: None,
        echo: false,
        compress: false,
        keep_alive: false,
        max_timeouts: 5,
        timeout: Duration::from_millis(300),
    }
}

fn line(text: &str) -> Line {
    Line { text: text.into(), priority: Priority::Notice, priority_at: None, rule: "".into() }
}

fn bodies(log: &Log) -> Vec<String> {
    let requests = log.requests.lock().unwrap();
    requests.iter().map(|(_, body)| String::from_utf8_lossy(body).into_owned()).collect()
}

#[test]
fn a_line_is_posted_as_falco_posts_it() {
    let log = Log::default();
    let server = serve(ANY, &log, None);
    let mut sink = HttpSink::new(options(format!("\"{}/in\"", server.address)));
    sink.write(line("{\"a\":1}").view()).unwrap();
    let (head, body) = log.requests.lock().unwrap().remove(0);
    assert!(head.starts_with("POST /in HTTP/1.1\r\n"), "{head}");
    let head = head.to_ascii_lowercase();
    assert!(head.contains("\r\ncontent-type: application/json\r\n"), "{head}");
    assert!(head.contains("\r\nuser-agent: falcosecurity/falco\r\n"), "{head}");
    assert_eq!(body, b"{\"a\":1}");
    let text = HttpOptions { json: false, ..options(format!("http://{}/", server.address)) };
    HttpSink::new(text).write(line("a").view()).unwrap();
    assert!(log.requests.lock().unwrap()[0].0.to_ascii_lowercase().contains("content-type: text/plain"));
}

#[test]
fn a_status_says_whether_the_line_is_worth_another_try() {
    let log = Log::default();
    let server = serve(ANY, &log, None);
    let mut sink = HttpSink::new(options(format!("http://{}", server.address)));
    log.acts.lock().unwrap().extend([503, 429, 404, 302].map(Act::Answer));
    let mut told = || sink.write(line("a").view()).map_err(|error| (error.again, error.to_string()));
    let wanted = format!("http output: cannot post to http://{}: the server answers with", server.address);
    assert_eq!(told(), Err((true, format!("{wanted} status 503"))));
    assert_eq!(told(), Err((true, format!("{wanted} status 429"))));
    assert_eq!(told(), Err((false, format!("{wanted} status 404"))));
    assert_eq!(told(), Ok(()), "a redirection is not followed, as in Falco");
}

#[test]
fn a_server_that_does_not_know_compression_gets_plain_lines() {
    let log = Log::default();
    let server = serve(ANY, &log, None);
    let compressed = HttpOptions { compress: true, ..options(format!("http://{}", server.address)) };
    let mut sink = HttpSink::new(compressed);
    log.acts.lock().unwrap().extend([200, 415].map(Act::Answer));
    for text in ["one", "two", "three"] {
        sink.write(line(text).view()).unwrap();
    }
    let requests = log.requests.lock().unwrap();
    let mut first = String::new();
    GzDecoder::new(&requests[0].1[..]).read_to_string(&mut first).unwrap();
    assert_eq!(first, "one");
    assert!(requests[0].0.to_ascii_lowercase().contains("content-encoding: gzip"));
    assert_eq!((&requests[2].1[..], &requests[3].1[..]), (&b"two"[..], &b"three"[..]));
}

#[test]
fn a_server_that_stalls_costs_a_line_after_the_timeouts_that_are_allowed() {
    let log = Log::default();
    let server = serve(ANY, &log, None);
    let twice = HttpOptions { max_timeouts: 1, ..options(format!("http://{}", server.address)) };
    let mut sink = HttpSink::new(twice);
    log.acts.lock().unwrap().extend([Act::Stall, Act::Stall, Act::Stall, Act::Hang]);
    let mut again = || sink.write(line("a").view()).map_err(|error| error.again);
    assert_eq!(again(), Err(true));
    assert_eq!(again(), Err(false), "the second timeout is the last");
    assert_eq!(again(), Err(true), "the next line is tried anew");
    assert_eq!(again(), Err(true), "a connection that ends is no timeout");
    assert_eq!(again(), Ok(()));
}

/// Certificates of a server, a client and their authority, as files.
struct Keys {
    folder: tempfile::TempDir,
    authority: CertificateDer<'static>,
}

impl Keys {
    fn new() -> Keys {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        write("ca.pem", authority.pem());
        for name in ["server", "client"] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            write(&format!("{name}.pem"), params.signed_by(&key, &authority).unwrap().pem());
            write(&format!("{name}.key"), key.serialize_pem());
        }
        let authority = CertificateDer::from(authority.der().to_vec());
        Keys { folder, authority }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A server that wants to see a client's certificate.
    fn server(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
        let chain = vec![CertificateDer::from_pem_file(self.path("server.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap();
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_client_cert_verifier(clients.build().unwrap());
        Arc::new(config.with_single_cert(chain, key).unwrap())
    }

    fn options(&self, server: &Server) -> HttpOptions {
        HttpOptions {
            trust: Trust::File { key: "http_output.ca_cert", path: self.path("ca.pem") },
            client: Some((self.path("client.pem"), self.path("client.key"))),
            timeout: Duration::from_secs(5),
            ..options(format!("https://localhost:{}/", server.address.port()))
        }
    }
}

#[test]
fn a_server_is_recognised_by_file_or_folder_and_shown_the_client() {
    let (keys, log) = (Keys::new(), Log::default());
    let server = serve(ANY, &log, Some(keys.server()));
    let good = keys.options(&server);
    let told =
        |options: HttpOptions| HttpSink::new(options).write(line("a").view()).map_err(|e| e.to_string());
    assert_eq!(told(good.clone()), Ok(()));
    assert_eq!(told(HttpOptions { trust: Trust::Folder(keys.path("")), ..good.clone() }), Ok(()));
    assert_eq!(told(HttpOptions { trust: Trust::Anyone, ..good.clone() }), Ok(()));
    let stranger = Trust::File { key: "http_output.ca_bundle", path: keys.path("client.pem") };
    let error = told(HttpOptions { trust: stranger, ..good.clone() }).unwrap_err();
    assert!(error.contains("certificate"), "{error}");
    let error = told(HttpOptions { client: None, ..good }).unwrap_err();
    assert!(error.contains("cannot post to https://localhost"), "{error}");
    assert_eq!(bodies(&log), ["a", "a", "a"]);
}

#[test]
fn a_certificate_that_cannot_be_used_is_named_with_its_setting() {
    let (keys, log) = (Keys::new(), Log::default());
    let server = serve(ANY, &log, Some(keys.server()));
    let good = keys.options(&server);
    let said = |options: HttpOptions| HttpSink::new(options).check().unwrap_err().to_string();
    let absent = Trust::File { key: "http_output.ca_cert", path: "/nowhere/ca".into() };
    assert_eq!(
        said(HttpOptions { trust: absent, ..good.clone() }),
        "http output: http_output.ca_cert: cannot use /nowhere/ca: No such file or directory (os error 2)"
    );
    let folder = said(HttpOptions { trust: Trust::Folder("/proc/self/fdinfo".into()), ..good.clone() });
    assert!(folder.contains("http_output.ca_path: cannot use /proc/self/fdinfo: no file with a"), "{folder}");
    let swapped = Some((keys.path("client.key"), keys.path("client.key")));
    let certificate = said(HttpOptions { client: swapped, ..good.clone() });
    assert!(certificate.contains("http_output.client_cert") && certificate.contains("no certificate in PEM"));
    let keyless = Some((keys.path("client.pem"), keys.path("client.pem")));
    let key = said(HttpOptions { client: keyless, ..good });
    assert!(key.contains("http_output.client_key") && key.contains("no private key in PEM form"), "{key}");
}

/// Waits until a server has the bodies.
fn await_bodies(log: &Log, count: usize) -> Vec<String> {
    for _ in 0..2000 {
        if bodies(log).len() >= count {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bodies(log)
}

#[test]
fn nothing_is_lost_when_a_server_with_client_certificates_fails_stalls_and_comes_back() {
    let (keys, log) = (Keys::new(), Log::default());
    let tls = keys.server();
    let server = serve(ANY, &log, Some(Arc::clone(&tls)));
    let options = HttpOptions { timeout: Duration::from_millis(500), ..keys.options(&server) };
    let outputs = Outputs::start(vec![Box::new(HttpSink::new(options))], OutputOptions::default()).unwrap();
    outputs.send(line("1"));
    assert_eq!(await_bodies(&log, 1), ["1"]);
    log.acts.lock().unwrap().extend([Act::Answer(500), Act::Stall, Act::Hang]);
    outputs.send(line("2"));
    assert_eq!(await_bodies(&log, 3), ["1", "2", "2"], "the one that was answered with 500 came again");
    let address = server.address;
    drop(server);
    (3..6).for_each(|n| outputs.send(line(&n.to_string())));
    std::thread::sleep(Duration::from_millis(300));
    assert!(outputs.stats()[0].waiting == 3);
    let server = serve(address, &log, Some(tls));
    assert_eq!(await_bodies(&log, 6)[3..], ["3", "4", "5"]);
    let stats = outputs.close(Duration::from_secs(5)).remove(0);
    assert_eq!((stats.written, stats.lost), (5, 0));
    assert!(stats.retries >= 4 && Path::new(&keys.path("ca.pem")).exists());
    drop(server);
}
