//! The value of a field.

use std::net::IpAddr;

use lanner_event::ParamType;

/// The type of a field's values, which says what it may be compared with and how it is printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the widths say it")]
pub enum FieldType {
    /// Text, usually UTF-8.
    Text,
    /// Bytes.
    Bytes,
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Double,
    /// Nanoseconds since 1970.
    AbsTime,
    /// Nanoseconds.
    RelTime,
    /// Port of TCP or UDP; may be compared with the name of a service.
    Port,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A network; the value is an address, compared by whether a network holds it.
    Net,
    /// The type is that of the event's argument.
    Dynamic,
    /// An argument that can't be compared with anything (sockets, fd lists).
    Opaque,
}

impl FieldType {
    /// The name as Falco's listings have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            FieldType::Text => "CHARBUF",
            FieldType::Bytes => "BYTEBUF",
            FieldType::Bool => "BOOL",
            FieldType::Int8 => "INT8",
            FieldType::Int16 => "INT16",
            FieldType::Int32 => "INT32",
            FieldType::Int64 => "INT64",
            FieldType::Uint8 => "UINT8",
            FieldType::Uint16 => "UINT16",
            FieldType::Uint32 => "UINT32",
            FieldType::Uint64 => "UINT64",
            FieldType::Double => "DOUBLE",
            FieldType::AbsTime => "ABSTIME",
            FieldType::RelTime => "RELTIME",
            FieldType::Port => "PORT",
            FieldType::Ip => "IPADDR",
            FieldType::Net => "IPNET",
            FieldType::Dynamic => "DYNAMIC",
            FieldType::Opaque => "NONE",
        }
    }

    /// Whether values are whole numbers.
    pub const fn is_number(self) -> bool {
        !matches!(
            self,
            FieldType::Text
                | FieldType::Bytes
                | FieldType::Bool
                | FieldType::Double
                | FieldType::Ip
                | FieldType::Net
                | FieldType::Dynamic
                | FieldType::Opaque
        )
    }

    /// The type that an event's parameter has as a field (`evt.rawarg`).
    pub const fn of_param(ty: ParamType) -> FieldType {
        match ty {
            ParamType::Int16 => FieldType::Int16,
            ParamType::Int32 => FieldType::Int32,
            ParamType::Int64 | ParamType::Errno | ParamType::Fd | ParamType::Pid => FieldType::Int64,
            ParamType::Fd32 | ParamType::Pid32 => FieldType::Int32,
            ParamType::Uint8 | ParamType::Flags8 | ParamType::Enumflags8 | ParamType::Sigtype => {
                FieldType::Uint8
            }
            ParamType::Uint16 | ParamType::Flags16 | ParamType::Enumflags16 | ParamType::Syscallid => {
                FieldType::Uint16
            }
            ParamType::Uint32
            | ParamType::Flags32
            | ParamType::Enumflags32
            | ParamType::Uid
            | ParamType::Gid
            | ParamType::Mode
            | ParamType::Sigset => FieldType::Uint32,
            ParamType::Uint64 => FieldType::Uint64,
            ParamType::Reltime => FieldType::RelTime,
            ParamType::Abstime => FieldType::AbsTime,
            ParamType::Port => FieldType::Port,
            ParamType::Ipv4addr | ParamType::Ipv6addr => FieldType::Ip,
            ParamType::Charbuf | ParamType::Fspath | ParamType::Fsrelpath => FieldType::Text,
            ParamType::Bytebuf => FieldType::Bytes,
            ParamType::Charbufarray | ParamType::CharbufPairArray => FieldType::Bytes,
            ParamType::Sockaddr | ParamType::Socktuple | ParamType::Fdlist | ParamType::Dyn => {
                FieldType::Opaque
            }
        }
    }
}

/// A value, borrowed from the event, the machine or the scratch memory of the event.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value<'a> {
    /// There is none. No comparison with it is true, nor is `exists`.
    Absent,
    /// Text.
    Text(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
    /// An unsigned number.
    Unsigned(u64),
    /// A signed number.
    Signed(i64),
    /// Truth.
    Bool(bool),
    /// A fraction.
    Double(f64),
    /// An address, also for fields of type [`FieldType::Net`].
    Ip(IpAddr),
    /// The values of a list field.
    List(&'a [Value<'a>]),
    /// In conditions only: a comparison is true if it is true for any of these (all ancestors' names).
    Any(&'a [Value<'a>]),
    /// In conditions only: both ends of a connection. `!=` is true if it is true for each of these, every
    /// other comparison if it is true for one of them; `exists` is true even if there are none.
    Ends(&'a [Value<'a>]),
    /// In conditions only: nanoseconds between the event and a moment; `=` is true if the right side, in
    /// milliseconds, is not less (`evt.around`).
    Distance(u64),
}

impl<'a> Value<'a> {
    /// The value, or [`Value::Absent`].
    pub fn or_absent(value: Option<Value<'a>>) -> Value<'a> {
        value.unwrap_or(Value::Absent)
    }

    /// Whether there is none.
    pub fn is_absent(&self) -> bool {
        matches!(self, Value::Absent)
    }

    /// Text or bytes.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        match *self {
            Value::Text(bytes) | Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}
