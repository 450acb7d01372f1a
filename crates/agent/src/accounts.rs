//! Users and groups from `/etc/passwd` and `/etc/group`: the host's at once, a container's through the root
//! of one of its processes, on a thread of its own because a container decides what is behind that path.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use lanner_machine::{ContainerId, Group, Machine, Text, User};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};

/// Bytes read of an account file; what lies behind is not known.
const MAX_BYTES: u64 = 1 << 20;
/// Requests and answers that may wait.
const MAX_WAITING: usize = 256;

/// Accounts of a host or a container.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Whose: a container, or the host with an empty id.
    pub container: ContainerId,
    /// Its users.
    pub users: Vec<User>,
    /// Its groups.
    pub groups: Vec<Group>,
}

impl Accounts {
    /// Reads the account files below a root directory. A file that is not there leaves its part empty. Links
    /// are followed within the root only, and nothing but a regular file is read.
    pub fn read(container: ContainerId, root: &Path) -> Accounts {
        let text = |name: &str| read_within(root, name).unwrap_or_default();
        Accounts {
            container,
            users: lines(&text("etc/passwd")).filter_map(user).collect(),
            groups: lines(&text("etc/group")).filter_map(group).collect(),
        }
    }

    /// Puts them into the machine.
    pub fn give_to(self, machine: &mut Machine) {
        for user in self.users {
            machine.add_user(&self.container, user);
        }
        for group in self.groups {
            machine.add_group(&self.container, group);
        }
    }
}

fn read_within(root: &Path, name: &str) -> io::Result<Vec<u8>> {
    let root = openat(CWD, root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = File::from(openat2(&root, name, flags, Mode::empty(), resolve)?);
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|b| *b == b'\n')
}

fn number(text: Option<&[u8]>) -> Option<u32> {
    std::str::from_utf8(text?).ok()?.parse().ok()
}

/// `name:password:uid:gid:comment:home:shell`
fn user(line: &[u8]) -> Option<User> {
    let mut parts = line.split(|b| *b == b':');
    let name = parts.next().filter(|n| !n.is_empty())?;
    let uid = number(parts.nth(1))?;
    let gid = number(parts.next())?;
    let home = parts.nth(1).unwrap_or_default();
    let shell = parts.next().unwrap_or_default();
    Some(User { uid, gid, name: Text::from(name), home: Text::from(home), shell: Text::from(shell) })
}

/// `name:password:gid:members`
fn group(line: &[u8]) -> Option<Group> {
    let mut parts = line.split(|b| *b == b':');
    let name = parts.next().filter(|n| !n.is_empty())?;
    Some(Group { gid: number(parts.nth(1))?, name: Text::from(name) })
}

/// Reads the accounts of containers, on its own thread.
pub struct AccountReader {
    requests: SyncSender<(ContainerId, PathBuf)>,
    answers: Receiver<Accounts>,
    wanted: Vec<Wanted>,
}

/// A container whose accounts are not known yet.
struct Wanted {
    container: ContainerId,
    tries: u32,
    next: Instant,
}

/// Between two tries for a container. Its first process may still have the host's root, or be gone already.
const RETRY: Duration = Duration::from_millis(300);
/// Tries for a container; then its users stay numbers.
const MAX_TRIES: u32 = 20;

/// The accounts below a process' root, unless that root is still the host's, or gone.
fn of_container(container: ContainerId, root: &Path, host_root: &Path) -> Option<Accounts> {
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    let own = identity(root)?;
    (Some(own) != identity(host_root)).then(|| Accounts::read(container, root))
}

impl AccountReader {
    /// Starts the thread; it ends when the reader is dropped.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(host_root: PathBuf) -> io::Result<AccountReader> {
        let (requests, incoming) = sync_channel::<(ContainerId, PathBuf)>(MAX_WAITING);
        let (outgoing, answers) = sync_channel(MAX_WAITING);
        let serve = move || {
            while let Ok((container, root)) = incoming.recv() {
                let Some(accounts) = of_container(container, &root, &host_root) else { continue };
                if outgoing.send(accounts).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("accounts".into()).stack_size(128 << 10).spawn(serve)?;
        Ok(AccountReader { requests, answers, wanted: Vec::new() })
    }

    /// Wants the accounts of a container.
    pub fn want(&mut self, container: ContainerId, now: Instant) {
        if self.wanted.len() < MAX_WAITING {
            self.wanted.push(Wanted { container, tries: 0, next: now });
        }
    }

    /// Asks for those that are due, through the root that `root_of` gives for a process of the container.
    /// Never waits.
    pub fn ask(&mut self, now: Instant, root_of: impl Fn(&ContainerId) -> Option<PathBuf>) {
        for wanted in self.wanted.iter_mut().filter(|wanted| wanted.next <= now) {
            wanted.tries += 1;
            wanted.next = now + RETRY;
            if let Some(root) = root_of(&wanted.container) {
                // A full queue costs a try.
                let _ = self.requests.try_send((wanted.container.clone(), root));
            }
        }
        self.wanted.retain(|wanted| wanted.tries < MAX_TRIES);
    }

    /// Hands over what has been read since the last call.
    pub fn drain(&mut self, sink: &mut dyn FnMut(Accounts)) {
        for accounts in self.answers.try_iter() {
            self.wanted.retain(|wanted| wanted.container != accounts.container);
            sink(accounts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root_with(passwd: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("etc/passwd"), passwd).unwrap();
        dir
    }

    #[test]
    fn users_and_groups_are_read_and_odd_lines_left_out() {
        let dir =
            root_with("root:x:0:0:r:/root:/bin/sh\n# no\n+nis\nbad:x:y:0\napp:x:1000:100::/home/app:\n");
        std::fs::write(dir.path().join("etc/group"), "wheel:x:10:a,b\nbad\n").unwrap();
        let accounts = Accounts::read(Text::from("c"), dir.path());
        let names: Vec<_> = accounts.users.iter().map(|u| (u.uid, u.name.to_string())).collect();
        assert_eq!(names, [(0, "root".to_owned()), (1000, "app".to_owned())]);
        assert_eq!(accounts.users[0].shell, Text::from("/bin/sh"));
        assert_eq!(accounts.groups, [Group { gid: 10, name: Text::from("wheel") }]);
    }

    #[test]
    fn a_link_cannot_lead_out_of_the_root_nor_a_pipe_hold_the_reader_up() {
        let dir = root_with("in:x:7:7::/:\n");
        let etc = dir.path().join("etc");
        std::fs::rename(etc.join("passwd"), dir.path().join("real")).unwrap();
        std::os::unix::fs::symlink("/real", etc.join("passwd")).unwrap();
        rustix::fs::mknodat(CWD, etc.join("group"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        let accounts = Accounts::read(Text::default(), dir.path());
        assert_eq!(accounts.users[0].uid, 7);
        assert!(accounts.groups.is_empty());
    }

    #[test]
    fn a_container_is_asked_about_until_it_has_a_root_of_its_own() {
        let dir = root_with("a:x:1:1::/:\n");
        let host = tempfile::tempdir().unwrap();
        let mut reader = AccountReader::start(host.path().to_owned()).unwrap();
        let start = Instant::now();
        reader.want(Text::from("c1"), start);
        reader.ask(start, |_| Some(host.path().to_owned()));
        reader.ask(start, |_| panic!("it is not due again"));
        reader.ask(start + RETRY, |_| Some(dir.path().to_owned()));
        let mut got = Vec::new();
        while got.is_empty() {
            reader.drain(&mut |accounts| got.push(accounts));
            std::thread::yield_now();
        }
        assert_eq!((got[0].container.clone(), got[0].users.len()), (Text::from("c1"), 1));
        assert!(reader.wanted.is_empty());
    }
}
