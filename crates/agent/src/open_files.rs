//! A look at the files that are open now, for a capture that begins while the kernel tells of few of them.

use std::path::Path;

use lanner_capture::{FdRecord, Snapshot};
use lanner_machine::{FdKind, Machine, Thread};
use lanner_probe::open_files;

use crate::inventory::{Readers, fds};

/// Puts into a snapshot of a machine the files that a `/proc` shows and the machine doesn't know, or knows as others. Of
/// the process `subject`, whose event the capture begins with, only numbers of which it knows nothing: what the event was
/// about may have been closed since.
pub fn add_to(snapshot: &mut Snapshot, machine: &Machine, proc: &Path, subject: i64) {
    let is_wanted = |pid: i64, num: i64| match machine.fd(pid, num) {
        None => true,
        Some(known) => pid != subject && matches!(known.kind, FdKind::File | FdKind::Directory),
    };
    let mut fresh = Machine::default();
    for list in &snapshot.fds {
        fresh.add_thread(Thread { pid: list.tid, ..Thread::unknown(list.tid) });
    }
    open_files(proc, snapshot.fds.iter().map(|list| list.tid), &is_wanted, &mut |event| {
        fresh.apply(event);
    });
    for list in &mut snapshot.fds {
        for found in fds(&fresh, list.tid, Readers::Today).fds {
            put(&mut list.fds, found);
        }
    }
}

/// Puts in what isn't there; what is there as it is has the name that it was opened by.
fn put(fds: &mut Vec<FdRecord>, found: FdRecord) {
    match fds.binary_search_by_key(&found.num, |fd| fd.num) {
        Ok(at) if fds[at].ino == found.ino => {}
        Ok(at) => fds[at] = found,
        Err(at) => fds.insert(at, found),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;

    use lanner_capture::{FdListRecord, FdObject};
    use lanner_event::types as t;
    use lanner_event::{EventBuf, EventType};

    use super::*;

    fn own() -> i64 {
        i64::from(std::process::id())
    }

    fn opened(machine: &mut Machine, num: i64, name: &str, ino: u64) {
        let name = [name.as_bytes(), b"\0"].concat();
        let params: [&[u8]; 5] = [
            &(num as i32).to_ne_bytes(),
            &name,
            &1u32.to_ne_bytes(),
            &0u32.to_ne_bytes(),
            &ino.to_ne_bytes(),
        ];
        let ty: EventType = t::ITER_TASK_FILE_REGULAR_E;
        let event = EventBuf::new(1, own() << 32 | own(), 0, ty, &params).unwrap();
        machine.apply(&event.event().unwrap());
    }

    #[test]
    fn what_the_machine_does_not_know_is_found() {
        let files = [(); 3].map(|()| tempfile::NamedTempFile::new().unwrap());
        let nums = files.each_ref().map(|file| i64::from(file.as_raw_fd()));
        let ino = |at: usize| files[at].as_file().metadata().map(|meta| meta.ino()).unwrap();
        let of = |subject: i64| {
            let mut machine = Machine::default();
            machine.add_thread(Thread { pid: own(), comm: "me".into(), ..Thread::unknown(own()) });
            // one as it was opened, one as it was before
            opened(&mut machine, nums[0], "/by/another/name", ino(0));
            opened(&mut machine, nums[1], "/gone", 1);
            let list = fds(&machine, own(), Readers::Today);
            let gone = FdListRecord { tid: i64::from(i32::MAX), fds: Vec::new() };
            let mut snapshot = Snapshot { fds: vec![list, gone], ..Snapshot::default() };
            add_to(&mut snapshot, &machine, Path::new("/proc"), subject);
            assert!(snapshot.fds[1].fds.is_empty() && snapshot.fds[0].fds.is_sorted_by_key(|fd| fd.num));
            nums.map(|num| match &snapshot.fds[0].fds.iter().find(|fd| fd.num == num).unwrap().object {
                FdObject::File { name, .. } => String::from_utf8(name.clone()).unwrap(),
                other => panic!("{other:?}"),
            })
        };
        let path = |at: usize| files[at].path().to_str().unwrap().to_owned();
        assert_eq!(of(1), ["/by/another/name".to_owned(), path(1), path(2)]);
        assert_eq!(of(own()), ["/by/another/name".to_owned(), "/gone".into(), path(2)]);
    }
}
