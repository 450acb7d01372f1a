//! Log files in an S3 bucket, in the layout that CloudTrail writes:
//! `PREFIX/AWSLogs/[ORGANIZATION/]ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/ACCOUNT_CloudTrail_REGION_TIME_ID.json.gz`.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::files::Store;
use super::folder::is_log;
use super::interval::Interval;
use super::{TrailConfig, aws};
use crate::source::SourceError;

/// Files that are delivered late are still found when they are not older than that.
const LATE: SignedDuration = SignedDuration::from_hours(48);

/// A bucket, or what is below a prefix in it.
pub(super) struct Bucket {
    runtime: Runtime,
    store: AmazonS3,
    prefix: String,
    interval: Interval,
    accounts: Vec<String>,
    limit: u64,
    /// Files of the last listing; `None` before the first.
    told: Option<HashSet<String>>,
}

impl Bucket {
    /// `place`: bucket and prefix, with a slash between.
    pub(super) fn open(place: &str, config: &TrailConfig) -> Result<Bucket, SourceError> {
        let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
        let interval =
            Interval::parse(&config.s3_interval, Timestamp::now()).map_err(SourceError::Settings)?;
        let accounts = accounts(&config.s3_account_list).map_err(SourceError::Settings)?;
        let (runtime, store) = (aws::runtime()?, config.aws.bucket(name)?);
        let (prefix, limit) = (prefix.to_owned(), config.max_file_size);
        let bucket = Bucket { runtime, store, prefix, interval, accounts, limit, told: None };
        // What can't be listed is told now rather than when events are asked for.
        let first = bucket.store.list(Some(&Path::from(bucket.folder())));
        bucket.runtime.block_on(async { { first }.try_next().await }).map_err(failed)?;
        Ok(bucket)
    }

    /// The prefix up to its last slash: listings go by whole names of folders.
    fn folder(&self) -> &str {
        self.prefix.rfind('/').map_or("", |at| &self.prefix[..at])
    }

    fn wants(&self, meta: &ObjectMeta, interval: &Interval) -> bool {
        let name = meta.location.as_ref();
        let of_account = |account: &String| name.contains(&format!("/{account}/CloudTrail/"));
        name.starts_with(&self.prefix)
            && is_log(name)
            && interval.has(name)
            && (self.accounts.is_empty() || self.accounts.iter().any(of_account))
    }

    async fn list(&self, interval: &Interval) -> object_store::Result<Vec<String>> {
        let mut names = Vec::new();
        for (folder, from) in self.folders(interval).await? {
            let listing = match &from {
                Some(from) => self.store.list_with_offset(Some(&folder), from),
                None => self.store.list(Some(&folder)),
            };
            let mut wanted: Vec<String> = listing
                .try_filter(|meta| std::future::ready(self.wants(meta, interval)))
                .map_ok(|meta| meta.location.to_string())
                .try_collect()
                .await?;
            names.append(&mut wanted);
        }
        Ok(names)
    }

    /// The folders to list, and the name after which that is worth it: a region's files are sorted by day.
    async fn folders(&self, interval: &Interval) -> object_store::Result<Vec<(Path, Option<Path>)>> {
        let whole = || vec![(Path::from(self.folder()), None)];
        let Some(day) = interval.first_day() else { return Ok(whole()) };
        let mut folders = Vec::new();
        let mut below = vec![Path::from(self.folder())];
        // The prefix may end anywhere between the bucket and a region: go down to the regions.
        for _ in 0..6 {
            let mut next = Vec::new();
            for folder in below {
                if folder.parts().any(|part| part.as_ref() == "CloudTrail") {
                    let regions = self.store.list_with_delimiter(Some(&folder)).await?.common_prefixes;
                    let days = |region: Path| {
                        let from = Path::from(format!("{region}/{day}"));
                        (region, Some(from))
                    };
                    folders.extend(regions.into_iter().map(days));
                } else {
                    next.extend(self.store.list_with_delimiter(Some(&folder)).await?.common_prefixes);
                }
            }
            below = next;
        }
        Ok(if folders.is_empty() { whole() } else { folders })
    }
}

fn failed(error: object_store::Error) -> SourceError {
    SourceError::Failed(format!("cloudtrail: {error}"))
}

/// Account numbers with commas between.
fn accounts(list: &str) -> Result<Vec<String>, String> {
    let accounts: Vec<String> =
        list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    let is_number = |name: &String| name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_digit());
    if accounts.iter().all(is_number) {
        Ok(accounts)
    } else {
        Err(format!("cloudtrail invalid account list: \"{list}\""))
    }
}

/// Fetches an object of a bucket, unless it is too large.
pub(super) async fn get(store: AmazonS3, key: String, limit: u64) -> Result<Vec<u8>, String> {
    let path = Path::parse(&key).map_err(|error| error.to_string())?;
    let found = store.get(&path).await.map_err(|error| error.to_string())?;
    if found.meta.size > limit {
        return Err(format!("it has more than {limit} bytes"));
    }
    found.bytes().await.map(|bytes| bytes.to_vec()).map_err(|error| error.to_string())
}

/// Runs fetches side by side; the answers come in the order of the fetches.
pub(super) fn side_by_side(
    runtime: &Runtime,
    fetches: Vec<impl Future<Output = Result<Vec<u8>, String>> + Send + 'static>,
) -> Vec<Result<Vec<u8>, String>> {
    let mut answers: Vec<Result<Vec<u8>, String>> =
        fetches.iter().map(|_| Err("the fetch has panicked".to_owned())).collect();
    runtime.block_on(async {
        let mut running = JoinSet::new();
        for (nth, fetch) in fetches.into_iter().enumerate() {
            running.spawn(async move { (nth, fetch.await) });
        }
        while let Some(done) = running.join_next().await {
            if let Ok((nth, answer)) = done {
                answers[nth] = answer;
            }
        }
    });
    answers
}

impl Store for Bucket {
    fn more(&mut self, _: Duration) -> Result<Option<Vec<String>>, SourceError> {
        let recent = Interval { start: Timestamp::now().checked_sub(LATE).ok(), end: self.interval.end };
        let interval = if self.told.is_none() { &self.interval } else { &recent };
        let names = self.runtime.block_on(self.list(interval)).map_err(failed)?;
        let before = self.told.take().unwrap_or_default();
        let new: Vec<String> = names.iter().filter(|name| !before.contains(*name)).cloned().collect();
        self.told = Some(names.into_iter().collect());
        Ok(Some(new).filter(|new| !new.is_empty()))
    }

    fn fetch(&mut self, names: &[String]) -> Vec<Result<Vec<u8>, String>> {
        let fetch = |name: &String| get(self.store.clone(), name.clone(), self.limit);
        side_by_side(&self.runtime, names.iter().map(fetch).collect())
    }

    fn read(&mut self, _: &str) -> Result<(), SourceError> {
        Ok(())
    }
}
