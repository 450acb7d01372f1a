//! The thread that judges events is put ahead of those that it watches: where they want more than the CPUs have, an even
//! share is too little for the one thread that hears of all.

use std::io;

use rustix::process::{getpriority_process, setpriority_process};

/// Gives the calling thread a nice value, if that is lower than the one it has. Threads and processes that it starts from
/// then on have 0 (`SCHED_RESET_ON_FORK`), or the same where that is refused, as by systemd's `RestrictRealtime=`.
///
/// # Errors
/// When that isn't permitted (`CAP_SYS_NICE`, or a limit of nice values that is as low).
pub fn go(nice: i32) -> io::Result<()> {
    if nice >= getpriority_process(None)? {
        return Ok(());
    }
    setpriority_process(None, nice)?;
    let policy = libc::SCHED_OTHER | libc::SCHED_RESET_ON_FORK;
    let ordinary = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call reads the structure, which is valid; 0 is the calling thread.
    unsafe { libc::sched_setscheduler(0, policy, &raw const ordinary) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nice() -> i32 {
        getpriority_process(None).unwrap()
    }

    #[test]
    fn only_the_thread_that_asks_goes_ahead() {
        // in a thread of its own, for others may still have to run on this one
        let test = || {
            let before = nice();
            go(before).unwrap();
            assert_eq!(nice(), before);
            if before != 0 || go(-3).is_err() {
                return println!("skipped: nice values may not be lowered here");
            }
            assert_eq!(nice(), -3);
            assert_eq!(std::thread::spawn(nice).join().unwrap(), 0);
        };
        std::thread::spawn(test).join().unwrap();
    }
}
