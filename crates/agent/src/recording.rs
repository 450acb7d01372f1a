//! The files of a recording: one, or the last few of many.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use lanner_capture::{Snapshot, Writer};
use lanner_event::Event;

/// Bytes that wait before they are written to a file.
const BUFFER: usize = 1 << 20;

/// Whom a recording is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Readers {
    /// Those of before 2023 too, such as sysdig 0.29. They want the beginnings of calls, and don't survive calls
    /// and kinds of fds that came later.
    #[default]
    All,
    /// lanner, and Falco since 2023.
    Today,
}

/// Which files, and how large.
#[derive(Clone, Debug, Default)]
pub struct RecordingOptions {
    /// The file that is written.
    pub path: PathBuf,
    /// Compress it.
    pub gzip: bool,
    /// Bytes, before compression, after which a file is full.
    pub size: Option<u64>,
    /// How many files are kept; a full one makes room for the next. With none, a full one ends the recording.
    pub keep: Option<u32>,
    /// Who is to read them.
    pub readers: Readers,
}

/// Where bytes go.
enum Target {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

impl Target {
    /// Only its owner may read a capture: it holds what programs read and write.
    fn create(path: &Path, gzip: bool) -> io::Result<Target> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let file = BufWriter::with_capacity(BUFFER, file);
        Ok(match gzip {
            true => Target::Gzip(Box::new(GzEncoder::new(file, Compression::fast()))),
            false => Target::Plain(file),
        })
    }

    fn end(self) -> io::Result<()> {
        let mut file = match self {
            Target::Plain(file) => file,
            Target::Gzip(encoder) => encoder.finish()?,
        };
        file.flush()
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Target::Plain(file) => file.write(bytes),
            Target::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Target::Plain(file) => file.flush(),
            Target::Gzip(encoder) => encoder.flush(),
        }
    }
}

/// A recording under way. Each of its files is a whole capture: it begins with what runs when it is begun.
pub struct Recording {
    options: RecordingOptions,
    created: Option<Target>,
    writer: Option<Writer<Target>>,
    /// Bytes of the file before its first event.
    beginning: u64,
    /// Bytes of the files that are done, before compression.
    done: u64,
}

impl Recording {
    /// Creates the first file; nothing is in it yet.
    ///
    /// # Errors
    /// When it can't be created.
    pub fn create(options: RecordingOptions) -> io::Result<Recording> {
        let created = Some(Target::create(&options.path, options.gzip)?);
        Ok(Recording { options, created, writer: None, beginning: 0, done: 0 })
    }

    /// Whom it is for.
    pub fn readers(&self) -> Readers {
        self.options.readers
    }

    /// Whether a file awaits what [`Recording::begin`] gives.
    pub fn awaits_snapshot(&self) -> bool {
        self.writer.is_none()
    }

    /// Begins a file with what runs now. The file before, if there is one, moves on.
    ///
    /// # Errors
    /// When files can't be written, created or renamed.
    pub fn begin(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let target = match self.created.take() {
            Some(target) => target,
            None => Target::create(&self.options.path, self.options.gzip)?,
        };
        let writer = Writer::new(target, snapshot)?;
        let writer = match self.options.readers {
            Readers::All => writer.for_old_readers(),
            Readers::Today => writer,
        };
        self.beginning = writer.written();
        self.writer = Some(writer);
        Ok(())
    }

    /// Appends an event; one of which only the change of state counts is marked so.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&mut self, event: &Event<'_>, state_only: bool) -> io::Result<()> {
        match &mut self.writer {
            Some(writer) if state_only => writer.write_state_only(event),
            Some(writer) => writer.write(event),
            None => Ok(()),
        }
    }

    /// Appends an event that tells what was learnt of a container.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_learnt(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), |writer| writer.write_learnt(event))
    }

    /// Whether the file has reached the size asked for. One that is to be followed by others holds at least as
    /// many bytes of events as of what ran before them: a small size would spend all time on beginnings.
    pub fn is_full(&self) -> bool {
        let Some((size, writer)) = self.options.size.zip(self.writer.as_ref()) else { return false };
        let least = if self.options.keep.is_some() { self.beginning * 2 } else { 0 };
        writer.written() >= size.max(least)
    }

    /// Whether the file is full and is to be the last.
    pub fn is_complete(&self) -> bool {
        self.options.keep.is_none() && self.is_full()
    }

    /// Ends a full file and moves it out of the way: `FILE` becomes `FILE.1`, that `FILE.2`, and the oldest
    /// goes. False if there is to be no other file.
    ///
    /// # Errors
    /// When files can't be written or renamed.
    pub fn rotate(&mut self) -> io::Result<bool> {
        let Some(keep) = self.options.keep else { return Ok(false) };
        self.end_file()?;
        for number in (1..keep).rev() {
            let from = self.numbered(number - 1);
            match std::fs::rename(from, self.numbered(number)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                renamed => renamed?,
            }
        }
        Ok(true)
    }

    /// The file that came so many files before; 0 is the one being written.
    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.options.path.clone().into_os_string();
        if number > 0 {
            name.push(format!(".{number}"));
        }
        name.into()
    }

    fn end_file(&mut self) -> io::Result<()> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        self.done += writer.written();
        writer.finish()?.end()
    }

    /// Ends the recording; the number of bytes written, before compression.
    ///
    /// # Errors
    /// When writing fails.
    pub fn end(mut self) -> io::Result<u64> {
        self.end_file()?;
        Ok(self.done)
    }
}

#[cfg(test)]
mod tests {
    use lanner_capture::{Reader, ThreadRecord};

    use super::*;

    fn snapshot(tid: i64) -> Snapshot {
        let thread = ThreadRecord { tid, pid: tid, ..ThreadRecord::default() };
        Snapshot { threads: vec![thread], ..Snapshot::default() }
    }

    /// The thread that a file's snapshot tells of.
    fn first_tid(path: &Path) -> i64 {
        let mut reader = Reader::open(path).unwrap();
        while reader.advance().unwrap() {}
        reader.take_snapshot().threads[0].tid
    }

    #[test]
    fn full_files_move_on_and_the_oldest_goes() {
        for gzip in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.scap");
            let options = RecordingOptions {
                path: path.clone(),
                gzip,
                size: Some(1),
                keep: Some(2),
                ..RecordingOptions::default()
            };
            let mut recording = Recording::create(options).unwrap();
            for tid in 1..4 {
                recording.begin(&snapshot(tid)).unwrap();
                assert!(!recording.is_full(), "no event is in it");
                if tid < 3 {
                    assert!(recording.rotate().unwrap() && recording.awaits_snapshot());
                }
            }
            assert!(recording.end().unwrap() > 0);
            assert_eq!((first_tid(&path), first_tid(&folder.path().join("a.scap.1"))), (3, 2));
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        }
    }

    #[test]
    fn without_rotation_a_full_file_is_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.scap");
        for (size, full) in [(1, true), (1 << 20, false)] {
            let options =
                RecordingOptions { path: path.clone(), size: Some(size), ..RecordingOptions::default() };
            let mut recording = Recording::create(options).unwrap();
            recording.begin(&snapshot(1)).unwrap();
            assert_eq!(recording.is_full(), full);
            assert!(!recording.rotate().unwrap());
        }
    }
}
