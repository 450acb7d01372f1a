//! One description of each record's layout, for reading and for writing.
//!
//! A record's layout is a function over a [`Layout`], which either fills the record from bytes
//! ([`Decoder`]) or appends the record to bytes ([`Encoder`]).

/// Why a record cannot be read: it ends too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Short {
    /// Bytes that a value needs.
    pub need: usize,
    /// Bytes that are left.
    pub have: usize,
}

/// Reads or writes values one after the other.
pub(crate) trait Layout {
    /// Raw bytes of a fixed length.
    fn bytes(&mut self, value: &mut [u8]) -> Result<(), Short>;
    /// A number of 8 bits.
    fn u8(&mut self, value: &mut u8) -> Result<(), Short>;
    /// A number of 16 bits.
    fn u16(&mut self, value: &mut u16) -> Result<(), Short>;
    /// A number of 32 bits.
    fn u32(&mut self, value: &mut u32) -> Result<(), Short>;
    /// A number of 64 bits.
    fn u64(&mut self, value: &mut u64) -> Result<(), Short>;
    /// A signed number of 64 bits.
    fn i64(&mut self, value: &mut i64) -> Result<(), Short>;
    /// Text behind its 16-bit length.
    fn text(&mut self, value: &mut Vec<u8>) -> Result<(), Short>;
    /// Text whose length stands elsewhere.
    fn raw_text(&mut self, value: &mut Vec<u8>, len: usize) -> Result<(), Short>;
    /// Whether a value of `len` bytes that later versions appended is there.
    fn has(&self, len: usize) -> bool;

    /// A yes or no of 8 bits.
    fn bool(&mut self, value: &mut bool) -> Result<(), Short> {
        let mut byte = u8::from(*value);
        self.u8(&mut byte)?;
        *value = byte != 0;
        Ok(())
    }
}

/// Reads values from bytes of either byte order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    swap: bool,
}

impl<'a> Decoder<'a> {
    /// A decoder of `bytes`; `swap` says that numbers are in the other byte order.
    pub fn new(bytes: &'a [u8], swap: bool) -> Decoder<'a> {
        Decoder { bytes, at: 0, swap }
    }

    /// How many bytes have been read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Short> {
        let short = Short { need: len, have: self.left() };
        let taken = self.at.checked_add(len).and_then(|end| self.bytes.get(self.at..end)).ok_or(short)?;
        self.at += len;
        Ok(taken)
    }

    /// A decoder of the next bytes alone.
    pub fn part(&mut self, len: usize) -> Result<Decoder<'a>, Short> {
        Ok(Decoder { bytes: self.take(len)?, at: 0, swap: self.swap })
    }

    /// A number that is wanted on its own.
    pub fn number(&mut self) -> Result<u32, Short> {
        let mut value = 0;
        self.u32(&mut value)?;
        Ok(value)
    }
}

macro_rules! decode_numbers {
    ($($name:ident: $ty:ty),*) => {$(
        fn $name(&mut self, value: &mut $ty) -> Result<(), Short> {
            let bytes = self.take(size_of::<$ty>())?;
            let number = <$ty>::from_ne_bytes(bytes.try_into().unwrap_or_default());
            *value = if self.swap { number.swap_bytes() } else { number };
            Ok(())
        }
    )*};
}

impl Layout for Decoder<'_> {
    decode_numbers!(u8: u8, u16: u16, u32: u32, u64: u64, i64: i64);

    fn bytes(&mut self, value: &mut [u8]) -> Result<(), Short> {
        value.copy_from_slice(self.take(value.len())?);
        Ok(())
    }

    fn text(&mut self, value: &mut Vec<u8>) -> Result<(), Short> {
        let mut len = 0;
        self.u16(&mut len)?;
        self.raw_text(value, usize::from(len))
    }

    fn raw_text(&mut self, value: &mut Vec<u8>, len: usize) -> Result<(), Short> {
        value.clear();
        value.extend_from_slice(self.take(len)?);
        Ok(())
    }

    fn has(&self, len: usize) -> bool {
        self.left() >= len
    }
}

/// Appends values in this machine's byte order. Text is cut at its length field's limit.
#[derive(Default, Debug)]
pub(crate) struct Encoder {
    /// What has been written.
    pub out: Vec<u8>,
}

macro_rules! encode_numbers {
    ($($name:ident: $ty:ty),*) => {$(
        fn $name(&mut self, value: &mut $ty) -> Result<(), Short> {
            self.out.extend(value.to_ne_bytes());
            Ok(())
        }
    )*};
}

impl Layout for Encoder {
    encode_numbers!(u8: u8, u16: u16, u32: u32, u64: u64, i64: i64);

    fn bytes(&mut self, value: &mut [u8]) -> Result<(), Short> {
        self.out.extend_from_slice(value);
        Ok(())
    }

    fn text(&mut self, value: &mut Vec<u8>) -> Result<(), Short> {
        let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.out.extend(len.to_ne_bytes());
        self.raw_text(value, usize::from(len))
    }

    fn raw_text(&mut self, value: &mut Vec<u8>, len: usize) -> Result<(), Short> {
        self.out.extend_from_slice(&value[..len.min(value.len())]);
        Ok(())
    }

    fn has(&self, _len: usize) -> bool {
        true
    }
}
