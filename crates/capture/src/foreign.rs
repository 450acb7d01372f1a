//! Turns events of older forms and of the other byte order into the one form that is read.

use lanner_event::{EVENTS, EventFlag, EventType, HEADER_LEN, ParamType, types};

/// Bytes of a header that does not count the parameters.
const OLD_HEADER_LEN: usize = HEADER_LEN - 4;
const LEN_AT: usize = 16;
const TYPE_AT: usize = 20;
const COUNT_AT: usize = 22;

fn number<const N: usize>(bytes: &[u8], at: usize, swap: bool) -> Option<[u8; N]> {
    let mut number: [u8; N] = bytes.get(at..at.checked_add(N)?)?.try_into().ok()?;
    if swap {
        number.reverse();
    }
    Some(number)
}

/// Writes the event in `bytes` to `out` as today's machines of this byte order write it.
/// `None` when its lengths don't add up; an unknown type gives an event without parameters.
pub(crate) fn normalise(bytes: &[u8], counted: bool, swap: bool, out: &mut Vec<u8>) -> Option<()> {
    let header_len = if counted { HEADER_LEN } else { OLD_HEADER_LEN };
    let len = u32::from_ne_bytes(number(bytes, LEN_AT, swap)?) as usize;
    let code = u16::from_ne_bytes(number(bytes, TYPE_AT, swap)?);
    out.clear();
    out.extend(number::<8>(bytes, 0, swap)?);
    out.extend(number::<8>(bytes, 8, swap)?);
    out.extend([0; 4]);
    out.extend(code.to_ne_bytes());
    out.extend([0; 4]);
    let Some(info) = EVENTS.get(usize::from(code)) else {
        out[LEN_AT..TYPE_AT].copy_from_slice(&(HEADER_LEN as u32).to_ne_bytes());
        return Some(());
    };
    // Old writers counted three bytes too many for these two.
    let excess = !counted && matches!(info.code, types::NOTIFICATION_E | types::INFRASTRUCTURE_EVENT_E);
    let body = bytes.get(header_len..len.checked_sub(if excess { 3 } else { 0 })?)?;
    let width = if info.has(EventFlag::LargePayload) { 4 } else { 2 };
    let count = if counted {
        u32::from_ne_bytes(number(bytes, COUNT_AT, swap)?) as usize
    } else {
        count_params(body, info.params.len(), width, swap)?
    };
    let lengths = count.checked_mul(width)?;
    let (lengths, data) = (body.get(..lengths)?, body.get(lengths..)?);
    out[COUNT_AT..HEADER_LEN].copy_from_slice(&(count as u32).to_ne_bytes());
    for length in lengths.chunks_exact(width) {
        push_number(length, swap, out);
    }
    let start = out.len();
    out.extend_from_slice(data);
    if swap {
        swap_params(info.code, lengths, width, &mut out[start..])?;
    }
    let total = u32::try_from(out.len()).ok()?;
    out[LEN_AT..TYPE_AT].copy_from_slice(&total.to_ne_bytes());
    Some(())
}

fn push_number(bytes: &[u8], swap: bool, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(bytes);
    if swap {
        out[start..].reverse();
    }
}

fn length(lengths: &[u8], index: usize, width: usize, swap: bool) -> Option<usize> {
    Some(match width {
        4 => u32::from_ne_bytes(number(lengths, index * 4, swap)?) as usize,
        _ => usize::from(u16::from_ne_bytes(number(lengths, index * 2, swap)?)),
    })
}

/// How many parameters an event has whose header does not say it: as many as make its lengths and data
/// fill it exactly.
fn count_params(body: &[u8], most: usize, width: usize, swap: bool) -> Option<usize> {
    (0..=most).rev().find(|&count| {
        let total = (0..count).try_fold(count * width, |sum, i| Some(sum + length(body, i, width, swap)?));
        total == Some(body.len())
    })
}

/// Swaps the numbers in the parameters. `lengths` is still in the writer's byte order.
fn swap_params(code: EventType, lengths: &[u8], width: usize, data: &mut [u8]) -> Option<()> {
    let params = code.info()?.params;
    let mut rest = data;
    for index in 0..lengths.len() / width {
        let (param, behind) = rest.split_at_mut_checked(length(lengths, index, width, true)?)?;
        rest = behind;
        let Some(info) = params.get(index) else { continue };
        match (info.ty, param) {
            (ParamType::Dyn, [variant, value @ ..]) => {
                if let Some(ty) = info.variants.get(usize::from(*variant)) {
                    swap_value(*ty, value);
                }
            }
            (ty, param) => swap_value(ty, param),
        }
    }
    Some(())
}

/// Families of socket addresses.
const UNIX: u8 = 1;
const INET: u8 = 2;
const INET6: u8 = 10;

/// Swaps the numbers in one value. Addresses are in network order, whoever wrote them.
fn swap_value(ty: ParamType, value: &mut [u8]) {
    match ty {
        ParamType::Ipv4addr | ParamType::Ipv6addr => {}
        ParamType::Fdlist => {
            swap_at(value, &[(0, 2)]);
            value
                .get_mut(2..)
                .unwrap_or_default()
                .chunks_exact_mut(10)
                .for_each(|e| swap_at(e, &[(0, 8), (8, 2)]));
        }
        ParamType::Sockaddr => match value.first() {
            Some(&INET) => swap_at(value, &[(5, 2)]),
            Some(&INET6) => swap_at(value, &[(17, 2)]),
            _ => {}
        },
        ParamType::Socktuple => match value.first() {
            Some(&INET) => swap_at(value, &[(5, 2), (11, 2)]),
            Some(&INET6) => swap_at(value, &[(17, 2), (35, 2)]),
            Some(&UNIX) => swap_at(value, &[(1, 8), (9, 8)]),
            _ => {}
        },
        _ if ty.fixed_len() == Some(value.len()) => value.reverse(),
        _ => {}
    }
}

fn swap_at(value: &mut [u8], numbers: &[(usize, usize)]) {
    for &(at, len) in numbers {
        if let Some(number) = value.get_mut(at..at + len) {
            number.reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use lanner_event::{Event, EventBuf};

    use super::*;

    /// The same event as the other byte order has it: swapping is its own inverse.
    fn swapped(event: &EventBuf) -> Vec<u8> {
        let bytes = event.as_bytes();
        let event = event.event().unwrap();
        let mut out = Vec::new();
        for range in [0..8, 8..16, 16..20, 20..22, 22..26] {
            push_number(&bytes[range], true, &mut out);
        }
        let width = if event.info.has(EventFlag::LargePayload) { 4 } else { 2 };
        let lengths: Vec<u8> = bytes[HEADER_LEN..][..event.param_count() * width]
            .chunks(width)
            .flat_map(|l| l.iter().rev().copied().collect::<Vec<_>>())
            .collect();
        out.extend(&lengths);
        let start = out.len();
        event.params().for_each(|p| out.extend(p));
        swap_params(event.ty(), &lengths, width, &mut out[start..]).unwrap();
        out
    }

    #[test]
    fn the_other_byte_order_gives_the_same_event() {
        let fd = 3i64.to_ne_bytes();
        let list = [&1u16.to_ne_bytes()[..], &fd, &5u16.to_ne_bytes()].concat();
        let tuple =
            [&[INET, 1, 2, 3, 4][..], &80u16.to_ne_bytes(), &[5, 6, 7, 8], &443u16.to_ne_bytes()].concat();
        let ptrace = [&[0u8][..], &77u64.to_ne_bytes()].concat();
        for event in [
            EventBuf::new(1, 2, 3, types::SYSCALL_POLL_X, &[&fd, &list, &fd]),
            EventBuf::new(1, 2, 3, types::SOCKET_CONNECT_X, &[&fd, &tuple, &fd, &tuple[..7]]),
            EventBuf::new(1, 2, 3, types::SYSCALL_PTRACE_X, &[&fd, &ptrace, &[1, 9], &[1, 0], &fd]),
            EventBuf::new(1, 2, 3, types::PLUGINEVENT_E, &[&9u32.to_ne_bytes(), b"data"]),
        ] {
            let event = event.unwrap();
            let foreign = swapped(&event);
            assert_ne!(foreign, event.as_bytes());
            let mut out = Vec::new();
            normalise(&foreign, true, true, &mut out).unwrap();
            assert_eq!(out, event.as_bytes());
        }
    }

    #[test]
    fn parameters_are_counted_where_the_header_does_not() {
        let fd = 3i64.to_ne_bytes();
        let close = EventBuf::new(1, 2, 0, types::SYSCALL_CLOSE_X, &[&fd]).unwrap();
        let mut old = close.as_bytes().to_vec();
        old.drain(COUNT_AT..HEADER_LEN);
        let len = (old.len() as u32).to_ne_bytes();
        old[LEN_AT..TYPE_AT].copy_from_slice(&len);
        let mut out = Vec::new();
        normalise(&old, false, false, &mut out).unwrap();
        assert_eq!(out, close.as_bytes());
        // Nothing adds up.
        old[OLD_HEADER_LEN] = 99;
        assert_eq!(normalise(&old, false, false, &mut out), None);
    }

    #[test]
    fn an_unknown_type_is_left_to_be_skipped() {
        let mut bytes = vec![0; HEADER_LEN];
        bytes[LEN_AT..TYPE_AT].copy_from_slice(&26u32.to_ne_bytes());
        bytes[TYPE_AT..COUNT_AT].copy_from_slice(&60_000u16.to_ne_bytes());
        let mut out = Vec::new();
        normalise(&bytes, true, false, &mut out).unwrap();
        assert!(matches!(Event::decode(&out, 0), Err(lanner_event::DecodeError::UnknownType(60_000))));
    }
}
