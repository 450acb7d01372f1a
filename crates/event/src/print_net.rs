//! Text of socket addresses and tuples.

use std::ffi::CStr;
use std::io::Write as _;
use std::net::Ipv4Addr;

/// The address families by the numbers that captures use: Linux' own.
const UNIX: u8 = 1;
const INET: u8 = 2;
const INET6: u8 = 10;

fn put(out: &mut Vec<u8>, args: std::fmt::Arguments<'_>) {
    // Writing into memory cannot fail.
    let _ = out.write_fmt(args);
}

/// The text up to a closing NUL, which must be there.
fn closed_text(bytes: &[u8]) -> Option<&[u8]> {
    CStr::from_bytes_until_nul(bytes).ok().filter(|_| bytes.last() == Some(&0)).map(CStr::to_bytes)
}

fn port(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn v4(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(octets.into())
}

fn v6(bytes: &[u8], at: usize) -> Option<[u8; 16]> {
    bytes.get(at..at + 16)?.try_into().ok()
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// A number in decimal digits. Sockets get names so often that the way over the standard library's formatting shows.
fn print_number(number: u16, out: &mut Vec<u8>) {
    let mut digits = [0; 5];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// An IPv4 address.
pub fn print_ipv4(address: Ipv4Addr, out: &mut Vec<u8>) {
    for (at, octet) in address.octets().into_iter().enumerate() {
        if at > 0 {
            out.push(b'.');
        }
        print_number(octet.into(), out);
    }
}

/// A port, behind its colon.
pub fn print_port(port: u16, out: &mut Vec<u8>) {
    out.push(b':');
    print_number(port, out);
}

fn print_ipv4_tuple(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), out: &mut Vec<u8>) {
    print_ipv4(from.0, out);
    print_port(from.1, out);
    out.extend_from_slice(b"->");
    print_ipv4(to.0, out);
    print_port(to.1, out);
}

/// An IPv6 address as glibc's `inet_ntop` writes it, which shows `::a.b.c.d` where Rust does not.
pub fn print_ipv6(octets: [u8; 16], out: &mut Vec<u8>) {
    let [.., a, b, c, d] = octets;
    let compatible = octets[..12] == [0; 12] && (a, b) != (0, 0);
    if compatible {
        put(out, format_args!("::{}", Ipv4Addr::new(a, b, c, d)));
    } else {
        put(out, format_args!("{}", std::net::Ipv6Addr::from(octets)));
    }
}

/// An IPv4 address inside an IPv6 one. The all-zero address counts as IPv4 too.
fn mapped(octets: [u8; 16]) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = octets;
    let prefix = octets[..10] == [0; 10];
    (prefix && (octets[10..12] == [0xff; 2] || octets[10..] == [0; 6])).then(|| Ipv4Addr::new(a, b, c, d))
}

/// A socket address: family, then the address.
pub(crate) fn print_sockaddr(bytes: &[u8], out: &mut Vec<u8>) {
    let Some((&family, rest)) = bytes.split_first() else { return out.extend(b"<NA>") };
    match family {
        UNIX => match closed_text(rest) {
            Some(path) => out.extend(path),
            None => out.extend(b"INVALID PATH"),
        },
        INET => match (v4(rest, 0), port(rest, 4)) {
            (Some(ip), Some(port)) => {
                print_ipv4(ip, out);
                print_port(port, out);
            }
            _ => out.extend(b"INVALID IPv4"),
        },
        INET6 => match (v6(rest, 0), port(rest, 16)) {
            (Some(ip), Some(port)) => {
                print_ipv6(ip, out);
                print_port(port, out);
            }
            _ => out.extend(b"INVALID IPv6"),
        },
        other => put(out, format_args!("family {other}")),
    }
}

/// Both ends of a socket: family, then source and destination.
pub(crate) fn print_socktuple(bytes: &[u8], out: &mut Vec<u8>) {
    let Some((&family, rest)) = bytes.split_first() else { return out.extend(b"NULL") };
    match family {
        UNIX => match (number(rest, 0), number(rest, 8), rest.get(16..).and_then(closed_text)) {
            (Some(source), Some(dest), Some(path)) => {
                put(out, format_args!("{source:x}->{dest:x} "));
                out.extend(path);
            }
            _ => out.extend(b"INVALID PATH"),
        },
        INET => match (v4(rest, 0), port(rest, 4), v4(rest, 6), port(rest, 10)) {
            (Some(from), Some(from_port), Some(to), Some(to_port)) => {
                print_ipv4_tuple((from, from_port), (to, to_port), out);
            }
            _ => out.extend(b"INVALID IPv4"),
        },
        INET6 => match (v6(rest, 0), port(rest, 16), v6(rest, 18), port(rest, 34)) {
            (Some(from), Some(from_port), Some(to), Some(to_port)) => {
                print_inet6_tuple((from, from_port), (to, to_port), out);
            }
            _ => out.extend(b"INVALID IPv6"),
        },
        other => put(out, format_args!("family {other}")),
    }
}

fn print_inet6_tuple(from: ([u8; 16], u16), to: ([u8; 16], u16), out: &mut Vec<u8>) {
    if let (Some(source), Some(dest)) = (mapped(from.0), mapped(to.0)) {
        return print_ipv4_tuple((source, from.1), (dest, to.1), out);
    }
    print_ipv6(from.0, out);
    print_port(from.1, out);
    out.extend_from_slice(b"->");
    print_ipv6(to.0, out);
    print_port(to.1, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(print: fn(&[u8], &mut Vec<u8>), parts: &[&[u8]]) -> String {
        let mut out = Vec::new();
        print(&parts.concat(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_printed_as_the_standard_library_does() {
        for number in (0..=u16::MAX).step_by(7).chain([9, 10, 99, 100, 999, 1_000, 9_999, 10_000, u16::MAX]) {
            let mut out = Vec::new();
            print_number(number, &mut out);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }

    #[test]
    fn addresses() {
        let port = 443u16.to_ne_bytes();
        assert_eq!(text(print_sockaddr, &[&[INET, 1, 2, 3, 4], &port]), "1.2.3.4:443");
        let mut v6 = [0; 17];
        (v6[0], v6[16]) = (INET6, 1);
        assert_eq!(text(print_sockaddr, &[&v6, &port]), "::1:443");
        assert_eq!(text(print_sockaddr, &[&[UNIX], b"/run/a\0"]), "/run/a");
        assert_eq!(text(print_sockaddr, &[&[16, 9]]), "family 16");
        assert_eq!(text(print_sockaddr, &[]), "<NA>");
    }

    #[test]
    fn tuples() {
        let (a, b) = (1u16.to_ne_bytes(), 2u16.to_ne_bytes());
        let v4 = text(print_socktuple, &[&[INET, 10, 0, 0, 1], &a, &[10, 0, 0, 2], &b]);
        assert_eq!(v4, "10.0.0.1:1->10.0.0.2:2");
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 9, 8, 7, 6];
        assert_eq!(text(print_socktuple, &[&[INET6], &mapped, &a, &[0; 16], &b]), "9.8.7.6:1->0.0.0.0:2");
        let mut real = [0; 16];
        (real[0], real[15]) = (0x20, 5);
        assert_eq!(text(print_socktuple, &[&[INET6], &real, &a, &[0; 16], &b]), "2000::5:1->:::2");
        let ends = [0xabcu64.to_ne_bytes(), 0u64.to_ne_bytes()].concat();
        assert_eq!(text(print_socktuple, &[&[UNIX], &ends, b"/x\0"]), "abc->0 /x");
        assert_eq!(text(print_socktuple, &[]), "NULL");
    }

    #[test]
    fn cut_ones_say_so() {
        assert_eq!(text(print_sockaddr, &[&[INET, 1, 2]]), "INVALID IPv4");
        assert_eq!(text(print_sockaddr, &[&[UNIX], b"no end"]), "INVALID PATH");
        assert_eq!(text(print_socktuple, &[&[INET6, 1, 2]]), "INVALID IPv6");
        assert_eq!(text(print_socktuple, &[&[UNIX, 1, 2]]), "INVALID PATH");
    }

    #[test]
    fn an_ipv4_compatible_address_looks_as_glibc_writes_it() {
        let mut out = Vec::new();
        print_ipv6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], &mut out);
        assert_eq!(out, b"::1.2.3.4");
    }
}
