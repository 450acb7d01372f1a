use lanner_event::{EventBuf, params, types::*};

use super::*;

fn n64(n: i64) -> [u8; 8] {
    n.to_ne_bytes()
}

/// Feeds events of one thread; gives those that come out: type and parameters.
fn upgraded(events: &[(EventType, &[&[u8]])]) -> Vec<(EventType, Vec<Vec<u8>>)> {
    let mut upgrader = Upgrader::new();
    let mut out = Vec::new();
    for (ty, params) in events {
        let buf = EventBuf::new(1, 7, 0, *ty, params).unwrap();
        let event = buf.event().unwrap();
        let new = match upgrader.upgrade(&event) {
            Upgraded::Nothing => continue,
            Upgraded::Same => event,
            Upgraded::New => Event::decode(upgrader.bytes(), 0).unwrap(),
        };
        assert_eq!((new.ts, new.tid), (1, 7));
        out.push((new.ty(), new.params().map(<[u8]>::to_vec).collect()));
    }
    out
}

fn values(params: &[&[u8]]) -> Vec<Vec<u8>> {
    params.iter().map(|p| p.to_vec()).collect()
}

#[test]
fn the_end_takes_arguments_from_the_beginning() {
    let out = upgraded(&[(SYSCALL_CLOSE_E, &[&n64(3)]), (SYSCALL_CLOSE_X, &[&n64(0)])]);
    assert_eq!(out, [(SYSCALL_CLOSE_X, values(&[&n64(0), &n64(3)]))]);
}

#[test]
fn a_beginning_serves_once_and_only_its_own_end() {
    let close = |res| (SYSCALL_CLOSE_X, values(&[&n64(res), &n64(0)]));
    let out = upgraded(&[
        (SYSCALL_CLOSE_E, &[&n64(3)]),
        (SYSCALL_CLOSE_X, &[&n64(0)]),
        (SYSCALL_CLOSE_X, &[&n64(1)]),
        (SYSCALL_FCHDIR_E, &[&n64(9)]),
        (SYSCALL_CLOSE_X, &[&n64(2)]),
    ]);
    assert_eq!(out[1..], [close(1), close(2)]);
}

#[test]
fn what_nothing_tells_is_zero_or_empty() {
    assert_eq!(upgraded(&[(SYSCALL_CLOSE_X, &[&n64(0)])])[0].1, values(&[&n64(0), &n64(0)]));
    assert_eq!(upgraded(&[(SYSCALL_SETUID_X, &[&n64(0)])])[0].1, values(&[&n64(0), &[]]));
    assert_eq!(upgraded(&[(SYSCALL_MKDIR_2_X, &[&n64(0), b"d\0"])])[0].1, values(&[&n64(0), b"d\0", &[]]));
    assert_eq!(upgraded(&[(SOCKET_SENDMMSG_X, &[])])[0].1, values(&[&n64(0), &[], &[], &[], &[]]));
}

#[test]
fn replaced_types_become_todays() {
    let out = upgraded(&[
        (SYSCALL_LINKAT_E, &[&n64(3), b"a\0", &n64(4), b"b\0"]),
        (SYSCALL_LINKAT_X, &[&n64(-2)]),
        (SYSCALL_DUP_E, &[&n64(5)]),
        (SYSCALL_DUP_X, &[&n64(6)]),
        (PROCEXIT_E, &[]),
    ]);
    let linkat = values(&[&n64(-2), &n64(3), b"a\0", &n64(4), b"b\0", &[]]);
    assert_eq!(
        out,
        [
            (SYSCALL_LINKAT_2_X, linkat),
            (SYSCALL_DUP_1_X, values(&[&n64(6), &n64(5)])),
            (PROCEXIT_1_E, values(&[&[], &[], &[], &[], &[]])),
        ]
    );
}

#[test]
fn an_old_exec_has_its_file_name_from_its_beginning() {
    let old: Vec<Vec<u8>> = (0..17u8)
        .map(|i| {
            vec![i; SYSCALL_EXECVE_18_X.info().unwrap().params[usize::from(i)].ty.fixed_len().unwrap_or(3)]
        })
        .collect();
    let old: Vec<&[u8]> = old.iter().map(Vec::as_slice).collect();
    let out = upgraded(&[(SYSCALL_EXECVE_18_E, &[b"./x\0"]), (SYSCALL_EXECVE_18_X, &old)]);
    assert_eq!(out[0], (SYSCALL_EXECVE_19_E, values(&[b"./x\0"])));
    let (ty, exec) = &out[1];
    assert_eq!((*ty, exec.len()), (SYSCALL_EXECVE_19_X, 31));
    assert_eq!(exec[..17], values(&old)[..]);
    assert_eq!(exec[params::syscall_execve_19_x::FILENAME], b"./x\0");
    assert!(exec[17..30].iter().all(Vec::is_empty));
}

#[test]
fn columns_that_moved_keep_their_names() {
    let old: Vec<[u8; 1]> = (0..14u8).map(|i| [i]).collect();
    let old: Vec<&[u8]> = old.iter().map(|v| &v[..]).collect();
    let (ty, exec) = &upgraded(&[(SYSCALL_EXECVE_14_X, &old)])[0];
    assert_eq!(*ty, SYSCALL_EXECVE_19_X);
    assert_eq!(
        (exec[params::syscall_execve_19_x::ENV].as_slice(), exec[13].as_slice()),
        (&[13][..], &[][..])
    );
}

#[test]
fn variants_lose_the_byte_that_picks_them() {
    let res = [&[0][..], &n64(4)].concat();
    let out = upgraded(&[(SYSCALL_BPF_E, &[&n64(5)]), (SYSCALL_BPF_X, &[&res])]);
    assert_eq!(out, [(SYSCALL_BPF_2_X, values(&[&n64(4), &5u32.to_ne_bytes()]))]);
}

#[test]
fn connect_is_completed_in_one_step() {
    let (res, fd) = (n64(0), n64(3));
    let both: &[&[u8]] = &[&fd, b"\x01/run\0"];
    let out = upgraded(&[(SOCKET_CONNECT_E, both), (SOCKET_CONNECT_X, &[&res, b"t"])]);
    assert_eq!(out[1].1, values(&[&res, b"t", &fd, &[]]));
    let out = upgraded(&[(SOCKET_CONNECT_E, both), (SOCKET_CONNECT_X, &[&res, b"t", &fd])]);
    assert_eq!(
        out,
        [(SOCKET_CONNECT_E, values(both)), (SOCKET_CONNECT_X, values(&[&res, b"t", &fd, b"\x01/run\0"])),]
    );
}

#[test]
fn an_old_container_becomes_json() {
    let out = upgraded(&[(CONTAINER_E, &[b"abc\0", &1u32.to_ne_bytes(), b"web\0", b"nginx\0"])]);
    let json = b"{\"id\":\"abc\",\"type\":1,\"name\":\"web\",\"image\":\"nginx\"}\0".to_vec();
    assert_eq!(out, [(CONTAINER_JSON_2_E, vec![json])]);
}

/// Whatever an old capture holds, only types that are current come out; the exceptions are listed.
#[test]
fn only_todays_types_come_out() {
    for info in &EVENTS {
        for count in 0..=info.params.len() {
            let params: Vec<&[u8]> = vec![&[0; 8]; count];
            for (ty, values) in upgraded(&[(info.code, &params)]) {
                let new = ty.info().unwrap();
                let allowed = [SYSCALL_EXECVE_19_E, SYSCALL_EXECVEAT_E].contains(&ty);
                assert!(allowed || !new.has(EventFlag::OldVersion), "{} gave {}", info.symbol, new.symbol);
                assert!(!new.has(EventFlag::Unused), "{}", info.symbol);
                let whole = !new.has(EventFlag::ConverterManaged) && ty == info.code;
                assert!(whole || values.len() == new.params.len(), "{} with {count}", info.symbol);
            }
        }
    }
}

#[test]
fn every_parameter_of_the_table_fits() {
    assert!(EVENTS.iter().all(|info| info.params.len() <= MOST_PARAMS));
}

#[test]
fn calls_that_never_end_take_bounded_memory() {
    let mut upgrader = Upgrader::new();
    for tid in 0..MOST_WAITING as i64 + 10 {
        let buf = EventBuf::new(1, tid, 0, SYSCALL_CLOSE_E, &[&n64(3)]).unwrap();
        assert_eq!(upgrader.upgrade(&buf.event().unwrap()), Upgraded::Nothing);
    }
    assert!(upgrader.kept.len() <= MOST_WAITING);
    let list = vec![0; 60_000];
    for tid in 0..2000 {
        let buf = EventBuf::new(1, tid, 0, SYSCALL_POLL_E, &[&list, &n64(3)]).unwrap();
        upgrader.upgrade(&buf.event().unwrap());
    }
    let bytes: usize = upgrader.kept.values().map(Vec::capacity).sum();
    assert!(bytes <= MOST_KEPT + 2 * list.len(), "{bytes}");
}
