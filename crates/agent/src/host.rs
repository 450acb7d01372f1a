//! What the host says of itself.

/// The kernel's own words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct System {
    /// `Linux`.
    pub name: String,
    /// The host's name.
    pub node: String,
    /// Release of the kernel.
    pub release: String,
    /// How it was built.
    pub version: String,
    /// Architecture.
    pub machine: String,
}

/// Asks the kernel.
pub fn system() -> System {
    let uname = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    System {
        name: text(uname.sysname()),
        node: text(uname.nodename()),
        release: text(uname.release()),
        version: text(uname.version()),
        machine: text(uname.machine()),
    }
}

/// Bytes of a page of memory.
pub fn page_size() -> usize {
    rustix::param::page_size()
}
