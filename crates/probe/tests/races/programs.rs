//! Programs that are run.

use std::os::unix::fs::PermissionsExt;

use lanner_event::{EventBuf, types as t};

use crate::support::call::{Arg::N, call};
use crate::support::{number, text};
use crate::{Place, ROUNDS, Rewritten, rounds, watch};

/// Which of two that can't be run, for different reasons.
#[test]
fn a_program_that_cannot_run() {
    let place = Place::new("failing");
    let path = format!("{}/", place.0);
    std::fs::write(format!("{path}a"), "").unwrap();
    let name = Rewritten::path(&path);
    let told = rounds(t::SYSCALL_EXECVE_19_X, || match call(libc::SYS_execve, &[N(name.at()), N(0), N(0)]) {
        -13 => 'a',
        -2 => 'b',
        other => panic!("{other}"),
    });
    let Some(told) = told else { return };
    for (event, happened) in &told.rounds {
        assert_eq!(number(&event.event().unwrap(), "res"), Some(if *happened == 'a' { -13 } else { -2 }));
    }
    told.check_text("filename");
}

/// A program that ends at once with a status, whatever it is called.
#[cfg(target_arch = "x86_64")]
fn program(status: u8) -> Vec<u8> {
    // mov edi, status; mov eax, 60; syscall
    let code = [0xbf, status, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];
    let (base, headers) = (0x40_0000u64, 64 + 56);
    let numbers = |numbers: &[u64]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
    let shorts = |numbers: &[u16]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
    // an executable of 64 bits for x86-64, its entry, its one program header, and the sizes of headers
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    file.extend(numbers(&[base + headers, 64, 0]));
    file.extend([0; 4]);
    file.extend(shorts(&[64, 56, 1, 0, 0, 0]));
    // the whole file is loaded, readable and executable
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    let size = headers + code.len() as u64;
    file.extend(numbers(&[0, base, base, size, size, 4096]));
    file.extend(code);
    file
}

/// A program that runs is told by the kernel's own copy of its name.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_program_that_runs() {
    let place = Place::new("exec");
    let path = format!("{}/", place.0);
    for (name, status) in [("a", 0), ("b", 1)] {
        let file = format!("{path}{name}");
        std::fs::write(&file, program(status)).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    let name = Rewritten::path(&path);
    let args = [name.at() as u64, 0].map(u64::to_ne_bytes).concat();
    let Some(mut watch) = watch(t::SYSCALL_EXECVE_19_X) else { return };
    let mut ran = std::collections::BTreeMap::new();
    for _ in 0..ROUNDS / 5 {
        let child = crate::support::call::vfork_and_run(name.at(), &args);
        let mut status = [0u8; 4];
        assert_eq!(call(libc::SYS_wait4, &[N(child), N(status.as_mut_ptr() as i64)]), child);
        ran.insert(child, ["a", "b"][usize::from(status[1] != 0)]);
    }
    let of_them = |e: &EventBuf| ran.contains_key(&e.event().unwrap().tid);
    let events = watch.events_until(|events| events.iter().filter(|e| of_them(e)).count() == ran.len());
    let events: Vec<_> = events.iter().filter(|e| of_them(e)).map(|e| e.event().unwrap()).collect();
    assert_eq!(events.len(), ran.len());
    for event in events {
        let really = Some(format!("{path}{}", ran[&event.tid]));
        assert_eq!(
            (number(&event, "res"), text(&event, "filename"), text(&event, "trusted_exepath")),
            (Some(0), really.clone(), really)
        );
    }
}
