//! What runs already, by the kernel's iterators.

use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use lanner_event::{Event, HEADER_LEN, types};
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{Iter, Link, MapCore, MapFlags, MapHandle};

use crate::load::{io_error, map_error, no_globals, refused};
use crate::log;
use crate::skeleton::snapshot::{SnapshotSkelBuilder, types as bpf};
use crate::types::{KernelTypes, fit_to};
use crate::{ProbeError, SnapshotStats};

const CHUNK: usize = 256 << 10;

/// The iterator programs, loaded.
pub struct Iterators {
    tasks: Link,
    files: Link,
    globals: MapHandle,
}

impl Iterators {
    /// Loads the programs.
    ///
    /// # Errors
    /// When the kernel refuses them; `/proc` is the way then.
    pub fn load(
        boot_time: u64,
        types: Option<&KernelTypes>,
        homes: &MapHandle,
    ) -> Result<Iterators, ProbeError> {
        log::start();
        let mut object = MaybeUninit::uninit();
        let mut builder = SnapshotSkelBuilder::default();
        fit_to(types, builder.object_builder_mut());
        let mut open = builder.open(&mut object).map_err(|e| refused(&e))?;
        open.maps.bss_data.as_deref_mut().ok_or_else(|| no_globals("snapshot"))?.boot_time = boot_time;
        open.maps.homes.reuse_fd(homes.as_fd()).map_err(map_error("homes"))?;
        let loaded = open.load().map_err(|e| refused(&e))?;
        let attach = |program: &libbpf_rs::ProgramMut<'_>| {
            program.attach().map_err(|e| ProbeError::Attach {
                program: program.name().to_string_lossy().into(),
                source: io_error(&e),
            })
        };
        let globals = MapHandle::try_from(&loaded.maps.bss)
            .map_err(|e| ProbeError::Map { map: "snapshot.bss".into(), source: io_error(&e) })?;
        Ok(Iterators {
            tasks: attach(&loaded.progs.each_task)?,
            files: attach(&loaded.progs.each_file)?,
            globals,
        })
    }

    /// This process's id as the kernel numbers it, whatever pid namespace it runs in.
    pub fn own_pid(&self) -> Option<u32> {
        // reading one byte lets the program run, and the program sees who reads
        Iter::new(&self.tasks).ok()?.read_exact(&mut [0]).ok()?;
        self.variable(std::mem::offset_of!(bpf::bss, reader_pid)).map(u32::from_ne_bytes)
    }

    /// The bytes of a variable of the BPF side.
    fn variable<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let all = self.globals.lookup(&0u32.to_ne_bytes(), MapFlags::ANY).ok()??;
        all.get(offset..offset + N)?.try_into().ok()
    }

    /// Delivers every thread, then every file.
    pub fn read(&self, sink: &mut dyn FnMut(&Event<'_>)) -> io::Result<SnapshotStats> {
        let mut stats = SnapshotStats::default();
        for link in [&self.tasks, &self.files] {
            let mut iterator = Iter::new(link).map_err(|e| io_error(&e))?;
            read_events(&mut iterator, &mut |event| {
                match event.ty() {
                    types::ITER_TASK_E => stats.threads += 1,
                    _ => stats.files += 1,
                }
                sink(event);
            })?;
        }
        let dropped = self.variable(std::mem::offset_of!(bpf::bss, dropped)).map_or(0, u64::from_ne_bytes);
        stats.skipped = usize::try_from(dropped).unwrap_or(usize::MAX);
        Ok(stats)
    }
}

/// Reads events that follow each other without gaps.
fn read_events(source: &mut dyn Read, sink: &mut dyn FnMut(&Event<'_>)) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut filled = 0;
    loop {
        let n = match source.read(&mut buffer[filled..]) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted || e.raw_os_error() == Some(libc::EAGAIN) => {
                continue;
            }
            Err(e) => return Err(e),
        };
        if n == 0 {
            return match filled {
                0 => Ok(()),
                left => Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("{left} bytes behind the last event"),
                )),
            };
        }
        filled += n;
        let mut at = 0;
        while filled - at >= HEADER_LEN {
            let len = buffer[at + 16..at + 20].try_into().map_or(0, u32::from_ne_bytes) as usize;
            if !(HEADER_LEN..CHUNK).contains(&len) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("an event of {len} bytes")));
            }
            if filled - at < len {
                break;
            }
            let event = Event::decode(&buffer[at..at + len], 0).map_err(io::Error::other)?;
            sink(&event);
            at += len;
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_event::EventBuf;

    /// Gives its bytes a few at a time.
    struct Slowly<'a>(&'a [u8]);

    impl Read for Slowly<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(7).min(into.len());
            into[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn two_events() -> Vec<u8> {
        let close = |fd: i64| {
            EventBuf::new(1, 2, 0, types::SYSCALL_CLOSE_X, &[&0i64.to_ne_bytes(), &fd.to_ne_bytes()]).unwrap()
        };
        [close(3).as_bytes(), close(4).as_bytes()].concat()
    }

    #[test]
    fn events_are_found_however_they_come_in() {
        let mut fds = Vec::new();
        read_events(&mut Slowly(&two_events()), &mut |e| fds.push(e.i64(1).unwrap())).unwrap();
        assert_eq!(fds, [3, 4]);
    }

    #[test]
    fn a_stream_that_ends_within_an_event_is_an_error() {
        let bytes = two_events();
        let error = read_events(&mut Slowly(&bytes[..bytes.len() - 1]), &mut |_| {}).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
