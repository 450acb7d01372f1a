//! lanner, in the place of Falco.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lanner_testbed::Bed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The port of its own web server.
const PORT: u16 = 18_767;

pub struct Agent {
    process: Child,
    log: PathBuf,
}

/// Memory of a process, KiB.
#[derive(Clone, Copy)]
pub struct Memory {
    /// What it asked for itself.
    pub own: u64,
    /// With the executable's pages and those of the rings.
    pub resident: u64,
}

impl Agent {
    /// Starts it and waits until it watches.
    pub fn start(bin: &str, folder: &Path, http: u16, bed: Option<&Bed>) -> Result<Agent> {
        let at = |name: &str| folder.join(name);
        let socket = bed.map_or_else(|| "/nowhere".into(), |bed| bed.place().socket());
        let settings = format!(
            "engine: {{kind: modern_ebpf}}\nrules_files: [{rules}]\nwatch_config_files: true\n\
             log_stderr: true\nlog_syslog: false\nlog_level: info\njson_output: false\n\
             stdout_output: {{enabled: false}}\n\
             file_output: {{enabled: true, keep_alive: true, filename: {alerts}}}\n\
             program_output: {{enabled: true, keep_alive: true, program: 'cat >>{program}'}}\n\
             http_output: {{enabled: true, url: 'http://127.0.0.1:{http}/'}}\n\
             webserver: {{enabled: true, listen_address: 127.0.0.1, listen_port: {PORT}, \
             prometheus_metrics_enabled: true}}\n\
             metrics: {{enabled: true, interval: 1h, kernel_event_counters_enabled: true}}\n\
             load_plugins: [container]\nplugins:\n- name: container\n  library_path: libcontainer.so\n  \
             init_config: {{engines: {{cri: {{enabled: true, sockets: [{socket}]}}}}}}\n",
            rules = at("rules.yaml").display(),
            alerts = at("alerts").display(),
            program = at("program").display(),
            socket = socket.display(),
        );
        fs::write(at("falco.yaml"), settings)?;
        let log = at("log");
        let process = Command::new(bin)
            .args(["falco", "-c"])
            .arg(at("falco.yaml"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .with_context(|| bin.to_owned())?;
        let agent = Agent { process, log };
        let end = Instant::now() + Duration::from_secs(30);
        while !agent.log().contains("threads known") {
            ensure!(Instant::now() < end, "lanner doesn't watch: {}", agent.log());
            thread::sleep(Duration::from_millis(50));
        }
        Ok(agent)
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn signal(&self, signal: Signal) {
        // One that is gone is noticed when its memory is read.
        let _ = kill(Pid::from_raw(self.pid() as i32), signal);
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its memory at the moment.
    pub fn memory(&self) -> Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))
            .with_context(|| format!("lanner is gone: {}", self.log()))?;
        let of = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
            Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
        };
        Ok(Memory { own: of("RssAnon:")?, resident: of("VmRSS:")? })
    }

    /// Waits until all that happened is told.
    pub fn settle(&self) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            thread::sleep(Duration::from_secs(2));
            let waits = value(&self.metrics()?, "lanner_output_queue_alerts{output=\"http\"}");
            if waits == 0 {
                return Ok(());
            }
            ensure!(Instant::now() < end, "{waits} alerts still wait for the web server");
        }
    }

    /// The page of metrics.
    pub fn metrics(&self) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", PORT))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        Ok(page)
    }

    /// Ends it; its log.
    pub fn stop(&mut self) -> Result<String> {
        self.signal(Signal::SIGINT);
        let status = self.process.wait()?;
        ensure!(status.success(), "{status}: {}", self.log());
        Ok(self.log())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The sum of the samples that begin so.
pub fn value(metrics: &str, sample: &str) -> u64 {
    let values = metrics.lines().filter_map(|line| line.strip_prefix(sample)?.split_whitespace().next_back());
    values.filter_map(|value| value.parse::<f64>().ok()).sum::<f64>() as u64
}
