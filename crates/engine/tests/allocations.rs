//! Looking at an event that matches no rule allocates nothing, once tables and buffers have grown.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use lanner_engine::{Catalog, Engine, EngineOptions, Matching, Memory, Tuning};
use lanner_event::{EventBuf, EventType, types};
use lanner_fields::{Context, EventMeta, Scratch};
use lanner_machine::{Machine, Thread};
use lanner_rules::{LoadOptions, SourceText, load};

const RULES: &str = "\
- rule: Secrets
  desc: d
  condition: >
    evt.type in (open, openat) and evt.is_open_read = true
    and (fd.name startswith /etc/ssl or fd.name contains id_rsa or fd.name endswith .pem or fd.name glob /home/*/.ssh/*)
    and not proc.name in (sshd, bash) and proc.cmdline contains never and proc.aname contains x
  output: o
  priority: INFO

- rule: Sent
  desc: d
  condition: evt.type in (sendto, read, close) and fd.name contains 10.9.9.9 and tolower(proc.name) = x
  output: o
  priority: INFO
";

const TID: i64 = 7;

fn event(ty: EventType, params: &[&[u8]]) -> EventBuf {
    EventBuf::new(1_000, TID, 0, ty, params).unwrap()
}

#[test]
fn events_that_match_nothing_allocate_nothing() {
    let text = SourceText::from_bytes("rules", RULES.as_bytes().to_vec());
    let loaded = load(&[text], &Catalog::new(["syscall"]), &LoadOptions::default());
    assert!(loaded.report.successful(), "{}", loaded.report.human_text());
    let tuning = Tuning { stride: 1, samples: 4 };
    let options = EngineOptions { matching: Matching::All, tuning, ..EngineOptions::default() };
    let engine = Engine::build(&loaded.rules, options).unwrap();
    let mut machine = Machine::default();
    for tid in [1, TID] {
        let thread = Thread { tid, pid: tid, ptid: tid - 1, vtid: tid, vpid: tid, ..Thread::default() };
        machine.add_thread(Thread { comm: "cat".into(), args: ["a", "b"].into_iter().collect(), ..thread });
    }
    let (fd, cwd) = (5_i64.to_ne_bytes(), (-100_i64).to_ne_bytes());
    let failed = (-2_i64).to_ne_bytes();
    let (flags, none) = (1_u32.to_ne_bytes(), 0_u32.to_ne_bytes());
    let open = |result: &[u8], name: &[u8]| {
        event(types::SYSCALL_OPENAT_2_X, &[result, &cwd, name, &flags, &none, &none, &[0; 8]])
    };
    let round = [
        open(&failed, b"/home/me/notes\0"),
        open(&failed, b"notes\0"),
        event(types::SYSCALL_READ_X, &[&[9, 0, 0, 0, 0, 0, 0, 0], b"some data", &fd, &none]),
        event(types::SOCKET_SENDTO_X, &[&[9, 0, 0, 0, 0, 0, 0, 0], b"some data", &fd, &none, &[]]),
        event(types::SYSCALL_CLOSE_X, &[&failed, &fd]),
    ];
    machine.apply(&open(&fd, b"/var/log/some.log\0").event().unwrap());
    let (mut memory, mut hits, mut scratch) = (Memory::default(), Vec::new(), Scratch::new());
    let meta = EventMeta::default();
    let mut run = |rounds: usize| {
        for event in round.iter().cycle().take(rounds * round.len()) {
            let event = event.event().unwrap();
            let subject = machine.apply(&event);
            let cx = Context {
                event: &event,
                machine: &machine,
                subject: &subject,
                meta: &meta,
                scratch: &scratch,
            };
            engine.process(&mut memory, &cx, &mut hits);
            scratch.reset();
        }
    };
    run(50);
    assert_eq!(allocation_counter::measure(|| run(500)).count_total, 0);
    assert!(hits.is_empty());
}
