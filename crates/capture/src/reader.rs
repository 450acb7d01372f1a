//! Reading a capture.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use lanner_event::{DecodeError, Event, Head};

use crate::block::{
    BYTE_ORDER, EventForm, FRAME_LEN, HEAD_LEN, Kind, LEARNT, PLAIN, REPEATS, SECTION, STATE_ONLY, VERSION,
    kind, written,
};
use crate::error::CaptureError;
use crate::foreign::normalise;
use crate::input::Window;
use crate::layout::{Decoder, Layout};
use crate::records::Snapshot;
use crate::snapshot::read_block;
use crate::upgrade::{Upgraded, Upgrader};
use crate::upgrade_table::{is_beginning, is_state};

/// No block of a real capture is longer. Longer ones are damage, and not worth the memory.
const LONGEST_BLOCK: u32 = 256 << 20;
/// The most bytes of a section's lists of threads, fds and so on.
const MOST_LISTED: u64 = 512 << 20;
/// A section header's least length: frame, byte order, version, section length.
const SECTION_LEN: usize = FRAME_LEN + 16;

/// Where the event stands that is handed out next.
#[derive(Clone, Copy)]
enum Place {
    /// In the window, so many bytes before its start.
    Window { back: u8 },
    /// Brought into today's form.
    Normalised,
    /// Upgraded.
    Upgraded,
}

/// Reads a capture: first what ran when it began, then event by event.
///
/// A damaged or cut capture is read as far as it makes sense: single events and entries that are damaged are
/// left out, and where no way leads on, reading ends. The first such fault is the last thing that
/// [`Reader::next`] returns before the end.
pub struct Reader {
    window: Window,
    snapshot: Snapshot,
    upgrader: Upgrader,
    normalised: Vec<u8>,
    /// Numbers are in the other byte order.
    swap: bool,
    /// The event that was moved to last.
    current: Option<(Head, Place)>,
    /// Bytes of the block that was handed out last, to move on over.
    used: usize,
    sections: u32,
    /// Bytes of the section's lists.
    listed: u64,
    skipped: u64,
    state_only: bool,
    learnt: bool,
    /// All events of the section up to here tell of the state that it begins with.
    opening: bool,
    /// `swap` or `opening`.
    unusual: bool,
    fault: Option<CaptureError>,
    ended: bool,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("at", &self.window.at()).finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens a file, plain or gzip, and reads up to its first event.
    ///
    /// # Errors
    /// When the file cannot be read or is no capture.
    pub fn open(path: impl AsRef<Path>) -> Result<Reader, CaptureError> {
        let path = path.as_ref();
        let file = File::open(path)
            .map_err(|source| CaptureError::Open { path: path.display().to_string(), source })?;
        Reader::new(file)
    }

    /// Begins to read a capture, plain or gzip, up to its first event.
    ///
    /// # Errors
    /// When nothing can be read or it is no capture.
    pub fn new(source: impl Read + Send + 'static) -> Result<Reader, CaptureError> {
        let window = Window::new(Box::new(source)).map_err(|source| CaptureError::Read { at: 0, source })?;
        let mut reader = Reader {
            window,
            snapshot: Snapshot::default(),
            upgrader: Upgrader::new(),
            normalised: Vec::new(),
            swap: false,
            current: None,
            used: 0,
            sections: 0,
            listed: 0,
            skipped: 0,
            state_only: false,
            learnt: false,
            opening: true,
            unusual: true,
            fault: None,
            ended: false,
        };
        reader.read_section()?;
        reader.find_event();
        Ok(reader)
    }

    /// What ran when the current section began.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Takes that, so that its memory can be given back.
    pub fn take_snapshot(&mut self) -> Snapshot {
        std::mem::take(&mut self.snapshot)
    }

    /// How many sections have begun. Captures can be joined one behind the other: when this grows with an event,
    /// all that was known is to be forgotten, and the snapshot is a new one.
    pub fn sections(&self) -> u32 {
        self.sections
    }

    /// Events left out because their type is newer than the table.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Whether the last event only tells of a change of state and is nothing that a rule sees: whoever recorded it
    /// filtered it out, it belongs to the state that the capture begins with, or it is the beginning of a call whose
    /// end is an event of its own.
    pub fn is_state_only(&self) -> bool {
        self.state_only
    }

    /// Whether lanner wrote the last event to tell what it learnt of a container: see [`Writer::write_learnt`].
    ///
    /// [`Writer::write_learnt`]: crate::Writer::write_learnt
    pub fn is_learnt(&self) -> bool {
        self.learnt
    }

    /// Where the reader stands, in bytes of the unpacked capture.
    pub fn position(&self) -> u64 {
        self.window.at()
    }

    /// The next event in today's form; `None` at the end.
    ///
    /// # Errors
    /// Once, at the end: the first fault that was met.
    #[allow(
        clippy::should_implement_trait,
        reason = "the event borrows from the reader, which Iterator cannot say"
    )]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Event<'_>>, CaptureError> {
        Ok(if self.advance()? { self.event() } else { None })
    }

    /// Moves to the next event, which [`Reader::event`] then gives; false at the end. For callers that ask
    /// the reader about the event while they hold it.
    ///
    /// # Errors
    /// Once, at the end: the first fault that was met.
    #[inline(always)]
    pub fn advance(&mut self) -> Result<bool, CaptureError> {
        self.window.skip(self.used);
        let Some((head, total, beginning)) = self.plain_event() else {
            self.used = 0;
            return self.advance_to_any();
        };
        self.used = total;
        self.current = Some((head, Place::Window { back: PLAIN.offset() as u8 }));
        (self.state_only, self.learnt) = (beginning, false);
        Ok(true)
    }

    /// The event that the window stands at, if it is in today's form and a block that says nothing else: what nearly
    /// every event is. With it the block's length, and whether it begins a call whose end is another event. Given back
    /// through memory in small pieces and read there in large ones, that would take as long as the whole check.
    #[inline(always)]
    fn plain_event(&self) -> Option<(Head, usize, bool)> {
        let bytes = self.window.bytes();
        let (start, event) = bytes.split_first_chunk::<{ PLAIN.offset() }>()?;
        let [a, b, c, d, e, f, g, h, i, j] = *start;
        let total = u32::from_ne_bytes([e, f, g, h]) as usize;
        let is_plain = matches!(u32::from_ne_bytes([a, b, c, d]), written::EVENT | written::LARGE_EVENT);
        if !is_plain || self.unusual || total > bytes.len() {
            return None;
        }
        // What stands behind the event's block does no harm, and with enough bytes the check is quicker.
        let head = Head::check(event, u16::from_ne_bytes([i, j])).ok()?;
        let today = self.upgrader.today(head.ty())?;
        let fits = PLAIN.offset() + head.len() + 4 <= total;
        (fits && today.has(head.param_count())).then_some((head, total, today.beginning))
    }

    /// The same for whatever the event is.
    #[inline(never)]
    fn advance_to_any(&mut self) -> Result<bool, CaptureError> {
        loop {
            self.current = None;
            self.window.skip(std::mem::take(&mut self.used));
            let Some((form, total)) = self.event_at_hand().or_else(|| self.find_event()) else {
                return self.fault.take().map_or(Ok(false), Err);
            };
            self.used = total;
            self.current = self.examine(form, total);
            if let Some((head, _)) = &self.current {
                self.opening = self.opening && is_state(head.ty());
                self.unusual = self.opening || self.swap;
                self.state_only |= self.opening || is_beginning(head.ty());
                return Ok(true);
            }
        }
    }

    /// The event that the reader has moved to, in today's form.
    #[inline]
    pub fn event(&self) -> Option<Event<'_>> {
        let (head, place) = self.current?;
        Some(head.event(match place {
            Place::Window { back } => &self.window.bytes()[usize::from(back)..],
            Place::Normalised => &self.normalised,
            Place::Upgraded => self.upgrader.bytes(),
        }))
    }

    /// Looks at the event in the block at hand: `None` if it is not to be handed out.
    fn examine(&mut self, form: EventForm, total: usize) -> Option<(Head, Place)> {
        let block = &self.window.bytes()[..total];
        let cpu = [block[HEAD_LEN], block[HEAD_LEN + 1]];
        let cpu = u16::from_ne_bytes(cpu);
        let cpu = if self.swap { cpu.swap_bytes() } else { cpu };
        let flags = if form.flags { flags(block, self.swap) } else { 0 };
        self.state_only = flags & STATE_ONLY != 0;
        self.learnt = flags & LEARNT != 0;
        if flags & REPEATS != 0 {
            return None;
        }
        let mut bytes = &block[form.offset()..total - 4];
        let mut place = Place::Window { back: form.offset() as u8 };
        if self.swap || !form.counted {
            if normalise(bytes, form.counted, self.swap, &mut self.normalised).is_none() {
                self.damaged("an event's lengths do not add up".into());
                return None;
            }
            (bytes, place) = (&self.normalised, Place::Normalised);
        }
        let head = match Head::check(bytes, cpu) {
            Ok(head) => head,
            Err(DecodeError::UnknownType(_)) => {
                self.skipped += 1;
                return None;
            }
            Err(error) => {
                self.damaged(error.to_string());
                return None;
            }
        };
        if self.upgrader.passes(head.ty(), head.param_count()) {
            return Some((head, place));
        }
        match self.upgrader.upgrade(&head.event(bytes)) {
            Upgraded::Same => Some((head, place)),
            Upgraded::Nothing => {
                self.opening = false;
                None
            }
            Upgraded::New => Some((Head::check(self.upgrader.bytes(), cpu).ok()?, Place::Upgraded)),
        }
    }

    /// Remembers a fault that can be passed over, if it is the first.
    #[cold]
    fn damaged(&mut self, what: String) {
        let at = self.window.at();
        self.fault.get_or_insert(CaptureError::Damaged { at, what });
    }

    /// Ends reading because of a fault.
    #[cold]
    fn end(&mut self, fault: CaptureError) {
        self.ended = true;
        self.fault.get_or_insert(fault);
    }

    /// Has `need` bytes at hand, or the fault that they are not there.
    #[inline]
    fn need(&mut self, what: &'static str, need: usize) -> Result<(), CaptureError> {
        let have = self.window.need(need);
        if have >= need { Ok(()) } else { Err(self.cut_off(what, need as u64, have as u64)) }
    }

    #[cold]
    fn cut_off(&mut self, what: &'static str, need: u64, have: u64) -> CaptureError {
        let at = self.window.at();
        match self.window.take_failure() {
            Some(source) => CaptureError::Read { at: at + have, source },
            None => CaptureError::CutOff { at, what, need, have },
        }
    }

    /// The event that the window stands at, if its whole block is there.
    fn event_at_hand(&self) -> Option<(EventForm, usize)> {
        let bytes = self.window.bytes();
        let [a, b, c, d, e, f, g, h] = *bytes.first_chunk::<HEAD_LEN>()?;
        let total = u32::from_ne_bytes([e, f, g, h]) as usize;
        match kind(u32::from_ne_bytes([a, b, c, d])) {
            Kind::Event(form) if !self.swap && total >= form.least() && total <= bytes.len() => {
                Some((form, total))
            }
            _ => None,
        }
    }

    /// Moves to the next event and has its whole block at hand. What stands before it is taken into the snapshot.
    #[cold]
    fn find_event(&mut self) -> Option<(EventForm, usize)> {
        while !self.ended {
            match self.next_block() {
                Ok(Some(found)) => return Some(found),
                Ok(None) => {}
                Err(fault) => self.end(fault),
            }
        }
        None
    }

    fn next_block(&mut self) -> Result<Option<(EventForm, usize)>, CaptureError> {
        if self.window.need(HEAD_LEN) < HEAD_LEN {
            self.at_end()?;
            return Ok(None);
        }
        let (ty, total) = self.block_head();
        let Kind::Event(form) = kind(ty) else {
            self.read_other(kind(ty), total)?;
            return Ok(None);
        };
        let total = self.block_len(total, form.least())?;
        self.need("an event", total)?;
        Ok(Some((form, total)))
    }

    /// Fewer bytes than a block's head are left: the end if there are none.
    #[cold]
    fn at_end(&mut self) -> Result<(), CaptureError> {
        self.ended = true;
        let have = self.window.need(HEAD_LEN);
        match self.window.take_failure() {
            Some(source) => Err(CaptureError::Read { at: self.window.at() + have as u64, source }),
            None if have == 0 => Ok(()),
            None => Err(self.cut_off("a block's head", HEAD_LEN as u64, have as u64)),
        }
    }

    /// Type and length of the block at hand.
    fn block_head(&self) -> (u32, u32) {
        let word = |at: usize| {
            let bytes =
                self.window.bytes().get(at..at + 4).and_then(|b| b.try_into().ok()).unwrap_or_default();
            let number = u32::from_ne_bytes(bytes);
            if self.swap { number.swap_bytes() } else { number }
        };
        (word(0), word(4))
    }

    /// A block's length, if it can be one.
    #[inline]
    fn block_len(&self, total: u32, least: usize) -> Result<usize, CaptureError> {
        if (total as usize) < least || total > LONGEST_BLOCK {
            let what = format!("a block says it has {total} bytes");
            return Err(CaptureError::Damaged { at: self.window.at(), what });
        }
        Ok(total as usize)
    }

    /// Reads a block that is no event.
    fn read_other(&mut self, kind: Kind, total: u32) -> Result<(), CaptureError> {
        match kind {
            Kind::Section => {
                self.snapshot = Snapshot::default();
                self.upgrader.clear();
                return self.read_section();
            }
            Kind::Unknown => {
                if (total as usize) < FRAME_LEN {
                    self.block_len(total, FRAME_LEN)?;
                }
                let had = self.window.discard(u64::from(total));
                if had < u64::from(total) {
                    return Err(self.cut_off("a block", u64::from(total), had));
                }
                return Ok(());
            }
            _ => {}
        }
        let total = self.block_len(total, FRAME_LEN)?;
        self.listed += total as u64;
        if self.listed > MOST_LISTED {
            let what = format!("its lists of threads and fds have more than {MOST_LISTED} bytes");
            return Err(CaptureError::Damaged { at: self.window.at(), what });
        }
        let cut = self.need("a block", total);
        let have = self.window.bytes().len().min(total);
        let block = &self.window.bytes()[..have];
        let body = &block[HEAD_LEN..if cut.is_ok() { total - 4 } else { have }];
        let read = read_block(kind, body, self.swap, &mut self.snapshot);
        let closing = Decoder::new(&block[have - 4..], self.swap).number();
        cut?;
        if closing != Ok(total as u32) {
            let what = "a block's two lengths differ".into();
            return Err(CaptureError::Damaged { at: self.window.at(), what });
        }
        if let Err(fault) = read {
            let at = self.window.at() + (HEAD_LEN + fault.at) as u64;
            self.fault.get_or_insert(CaptureError::Damaged { at, what: fault.what });
        }
        self.window.skip(total);
        Ok(())
    }

    /// Reads a section header, which tells the byte order.
    fn read_section(&mut self) -> Result<(), CaptureError> {
        let first = self.sections == 0;
        let have = self.window.need(SECTION_LEN);
        if first && (have < HEAD_LEN + 4 || self.block_head().0 != SECTION) {
            return Err(match self.window.take_failure() {
                Some(source) => CaptureError::Read { at: have as u64, source },
                None => CaptureError::NotACapture,
            });
        }
        self.need("a section header", SECTION_LEN)?;
        let order = Decoder::new(&self.window.bytes()[HEAD_LEN..], false).number();
        self.swap = match order {
            Ok(BYTE_ORDER) => false,
            Ok(other) if other.swap_bytes() == BYTE_ORDER => true,
            _ if first => return Err(CaptureError::NotACapture),
            _ => {
                let what = "a section header's byte order is none".into();
                return Err(CaptureError::Damaged { at: self.window.at(), what });
            }
        };
        let mut major = 0;
        if Decoder::new(&self.window.bytes()[HEAD_LEN + 4..], self.swap).u16(&mut major).is_ok()
            && major > VERSION.0
        {
            return Err(CaptureError::Version { major });
        }
        let (_, total) = self.block_head();
        // Options may follow; they say nothing of use here.
        let total = self.block_len(total, SECTION_LEN)?;
        let had = self.window.discard(total as u64);
        if had < total as u64 {
            return Err(self.cut_off("a section header", total as u64, had));
        }
        self.sections += 1;
        self.listed = 0;
        self.opening = true;
        self.unusual = true;
        Ok(())
    }
}

/// The flags in a block that has some.
fn flags(block: &[u8], swap: bool) -> u32 {
    let flags = block.get(HEAD_LEN + 2..).and_then(|bytes| Decoder::new(bytes, swap).number().ok());
    flags.unwrap_or_default()
}
