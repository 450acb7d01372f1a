//! Real containers for tests: a containerd of our own, private in root, state, socket and configuration,
//! with images made on the spot, and pods and containers created through CRI. Nothing is downloaded, nothing
//! of the machine's own containers is touched, and everything is gone at the end, also after a crash.
//!
//! ```no_run
//! let bed = lanner_testbed::Bed::start()?;
//! let pod = bed.pod("mysql-db-d5dc6b85d-77hrm").label("app", "mysql").start()?;
//! let mysql = pod.container("mysql").start()?;
//! let mut shell = mysql.exec_tty(&["bash", "-il"])?;
//! shell.line("id")?;
//! shell.line("exit")?;
//! shell.wait()?;
//! # Ok::<(), anyhow::Error>(())
//! ```
//!
//! This crate must not know lanner: it makes the world that lanner looks at.

mod bare;
mod bed;
mod containerd;
mod cri;
mod engine;
mod guard;
mod image;
mod kubernetes;
mod pod;
mod register;
mod tty;

pub use bare::{Bare, BareKind};
pub use bed::{Bed, Place};
pub use engine::{ENGINE_IMAGE, Engine, EngineKind, Served};
pub use image::{API_CLIENT_IMAGE, MYSQL_IMAGE};
pub use kubernetes::ApiServer;
pub use pod::{Container, ContainerPlan, Pod, PodPlan};
pub use register::Registered;
pub use tty::Tty;

/// Why there can be no bed on this machine: no root, no containerd, a kernel that refuses. A test that gets
/// this is skipped; see [`skipped`].
#[derive(Debug)]
pub struct Unavailable(pub String);

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no container test bed here: {}", self.0)
    }
}

impl std::error::Error for Unavailable {}

/// Says that a test is skipped and why, in the words that `make test` counts.
pub fn skipped(why: &dyn std::fmt::Display) {
    println!("skipped: {why}");
}

/// Starts a bed, or ends the test as skipped where that's impossible.
///
/// ```no_run
/// fn a_test() {
///     let bed = lanner_testbed::bed_or_skip!();
///     let docker = lanner_testbed::Engine::start(lanner_testbed::EngineKind::Docker);
///     let docker = lanner_testbed::bed_or_skip!(docker);
/// }
/// ```
#[macro_export]
macro_rules! bed_or_skip {
    () => {
        $crate::bed_or_skip!($crate::Bed::start())
    };
    ($start:expr) => {
        match $start {
            Ok(started) => started,
            Err(error) => match error.downcast::<$crate::Unavailable>() {
                Ok(why) => return $crate::skipped(&why),
                Err(error) => panic!("the test bed failed: {error:#}"),
            },
        }
    };
}
