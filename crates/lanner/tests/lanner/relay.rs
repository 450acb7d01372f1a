//! `lanner relay`: what it reads reaches standard output, web clients and a collector, without any privilege.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const ALERT: &str = r#"{"priority":"Warning","rule":"Read sensitive file","output":"shadow was read","output_fields":{"proc.pid":7}}"#;
const LIMIT: Duration = Duration::from_secs(10);
const NOBODY: u32 = 65534;

/// Ends the process when the test does.
struct Relay(Child);

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn relay(source: &Path, options: &[&str]) -> Relay {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lanner"));
    command.arg("relay").arg(source).args(options).stdout(Stdio::piped()).stderr(Stdio::null());
    // Where the tests have privileges, the relay gets none of them.
    if nix::unistd::geteuid().is_root() {
        let nobody = std::env::temp_dir().join(format!("lanner-relay-{}", std::process::id()));
        // The build's own folder may be closed to others.
        std::fs::copy(env!("CARGO_BIN_EXE_lanner"), &nobody).unwrap();
        command = Command::new(&nobody);
        command.arg("relay").arg(source).args(options).stdout(Stdio::piped()).stderr(Stdio::null());
        command.uid(NOBODY).gid(NOBODY);
        let child = command.spawn().unwrap();
        std::fs::remove_file(nobody).unwrap();
        return Relay(child);
    }
    Relay(command.spawn().unwrap())
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// What a server answers to a GET, head and body.
fn get(address: &str, path: &str) -> String {
    let end = Instant::now() + LIMIT;
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < end, "{address}: {error}"),
        }
        thread::sleep(Duration::from_millis(20));
    };
    write!(stream, "GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Waits for one request, answers it, and hands back its body.
fn collect(listener: TcpListener) -> String {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
    String::from_utf8(body).unwrap()
}

#[test]
fn a_line_of_the_hosts_socket_reaches_everyone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let socket = folder.path().join("alerts.sock");
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let otlp = format!("http://{}", collector.local_addr().unwrap());
    let web = free_address();
    let mut relay = relay(&socket, &["--http", &web, "--otlp", &otlp]);
    // It was there before the host's lanner.
    assert!(get(&web, "/healthz").starts_with("HTTP/1.1 503"));
    let listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    let (mut host, _) = listener.accept().unwrap();
    writeln!(host, "{ALERT}").unwrap();

    let mut line = String::new();
    BufReader::new(relay.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim_end(), ALERT);
    let body = collect(collector);
    assert!(body.contains(r#""body":{"stringValue":"shadow was read"}"#), "{body}");
    assert!(body.contains(r#"{"key":"proc.pid","value":{"intValue":"7"}}"#), "{body}");
    assert!(get(&web, "/healthz").starts_with("HTTP/1.1 200"));
    let alerts = get(&web, "/alerts");
    assert!(alerts.ends_with(&format!("{ALERT}\n")) && alerts.contains("application/x-ndjson"), "{alerts}");
    assert!(get(&web, "/").starts_with("HTTP/1.1 404"));

    // The host's lanner starts again.
    drop(host);
    let (mut host, _) = listener.accept().unwrap();
    writeln!(host, "later").unwrap();
    let end = Instant::now() + LIMIT;
    while !get(&web, "/alerts").ends_with("later\n") {
        assert!(Instant::now() < end, "the second connection isn't read");
        thread::sleep(Duration::from_millis(20));
    }
}
