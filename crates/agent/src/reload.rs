//! Rules and settings that change while events flow. A thread of its own waits for SIGHUP or a changed file,
//! builds the new program aside and puts it into each loop's slot; a loop looks into its slot between two events
//! and goes on with what it finds. What can't be built is refused with its error, and the old rules go on.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use lanner_alert::{Alert, Fields, Origin, Priority};

use crate::log::{Log, now};
use crate::program::Program;
use crate::signals::Signals;
use crate::watch::FileWatch;

/// The rule name of the alert that tells of a refused reload, which users route by.
const REFUSED: &str = "Falco internal: hot restart failure";

/// Between two looks for a signal.
const TICK: Duration = Duration::from_millis(100);

/// What a slot may hold.
pub enum News {
    /// A program that takes the place of the loop's own.
    Program(Arc<Program>),
    /// The error of what could not be built.
    Refused(String),
}

impl News {
    /// The alert that tells of a refusal, in Falco's words.
    pub fn refusal(error: &str) -> Alert {
        Alert {
            ts: now(),
            priority: Priority::Critical,
            rule: REFUSED.into(),
            origin: Origin::Internal,
            message: format!("{REFUSED}: {error}"),
            fields: Fields::new(),
        }
    }
}

/// Where a loop finds what is to replace its program: one for each loop.
#[derive(Clone, Default)]
pub struct Slot(Arc<Shared>);

#[derive(Default)]
struct Shared {
    full: AtomicBool,
    news: Mutex<Option<News>>,
}

impl Slot {
    /// What came since the last call. One load where there is nothing, so that it may be asked at every event.
    pub fn take(&self) -> Option<News> {
        if !self.0.full.load(Ordering::Relaxed) {
            return None;
        }
        let mut news = lock(&self.0.news);
        self.0.full.store(false, Ordering::Relaxed);
        news.take()
    }

    /// Puts something in; an unread program gives way, an unread program is not lost to a refusal.
    fn fill(&self, news: News) {
        let mut place = lock(&self.0.news);
        if matches!((&*place, &news), (Some(News::Program(_)), News::Refused(_))) {
            return;
        }
        *place = Some(news);
        self.0.full.store(true, Ordering::Relaxed);
    }
}

/// A lock; what it guards is whole even after a panic elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A program that was built, and what it was built from.
pub struct Built {
    /// The program.
    pub program: Arc<Program>,
    /// The files and directories that it was read from, if their changes are to be followed.
    pub watch: FileWatch,
}

/// Why nothing could be built.
pub struct Refused {
    /// What is wrong.
    pub error: String,
    /// What was read or looked for, as far as that is known: a change there may mend it.
    pub watch: FileWatch,
}

impl From<String> for Refused {
    fn from(error: String) -> Refused {
        Refused { error, watch: FileWatch::default() }
    }
}

/// Reads and builds rules and settings anew.
pub type Build = Box<dyn FnMut() -> Result<Built, Refused> + Send>;

/// Builds programs when they have changed and hands them to the loops. Dropping it ends its thread.
pub struct Reloader {
    slots: Arc<Mutex<Vec<Slot>>>,
    end: Arc<AtomicBool>,
}

impl Reloader {
    /// Waits for SIGHUP, and for changes of what `built` was read from, from now on.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(built: Built, build: Build, signals: Signals, log: Log) -> io::Result<Reloader> {
        let reloader = Reloader { slots: Arc::default(), end: Arc::default() };
        let mut worker = Worker {
            slots: Arc::clone(&reloader.slots),
            end: Arc::clone(&reloader.end),
            watch: built.watch,
            refused: false,
            programs: vec![built.program],
            build,
            signals,
            log,
        };
        std::thread::Builder::new().name("reload".into()).spawn(move || worker.run())?;
        Ok(reloader)
    }

    /// A slot for one more loop.
    pub fn slot(&self) -> Slot {
        let slot = Slot::default();
        lock(&self.slots).push(slot.clone());
        slot
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

struct Worker {
    slots: Arc<Mutex<Vec<Slot>>>,
    end: Arc<AtomicBool>,
    watch: FileWatch,
    /// The last attempt was in vain.
    refused: bool,
    /// Those that loops may still hold, the newest last: freeing one takes longer than a loop has between two
    /// events, so it is done here.
    programs: Vec<Arc<Program>>,
    build: Build,
    signals: Signals,
    log: Log,
}

impl Worker {
    fn run(&mut self) {
        while !self.end.load(Ordering::Relaxed) {
            let asked = self.signals.take_reload();
            let changed = self.watch.changed(Instant::now());
            if asked || changed {
                // Falco's words, whatever the reason: tools wait for them.
                self.log.info("SIGHUP received, restarting...");
                if asked {
                    self.watch.look();
                }
                self.reload();
            }
            let newest = self.programs.pop();
            self.programs.retain(|program| Arc::strong_count(program) > 1);
            self.programs.extend(newest);
            std::thread::sleep(TICK);
        }
    }

    fn reload(&mut self) {
        let begin = Instant::now();
        let built = match (self.build)() {
            Ok(built) => built,
            Err(Refused { error, watch }) => {
                self.refused = true;
                self.watch.follow_also(watch);
                self.log.write(Priority::Error, &format!("Not reloaded, the old rules go on: {error}"));
                // One loop is enough to tell it.
                if let Some(first) = lock(&self.slots).first() {
                    first.fill(News::Refused(error));
                }
                return;
            }
        };
        self.watch.follow(built.watch);
        if let Some(old) = self.programs.last() {
            for key in built.program.config.differs_for_good(&old.config) {
                self.log.warning(&format!(
                    "{key} has changed: that takes a restart, the old value stays in force"
                ));
            }
        }
        for slot in lock(&self.slots).iter() {
            slot.fill(News::Program(Arc::clone(&built.program)));
        }
        let rules = built.program.engine.rules().len();
        // Who was told that it failed is to be told that it works again.
        let level = if self.refused { Priority::Notice } else { Priority::Informational };
        self.refused = false;
        self.log.write(level, &format!("Reloaded: {rules} rules, in {} ms", begin.elapsed().as_millis()));
        self.programs.push(built.program);
    }
}

#[cfg(test)]
mod tests {
    use lanner_engine::EngineOptions;
    use lanner_rules::RuleSet;

    use super::*;
    use crate::config::Config;

    fn program() -> Arc<Program> {
        let engine = lanner_engine::Engine::build(&RuleSet::default(), EngineOptions::default()).unwrap();
        Program::new(engine, Config::default(), Default::default())
    }

    fn next(slot: &Slot) -> News {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            match slot.take() {
                Some(news) => return news,
                None => assert!(Instant::now() < end, "nothing came"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_program_outlives_a_refusal_in_its_slot() {
        let slot = Slot::default();
        assert!(slot.take().is_none());
        slot.fill(News::Refused("e".into()));
        slot.fill(News::Program(program()));
        slot.fill(News::Refused("f".into()));
        assert!(matches!(slot.take(), Some(News::Program(_))));
        assert!(slot.take().is_none());
    }

    /// The file says what is built: a broken one is refused and the next good one taken, by every loop, and
    /// programs that no loop holds any more are freed.
    #[test]
    fn a_changed_file_reaches_all_loops_and_a_broken_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rules");
        std::fs::write(&path, "good").unwrap();
        let (file, first) = (path.clone(), program());
        let weak = Arc::downgrade(&first);
        let since = std::time::SystemTime::now();
        let built = move |program| Built { program, watch: FileWatch::new([file.clone()], [], since) };
        let (start, read) = (built(first), path.clone());
        let build = Box::new(move || match std::fs::read_to_string(&read) {
            Ok(text) if text == "bad" => Err("broken".to_owned().into()),
            _ => Ok(built(program())),
        });
        let log = Log::new(Config::default().log, false);
        let reloader = Reloader::start(start, build, Signals::default(), log).unwrap();
        let (one, two) = (reloader.slot(), reloader.slot());
        std::fs::write(&path, "bad").unwrap();
        assert!(matches!(next(&one), News::Refused(error) if error == "broken"));
        assert!(two.take().is_none());
        std::fs::write(dir.path().join("new"), "good again").unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        assert!(matches!((next(&one), next(&two)), (News::Program(_), News::Program(_))));
        let end = Instant::now() + Duration::from_secs(20);
        while weak.strong_count() > 0 {
            assert!(Instant::now() < end, "the first program is still there");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
