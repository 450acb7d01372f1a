//! What is asked while events come in: who containers are, which accounts they have, and what domain names stand
//! for.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lanner_container::{CgroupNews, Request, Resolver, ResolverError, RuntimeFound};
use lanner_machine::{Container, ContainerId, Machine};
use lanner_probe::{NewCgroups, Probe};

use crate::accounts::{AccountReader, Accounts};
use crate::domains::Domains;

/// Asks runtimes and reads account files, each on threads of their own, for a machine that finds containers.
pub struct Enrichment {
    resolver: Resolver,
    accounts: AccountReader,
    domains: Domains,
    host_root: PathBuf,
    /// Containers that the resolver had no room for.
    unasked: Vec<Request>,
}

impl Enrichment {
    /// Starts the threads. The configuration's root is the host's; the probe tells of new cgroups.
    ///
    /// # Errors
    /// When the system refuses them.
    pub fn start(config: lanner_container::Config, probe: &mut Probe) -> Result<Enrichment, ResolverError> {
        let host_root = config.host_root.clone();
        let resolver = Resolver::start_with(config, probe.new_cgroups().map(news).transpose()?)?;
        let accounts = AccountReader::start(host_root.clone()).map_err(ResolverError::from)?;
        Ok(Enrichment { resolver, accounts, domains: Domains::default(), host_root, unasked: Vec::new() })
    }

    /// Wants to know what these domain names stand for, from now on.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn want_domains(&mut self, names: BTreeSet<String>) -> io::Result<()> {
        self.domains.want(names)
    }

    /// Puts what was found out about domain names since the last call into the machine.
    pub fn tell_domains(&mut self, machine: &mut Machine) {
        self.domains.drain(&mut |(name, addresses)| machine.set_domain(&name, &addresses));
    }

    /// The runtimes found, as far as they answer within a time.
    pub fn runtimes_within(&self, patience: Duration) -> Vec<RuntimeFound> {
        self.resolver.runtimes_within(patience)
    }

    /// Asks about the containers that the machine has found since the last call, and says which these are. Never
    /// waits.
    pub fn ask(&mut self, machine: &mut Machine) -> Vec<ContainerId> {
        let now = Instant::now();
        let new = machine.new_containers();
        for found in &new {
            self.accounts.want(found.id.clone(), now);
            self.unasked.push(Request {
                id: found.id.to_string(),
                full_id: found.full_id.to_string(),
                runtime: found.runtime,
            });
        }
        let resolver = &self.resolver;
        self.unasked.retain(|request| !resolver.ask(request.clone()));
        // The users of a container are read through the root of one of its processes.
        let (machine, host_root) = (&*machine, &self.host_root);
        self.accounts.ask(now, |id| {
            let thread = machine.threads().find(|thread| thread.container == *id)?;
            Some(host_root.join(format!("proc/{}/root", thread.pid)))
        });
        new.into_iter().map(|found| found.id).collect()
    }

    /// Containers that the resolver had no room for, so that they are still to be asked about.
    pub fn unasked(&self) -> usize {
        self.unasked.len()
    }

    /// Hands over the answers since the last call.
    pub fn drain(&mut self, on_container: &mut dyn FnMut(Container), on_accounts: &mut dyn FnMut(Accounts)) {
        self.resolver.drain(on_container);
        self.accounts.drain(on_accounts);
    }
}

fn news(mut cgroups: NewCgroups) -> io::Result<CgroupNews> {
    let fd = cgroups.as_fd().try_clone_to_owned()?;
    Ok(CgroupNews::new(
        fd,
        Box::new(move || {
            cgroups.take();
        }),
    ))
}
