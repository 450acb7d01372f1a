//! CloudTrail logs: files of entries in a folder, in an S3 bucket, or told of by an SQS queue.

mod aws;
mod files;
mod folder;
mod interval;
mod journal;
mod profile;
mod records;
mod s3;
mod sqs;

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::documents::Reporting;
use crate::source::{EventSource, SourceError};
pub(crate) use records::read as read_records;

use aws::AwsConfig;
use files::LogFiles;
use journal::Journal;

/// What `init_config` says. The first names are those of Falco's plugin.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TrailConfig {
    /// Files of a bucket that are fetched at a time.
    s3_download_concurrency: usize,
    /// Only files of this time: `start` or `start-end`, each a time or how long ago that is.
    s3_interval: String,
    /// Messages are taken out of the queue once their files were read.
    sqs_delete: bool,
    /// Messages come from S3 itself, not from CloudTrail.
    #[serde(rename = "useS3SNS")]
    use_s3_sns: bool,
    /// Only these accounts of an organization, with commas between.
    s3_account_list: String,
    /// The account that has the queue, if that isn't ours.
    sqs_owner_account: String,
    /// How AWS is reached.
    aws: AwsConfig,
    /// Where it is written down what was read, so that it isn't read again.
    resume_file: Option<PathBuf>,
    /// Bytes of a file, unpacked.
    max_file_size: u64,
    /// Look again for new files every so many seconds; 0: end when all are read.
    poll_interval: u64,
}

impl Default for TrailConfig {
    fn default() -> TrailConfig {
        TrailConfig {
            s3_download_concurrency: 32,
            s3_interval: String::new(),
            sqs_delete: true,
            use_s3_sns: false,
            s3_account_list: String::new(),
            sqs_owner_account: String::new(),
            aws: AwsConfig::default(),
            resume_file: None,
            max_file_size: 512 << 20,
            poll_interval: 0,
        }
    }
}

/// Opens what `open_params` name.
pub(crate) fn open(
    params: &str,
    plugin: u32,
    config: &TrailConfig,
    reporting: Reporting,
) -> Result<Box<dyn EventSource>, SourceError> {
    if config.s3_download_concurrency == 0 {
        return Err(SourceError::Settings("cloudtrail: s3DownloadConcurrency must be 1 or more".to_owned()));
    }
    let journal = match &config.resume_file {
        None => Journal::none(),
        Some(path) => Journal::open(path)?,
    };
    let params = params.trim();
    let store: Box<dyn files::Store> = match params.split_once("://") {
        Some(("s3", place)) => Box::new(s3::Bucket::open(place, config)?),
        Some(("sqs", queue)) => Box::new(sqs::Queue::open(queue, config)?),
        _ => Box::new(folder::Folder::open(Path::new(params))?),
    };
    Ok(Box::new(LogFiles::new(store, journal, config, plugin, reporting)))
}
