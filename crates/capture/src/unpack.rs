//! Unpacking of gzip on a thread of its own, so that whoever reads doesn't wait for it.

use std::io::{self, BufRead as _, BufReader, Cursor, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use flate2::bufread::GzDecoder;

/// Bytes that are handed over at a time.
const CHUNK: usize = 128 << 10;
/// Chunks that may wait to be read.
const AHEAD: usize = 2;
/// Bytes read at a time of the packed file.
const PACKED: usize = 64 << 10;
/// How a gzip member begins.
pub(crate) const GZIP: [u8; 2] = [0x1f, 0x8b];

pub(crate) type Source = BufReader<Box<dyn Read + Send>>;

/// The first bytes, put back before the rest.
pub(crate) fn open_source(first: Vec<u8>, rest: Box<dyn Read + Send>) -> Source {
    BufReader::with_capacity(PACKED, Box::new(Cursor::new(first).chain(rest)))
}

pub(crate) fn read_first(source: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut first = Vec::with_capacity(GZIP.len());
    source.take(GZIP.len() as u64).read_to_end(&mut first)?;
    Ok(first)
}

enum Message {
    Bytes(Vec<u8>),
    /// Nothing follows.
    End(io::Result<()>),
}

/// The bytes of gzip members, one behind the other, as they come from the thread that unpacks them.
pub(crate) struct Unpacked {
    messages: Receiver<Message>,
    /// Gives chunks that were read back to be filled again.
    spares: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Unpacked {
    /// Begins to unpack.
    pub(crate) fn new(source: Source) -> io::Result<Unpacked> {
        let (send, messages) = sync_channel(AHEAD);
        let (spares, empty) = channel();
        std::thread::Builder::new().name("unpack".into()).spawn(move || {
            let result = unpack(source, &send, &empty);
            // Whoever read may have gone.
            let _ = send.send(Message::End(result));
        })?;
        Ok(Unpacked { messages, spares, chunk: Vec::new(), at: 0, ended: false })
    }

    pub(crate) fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() && !self.ended {
            match self.messages.recv() {
                Ok(Message::Bytes(chunk)) => {
                    // The thread may have ended; then nothing is filled any more.
                    let _ = self.spares.send(std::mem::replace(&mut self.chunk, chunk));
                    self.at = 0;
                }
                Ok(Message::End(result)) => {
                    self.ended = true;
                    result?;
                }
                Err(_) => {
                    self.ended = true;
                    return Err(io::Error::other("unpacking ended early"));
                }
            }
        }
        let rest = &self.chunk[self.at..];
        let length = rest.len().min(to.len());
        to[..length].copy_from_slice(&rest[..length]);
        self.at += length;
        Ok(length)
    }
}

/// Unpacks until nothing is left, or nobody reads any more.
fn unpack(mut source: Source, to: &SyncSender<Message>, empty: &Receiver<Vec<u8>>) -> io::Result<()> {
    let (mut follows, mut chunk) = (false, Vec::new());
    while source.fill_buf()?.first() == Some(&GZIP[0]) {
        let mut decoder = GzDecoder::new(source);
        let has_head = decoder.header().is_some();
        loop {
            chunk.resize(CHUNK, 0);
            let (length, result) = fill(&mut decoder, &mut chunk);
            if length > 0 {
                chunk.truncate(length);
                if to.send(Message::Bytes(chunk)).is_err() {
                    return Ok(());
                }
                chunk = empty.try_recv().unwrap_or_default();
            }
            match result {
                // Whatever follows a member and is none is no part of the capture, as for gunzip.
                Err(error) if follows && !has_head && error.kind() != io::ErrorKind::UnexpectedEof => {
                    return Ok(());
                }
                result => result?,
            }
            if length < CHUNK {
                break;
            }
        }
        (source, follows) = (decoder.into_inner(), true);
    }
    Ok(())
}

/// Reads until the chunk is full or there is no more; says how much there was also if that failed.
fn fill(from: &mut impl Read, chunk: &mut [u8]) -> (usize, io::Result<()>) {
    let mut length = 0;
    while length < chunk.len() {
        match from.read(&mut chunk[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (length, Err(error)),
        }
    }
    (length, Ok(()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(file: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut unpacked = Unpacked::new(open_source(Vec::new(), Box::new(Cursor::new(file))))?;
        let (mut all, mut some) = (Vec::new(), [0; 100]);
        loop {
            match unpacked.read(&mut some)? {
                0 => return Ok(all),
                length => all.extend_from_slice(&some[..length]),
            }
        }
    }

    #[test]
    fn members_follow_each_other_however_many() {
        let mut file = packed(b"one ");
        file.extend(packed(b"").repeat(50_000));
        file.extend(packed(b"two"));
        assert_eq!(unpacked(file).unwrap(), b"one two");
    }

    #[test]
    fn what_follows_and_is_no_member_is_left_out() {
        for rest in [&b"x"[..], &GZIP[..1], b"\x1f\x00 and more", &[0; 512]] {
            let file = [&packed(b"one"), rest].concat();
            match (rest, unpacked(file)) {
                // This may have been the beginning of one.
                ([0x1f], unpacked) => assert_eq!(unpacked.unwrap_err().kind(), io::ErrorKind::UnexpectedEof),
                (_, unpacked) => assert_eq!(unpacked.unwrap(), b"one"),
            }
        }
    }

    #[test]
    fn who_stops_reading_leaves_no_thread_behind() {
        struct Counted {
            _alive: std::sync::Arc<()>,
            packed: Cursor<Vec<u8>>,
        }
        impl Read for Counted {
            fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
                self.packed.read(to)
            }
        }
        let alive = std::sync::Arc::new(());
        let packed = Cursor::new(packed(&vec![7; CHUNK * (AHEAD + 8)]));
        let packed = Counted { _alive: std::sync::Arc::clone(&alive), packed };
        let mut unpacked = Unpacked::new(open_source(Vec::new(), Box::new(packed))).unwrap();
        let mut bytes = [0; 10];
        assert_eq!(unpacked.read(&mut bytes).unwrap(), 10);
        drop(unpacked);
        let begin = std::time::Instant::now();
        while std::sync::Arc::strong_count(&alive) > 1 {
            assert!(begin.elapsed() < std::time::Duration::from_secs(20), "the thread goes on");
            std::thread::yield_now();
        }
    }
}
