//! Work that plugins have done again and again while events are looked at: a thread for each.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::abi;
use super::owner::Owner;

/// Routines that a plugin may have.
const MAX: usize = 32;
/// Between two calls of a routine.
const PAUSE: Duration = Duration::from_millis(10);

struct Routine {
    number: usize,
    end: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// The routines of a plugin.
#[derive(Default)]
pub(super) struct Running {
    routines: Mutex<Vec<Routine>>,
}

/// A plugin's pointers, on their way to a thread.
struct Work(abi::RoutineFn, abi::State, *mut c_void);

// SAFETY: the plugin API says that routines run in other threads.
unsafe impl Send for Work {}

impl Work {
    fn run(self, end: &AtomicBool) {
        while !end.load(Ordering::Acquire) {
            // SAFETY: the plugin's function with the pointers that it gave, while the plugin lives.
            if unsafe { self.0(self.1, self.2) } == 0 {
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Running {
    fn start(&self, function: abi::RoutineFn, state: abi::State, argument: *mut c_void) -> Option<usize> {
        let mut routines = self.routines.lock().unwrap_or_else(PoisonError::into_inner);
        if routines.len() >= MAX {
            return None;
        }
        let number = routines.iter().map(|routine| routine.number).max().unwrap_or(0) + 1;
        let end = Arc::new(AtomicBool::new(false));
        let (work, ends) = (Work(function, state, argument), Arc::clone(&end));
        let thread =
            std::thread::Builder::new().name("routine".into()).spawn(move || work.run(&ends)).ok()?;
        routines.push(Routine { number, end, thread });
        Some(number)
    }

    fn stop(&self, number: usize) -> bool {
        let mut routines = self.routines.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = routines.iter().position(|routine| routine.number == number) else { return false };
        let routine = routines.swap_remove(at);
        drop(routines);
        end(routine);
        true
    }

    /// Ends them all.
    pub(super) fn stop_all(&self) {
        let routines = std::mem::take(&mut *self.routines.lock().unwrap_or_else(PoisonError::into_inner));
        routines.into_iter().for_each(end);
    }
}

fn end(routine: Routine) {
    routine.end.store(true, Ordering::Release);
    // One may unsubscribe itself.
    if routine.thread.thread().id() != std::thread::current().id() {
        // A panic can't come out of C.
        let _ = routine.thread.join();
    }
}

/// The functions by which a plugin has routines run.
pub(super) static FUNCTIONS: abi::Routines = abi::Routines { subscribe, unsubscribe };

unsafe extern "C" fn subscribe(
    owner: abi::Owner,
    function: abi::RoutineFn,
    argument: *mut c_void,
) -> *mut c_void {
    // SAFETY: plugins hand back the pointer that they were given, while their owner lives.
    let Some(owner) = (unsafe { owner.cast::<Owner>().as_ref() }) else { return ptr::null_mut() };
    let number = owner.routines.start(function, owner.state(), argument);
    number.map_or(ptr::null_mut(), ptr::without_provenance_mut)
}

unsafe extern "C" fn unsubscribe(owner: abi::Owner, routine: *mut c_void) -> abi::Rc {
    // SAFETY: as above.
    let owner = unsafe { owner.cast::<Owner>().as_ref() };
    if owner.is_some_and(|owner| owner.routines.stop(routine.addr())) { abi::SUCCESS } else { abi::FAILURE }
}
