//! How AWS, or what speaks like it, is reached.

use std::time::Duration;

use object_store::RetryConfig;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use serde::Deserialize;
use tokio::runtime::Runtime;

use super::profile::Profile;
use crate::source::SourceError;

/// `init_config.aws`. Keys that it doesn't give come from the environment, a profile, or the machine's own role.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AwsConfig {
    profile: String,
    region: String,
    config: String,
    credentials: String,
    /// Where S3 is, if that isn't Amazon's.
    endpoint: String,
    /// Where SQS is, if that isn't Amazon's.
    sqs_endpoint: String,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl AwsConfig {
    fn profile(&self) -> Profile {
        let said =
            Some(self.profile.clone()).filter(|name| !name.is_empty()).or_else(|| variable("AWS_PROFILE"));
        Profile::load(said.as_deref().unwrap_or("default"), &self.credentials, &self.config)
    }

    pub(super) fn region(&self) -> String {
        let said = Some(self.region.clone()).filter(|name| !name.is_empty());
        let said = said.or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
        said.or_else(|| self.profile().region).unwrap_or_else(|| "us-east-1".to_owned())
    }

    /// Where SQS is.
    pub(super) fn sqs(&self) -> String {
        let said = Some(self.sqs_endpoint.clone()).filter(|name| !name.is_empty());
        let said = said.or_else(|| variable("AWS_ENDPOINT_URL_SQS"));
        said.unwrap_or_else(|| format!("https://sqs.{}.amazonaws.com", self.region()))
    }

    /// A bucket.
    pub(super) fn bucket(&self, name: &str) -> Result<AmazonS3, SourceError> {
        // The client's TLS takes the process' way of ciphering; another that is set already will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let retry =
            RetryConfig { max_retries: 4, retry_timeout: Duration::from_secs(30), ..RetryConfig::default() };
        let mut builder =
            AmazonS3Builder::from_env().with_bucket_name(name).with_region(self.region()).with_retry(retry);
        let profile = self.profile();
        let from_env = builder.get_config_value(&AmazonS3ConfigKey::AccessKeyId).is_some();
        if let (Some(id), Some(secret), true) =
            (profile.key_id, profile.secret_key, !from_env || !self.profile.is_empty())
        {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret);
            if let Some(token) = profile.token {
                builder = builder.with_token(token);
            }
        }
        if !self.endpoint.is_empty() {
            let plain = self.endpoint.starts_with("http://");
            builder = builder.with_endpoint(&self.endpoint).with_allow_http(plain);
        }
        builder.build().map_err(|error| SourceError::Settings(format!("cloudtrail: {error}")))
    }
}

/// What runs the requests of a source.
pub(super) fn runtime() -> Result<Runtime, SourceError> {
    let failed = |cause| SourceError::System { what: "cloudtrail".to_owned(), cause };
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)
}
