//! Who a container is: names, image, pod, labels and mounts for the ids that cgroups give. The runtimes are
//! asked on a thread of their own, so that the event path never waits for one: what is on disk first (the
//! OCI bundle, which exists before the first process), then what runtimes tell by themselves, asking last.
//!
//! This crate must not know rules, events or outputs. It fills [`lanner_machine::Container`] and nothing else.

mod bundle;
mod cgroups;
mod client;
mod config;
mod desk;
mod early;
mod image;
mod init_config;
mod keeper;
mod kubernetes;
mod labels;
mod request;
mod resolver;
mod runtimes;
mod socket;
mod sockets;
mod time;
mod told;
mod watcher;

pub use bundle::state::{BareContainer, bare_containers};
pub use cgroups::CgroupNews;
pub use config::Config;
pub use init_config::InitConfigError;
pub use kubernetes::KubernetesConfig;
pub use request::Request;
pub use resolver::{Resolver, ResolverError};
pub use runtimes::{RuntimeFound, RuntimeState};
pub use told::{from_event, to_event};
