//! Fields of CloudTrail entries that are more than one place in them.

use super::payload;
use crate::field::Arg;
use crate::json::{Json, Kind};
use crate::scratch::Buffer;
use crate::table::AwsCloudtrail;
use crate::{Context, Scratch, Value};

pub(crate) fn extract<'a>(id: AwsCloudtrail, arg: &Arg, cx: &Context<'a>) -> Option<Value<'a>> {
    let entry = Entry { root: payload::root(cx)?, scratch: cx.scratch };
    let text = |text: Option<&'a [u8]>| text.map(Value::Text);
    match id {
        AwsCloudtrail::CtShortsrc => text(entry.short_source()),
        AwsCloudtrail::CtUser => text(entry.user()),
        AwsCloudtrail::CtOriginaluser => text(entry.original_user()),
        AwsCloudtrail::CtUserAccountid => {
            text(entry.text(&["userIdentity", "accountId"]).or_else(|| entry.text(&["recipientAccountId"])))
        }
        AwsCloudtrail::CtInfo => text(Some(entry.info())),
        AwsCloudtrail::CtResources => text(entry.resources()),
        AwsCloudtrail::S3Uri => text(entry.uri()),
        AwsCloudtrail::S3Bytes => entry.bytes().map(Value::Unsigned),
        AwsCloudtrail::S3CntGet => entry.counts(|name| name == b"GetObject"),
        AwsCloudtrail::S3CntPut => entry.counts(|name| name == b"PutObject"),
        AwsCloudtrail::S3CntOther => entry.counts(|name| !matches!(name, b"GetObject" | b"PutObject")),
        AwsCloudtrail::Ec2Name => text(entry.instance_name()),
        AwsCloudtrail::Ec2Imageid => entry.images(Some(0))?.first().copied(),
        AwsCloudtrail::Ec2Imageids => {
            let index = match arg {
                Arg::Index(index) => Some(usize::try_from(*index).ok()?),
                _ => None,
            };
            payload::list(entry.images(index)?)
        }
    }
}

/// What `evt.plugininfo` says of an entry.
pub(crate) fn summary<'a>(cx: &Context<'a>) -> Option<&'a [u8]> {
    let entry = Entry { root: payload::root(cx)?, scratch: cx.scratch };
    let source = entry.short_source()?;
    let (region, name) = (entry.text(&["awsRegion"])?, entry.text(&["eventName"])?);
    let user = entry.user().filter(|user| !user.is_empty());
    let space: &[u8] = if user.is_some() { b" " } else { b"" };
    let info = entry.info();
    let user = user.unwrap_or_default();
    Some(cx.scratch.concat(&[region, space, user, b" ", source, b" ", name, b" ", info]))
}

#[derive(Clone, Copy)]
struct Entry<'a> {
    root: Json<'a>,
    scratch: &'a Scratch,
}

impl<'a> Entry<'a> {
    /// A text at a path; empty for anything else that is there.
    fn text(&self, path: &[&str]) -> Option<&'a [u8]> {
        Some(self.root.at_path(path)?.as_text(self.scratch).unwrap_or_default())
    }

    fn short_source(&self) -> Option<&'a [u8]> {
        let source = self.text(&["eventSource"])?;
        Some(source.strip_suffix(b".amazonaws.com").filter(|name| !name.is_empty()).unwrap_or(source))
    }

    fn user(&self) -> Option<&'a [u8]> {
        match self.root.at_path(&["userIdentity", "type"])?.as_text(self.scratch)? {
            b"Root" | b"IAMUser" => self.text(&["userIdentity", "userName"]),
            b"AWSService" => self.text(&["userIdentity", "invokedBy"]),
            b"AssumedRole" => Some(
                self.text(&["userIdentity", "sessionContext", "sessionIssuer", "userName"])
                    .unwrap_or(b"AssumedRole"),
            ),
            known @ (b"AWSAccount" | b"FederatedUser") => Some(known),
            _ => None,
        }
    }

    /// The name of the session that assumed a role, else the user's.
    fn original_user(&self) -> Option<&'a [u8]> {
        if self.text(&["userIdentity", "type"]) != Some(b"AssumedRole") {
            return self.text(&["userIdentity", "userName"]);
        }
        let last = |path: &[&str], separator: u8, count: usize| {
            let text = self.text(path)?;
            let mut parts = text.split(|&byte| byte == separator);
            if parts.clone().count() == count { parts.next_back() } else { None }
        };
        last(&["userIdentity", "arn"], b'/', 3).or_else(|| last(&["userIdentity", "principalId"], b':', 2))
    }

    fn resources(&self) -> Option<&'a [u8]> {
        let resources = self.root.get("resources")?;
        resources.items().next()?;
        Some(self.scratch.built(|out| {
            for (nth, resource) in resources.items().enumerate() {
                if nth > 0 {
                    out.push(b',');
                }
                resource.write(out);
            }
        }))
    }

    fn uri(&self) -> Option<&'a [u8]> {
        let part = |key| self.root.at_path(&["requestParameters", key])?.as_text(self.scratch);
        Some(self.scratch.concat(&[b"s3://", part("bucketName")?, b"/", part("key")?]))
    }

    /// Bytes moved either way.
    fn bytes(&self) -> Option<u64> {
        let moved = |key| self.root.at_path(&["additionalEventData", key]).map(payload::number);
        match (moved("bytesTransferredIn"), moved("bytesTransferredOut")) {
            (None, None) => None,
            (taken_in, out) => Some(taken_in.unwrap_or(0).saturating_add(out.unwrap_or(0))),
        }
    }

    fn counts(&self, is_it: impl Fn(&[u8]) -> bool) -> Option<Value<'a>> {
        is_it(self.text(&["eventName"]).unwrap_or_default()).then_some(Value::Unsigned(1))
    }

    /// The value of the last instance's tag `Name`.
    fn instance_name(&self) -> Option<&'a [u8]> {
        let items = self.root.at_path(&["requestParameters", "tagSpecificationSet", "items"])?.items();
        let text = |value: Json<'a>, key| value.get(key).and_then(|v| v.as_text(self.scratch));
        let instances = items.filter(|item| text(*item, "resourceType") == Some(b"instance"));
        let name = |item: Json<'a>| {
            let mut tags = item.get("tags")?.items();
            text(tags.find(|tag| text(*tag, "key") == Some(b"Name"))?, "value")
        };
        instances.filter_map(name).last().filter(|name| !name.is_empty())
    }

    /// Images of the instances that came of the request, else of those that it asks for.
    fn images(&self, index: Option<usize>) -> Option<Buffer<'a, Value<'a>>> {
        const ASKED: [&[&str]; 3] = [
            &["requestParameters", "imageId"],
            &["requestParameters", "DescribeFastLaunchImagesRequest", "ImageId", "content"],
            &["requestParameters", "launchSpecification", "imageId"],
        ];
        let mut images = self.scratch.value_buffer();
        if let Some(instances) = self.root.at_path(&["responseElements", "instancesSet", "items"]) {
            let image = |item: Json<'a>| item.get("imageId")?.as_text(self.scratch);
            match index {
                Some(index) => images.extend(instances.items().nth(index).and_then(image).map(Value::Text)),
                None => images.extend(instances.items().filter_map(image).map(Value::Text)),
            }
            return Some(images);
        }
        if index.is_none_or(|index| index == 0) {
            images.extend(ASKED.iter().find_map(|path| self.text(path)).map(Value::Text));
        }
        Some(images)
    }

    /// Who did what from where, and on what.
    fn info(&self) -> &'a [u8] {
        let Some(user) = self.user() else {
            return b"<invalid cloudtrail event: userIdentity field missing>";
        };
        let Some(from) = self.text(&["sourceIPAddress"]) else {
            return b"<invalid cloudtrail event: eventSource field missing>";
        };
        let Some(name) = self.text(&["eventName"]) else {
            return b"<invalid cloudtrail event: eventName field missing>";
        };
        let writes = self.root.get("readOnly").is_some_and(|value| value.kind() != Kind::True);
        let failed: &[u8] = if self.root.get("errorCode").is_some() { b"!" } else { b"" };
        let arrow = if writes { "→" } else { "←" }.as_bytes();
        let mut out = self.scratch.buffer();
        let mut add = |pieces: &[&[u8]]| pieces.iter().for_each(|piece| out.extend_from_slice(piece));
        add(&[user]);
        if user != from {
            add(&[b" via ", from]);
        }
        add(&[b" ", failed, arrow, b" ", name]);
        if name == b"PutBucketPublicAccessBlock" {
            let block = self.root.at_path(&["requestParameters", "PublicAccessBlockConfiguration"]);
            for key in ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"] {
                let Some(block) = block else { break };
                let holds = block.get(key).is_some_and(|value| value.kind() == Kind::True);
                add(&[b" ", key.as_bytes(), if holds { b"=true" } else { b"=false" }]);
            }
            return out.into_bump_slice();
        }
        if let Some(bytes) = self.bytes() {
            add(&[b" Size=", self.scratch.format(format_args!("{bytes}"))]);
        }
        let request = |key| self.text(&["requestParameters", key]);
        let object: [(&[u8], Option<&[u8]>); 4] = [
            (b" URI=", self.uri()),
            (b" Bucket=", request("bucketName")),
            (b" Key=", request("key")),
            (b" Host=", request("Host")),
        ];
        if let Some((label, Some(value))) = object.into_iter().find(|(_, value)| value.is_some()) {
            add(&[label, value]);
        }
        out.into_bump_slice()
    }
}
