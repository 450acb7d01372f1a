//! Calls that began before there was a program at their function, and have not ended: `sys_exit` stays until they have.

use std::io::{self, Read};
use std::mem::MaybeUninit;

use libbpf_rs::skel::SkelBuilder;
use libbpf_rs::{Iter, Link, MapCore, MapFlags, MapHandle};

use super::handlers::Shared;
use crate::ProbeError;
use crate::load::{io_error, map_error, refused};
use crate::log;
use crate::skeleton::probe::ProbeSkelBuilder;

/// The inode of the host's pid namespace (PROC_PID_INIT_INO): from another one not all threads are seen.
const HOST_PIDS: &str = "pid:[4026531836]";

/// Whether this process sees all threads of the host.
pub fn sees_all() -> bool {
    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|namespace| namespace.as_os_str() == HOST_PIDS)
}

/// The program that looks for them, and its notes.
pub struct UnderWay {
    look: Link,
    notes: MapHandle,
    rounds: MapHandle,
}

impl UnderWay {
    /// Loads the program.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn load(shared: &Shared) -> Result<UnderWay, ProbeError> {
        log::start();
        let mut object = MaybeUninit::uninit();
        let mut open = ProbeSkelBuilder::default().open(&mut object).map_err(|e| refused(&e))?;
        shared.give(&mut open, &["see_under_way"], |_| Ok(()))?;
        let loaded = libbpf_rs::skel::OpenSkel::load(open).map_err(|e| refused(&e))?;
        let look = loaded
            .progs
            .see_under_way
            .attach()
            .map_err(|e| ProbeError::Attach { program: "see_under_way".into(), source: io_error(&e) })?;
        let handle = |map: &libbpf_rs::MapMut<'_>, name| MapHandle::try_from(map).map_err(map_error(name));
        Ok(UnderWay {
            look,
            notes: handle(&loaded.maps.under_way, "under_way")?,
            rounds: handle(&loaded.maps.rounds, "rounds")?,
        })
    }

    /// How many there still are; the first round finds them.
    ///
    /// # Errors
    /// When the kernel can't be asked.
    pub fn count(&self, round: u32) -> io::Result<usize> {
        let told = |e: libbpf_rs::Error| io_error(&e);
        self.rounds.update(&0u32.to_ne_bytes(), &round.to_ne_bytes(), MapFlags::ANY).map_err(told)?;
        if round == 1 {
            self.forget(|_| true);
        }
        let mut iterator = Iter::new(&self.look).map_err(told)?;
        let mut nothing = [0; 64];
        loop {
            match iterator.read(&mut nothing) {
                Ok(0) => break,
                Ok(_) => {}
                Err(e)
                    if e.kind() == io::ErrorKind::Interrupted || e.raw_os_error() == Some(libc::EAGAIN) => {}
                Err(e) => return Err(e),
            }
        }
        // those that were not seen are gone
        self.forget(|seen| seen != round);
        Ok(self.notes.keys().count())
    }

    fn forget(&self, is_over: impl Fn(u32) -> bool) {
        let over = |key: &Vec<u8>| {
            let seen = self.notes.lookup(key, MapFlags::ANY).ok().flatten();
            let seen = seen.and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
            seen.is_some_and(&is_over)
        };
        let keys: Vec<Vec<u8>> = self.notes.keys().filter(over).collect();
        for key in keys {
            // it may have ended by itself
            let _ = self.notes.delete(&key);
        }
    }
}
