//! CloudTrail logs from S3 and SQS as moto plays them: an implementation that knows nothing of lanner's.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::{Compression, write::GzEncoder};
use lanner_plugin::{BuiltIn, EventSource, Given, Reporting, Settings, SourceStats};

/// More objects than one page of a listing holds.
const OBJECTS: usize = 1_100;
/// More messages than one answer holds.
const MESSAGES: usize = 25;

struct Moto {
    server: Child,
    python: PathBuf,
    endpoint: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Moto {
    /// Nothing where its Python package is missing.
    fn start() -> Option<Moto> {
        // Where scripts/setup.sh --test installs the packages.
        let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../python/bin/python3");
        let there = Command::new(&python).args(["-c", "import moto.server, boto3"]).output();
        if !there.is_ok_and(|out| out.status.success()) {
            println!("skipped: no Python package moto here (scripts/setup.sh --test installs it)");
            return None;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Command::new(&python)
            .args(["-m", "moto.server", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Moto { server, python, endpoint: format!("http://127.0.0.1:{port}") };
        let end = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "moto doesn't answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(moto)
    }

    fn call(&self, arguments: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/fill.py");
        let out =
            Command::new(&self.python).arg(script).arg(&self.endpoint).args(arguments).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn open(&self, place: &str, dir: &Path) -> Box<dyn EventSource> {
        let keys = dir.join("keys");
        std::fs::write(&keys, "[default]\naws_access_key_id=KEY\naws_secret_access_key=SECRET\n").unwrap();
        let init_config = format!(
            r#"{{"aws": {{"region": "us-east-1", "credentials": "{}", "endpoint": "{1}", "sqs_endpoint": "{1}"}}}}"#,
            keys.display(),
            self.endpoint
        );
        let settings = Settings {
            name: "cloudtrail".into(),
            init_config,
            open_params: place.into(),
            ..Settings::default()
        };
        let reporting = Reporting::new(Arc::new(SourceStats::default()), Arc::new(|_| {}));
        BuiltIn::named("cloudtrail").unwrap().open(&settings, reporting).unwrap()
    }
}

fn give(source: &mut dyn EventSource, count: &mut usize) -> Given {
    source.give(Duration::from_millis(50), &mut |_: &lanner_event::Event<'_>| *count += 1).unwrap()
}

#[test]
fn a_trail_is_read_from_a_bucket_and_by_a_queue() {
    let Some(moto) = Moto::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log.json.gz");
    let mut packed = GzEncoder::new(std::fs::File::create(&file).unwrap(), Compression::fast());
    packed
        .write_all(
            br#"{"Records":[{"eventID":"1","eventTime":"2026-01-31T00:00:00Z","eventType":"AwsApiCall"}]}"#,
        )
        .unwrap();
    packed.finish().unwrap();
    let key = |n: usize| {
        format!(
            "AWSLogs/111111111111/CloudTrail/eu-west-1/2026/01/31/111111111111_CloudTrail_eu-west-1_20260131T0005Z_{n:05}.json.gz"
        )
    };
    let keys: Vec<String> = (0..OBJECTS).map(key).collect();
    let messages = MESSAGES.to_string();
    let mut arguments = vec!["fill", file.to_str().unwrap(), &messages];
    arguments.extend(keys.iter().map(String::as_str));
    moto.call(&arguments);

    let mut bucket = moto.open("s3://logs/AWSLogs/", dir.path());
    let mut count = 0;
    while give(&mut *bucket, &mut count) != Given::End {}
    assert_eq!(count, OBJECTS);

    let mut queue = moto.open("sqs://trail", dir.path());
    let (mut count, end) = (0, Instant::now() + Duration::from_secs(120));
    while count < MESSAGES && Instant::now() < end {
        give(&mut *queue, &mut count);
    }
    // A message goes with the call after the one that gave its events.
    give(&mut *queue, &mut count);
    assert_eq!((count, moto.call(&["left"]).trim()), (MESSAGES, "0"));
}
