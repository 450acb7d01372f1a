//! Log files that messages in an SQS queue tell of, from CloudTrail or from S3, by way of SNS or directly.

use std::collections::HashMap;
use std::time::Duration;

use hyper::Request;
use lanner_fields::json::{Json, Tape};
use object_store::ClientOptions;
use object_store::aws::{AmazonS3, AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpConnector, HttpRequestBody, ReqwestConnector};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::files::Store;
use super::{TrailConfig, aws, s3};
use crate::source::SourceError;

/// How long a request waits for messages, in seconds.
const WAIT: u32 = 10;
/// Messages that are taken at a time.
const TOGETHER: u32 = 10;

/// Speaks with the queue.
#[derive(Clone)]
struct Client {
    http: HttpClient,
    keys: AwsCredentialProvider,
    endpoint: String,
    region: String,
}

impl Client {
    async fn call(&self, action: &str, body: &Value) -> Result<Value, String> {
        let request = Request::builder()
            .method("POST")
            .uri(&self.endpoint)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AmazonSQS.{action}"))
            .body(HttpRequestBody::from(body.to_string()));
        let mut request = request.map_err(|error| error.to_string())?;
        let keys = self.keys.get_credential().await.map_err(|error| error.to_string())?;
        AwsAuthorizer::new(&keys, "sqs", &self.region)
            .try_authorize(&mut request, None)
            .map_err(|error| error.to_string())?;
        let response = self.http.execute(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let bytes = response.into_body().bytes().await.map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        Err(format!("{action}: {status} {} {}", text("__type"), text("message")))
    }
}

/// A message whose files are not all read.
struct Message {
    receipt: String,
    left: Vec<String>,
}

/// A queue.
pub(super) struct Queue {
    runtime: Runtime,
    client: Client,
    url: String,
    config: TrailConfig,
    asked: Option<JoinHandle<Result<Value, String>>>,
    messages: Vec<Message>,
    buckets: HashMap<String, AmazonS3>,
}

impl Queue {
    pub(super) fn open(name: &str, config: &TrailConfig) -> Result<Queue, SourceError> {
        let failed = |error: String| SourceError::Failed(format!("cloudtrail: {error}"));
        let runtime = aws::runtime()?;
        // Only its keys are used, which are the same for every bucket.
        let keys = config.aws.bucket("none")?.credentials().clone();
        let endpoint = config.aws.sqs();
        let options = ClientOptions::new()
            .with_allow_http(endpoint.starts_with("http://"))
            .with_timeout(Duration::from_secs(30 + u64::from(WAIT)));
        let http =
            ReqwestConnector::default().connect(&options).map_err(|error| failed(error.to_string()))?;
        let client = Client { http, keys, endpoint, region: config.aws.region() };
        let mut ask = json!({ "QueueName": name });
        if !config.sqs_owner_account.is_empty() {
            ask["QueueOwnerAWSAccountId"] = config.sqs_owner_account.as_str().into();
        }
        let answer = runtime.block_on(client.call("GetQueueUrl", &ask)).map_err(failed)?;
        let url =
            answer["QueueUrl"].as_str().ok_or_else(|| failed("GetQueueUrl: no URL in the answer".into()))?;
        let (url, config) = (url.to_owned(), config.clone());
        Ok(Queue { runtime, client, url, config, asked: None, messages: Vec::new(), buckets: HashMap::new() })
    }

    /// What the queue answers, if it does so in time.
    fn receive(&mut self, patience: Duration) -> Option<Result<Value, String>> {
        let (client, url) = (self.client.clone(), self.url.clone());
        let mut asked = self.asked.take().unwrap_or_else(|| {
            let ask = json!({ "QueueUrl": url, "MaxNumberOfMessages": TOGETHER, "WaitTimeSeconds": WAIT });
            self.runtime.spawn(async move { client.call("ReceiveMessage", &ask).await })
        });
        let waited = self.runtime.block_on(async { tokio::time::timeout(patience, &mut asked).await });
        match waited {
            Ok(answer) => Some(answer.unwrap_or_else(|error| Err(error.to_string()))),
            Err(_) => {
                self.asked = Some(asked);
                None
            }
        }
    }

    fn delete(&mut self, receipt: &str) -> Result<(), SourceError> {
        let ask = json!({ "QueueUrl": self.url, "ReceiptHandle": receipt });
        let deleted = self.runtime.block_on(self.client.call("DeleteMessage", &ask));
        deleted.map(drop).map_err(|error| SourceError::Failed(format!("cloudtrail: {error}")))
    }
}

/// The files that a message tells of, as `BUCKET/KEY`.
fn files_of(body: &[u8], from_s3: bool) -> Result<Vec<String>, String> {
    let mut tape = Tape::new();
    tape.read(body).map_err(|error| error.to_string())?;
    let root = tape.root(body).ok_or("it is empty")?;
    if root.get("Records").is_some() {
        return Ok(of_s3(root));
    }
    if root.get("Type").and_then(|kind| kind.to_text()).as_deref() != Some(b"Notification") {
        return Err("received SQS message that was not a SNS Notification".to_owned());
    }
    let message = root.get("Message").and_then(|message| message.to_text()).ok_or("it has no Message")?;
    let mut tape = Tape::new();
    tape.read(&message).map_err(|error| error.to_string())?;
    let told = tape.root(&message).ok_or("its Message is empty")?;
    if from_s3 || told.get("Records").is_some() {
        return Ok(of_s3(told));
    }
    let bucket = text(told.get("s3Bucket")).ok_or("its Message has no s3Bucket")?;
    let keys = told.get("s3ObjectKey").ok_or("its Message has no s3ObjectKey")?;
    Ok(keys.items().filter_map(|key| text(Some(key))).map(|key| format!("{bucket}/{key}")).collect())
}

fn text(value: Option<Json<'_>>) -> Option<String> {
    String::from_utf8(value?.to_text()?).ok()
}

/// What S3 itself tells; its keys are escaped as in addresses.
fn of_s3(root: Json<'_>) -> Vec<String> {
    let Some(records) = root.get("Records") else { return Vec::new() };
    let file = |record: Json<'_>| {
        let bucket = text(record.at_path(&["s3", "bucket", "name"]))?;
        let key = text(record.at_path(&["s3", "object", "key"]))?;
        Some(format!("{bucket}/{}", unescaped(&key)?))
    };
    records.items().filter_map(file).collect()
}

fn unescaped(key: &str) -> Option<String> {
    let mut out = Vec::with_capacity(key.len());
    let mut bytes = key.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || (bytes.next()? as char).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

impl Store for Queue {
    fn more(&mut self, patience: Duration) -> Result<Option<Vec<String>>, SourceError> {
        let failed = |error: String| SourceError::Failed(format!("cloudtrail: {error}"));
        let Some(answer) = self.receive(patience) else { return Ok(Some(Vec::new())) };
        let answer = answer.map_err(failed)?;
        let mut files = Vec::new();
        for message in answer["Messages"].as_array().into_iter().flatten() {
            let body = message["Body"].as_str().unwrap_or_default();
            let left = files_of(body.as_bytes(), self.config.use_s3_sns).map_err(failed)?;
            files.extend(left.iter().cloned());
            let receipt = message["ReceiptHandle"].as_str().unwrap_or_default().to_owned();
            if left.is_empty() && self.config.sqs_delete {
                self.delete(&receipt)?;
            } else {
                self.messages.push(Message { receipt, left });
            }
        }
        Ok(Some(files))
    }

    fn fetch(&mut self, names: &[String]) -> Vec<Result<Vec<u8>, String>> {
        let limit = self.config.max_file_size;
        let mut fetches = Vec::new();
        for name in names {
            let (bucket, key) = name.split_once('/').unwrap_or((name, ""));
            let store = match self.buckets.get(bucket) {
                Some(store) => Ok(store.clone()),
                None => self.config.aws.bucket(bucket).map_err(|error| error.to_string()),
            };
            if let Ok(store) = &store {
                self.buckets.insert(bucket.to_owned(), store.clone());
            }
            let key = key.to_owned();
            fetches.push(async move { s3::get(store?, key, limit).await });
        }
        s3::side_by_side(&self.runtime, fetches)
    }

    fn read(&mut self, name: &str) -> Result<(), SourceError> {
        for message in &mut self.messages {
            message.left.retain(|left| left != name);
        }
        let (done, left) = std::mem::take(&mut self.messages).into_iter().partition(|m| m.left.is_empty());
        self.messages = left;
        let done: Vec<Message> = done;
        if self.config.sqs_delete {
            done.iter().try_for_each(|message| self.delete(&message.receipt))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_tell_of_files_in_three_ways() {
        let files = |body: &str| files_of(body.as_bytes(), false);
        let trail =
            r#"{"Type":"Notification","Message":"{\"s3Bucket\":\"b\",\"s3ObjectKey\":[\"k/1\",\"k/2\"]}"}"#;
        assert_eq!(files(trail).unwrap(), ["b/k/1", "b/k/2"]);
        let s3 = r#"{"Records":[{"s3":{"bucket":{"name":"b"},"object":{"key":"a+b%2Fc.json"}}},{}]}"#;
        assert_eq!(files(s3).unwrap(), ["b/a b/c.json"]);
        let both = format!(r#"{{"Type":"Notification","Message":{}}}"#, json!(s3));
        assert_eq!(files(&both).unwrap(), ["b/a b/c.json"]);
        assert!(files(r#"{"Type":"Other"}"#).unwrap_err().contains("not a SNS Notification"));
        assert!(files("{").is_err());
    }
}
