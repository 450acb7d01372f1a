//! Containers of an OCI runtime that is used by itself. Their cgroups bear no runtime's mark, only the name that
//! somebody chose; what tells them is that such a runtime put a process into a cgroup that isn't its own, and that
//! this process then becomes another program.

use crate::machine::Machine;
use crate::threads::Slot;
use crate::{Runtime, Text, TextList, Thread, cgroup};

/// Runtimes by the name of their program; all take the same description (opencontainers/runtime-spec).
const RUNTIMES: [&[u8]; 3] = [b"runc", b"crun", b"youki"];
/// What runc calls its process in the container until that becomes the container's program.
const RUNC_INIT: &[u8] = b"runc:[";
/// Longest name that is taken for one.
const MAX_NAME: usize = 128;

/// Whether a thread, about to become another program, is a runtime's and already in the container: in a pid
/// namespace that isn't the host's, unless it says so itself.
pub(crate) fn is_of_runtime(thread: &Thread) -> bool {
    let program = thread.exe.rsplit(|&b| b == b'/').next().unwrap_or_default();
    thread.comm.starts_with(RUNC_INIT)
        || (thread.tid != thread.vtid
            && RUNTIMES.iter().any(|name| program == *name || &*thread.comm == *name))
}

impl Machine {
    /// Takes the cgroup that a runtime gave to a thread for a container's.
    pub(crate) fn name_by_runtime(&mut self, slot: Slot) {
        let Some(thread) = self.at(slot).map(|record| &record.thread) else { return };
        let Some(parent) = self.threads.get(thread.ptid) else { return };
        let Some((path, name)) = given(&thread.cgroups, &parent.thread.cgroups) else { return };
        let (path, name) = (Text::from(path), Text::from(name));
        self.containers.name(path, cgroup::container(Runtime::Runc, &name));
        let Some(record) = self.threads.at_mut(slot) else { return };
        record.thread.container = self.containers.of_cgroups(&record.thread.cgroups);
    }

    /// Says that a cgroup is that of a container of an OCI runtime used by itself: of one that ran before events
    /// began. `path` is as in `/proc/PID/cgroup`.
    pub fn name_cgroup(&mut self, path: &str, name: &str) {
        if !path.trim_matches('/').is_empty() && !name.is_empty() {
            self.containers.name(Text::from(path), cgroup::container(Runtime::Runc, name.as_bytes()));
        }
    }

    /// Whether a thread that is told with a cgroup, of a path as in `/proc/PID/cgroup`, is in a container.
    pub fn is_in_container(&self, path: &[u8]) -> bool {
        self.containers.has_path(path)
    }
}

/// The first cgroup that isn't the root's and not the parent's too, with its name.
fn given<'a>(cgroups: &'a TextList, parents: &TextList) -> Option<(&'a [u8], &'a [u8])> {
    let own = |cgroup: &&[u8]| parents.iter().all(|other| other != *cgroup);
    cgroups.iter().filter(own).find_map(|cgroup| {
        let path = cgroup::path_of(cgroup);
        let name = path.rsplit(|&b| b == b'/').next()?;
        let fits = !name.is_empty() && name.len() <= MAX_NAME && name.iter().all(u8::is_ascii_graphic);
        fits.then_some((path, name))
    })
}

#[cfg(test)]
mod tests {
    use crate::Runtime;
    use crate::testing::{Child, Host, SHELL};

    const HOSTS: &str = "cpuset=/\0memory=/login\0";
    const WEB: &str = "cpuset=/web\0memory=/login/web\0";

    /// A host on which a program, process 200, has made a process 300 in other cgroups and perhaps another pid
    /// namespace.
    fn with_runtime(program: &str, vtid: i64, cgroups: &str) -> Host {
        let mut host = Host::new();
        host.fork(SHELL, 200);
        host.exec_in(200, program, HOSTS);
        child(&mut host, 200, 300, vtid, cgroups);
        host
    }

    fn child(host: &mut Host, parent: i64, tid: i64, vtid: i64, cgroups: &str) {
        let exe = host.thread(parent).exe.to_string();
        let cgroups = cgroups.as_bytes();
        host.clone_event(tid, 0, &Child { vtid, vpid: vtid, exe: &exe, cgroups, ..Child::of(tid, parent) });
    }

    fn id(host: &Host, tid: i64) -> String {
        host.thread(tid).container.to_string()
    }

    #[test]
    fn what_a_runtime_starts_is_in_a_container_and_so_is_what_follows() {
        for program in ["/usr/bin/runc", "/usr/bin/crun"] {
            let mut host = with_runtime(program, 1, WEB);
            assert_eq!(id(&host, 300), "");
            host.exec_in(300, "/bin/sh", WEB);
            assert_eq!((id(&host, 300).as_str(), id(&host, 200).as_str()), ("web", ""));
            let known = host.machine.container(b"web").unwrap();
            assert_eq!((known.full_id.as_str(), known.runtime), ("web", Runtime::Runc));
            // A service of its own, and a process that is brought in from outside.
            child(&mut host, 300, 301, 2, "cpuset=/web/ssh\0memory=/login/web/ssh\0");
            host.fork(SHELL, 400);
            host.exec_in(400, "/usr/bin/nsenter", WEB);
            assert_eq!((id(&host, 301).as_str(), id(&host, 400).as_str()), ("web", "web"));
            assert_eq!(host.machine.new_containers().len(), 1);
        }
    }

    #[test]
    fn no_cgroup_of_the_hosts_becomes_a_container() {
        for (program, vtid, cgroups) in [
            // It has given the container no cgroup of its own.
            ("/usr/bin/runc", 1, HOSTS),
            // What it starts on the host, and what others put into namespaces.
            ("/usr/bin/runc", 300, WEB),
            ("/usr/bin/bwrap", 1, WEB),
        ] {
            let mut host = with_runtime(program, vtid, cgroups);
            host.exec_in(300, "/bin/sh", cgroups);
            assert_eq!(id(&host, 300), "", "{program} {vtid} {cgroups}");
        }
    }

    #[test]
    fn containers_that_ran_before_may_be_named() {
        let mut host = Host::new();
        host.machine.name_cgroup("/web", "web");
        host.machine.name_cgroup("/", "root");
        host.machine.name_cgroup("/x", "");
        for (tid, cgroups) in [(200, WEB), (201, "cpuset=/webs\0memory=/x\0")] {
            host.fork(SHELL, tid);
            host.exec_in(tid, "/bin/sh", cgroups);
        }
        assert_eq!((id(&host, 200).as_str(), id(&host, 201).as_str()), ("web", ""));
        let within = ["/web", "/web/ssh", "/webs", "/x", "/"]
            .map(|path| host.machine.is_in_container(path.as_bytes()));
        assert_eq!(within, [true, true, false, false, false]);
    }

    #[test]
    fn a_name_is_forgotten_with_its_container() {
        let mut host = Host::new();
        host.machine.name_cgroup("/web", "web");
        host.fork(SHELL, 200);
        host.exec_in(200, "/bin/sh", WEB);
        host.exit(200);
        host.settle();
        for minutes in [1, 3] {
            host.machine.sweep(host.now + minutes * 60_000_000_001, |_| true);
        }
        host.fork(SHELL, 202);
        host.exec_in(202, "/bin/sh", WEB);
        assert_eq!(id(&host, 202), "");
    }
}
