//! The bytes of a capture, unpacked, through a window that moves over them.

use std::io::{self, Cursor, Read};

use crate::unpack::{GZIP, Unpacked, open_source, read_first};

/// Bytes that the window holds at a time, unless a block is longer: small enough that what the kernel has copied there
/// is still in the cache nearest to the CPU but one.
const WINDOW: usize = 64 << 10;

enum Input {
    /// Read straight into the window.
    Plain(Box<dyn Read + Send>),
    Gzip(Unpacked),
}

impl Input {
    fn new(mut source: Box<dyn Read + Send>) -> io::Result<Input> {
        let first = read_first(&mut source)?;
        if first == GZIP {
            return Ok(Input::Gzip(Unpacked::new(open_source(first, source))?));
        }
        Ok(Input::Plain(Box::new(Cursor::new(first).chain(source))))
    }

    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Input::Plain(source) => source.read(to),
            Input::Gzip(unpacked) => unpacked.read(to),
        }
    }
}

/// A window over the unpacked bytes.
pub(crate) struct Window {
    input: Input,
    buf: Vec<u8>,
    start: usize,
    end: usize,
    /// Where `buf` begins in the unpacked bytes.
    base: u64,
    ended: bool,
    failure: Option<io::Error>,
}

impl Window {
    /// A window at the beginning of `source`, plain or gzip.
    pub fn new(source: Box<dyn Read + Send>) -> io::Result<Window> {
        let input = Input::new(source)?;
        Ok(Window { input, buf: vec![0; WINDOW], start: 0, end: 0, base: 0, ended: false, failure: None })
    }

    /// Where the window stands in the unpacked bytes.
    pub fn at(&self) -> u64 {
        self.base + self.start as u64
    }

    /// What made reading stop before the input's end.
    pub fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Has at least `n` bytes at hand unless the input ends before; says how many there are.
    #[inline]
    pub fn need(&mut self, n: usize) -> usize {
        if self.end - self.start < n {
            self.refill(n);
        }
        self.end - self.start
    }

    /// The bytes at hand.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// Moves on over bytes at hand.
    #[inline]
    pub fn skip(&mut self, n: usize) {
        self.start += n.min(self.end - self.start);
    }

    /// Moves on over bytes that need not be at hand; says how many there were.
    pub fn discard(&mut self, n: u64) -> u64 {
        let mut left = n;
        while left > 0 {
            let have = self.need(1).min(usize::try_from(left).unwrap_or(usize::MAX));
            if have == 0 {
                break;
            }
            self.skip(have);
            left -= have as u64;
        }
        n - left
    }

    /// Memory follows what is there to be read, not what a length field promises.
    #[cold]
    fn refill(&mut self, n: usize) {
        self.make_room(n);
        while self.end < n && !self.ended {
            if self.end == self.buf.len() {
                self.buf.resize(n.min(self.buf.len() * 2), 0);
            }
            match self.input.read(&mut self.buf[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.ended = true;
                    self.failure = Some(error);
                }
            }
        }
    }

    /// Moves what is at hand to the front, and gives back what an uncommonly long block took.
    fn make_room(&mut self, n: usize) {
        let have = self.end - self.start;
        if self.buf.len() > WINDOW && n <= WINDOW && have <= WINDOW {
            let mut buf = vec![0; WINDOW];
            buf[..have].copy_from_slice(&self.buf[self.start..self.end]);
            self.buf = buf;
        } else {
            self.buf.copy_within(self.start..self.end, 0);
        }
        self.base += self.start as u64;
        self.start = 0;
        self.end = have;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn all(bytes: Vec<u8>) -> (Vec<u8>, Option<io::ErrorKind>) {
        let mut window = Window::new(Box::new(Cursor::new(bytes))).unwrap();
        let mut out = Vec::new();
        while window.need(1) > 0 {
            out.extend_from_slice(window.bytes());
            window.skip(usize::MAX);
        }
        assert_eq!(window.at(), out.len() as u64);
        (out, window.take_failure().map(|e| e.kind()))
    }

    #[test]
    fn plain_and_packed_read_the_same() {
        let text: Vec<u8> = (0..WINDOW * 3 + 7).map(|i| (i % 251) as u8).collect();
        assert_eq!(all(text.clone()), (text.clone(), None));
        assert_eq!(all(gzip(&text)), (text.clone(), None));
        let two = [gzip(&text), gzip(b"tail"), b"trailing rubbish".to_vec()].concat();
        assert_eq!(all(two), ([&text[..], b"tail"].concat(), None));
    }

    #[test]
    fn short_inputs_are_no_gzip() {
        assert_eq!(all(vec![]), (vec![], None));
        assert_eq!(all(vec![0x1f]), (vec![0x1f], None));
    }

    #[test]
    fn a_cut_gzip_gives_what_is_there() {
        let text: Vec<u8> =
            (0..200_000u32).flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
        let packed = gzip(&text);
        let (out, failure) = all(packed[..packed.len() / 2].to_vec());
        assert!(out.len() > 100_000 && text.starts_with(&out), "{}", out.len());
        assert_eq!(failure, Some(io::ErrorKind::UnexpectedEof));
    }

    #[test]
    fn a_promise_of_bytes_takes_no_memory() {
        let mut window = Window::new(Box::new(&b"few"[..])).unwrap();
        assert_eq!(window.need(1 << 40), 3);
        assert!(window.buf.len() <= WINDOW);
    }

    #[test]
    fn the_window_grows_for_a_long_block_and_shrinks_after_it() {
        let text = vec![7; WINDOW * 5];
        let mut window = Window::new(Box::new(Cursor::new(text))).unwrap();
        assert!(window.need(WINDOW * 4) >= WINDOW * 4);
        window.skip(WINDOW * 4);
        while window.need(1000) >= 1000 {
            window.skip(1000);
        }
        assert_eq!(window.buf.len(), WINDOW);
        assert_eq!(window.discard(u64::MAX), (WINDOW % 1000) as u64);
    }
}
