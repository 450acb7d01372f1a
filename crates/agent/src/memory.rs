//! The memory limit: near it caches are shed, and at it no more threads are taken into the state, so that the process
//! stays below instead of being killed.

use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Between two sheds that didn't help.
const PAUSE: Duration = Duration::from_secs(10);

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pressure {
    /// The limit is near: what can be had again is to be let go.
    Near,
    /// It is reached all the same: nothing more is to be taken in.
    Reached,
    /// There is room again.
    Over,
}

/// Watches the process's resident memory.
#[derive(Debug)]
pub struct MemoryGuard {
    limit: u64,
    next: Instant,
    shed: Option<Instant>,
    full: bool,
    /// How often caches were shed.
    pub sheds: u64,
}

impl MemoryGuard {
    /// A guard for a limit in bytes; 0: there is none.
    pub fn new(limit: u64, now: Instant) -> MemoryGuard {
        MemoryGuard { limit, next: now, shed: None, full: false, sheds: 0 }
    }

    /// Another limit from now on.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// What is to be done now, if anything; it is only looked once a second.
    pub fn look(&mut self, now: Instant) -> Option<Pressure> {
        if now < self.next || (self.limit == 0 && !self.full) {
            return None;
        }
        self.next = now + LOOK;
        self.judge(resident()?, now)
    }

    fn judge(&mut self, resident: u64, now: Instant) -> Option<Pressure> {
        let share = |percent: u64| self.limit / 100 * percent;
        let recently = self.shed.is_some_and(|shed| now < shed + PAUSE);
        if self.limit == 0 || resident < share(80) {
            return std::mem::take(&mut self.full).then_some(Pressure::Over);
        }
        if resident >= share(85) && !recently {
            self.shed = Some(now);
            self.sheds += 1;
            return Some(Pressure::Near);
        }
        if resident >= share(95) && !self.full {
            self.full = true;
            return Some(Pressure::Reached);
        }
        None
    }
}

/// Resident memory of this process, bytes.
pub fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Gives the system back what the allocator holds unused.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: it takes no pointer, and the allocator may be called from any thread.
        unsafe { libc::malloc_trim(0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_go_before_anything_else_and_what_was_refused_is_taken_again() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut guard = MemoryGuard::new(1000, start);
        assert_eq!(guard.judge(700, at(0)), None);
        assert_eq!(guard.judge(860, at(1)), Some(Pressure::Near));
        assert_eq!(guard.judge(860, at(2)), None);
        assert_eq!(guard.judge(960, at(3)), Some(Pressure::Reached));
        assert_eq!(guard.judge(960, at(4)), None);
        assert_eq!(guard.judge(960, at(12)), Some(Pressure::Near));
        assert_eq!(guard.judge(700, at(13)), Some(Pressure::Over));
        assert_eq!((guard.judge(700, at(14)), guard.sheds), (None, 2));
    }

    #[test]
    fn without_a_limit_nothing_is_done() {
        let mut guard = MemoryGuard::new(0, Instant::now());
        assert_eq!(guard.look(Instant::now()), None);
        assert!(resident().unwrap() > 1 << 20);
    }
}
