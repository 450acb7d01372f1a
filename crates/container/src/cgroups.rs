//! Word that cgroups come into being, by which the folders of containers are watched only while one comes up.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use tokio::io::unix::AsyncFd;

/// Tells that a cgroup has come into being. A container's does before its runtime is done describing it.
pub struct CgroupNews {
    fd: OwnedFd,
    take: Box<dyn FnMut() + Send>,
}

impl CgroupNews {
    /// News of which there is some when `fd` can be read, until `take` was called.
    pub fn new(fd: OwnedFd, take: Box<dyn FnMut() + Send>) -> CgroupNews {
        CgroupNews { fd, take }
    }
}

impl fmt::Debug for CgroupNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CgroupNews").field("fd", &self.fd).finish_non_exhaustive()
    }
}

/// A descriptor that the event loop can wait for.
struct Word(OwnedFd);

impl AsRawFd for Word {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The same, on the event loop.
pub(crate) struct Cgroups {
    word: AsyncFd<Word>,
    take: Box<dyn FnMut() + Send>,
}

impl Cgroups {
    pub(crate) fn new(news: CgroupNews) -> io::Result<Cgroups> {
        // SAFETY: `Word` owns its descriptor and neither closes nor replaces it while it lives.
        let word = unsafe { AsyncFd::register(Word(news.fd)) }?;
        Ok(Cgroups { word, take: news.take })
    }

    /// Waits for the next.
    pub(crate) async fn next(&mut self) -> io::Result<()> {
        self.word.readable().await?.clear_ready();
        // what comes after this wakes again
        (self.take)();
        Ok(())
    }

    /// Waits until none has come for so long.
    pub(crate) async fn quiet(&mut self, long: Duration) {
        while let Ok(Ok(())) = tokio::time::timeout(long, self.next()).await {}
    }
}
