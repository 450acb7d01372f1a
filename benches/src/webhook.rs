//! Kubernetes audit events: by web server, one at a time and in lists, each seen exactly once; nonsense, which must leave
//! no trace in memory.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::measure::{resident_mb, timed};

/// Connections that post at the same time, as from as many API servers.
const CLIENTS: usize = 4;
const SINGLES: usize = 20_000;
const LISTED: usize = 100_000;
const TOGETHER: usize = 100;

pub const RULES: &str = "\
- rule: Seen
  desc: Every event.
  condition: ka.verb = create and ka.target.resource = pods
  output: id %ka.auditid
  priority: NOTICE
  source: k8s_audit
";

/// An event as an API server writes it for a new pod.
pub fn event(id: &str) -> String {
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"{id}","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/default/pods?fieldManager=kubectl-create","verb":"create","user":{{"username":"kubernetes-admin","groups":["system:masters","system:authenticated"]}},"sourceIPs":["10.0.0.17"],"userAgent":"kubectl/v1.34.1 (linux/amd64) kubernetes/93248f9","objectRef":{{"resource":"pods","namespace":"default","name":"web","apiVersion":"v1"}},"responseStatus":{{"metadata":{{}},"code":201}},"requestObject":{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"web","namespace":"default","labels":{{"app":"web"}}}},"spec":{{"volumes":[{{"name":"data","emptyDir":{{}}}}],"containers":[{{"name":"web","image":"registry.example.org/web:1.2","command":["/web","--port=8080"],"resources":{{}},"securityContext":{{"privileged":false,"runAsUser":1000}}}}],"restartPolicy":"Always","serviceAccountName":"default"}}}},"requestReceivedTimestamp":"2026-01-01T00:00:00.000001Z","stageTimestamp":"2026-01-01T00:00:00.000002Z","annotations":{{"authorization.k8s.io/decision":"allow"}}}}"#
    )
}

struct Server {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Server {
    fn start(bin: &Path) -> Result<Server> {
        let dir = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        fs::write(dir.path().join("r.yaml"), RULES)?;
        let config = format!(
            "rules_files: [r.yaml]\nlog_stderr: false\nlog_syslog: false\n\
             file_output: {{enabled: true, keep_alive: true, filename: alerts}}\n\
             plugins: [{{name: k8saudit, open_params: \"http://127.0.0.1:{port}/k8s-audit\"}}]\n"
        );
        fs::write(dir.path().join("falco.yaml"), config)?;
        let child = Command::new(bin)
            .args(["falco", "-c", "falco.yaml", "--enable-source", "k8s_audit"])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", bin.display()))?;
        let server = Server { child, port, dir };
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(Instant::now() < end, "the web server doesn't listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Posts bodies over one connection, again where the server has no room yet; how often that was.
    fn post(port: u16, bodies: impl Iterator<Item = String>) -> Result<u64> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        let mut again = 0;
        for body in bodies {
            let head =
                "POST /k8s-audit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ";
            let request = format!("{head}{}\r\n\r\n{body}", body.len());
            loop {
                stream.write_all(request.as_bytes())?;
                match status(&mut reader)? {
                    200 => break,
                    429 => {
                        again += 1;
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    other => anyhow::bail!("answered with {other}"),
                }
            }
        }
        Ok(again)
    }

    /// Posts from several clients; seconds, and how often the server asked to come again.
    fn load(&self, bodies: impl Fn(usize) -> Vec<String>) -> Result<(f64, u64)> {
        let port = self.port;
        let prepared: Vec<Vec<String>> = (0..CLIENTS).map(bodies).collect();
        let (took, again) = timed(|| {
            let clients: Vec<_> = prepared
                .into_iter()
                .map(|bodies| std::thread::spawn(move || Server::post(port, bodies.into_iter())))
                .collect();
            let mut again = 0;
            for client in clients {
                again += client.join().map_err(|_| anyhow::anyhow!("a client has panicked"))??;
            }
            Ok(again)
        })?;
        Ok((took.as_secs_f64(), again))
    }

    /// Ends it, and checks that each id was told once.
    fn check(mut self, wanted: usize) -> Result<()> {
        // SAFETY: kill only sends a signal; the child has not been waited for, so the id is its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        self.child.wait()?;
        let alerts = fs::read_to_string(self.dir.path().join("alerts"))?;
        let mut seen = HashSet::new();
        for id in alerts.lines().filter_map(|line| line.split("id ").nth(1)) {
            ensure!(seen.insert(id.to_owned()), "{id} was told twice");
        }
        ensure!(seen.len() == wanted, "{} of {wanted} events were told", seen.len());
        Ok(())
    }
}

fn status(reader: &mut impl BufRead) -> Result<u16> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).context("no status")?.parse()?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(status)
}

/// Sends a body that is no good; the status.
fn refused(port: u16, body: &[u8]) -> Result<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let head = format!(
        "POST /k8s-audit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // The server may answer before it has read all.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    status(&mut BufReader::new(stream))
}

fn nonsense(port: u16) -> Result<()> {
    let large = event(&"x".repeat(1 << 20));
    let bodies: [(&str, Vec<u8>); 5] = [
        ("broken", b"{\"kind\":".repeat(1000)),
        ("nested", vec![b'['; 1 << 20]),
        ("not UTF-8", vec![0xff; 1 << 20]),
        ("one large event", large.into_bytes()),
        ("beyond a request's size", vec![b' '; 13 << 20]),
    ];
    for (what, body) in &bodies {
        let status = refused(port, body)?;
        ensure!((400..500).contains(&status), "{what}: answered with {status}");
    }
    Ok(())
}

/// Prints the figures.
pub fn run(bin: &Path) -> Result<()> {
    let server = Server::start(bin)?;
    let pid = server.child.id();
    let each = SINGLES / CLIENTS;
    let (took, again) =
        server.load(|client| (0..each).map(|n| event(&format!("s{client}-{n}"))).collect())?;
    println!(
        "webhook: {:.0} events/s one at a time, {again} times asked to come again",
        SINGLES as f64 / took
    );
    let lists = LISTED / TOGETHER / CLIENTS;
    let list = |client: usize, nth: usize| {
        let items: Vec<String> = (0..TOGETHER).map(|n| event(&format!("l{client}-{nth}-{n}"))).collect();
        format!(r#"{{"kind":"EventList","items":[{}]}}"#, items.join(","))
    };
    let (took, again) = server.load(|client| (0..lists).map(|nth| list(client, nth)).collect())?;
    println!(
        "webhook: {:.0} events/s in lists of {TOGETHER}, {again} times asked to come again",
        LISTED as f64 / took
    );
    nonsense(server.port)?;
    let before = resident_mb(pid)?;
    for _ in 0..40 {
        nonsense(server.port)?;
    }
    println!(
        "webhook: {before:.1} MB resident before 200 bodies of nonsense, {:.1} MB after",
        resident_mb(pid)?
    );
    server.check(SINGLES + LISTED)?;
    println!("webhook: each of {} audit ids told exactly once", SINGLES + LISTED);
    Ok(())
}
