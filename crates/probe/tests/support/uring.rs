//! A ring of io_uring by raw system calls: as much of it as the tests need.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::sync::atomic::{AtomicU32, Ordering};

use super::call::{Arg::N, Arg::P, call};

/// A submission, in the kernel's layout.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Sqe {
    pub opcode: u8,
    pub flags: u8,
    pub ioprio: u16,
    pub fd: i32,
    pub off: u64,
    pub addr: u64,
    pub len: u32,
    pub op_flags: u32,
    pub user_data: u64,
    pub buf_index: u16,
    pub personality: u16,
    pub file_index: u32,
    pub rest: [u64; 2],
}

/// Flags of a submission and of a ring.
pub const FIXED_FILE: u8 = 1;
pub const LINK: u8 = 1 << 2;
pub const SKIP_SUCCESS: u8 = 1 << 6;
pub const SQPOLL: u32 = 2;

const GETEVENTS: i64 = 1;
const SQ_WAKEUP: i64 = 2;
const ENTRIES: u32 = 32;

/// A ring.
pub struct Ring {
    pub fd: i64,
    memory: *mut u8,
    sqes: *mut Sqe,
    params: [u32; 30],
}

impl Ring {
    /// Makes one; says why and gives `None` where the machine has none.
    pub fn new(flags: u32) -> Option<Ring> {
        let mut params = [0u32; 30];
        params[2] = flags;
        params[4] = 50;
        let fd = call(libc::SYS_io_uring_setup, &[N(ENTRIES.into()), N(params.as_mut_ptr() as i64)]);
        if fd < 0 {
            eprintln!("skipped: no io_uring here: {fd}");
            return None;
        }
        // both rings in one piece of memory, as kernels since 5.4 have them
        assert_eq!(params[5] & 1, 1);
        let map = |len: i64, at: i64| {
            let made = call(libc::SYS_mmap, &[N(0), N(len), N(3), N(0x8001), N(fd), N(at)]);
            assert!(!(-4095..0).contains(&made), "{made}");
            made
        };
        // up to the end of what lies last, the places of submissions or the completions
        let (places, completions) = (params[16] + 4 * params[0], params[25] + 16 * params[1]);
        let memory = map(places.max(completions).into(), 0) as *mut u8;
        let sqes = map(64 * i64::from(ENTRIES), 0x1000_0000) as *mut Sqe;
        Some(Ring { fd, memory, sqes, params })
    }

    /// A word of the shared memory, by the place that the kernel told.
    fn word(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: the offset is the kernel's own, within the mapping, which lives as long as the process.
        unsafe { &*self.memory.add(offset as usize).cast() }
    }

    /// Submits and waits for `wait` completions: of each, its user data and result.
    pub fn run(&self, submissions: &[Sqe], wait: usize) -> Vec<(u64, i32)> {
        let [_, _, _, _, _, _, _, _, _, _, _, tail_at, mask_at, _, sq_flags, _, array] = self.params[..17]
        else {
            unreachable!()
        };
        let mask = self.word(mask_at).load(Ordering::Relaxed);
        let tail = self.word(tail_at).load(Ordering::Relaxed);
        for (i, submission) in submissions.iter().enumerate() {
            let place = tail.wrapping_add(i as u32) & mask;
            // SAFETY: the place is within the array by the mask, and the kernel reads it only once the tail says so.
            unsafe { self.sqes.add(place as usize).write(*submission) };
            self.word(array + 4 * place).store(place, Ordering::Relaxed);
        }
        self.word(tail_at).store(tail.wrapping_add(submissions.len() as u32), Ordering::Release);
        let polled = self.params[2] & SQPOLL != 0;
        let asleep = polled && self.word(sq_flags).load(Ordering::SeqCst) & 1 != 0;
        let flags = GETEVENTS | if asleep { SQ_WAKEUP } else { 0 };
        let count = submissions.len() as i64;
        let entered =
            call(libc::SYS_io_uring_enter, &[N(self.fd), N(count), N(wait as i64), N(flags), N(0), N(0)]);
        assert_eq!(entered, count);
        self.completions(0)
    }

    /// Completions that are there, or the next `wait`.
    pub fn completions(&self, wait: usize) -> Vec<(u64, i32)> {
        let [head_at, tail_at, mask_at, _, _, cqes] = self.params[20..26] else { unreachable!() };
        if wait > 0 {
            call(libc::SYS_io_uring_enter, &[N(self.fd), N(0), N(wait as i64), N(GETEVENTS), N(0), N(0)]);
        }
        let mask = self.word(mask_at).load(Ordering::Relaxed);
        let mut head = self.word(head_at).load(Ordering::Relaxed);
        let mut found = Vec::new();
        while head != self.word(tail_at).load(Ordering::Acquire) {
            let at = cqes + 16 * (head & mask);
            let part = |n: u32| self.word(at + 4 * n).load(Ordering::Relaxed);
            found.push((u64::from(part(0)) | u64::from(part(1)) << 32, part(2) as i32));
            head = head.wrapping_add(1);
        }
        self.word(head_at).store(head, Ordering::Release);
        found
    }

    /// Gives the ring a table of `count` places for files of its own.
    pub fn make_places(&self, count: usize) {
        let none: Vec<u8> = [0xff; 4].repeat(count);
        let made = call(libc::SYS_io_uring_register, &[N(self.fd), N(2), P(&none), N(count as i64)]);
        assert_eq!(made, 0);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        call(libc::SYS_close, &[N(self.fd)]);
    }
}
