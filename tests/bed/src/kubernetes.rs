//! A real Kubernetes API server, with an etcd of its own; both are gone at the end.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::Unavailable;
use crate::bed::find_program;
use crate::guard::{self, Guard};

const START_LIMIT: Duration = Duration::from_secs(90);
const TOKEN: &str = "of-the-administrator";

/// A running API server.
#[derive(Debug)]
pub struct ApiServer {
    folder: PathBuf,
    bin: PathBuf,
    port: u16,
    etcd: u16,
    store: Child,
    server: Child,
    /// Last, so that it cleans up behind everything else.
    _guard: Guard,
}

/// Where `scripts/kubernetes.sh` puts its programs.
fn programs() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"));
    target.join("kubernetes/bin")
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl ApiServer {
    /// Starts one and waits until it is ready. The error is an [`Unavailable`] where there is none.
    pub fn start() -> Result<ApiServer> {
        let bin = programs();
        for program in ["kube-apiserver", "kubectl"] {
            if !bin.join(program).is_file() {
                bail!(Unavailable(format!("no {program} (scripts/kubernetes.sh builds it)")));
            }
        }
        for program in ["etcd", "openssl"] {
            if find_program(program).is_none() {
                bail!(Unavailable(format!("the program `{program}` is not installed")));
            }
        }
        let folder = guard::new_folder(&std::env::temp_dir()).map_err(|e| Unavailable(e.to_string()))?;
        let guard = Guard::over(&folder)?;
        fs::write(folder.join("tokens.csv"), format!("{TOKEN},admin,admin,system:masters\n"))?;
        let key = Command::new("openssl").args(["genrsa", "-out"]).arg(folder.join("sa.key")).output()?;
        ensure!(key.status.success(), "openssl: {}", String::from_utf8_lossy(&key.stderr));
        let (port, etcd) = (free_port()?, free_port()?);
        let store = store(&folder, etcd, free_port()?)?;
        let server = serve(&bin, &folder, port, etcd)?;
        let mut api = ApiServer { folder, bin, port, etcd, store, server, _guard: guard };
        api.wait()?;
        Ok(api)
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The certificates by which it is recognised.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("certs/apiserver.crt")
    }

    /// `kubectl` as the administrator, with something to read.
    pub fn kubectl(&self, words: &[&str], input: &str) -> Result<String> {
        let mut child = Command::new(self.bin.join("kubectl"))
            .args(["--server", &self.address(), "--token", TOKEN])
            .arg("--certificate-authority")
            .arg(self.authority())
            .arg("--cache-dir")
            .arg(self.folder.join("cache"))
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
        let out = child.wait_with_output()?;
        ensure!(out.status.success(), "kubectl {words:?}: {}", String::from_utf8_lossy(&out.stderr));
        Ok(String::from_utf8(out.stdout)?)
    }

    /// A token of a service account, as a kubelet asks for it, for a pod's time.
    pub fn token_of(&self, namespace: &str, account: &str) -> Result<String> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let request = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}"#;
        let answer = self.kubectl(&["create", "--raw", &path, "-f", "-"], request)?;
        let answer: serde_json::Value = serde_json::from_str(&answer)?;
        Ok(answer.pointer("/status/token").and_then(|token| token.as_str()).context("no token")?.to_owned())
    }

    /// Ends the server, not its store.
    pub fn stop(&mut self) -> Result<()> {
        self.server.kill()?;
        self.server.wait()?;
        Ok(())
    }

    /// Starts it again.
    pub fn restart(&mut self) -> Result<()> {
        self.server = serve(&self.bin, &self.folder, self.port, self.etcd)?;
        self.wait()
    }

    fn wait(&mut self) -> Result<()> {
        let end = Instant::now() + START_LIMIT;
        while self.kubectl(&["get", "--raw", "/readyz"], "").is_err() {
            if let Some(status) = self.server.try_wait()? {
                bail!(Unavailable(format!("kube-apiserver ended with {status}: {}", self.last_words())));
            }
            if Instant::now() > end {
                bail!(Unavailable(format!("kube-apiserver is not ready: {}", self.last_words())));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(self.folder.join("apiserver.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        for process in [&mut self.server, &mut self.store] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn started(command: &mut Command, log: &Path) -> Result<Child> {
    let log = File::options().create(true).append(true).open(log)?;
    let process = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
    Ok(process.map_err(|error| Unavailable(format!("{command:?} doesn't start: {error}")))?)
}

fn store(folder: &Path, port: u16, peers: u16) -> Result<Child> {
    let at = |port: u16| format!("http://127.0.0.1:{port}");
    let mut etcd = Command::new("etcd");
    etcd.arg("--data-dir").arg(folder.join("etcd"));
    etcd.args(["--listen-client-urls", &at(port), "--advertise-client-urls", &at(port)]);
    etcd.args(["--listen-peer-urls", &at(peers), "--initial-advertise-peer-urls", &at(peers)]);
    etcd.args(["--initial-cluster", &format!("default={}", at(peers))]);
    started(&mut etcd, &folder.join("etcd.log"))
}

fn serve(bin: &Path, folder: &Path, port: u16, etcd: u16) -> Result<Child> {
    let mut server = Command::new(bin.join("kube-apiserver"));
    server.args(["--etcd-servers", &format!("http://127.0.0.1:{etcd}")]);
    server.args(["--bind-address", "127.0.0.1", "--secure-port", &port.to_string()]);
    server.arg("--cert-dir").arg(folder.join("certs"));
    server.arg("--token-auth-file").arg(folder.join("tokens.csv"));
    server.args(["--authorization-mode", "RBAC", "--allow-privileged"]);
    server.args(["--service-cluster-ip-range", "10.96.0.0/24"]);
    server.args(["--service-account-issuer", "https://kubernetes.default.svc"]);
    for option in ["--service-account-signing-key-file", "--service-account-key-file"] {
        server.arg(option).arg(folder.join("sa.key"));
    }
    started(&mut server, &folder.join("apiserver.log"))
}
