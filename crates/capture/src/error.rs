//! What can be wrong with a capture.

use std::io;

/// Why a capture, or the rest of it, cannot be read. Offsets count bytes of the unpacked capture.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be opened.
    #[error("can't open {path}: {source}")]
    Open {
        /// The file's name.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Reading failed, or the compressed data is damaged.
    #[error("can't read the capture at byte {at}: {source}")]
    Read {
        /// Where.
        at: u64,
        /// What the system or the decompressor said.
        source: io::Error,
    },
    /// It does not begin like a capture.
    #[error("not a capture: it does not begin with a section header")]
    NotACapture,
    /// The file's format is newer than this reader knows.
    #[error("the capture has format version {major}, this program reads 1 and earlier: use a newer one")]
    Version {
        /// Its major version.
        major: u16,
    },
    /// The capture ends inside a block.
    #[error("the capture is cut off at byte {at}: {what} needs {need} bytes, {have} are left")]
    CutOff {
        /// Where the unfinished part begins.
        at: u64,
        /// What it is.
        what: &'static str,
        /// Bytes it should have.
        need: u64,
        /// Bytes that are there.
        have: u64,
    },
    /// A part contradicts itself.
    #[error("the capture is damaged at byte {at}: {what}")]
    Damaged {
        /// Where.
        at: u64,
        /// What is wrong there.
        what: String,
    },
}
