//! CloudTrail logs from folders, and from a server that speaks as S3 and SQS do.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flate2::{Compression, write::GzEncoder};
use lanner_plugin::{BuiltIn, EventSource, Given, Refusal, Reporting, Settings, SourceStats};

fn entry(id: &str) -> String {
    format!(r#"{{"eventID":"{id}","eventTime":"2026-01-31T00:00:00Z","eventType":"AwsApiCall"}}"#)
}

fn records(ids: impl IntoIterator<Item = String>) -> Vec<u8> {
    let entries: Vec<String> = ids.into_iter().map(|id| entry(&id)).collect();
    format!(r#"{{"Records":[{}]}}"#, entries.join(",")).into_bytes()
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(text).unwrap();
    out.finish().unwrap()
}

fn open(params: &str, init_config: &str) -> Result<(Box<dyn EventSource>, Arc<SourceStats>), String> {
    let settings = Settings {
        name: "cloudtrail".into(),
        init_config: init_config.into(),
        open_params: params.into(),
        ..Settings::default()
    };
    let stats = Arc::new(SourceStats::default());
    let reporting = Reporting::new(Arc::clone(&stats), Arc::new(|_| {}));
    let source = BuiltIn::named("cloudtrail").unwrap().open(&settings, reporting);
    source.map(|source| (source, stats)).map_err(|error| error.to_string())
}

/// The ids of the entries of one call.
fn some(source: &mut dyn EventSource, ids: &mut Vec<String>) -> Given {
    let mut take = |event: &lanner_event::Event<'_>| {
        let text = String::from_utf8(event.param(1).unwrap().to_vec()).unwrap();
        ids.push(text.split("\"eventID\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned());
    };
    source.give(Duration::from_millis(50), &mut take).unwrap()
}

fn all(source: &mut dyn EventSource) -> Vec<String> {
    let mut ids = Vec::new();
    while some(source, &mut ids) != Given::End {}
    ids
}

#[test]
fn folders_are_read_with_all_below_them() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    write("b/2.json.gz", &packed(&records(["3".into()])));
    write("a/1.json", &records(["1".into(), "2".into()]));
    write("c/broken.json.gz", b"no gzip");
    write("c/notes.txt", b"nothing");
    let path = dir.path().display().to_string();
    let (mut source, stats) = open(&path, "").unwrap();
    assert_eq!(all(&mut *source), ["1", "2", "3"]);
    assert_eq!((stats.taken(), stats.refused(Refusal::Malformed)), (3, 1));
    assert!(open("/nowhere", "").err().unwrap().starts_with("/nowhere: "));
    assert!(open("", "").err().unwrap().contains("missing input directory"));
    assert!(
        open(&dir.path().join("c/notes.txt").display().to_string(), "")
            .err()
            .unwrap()
            .contains("no json files")
    );
}

#[test]
fn a_file_that_unpacks_to_too_much_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("1.json.gz"), packed(&vec![b' '; 1 << 20])).unwrap();
    let (mut source, stats) = open(&dir.path().display().to_string(), r#"{"maxFileSize": 1000}"#).unwrap();
    assert!(all(&mut *source).is_empty());
    assert_eq!(stats.refused(Refusal::Malformed), 1);
}

#[test]
fn a_run_goes_on_where_the_one_before_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    std::fs::write(logs.join("1.json"), records((0..300).map(|n| n.to_string()))).unwrap();
    std::fs::write(logs.join("2.json"), records((300..700).map(|n| n.to_string()))).unwrap();
    let config = format!(r#"{{"resumeFile": "{}"}}"#, dir.path().join("journal").display());
    let mut ids = Vec::new();
    for _ in 0..4 {
        let (mut source, _) = open(&logs.display().to_string(), &config).unwrap();
        some(&mut *source, &mut ids);
    }
    assert_eq!(ids, (0..700).map(|n| n.to_string()).collect::<Vec<_>>());
    let (mut source, _) = open(&logs.display().to_string(), &config).unwrap();
    assert!(all(&mut *source).is_empty(), "all was read");
}

/// What the server has: objects by bucket and key, and messages by receipt.
#[derive(Default)]
struct Shelf {
    objects: BTreeMap<String, Vec<u8>>,
    messages: BTreeMap<String, String>,
    /// Requests without a signature.
    unsigned: usize,
    /// Where listings began.
    offsets: Vec<String>,
    /// How often the next fetch fails.
    failures: usize,
}

type Shared = Arc<Mutex<Shelf>>;

fn serve(shelf: &Shared) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let shelf = Arc::clone(shelf);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, shelf) = (stream.unwrap(), Arc::clone(&shelf));
            std::thread::spawn(move || while answer(&stream, &shelf).is_some() {});
        }
    });
    format!("http://{address}")
}

/// Reads a request and answers it; `None` when the connection has ended.
fn answer(mut stream: &TcpStream, shelf: &Shared) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&length| length > 0)?;
    let target = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut shelf = shelf.lock().unwrap();
    let signed =
        headers.get("authorization").is_some_and(|how| how.starts_with("AWS4-HMAC-SHA256 Credential=KEY/"));
    shelf.unsigned += usize::from(!signed);
    let (status, bytes) = match headers.get("x-amz-target") {
        Some(action) => (200, queue(action, &String::from_utf8(body).unwrap(), &mut shelf).into_bytes()),
        None => bucket(&target, &mut shelf),
    };
    let head = format!(
        "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nLast-Modified: Sat, 31 Jan 2026 00:00:00 GMT\r\nETag: \"e\"\r\n\r\n",
        bytes.len()
    );
    stream.write_all(&[head.as_bytes(), &bytes].concat()).ok()
}

fn parameter(target: &str, name: &str) -> Option<String> {
    let query = target.split_once('?')?.1;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")))?;
    Some(value.replace("%2F", "/").replace("%3D", "="))
}

fn bucket(target: &str, shelf: &mut Shelf) -> (u16, Vec<u8>) {
    if target.contains("list-type=2") {
        return (200, listing(target, shelf).into_bytes());
    }
    if shelf.failures > 0 {
        shelf.failures -= 1;
        return (404, Vec::new());
    }
    let name = target.trim_start_matches('/').split('?').next().unwrap();
    match shelf.objects.get(name) {
        Some(bytes) => (200, bytes.clone()),
        None => (404, Vec::new()),
    }
}

fn listing(target: &str, shelf: &mut Shelf) -> String {
    let bucket = target.trim_start_matches('/').split('?').next().unwrap().trim_end_matches('/').to_owned();
    let prefix = parameter(target, "prefix").unwrap_or_default();
    let after = parameter(target, "start-after").unwrap_or_default();
    let delimited = parameter(target, "delimiter").is_some();
    shelf.offsets.push(after.clone());
    let (mut contents, mut folders) = (String::new(), std::collections::BTreeSet::new());
    for name in shelf.objects.keys() {
        let Some(key) = name.strip_prefix(&format!("{bucket}/")) else { continue };
        let Some(rest) = key.strip_prefix(&prefix).filter(|_| *key > *after) else { continue };
        match rest.split_once('/').filter(|_| delimited) {
            Some((folder, _)) => {
                folders.insert(format!("{prefix}{folder}/"));
            }
            None => contents.push_str(&format!(
                "<Contents><Key>{key}</Key><LastModified>2026-01-31T00:00:00.000Z</LastModified><ETag>e</ETag><Size>9</Size></Contents>"
            )),
        }
    }
    let folders: String = folders
        .iter()
        .map(|folder| format!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>"))
        .collect();
    format!("<ListBucketResult>{contents}{folders}<IsTruncated>false</IsTruncated></ListBucketResult>")
}

fn queue(action: &str, body: &str, shelf: &mut Shelf) -> String {
    match action {
        "AmazonSQS.GetQueueUrl" => {
            assert!(body.contains("\"trail\"") && body.contains("\"123456789012\""), "{body}");
            r#"{"QueueUrl":"http://queue/1/trail"}"#.to_owned()
        }
        "AmazonSQS.ReceiveMessage" => {
            let message = |(receipt, body): (&String, &String)| serde_json::json!({ "ReceiptHandle": receipt, "Body": body });
            let messages: Vec<_> = shelf.messages.iter().map(message).collect();
            serde_json::json!({ "Messages": messages }).to_string()
        }
        "AmazonSQS.DeleteMessage" => {
            shelf.messages.retain(|receipt, _| !body.contains(&format!("\"{receipt}\"")));
            "{}".to_owned()
        }
        other => panic!("{other}"),
    }
}

/// Settings for the server, with keys in a file.
fn config(endpoint: &str, dir: &Path, more: &str) -> String {
    let keys = dir.join("keys");
    std::fs::write(&keys, "[test]\naws_access_key_id=KEY\naws_secret_access_key=SECRET\n").unwrap();
    format!(
        r#"{{"aws": {{"profile": "test", "region": "us-east-1", "credentials": "{}", "endpoint": "{endpoint}", "sqs_endpoint": "{endpoint}"}}{more}}}"#,
        keys.display()
    )
}

fn key(account: &str, region: &str, day: &str, id: &str) -> String {
    let date = day.replace('/', "");
    format!(
        "logs/x/AWSLogs/{account}/CloudTrail/{region}/{day}/{account}_CloudTrail_{region}_{date}T0005Z_{id}.json.gz"
    )
}

fn shelf() -> Shelf {
    let mut shelf = Shelf::default();
    let mut put = |account: &str, region: &str, day: &str, id: &str| {
        shelf.objects.insert(key(account, region, day, id), packed(&records([id.to_owned()])));
    };
    put("111111111111", "eu-west-1", "2026/01/30", "old");
    put("111111111111", "eu-west-1", "2026/01/31", "new");
    put("111111111111", "us-east-1", "2026/01/31", "other-region");
    put("222222222222", "eu-west-1", "2026/01/31", "other-account");
    shelf.objects.insert("logs/x/AWSLogs/notes.txt".into(), Vec::new());
    shelf
}

#[test]
fn a_bucket_is_read_by_prefix_account_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let shared: Shared = Arc::new(Mutex::new(shelf()));
    let endpoint = serve(&shared);
    let read = |place: &str, more: &str| {
        let (mut source, _) = open(place, &config(&endpoint, dir.path(), more)).unwrap();
        let mut ids = all(&mut *source);
        ids.sort();
        ids
    };
    assert_eq!(read("s3://logs", ""), ["new", "old", "other-account", "other-region"]);
    assert_eq!(read("s3://logs/x/AWSLogs/1", ""), ["new", "old", "other-region"]);
    assert_eq!(read("s3://logs/x/AWSLogs/", r#","s3AccountList": "222222222222""#), ["other-account"]);
    let since = r#","s3Interval": "2026-01-31T00:00:00Z""#;
    assert_eq!(read("s3://logs/x/AWSLogs/", since), ["new", "other-account", "other-region"]);
    let shelf = shared.lock().unwrap();
    assert_eq!(shelf.unsigned, 0);
    assert!(
        shelf.offsets.iter().any(|offset| offset.ends_with("111111111111/CloudTrail/eu-west-1/2026/01/31"))
    );
}

#[test]
fn a_file_that_cannot_be_had_at_once_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let shared: Shared = Arc::new(Mutex::new(shelf()));
    let endpoint = serve(&shared);
    let (mut source, stats) = open("s3://logs", &config(&endpoint, dir.path(), "")).unwrap();
    shared.lock().unwrap().failures = 2;
    assert_eq!(all(&mut *source).len(), 4);
    assert_eq!(stats.refused(Refusal::Malformed), 2);
}

#[test]
fn messages_are_taken_out_of_the_queue_once_their_files_were_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut shelf = shelf();
    let told = [
        key("111111111111", "eu-west-1", "2026/01/31", "new"),
        key("222222222222", "eu-west-1", "2026/01/31", "other-account"),
    ];
    let keys: Vec<&str> = told.iter().map(|name| name.strip_prefix("logs/").unwrap()).collect();
    let message = serde_json::json!({ "s3Bucket": "logs", "s3ObjectKey": keys }).to_string();
    shelf
        .messages
        .insert("r1".into(), serde_json::json!({ "Type": "Notification", "Message": message }).to_string());
    let shared: Shared = Arc::new(Mutex::new(shelf));
    let endpoint = serve(&shared);
    let config = config(&endpoint, dir.path(), r#","sqsOwnerAccount": "123456789012""#);
    let (mut source, _) = open("sqs://trail", &config).unwrap();
    let mut ids = Vec::new();
    let end = Instant::now() + Duration::from_secs(20);
    while ids.len() < 2 && Instant::now() < end {
        assert!(ids.len() == 2 || !shared.lock().unwrap().messages.is_empty());
        some(&mut *source, &mut ids);
    }
    ids.sort();
    assert_eq!(ids, ["new", "other-account"]);
    let shelf = shared.lock().unwrap();
    assert!(shelf.messages.is_empty() && shelf.unsigned == 0);
}
