//! Every way to run a program is told as the same event, with the file that really runs. docs/coverage.md has a row
//! for each.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::ffi::CString;
use std::fs::Permissions;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use lanner_event::{Event, EventBuf, EventType, types as t};
use support::call::{Arg::N, Arg::P, call};
use support::{Watch, flag, number, text, texts, watch};

const TYPES: [EventType; 6] = [
    t::SYSCALL_CLONE_20_X,
    t::SYSCALL_CLONE3_X,
    t::SYSCALL_VFORK_20_X,
    t::SYSCALL_EXECVE_19_X,
    t::SYSCALL_EXECVEAT_X,
    t::PROCEXIT_1_E,
];

/// A directory of this test's own, gone with the value.
struct Place(String);

impl Place {
    fn new(name: &str) -> Place {
        let path = format!("/tmp/lanner-programs-{name}-{}", std::process::id());
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Place(path)
    }

    /// An executable file.
    fn program(&self, name: &str, content: &[u8]) -> String {
        let path = format!("{}/{name}", self.0);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a command to its end; its process id and all that was told until then.
fn run(watch: &mut Watch, command: &mut Command) -> (i64, EventBufs) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let pid = i64::from(child.id());
    child.wait().unwrap();
    let ended = |e: &EventBuf| {
        let event = e.event().unwrap();
        event.ty() == t::PROCEXIT_1_E && event.tid == pid
    };
    (pid, EventBufs(watch.events_until(|events| events.iter().any(ended))))
}

struct EventBufs(Vec<EventBuf>);

impl EventBufs {
    fn of(&self, ty: EventType, tid: i64) -> Vec<Event<'_>> {
        self.0.iter().map(|e| e.event().unwrap()).filter(|e| e.ty() == ty && e.tid == tid).collect()
    }

    /// The successful runs of a process.
    fn runs(&self, pid: i64) -> Vec<Event<'_>> {
        let runs = self.of(t::SYSCALL_EXECVE_19_X, pid);
        runs.into_iter().filter(|e| number(e, "res") == Some(0)).collect()
    }

    /// The only one.
    fn one_run(&self, pid: i64) -> Event<'_> {
        let mut runs = self.runs(pid);
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.remove(0)
    }
}

/// A command whose child makes a call of its own instead of running the program that is named.
fn child_that_calls(act: impl FnMut() -> i64 + Send + Sync + 'static) -> Command {
    let mut act = act;
    let mut command = Command::new("/nonexistent/lanner");
    // SAFETY: between fork and exec the child makes one system call, with memory that was ready before.
    unsafe {
        command.pre_exec(move || Err(std::io::Error::from_raw_os_error(-act() as i32)));
    }
    command
}

fn real(path: &str) -> String {
    std::fs::canonicalize(path).unwrap().to_string_lossy().into_owned()
}

/// Texts, and pointers to them with a null pointer at the end. Memory of its own: of a failed call the kernel has not
/// read the arguments, and constants of a new process are not in its memory before somebody has.
fn pointers(texts: &[&[u8]]) -> Vec<u8> {
    let end = |text: &&[u8]| Box::leak(text.to_vec().into_boxed_slice()).as_ptr() as u64;
    texts.iter().map(end).chain([0]).flat_map(u64::to_ne_bytes).collect()
}

const EMPTY_PATH: i64 = 0x1000;

#[test]
fn a_program_by_its_descriptor_alone() {
    let Some(mut watch) = watch(&TYPES) else { return };
    let file = std::fs::File::open("/bin/true").unwrap();
    let (fd, ino) = (i64::from(file.as_raw_fd()), file.metadata().unwrap().ino() as i64);
    let (args, env) = (pointers(&[b"disguised\0", b"one\0"]), pointers(&[b"A=b\0"]));
    let mut command = child_that_calls(move || {
        call(libc::SYS_execveat, &[N(fd), P(b"\0"), P(&args), P(&env), N(EMPTY_PATH)])
    });
    let (pid, events) = run(&mut watch, &mut command);
    let event = events.one_run(pid);
    // what it calls itself is forged; what runs is not
    assert_eq!(text(&event, "exe").as_deref(), Some("disguised"));
    assert_eq!((texts(&event, "args"), texts(&event, "env")), (vec!["one".into()], vec!["A=b".into()]));
    assert_eq!(text(&event, "filename"), Some(format!("/dev/fd/{fd}")));
    assert_eq!(text(&event, "trusted_exepath"), Some(real("/bin/true")));
    assert_eq!(number(&event, "exe_ino"), Some(ino));
}

#[test]
fn a_program_beneath_a_directory_and_one_that_is_not_there() {
    let Some(mut watch) = watch(&TYPES) else { return };
    let directory = std::fs::File::open("/bin").unwrap();
    let fd = i64::from(directory.as_raw_fd());
    let (args, env) = (pointers(&[b"true\0"]), pointers(&[]));
    let mut command = child_that_calls(move || {
        call(libc::SYS_execveat, &[N(fd), P(b"lanner-none\0"), P(&args), P(&env), N(0)]);
        call(libc::SYS_execveat, &[N(fd), P(b"true\0"), P(&args), P(&env), N(0)])
    });
    let (pid, events) = run(&mut watch, &mut command);
    let failed = events.of(t::SYSCALL_EXECVEAT_X, pid);
    assert_eq!(failed.len(), 1);
    assert_eq!((number(&failed[0], "res"), text(&failed[0], "exe")), (Some(-2), Some("true".into())));
    let event = events.one_run(pid);
    assert_eq!(text(&event, "filename"), Some(format!("/dev/fd/{fd}/true")));
    assert_eq!(text(&event, "trusted_exepath"), Some(real("/bin/true")));
}

#[test]
fn a_script_is_its_interpreter_with_the_script_as_argument() {
    let Some(mut watch) = watch(&TYPES) else { return };
    let place = Place::new("script");
    let script = place.program("script", b"#!/bin/sh -e\nexit 3\n");
    let (pid, events) = run(&mut watch, Command::new(&script).arg("one"));
    let event = events.one_run(pid);
    assert_eq!(text(&event, "filename"), Some(script.clone()));
    assert_eq!(text(&event, "trusted_exepath"), Some(real("/bin/sh")));
    assert_eq!(text(&event, "comm").as_deref(), Some("script"));
    assert_eq!(text(&event, "exe").as_deref(), Some("/bin/sh"));
    assert_eq!(texts(&event, "args"), ["-e", &script, "one"]);
    let ended = &events.of(t::PROCEXIT_1_E, pid)[0];
    assert_eq!(number(ended, "ret"), Some(3));
}

/// What binfmt_misc runs is a program that the file does not name.
#[test]
fn a_format_that_the_administrator_has_added() {
    let Some(mut watch) = watch(&TYPES) else { return };
    let place = Place::new("format");
    let ending = format!("lanner{}", std::process::id());
    let file = place.program(&format!("file.{ending}"), b"exit 4\n");
    // what is told is undone in any case: the table is the whole kernel's, or its user namespace's
    let script = format!(
        "set -e; mkdir {0}/formats; mount -t binfmt_misc none {0}/formats; cd {0}; \
         echo ':{ending}:E::{ending}::/bin/sh:' >formats/register; \
         code=0; {file} one || code=$?; echo -1 >formats/{ending}; test $code = 4",
        place.0
    );
    let status =
        Command::new("unshare").args(["--mount", "sh", "-c", &script]).stderr(Stdio::null()).status();
    if !status.is_ok_and(|status| status.success()) {
        eprintln!("skipped: binfmt_misc can't be mounted or written here");
        return;
    }
    let is = |e: &EventBuf| text(&e.event().unwrap(), "filename").as_ref() == Some(&file);
    let is_run = |e: &EventBuf| e.event().unwrap().ty() == t::SYSCALL_EXECVE_19_X && is(e);
    let events = watch.events_until(|events| events.iter().any(is_run));
    let event = events.iter().find(|e| is_run(e)).expect("the run").event().unwrap();
    assert_eq!(number(&event, "res"), Some(0));
    assert_eq!(text(&event, "trusted_exepath"), Some(real("/bin/sh")));
    assert_eq!(text(&event, "exe").as_deref(), Some("/bin/sh"));
    assert_eq!(texts(&event, "args"), [file, "one".into()]);
}

#[test]
fn a_program_whose_file_is_gone() {
    let Some(mut watch) = watch(&TYPES) else { return };
    let place = Place::new("gone");
    let path = place.program("gone", &std::fs::read("/bin/true").unwrap());
    let file = std::fs::File::open(&path).unwrap();
    let (fd, ino) = (i64::from(file.as_raw_fd()), file.metadata().unwrap().ino() as i64);
    std::fs::remove_file(&path).unwrap();
    let (args, env) = (pointers(&[b"true\0"]), pointers(&[]));
    let mut command = child_that_calls(move || {
        call(libc::SYS_execveat, &[N(fd), P(b"\0"), P(&args), P(&env), N(EMPTY_PATH)])
    });
    let (pid, events) = run(&mut watch, &mut command);
    let event = events.one_run(pid);
    // the path that it had
    assert_eq!(text(&event, "trusted_exepath"), Some(path));
    assert_eq!(number(&event, "exe_ino"), Some(ino));
}

/// Set for a process of this test that is to run a program from a thread.
const BY_THREAD: &str = "LANNER_TEST_RUNS_BY_THREAD";

/// The thread takes the place of the first, whose id it gets.
#[test]
fn a_thread_runs_a_program() {
    if std::env::var_os(BY_THREAD).is_some() {
        std::thread::spawn(|| Command::new("/bin/true").env_remove(BY_THREAD).exec()).join().unwrap();
        return;
    }
    let Some(mut watch) = watch(&TYPES) else { return };
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_thread_runs_a_program", "--test-threads=1"]).env(BY_THREAD, "1");
    let (pid, events) = run(&mut watch, &mut command);
    let runs = events.runs(pid);
    assert_eq!(runs.len(), 2, "the test, then what its thread runs");
    let last = &runs[1];
    assert_eq!((number(last, "tid"), number(last, "pid")), (Some(pid), Some(pid)));
    assert_eq!(text(last, "trusted_exepath"), Some(real("/bin/true")));
    // the first thread has ended for it before, and the process ends once more
    let ends = events.of(t::PROCEXIT_1_E, pid);
    assert!(ends.iter().any(|end| end.ts < last.ts), "{ends:?}");
    let ended = |events: &[EventBuf]| {
        let ends = events.iter().map(|e| e.event().unwrap()).filter(|e| e.ty() == t::PROCEXIT_1_E);
        ends.filter(|e| e.tid == pid && e.ts > last.ts).count() > 0
    };
    assert!(ended(&events.0) || ended(&watch.events_until(ended)));
}

/// Each call of the family begins a process whose side is told in full, by the call's own event.
#[test]
fn clone_clone3_and_vfork_begin_processes() {
    let Some(mut watch) = watch(&TYPES) else { return };
    let program = CString::new("/bin/true").unwrap();
    let args = [program.as_ptr() as u64, 0].map(u64::to_ne_bytes).concat();
    let args3 = [0u64, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0].map(u64::to_ne_bytes).concat();
    let ways: [(EventType, &dyn Fn() -> i64); 2] = [
        (t::SYSCALL_CLONE_20_X, &|| call(libc::SYS_clone, &[N(libc::SIGCHLD.into())])),
        (t::SYSCALL_CLONE3_X, &|| call(libc::SYS_clone3, &[P(&args3), N(args3.len() as i64)])),
    ];
    for (ty, begin) in ways {
        let child = begin();
        if child == 0 {
            call(libc::SYS_execve, &[N(program.as_ptr() as i64), P(&args), N(0)]);
            call(libc::SYS_exit_group, &[N(1)]);
        }
        assert!(child > 0, "{child}");
        call(libc::SYS_wait4, &[N(child)]);
        begun_by(&mut watch, ty, child);
    }
    #[cfg(target_arch = "x86_64")]
    {
        let child = support::call::vfork_and_run(program.as_ptr() as i64, &args);
        assert!(child > 0, "{child}");
        call(libc::SYS_wait4, &[N(child)]);
        begun_by(&mut watch, t::SYSCALL_VFORK_20_X, child);
    }
}

/// Checks how a child began, and that it ran a program.
fn begun_by(watch: &mut Watch, ty: EventType, child: i64) {
    let ended = |e: &EventBuf| {
        let event = e.event().unwrap();
        event.ty() == t::PROCEXIT_1_E && event.tid == child
    };
    let events = EventBufs(watch.events_until(|events| events.iter().any(ended)));
    let first = events.0.iter().map(|e| e.event().unwrap()).find(|e| e.tid == child).unwrap();
    // kernels before 5.15 don't say which call it is
    assert!([ty, t::SYSCALL_CLONE_20_X].contains(&first.ty()), "{first:?}");
    assert_eq!((number(&first, "res"), number(&first, "ptid")), (Some(0), Some(support::call::gettid())));
    if ty == t::SYSCALL_VFORK_20_X {
        let shared = flag(ty, "flags", "CLONE_VM");
        assert_eq!(number(&first, "flags").unwrap() & shared, shared);
    }
    assert_eq!(text(&events.one_run(child), "trusted_exepath"), Some(real("/bin/true")));
}

/// A whole 32-bit program, assembled by hand: opens the file that its first argument names, by the entry into the
/// kernel that its vDSO has (`sysenter` on Intel's processors, `syscall` on AMD's), and exits with the result.
#[cfg(target_arch = "x86_64")]
fn program_of_32_bits() -> Vec<u8> {
    const CODE: &[u8] = &[
        0x89, 0xe6, // mov esi, esp
        0x8b, 0x06, // mov eax, [esi]            how many arguments
        0x8d, 0x74, 0x86, 0x08, // lea esi, [esi+eax*4+8]    behind them the environment
        0xad, 0x85, 0xc0, 0x75, 0xfb, // 1: lodsd; test eax, eax; jnz 1b
        0xad, 0x89, 0xc1,
        0xad, // 2: lodsd; mov ecx, eax; lodsd     what the kernel tells: a name, a value
        0x83, 0xf9, 0x20, 0x74, 0x0b, // cmp ecx, AT_SYSINFO; je 3f
        0x85, 0xc9, 0x75, 0xf3, // test ecx, ecx; jnz 2b
        0xbb, 0x62, 0x00, 0x00, 0x00, // mov ebx, 98
        0xeb, 0x1a, // jmp 4f
        0x89, 0xc7, // 3: mov edi, eax
        0x8b, 0x5c, 0x24, 0x08, // mov ebx, [esp+8]           the first argument
        0x31, 0xc9, 0x31, 0xd2, // xor ecx, ecx; xor edx, edx
        0xb8, 0x05, 0x00, 0x00, 0x00, 0xff, 0xd7, // mov eax, open; call edi
        0x89, 0xc3, // mov ebx, eax
        0xb8, 0x01, 0x00, 0x00, 0x00, 0xff, 0xd7, // mov eax, exit; call edi
        0xb8, 0x01, 0x00, 0x00, 0x00, 0xcd, 0x80, // 4: mov eax, exit; int 0x80
    ];
    const BASE: u32 = 0x0804_8000;
    const HEADERS: u32 = 52 + 32;
    let size = HEADERS + CODE.len() as u32;
    let mut file = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // an executable for i386, which begins behind its headers; one program header behind this one
    file.extend([2u16, 3].map(u16::to_le_bytes).concat());
    file.extend([1, BASE + HEADERS, 52, 0, 0].map(u32::to_le_bytes).concat());
    file.extend([52u16, 32, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    // all of the file, to be read and run
    file.extend([1, 0, BASE, BASE, size, size, 5, 0x1000].map(u32::to_le_bytes).concat());
    file.extend(CODE);
    file
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_program_of_32_bits_that_calls_by_its_vdso() {
    let Some(mut watch) = watch(&[&TYPES[..], &[t::SYSCALL_OPEN_X]].concat()) else { return };
    let place = Place::new("narrow");
    let program = place.program("narrow", &program_of_32_bits());
    let mut command = Command::new(&program);
    let Ok(mut child) = command.arg("/etc/hostname").spawn() else {
        eprintln!("skipped: this kernel runs no 32-bit programs");
        return;
    };
    let pid = i64::from(child.id());
    let code = child.wait().unwrap().code().unwrap();
    if code == 98 {
        eprintln!("skipped: this kernel gives 32-bit programs no vDSO");
        return;
    }
    let ended = |e: &EventBuf| {
        let event = e.event().unwrap();
        event.ty() == t::PROCEXIT_1_E && event.tid == pid
    };
    let events = EventBufs(watch.events_until(|events| events.iter().any(ended)));
    assert_eq!(text(&events.one_run(pid), "trusted_exepath"), Some(program));
    let opens = events.of(t::SYSCALL_OPEN_X, pid);
    assert_eq!(opens.len(), 1);
    assert_eq!(text(&opens[0], "name").as_deref(), Some("/etc/hostname"));
    assert_eq!(number(&opens[0], "fd"), Some(code.into()));
    assert_eq!(number(&opens[0], "ino"), Some(std::fs::metadata("/etc/hostname").unwrap().ino() as i64));
}
