//! Fields of the file descriptors that a poll waits for.

use std::io::Write as _;
use std::net::IpAddr;

use lanner_event::{EventType, params, print_ipv6, types};
use lanner_machine::{Ends, Fd, FdKind};

use crate::scratch::{Buffer, Sink};
use crate::table::Fdlist;
use crate::{Context, Scratch, Value};

/// Bytes of an entry: fd i64, flags i16.
const ENTRY: usize = 10;

/// Where events of a type have their list.
pub(crate) fn place(ty: EventType) -> Option<usize> {
    match ty {
        types::SYSCALL_POLL_X => Some(params::syscall_poll_x::FDS),
        types::SYSCALL_PPOLL_X => Some(params::syscall_ppoll_x::FDS),
        _ => None,
    }
}

pub(crate) fn extract<'a>(id: Fdlist, cx: &Context<'a>) -> Option<Value<'a>> {
    let index = place(cx.event.ty())?;
    let thread = cx.thread()?;
    let (count, entries) = cx.event.param(index)?.split_first_chunk::<2>()?;
    let count = usize::from(u16::from_ne_bytes(*count));
    let mut out = cx.scratch.buffer();
    for entry in entries.chunks_exact(ENTRY).take(count) {
        let num = i64::from_ne_bytes(*entry.first_chunk()?);
        let before = out.len();
        if before > 0 {
            out.push(b',');
        }
        if !print(id, num, cx.machine.fd(thread.tid, num), cx.scratch, &mut out) {
            out.truncate(before);
        }
    }
    (!out.is_empty()).then(|| Value::Text(out.into_bump_slice()))
}

/// Appends what the field tells of an fd, if it tells something.
fn print(id: Fdlist, num: i64, fd: Option<&Fd>, scratch: &Scratch, out: &mut Buffer<'_, u8>) -> bool {
    match id {
        Fdlist::FdlistNums => number(num, out),
        Fdlist::FdlistNames => {
            let name = fd.map_or(&b""[..], |fd| &fd.name);
            out.extend_from_slice(if name.is_empty() { b"<NA>" } else { name });
        }
        _ => {
            let Some(fd) = fd else { return false };
            let Ends::Ip { source, dest } = &fd.ends else { return false };
            let connection = matches!(fd.kind, FdKind::Ipv4 | FdKind::Ipv6);
            match (id, dest) {
                (Fdlist::FdlistCips, _) if connection => address(source.ip, scratch, out),
                (Fdlist::FdlistSips, Some(dest)) if connection => address(dest.ip, scratch, out),
                (Fdlist::FdlistSips, _) if !connection => address(source.ip, scratch, out),
                (Fdlist::FdlistCports, _) if connection => number(source.port, out),
                (Fdlist::FdlistSports, Some(dest)) if connection => number(dest.port, out),
                _ => return false,
            }
        }
    }
    true
}

fn number(number: impl std::fmt::Display, out: &mut Buffer<'_, u8>) {
    // Writing into memory cannot fail.
    let _ = write!(Sink(out), "{number}");
}

fn address(ip: IpAddr, scratch: &Scratch, out: &mut Buffer<'_, u8>) {
    match ip {
        IpAddr::V4(ip) => number(ip, out),
        IpAddr::V6(ip) => {
            let octets = ip.octets();
            out.extend_from_slice(scratch.built(|text| print_ipv6(octets, text)));
        }
    }
}
