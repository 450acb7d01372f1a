//! What fields tell of events on a small host.

#![allow(clippy::unwrap_used, reason = "a test may end so")]

mod world;

use lanner_event::types;
use lanner_fields::{Context, Field, Format, Part, table};
use world::{COMMAND, SHELL, WORKER, World, c, operand, text};

/// Every field of system calls that needs no argument and has a value, one a line.
fn all_fields(cx: &Context<'_>) -> String {
    let usable =
        table().iter().filter(|f| f.has_source("syscall") && !f.argument.required && !f.class.loaded);
    usable
        .filter(|f| !Field::resolve("syscall", f.name, None).unwrap().extract(cx).is_absent())
        .map(|f| format!("{} = {}\n", f.name, text(cx, f.name)))
        .collect()
}

fn read(
    world: &mut World,
    tid: i64,
    fd: i64,
    data: &[u8],
    look: impl FnOnce(&Context<'_>) -> String,
) -> String {
    let result = (data.len() as i64).to_ne_bytes();
    let size = 4096u32.to_ne_bytes();
    world.on(tid, types::SYSCALL_READ_X, &[&result, data, &fd.to_ne_bytes(), &size], look)
}

#[test]
fn a_read_of_a_file_in_a_container() {
    let all = read(&mut World::new(), WORKER, 3, b"root:x\x01\0", all_fields);
    insta::assert_snapshot!(all);
}

#[test]
fn a_read_from_a_connection() {
    let fields = read(&mut World::new(), COMMAND, 5, b"", all_fields);
    let of_fd: String = fields.lines().filter(|l| l.starts_with("fd.")).map(|l| format!("{l}\n")).collect();
    insta::assert_snapshot!(of_fd);
}

#[test]
fn a_failed_open_relative_to_a_directory() {
    let mut world = World::new();
    let flags = (1u32 << 1 | 1 << 2).to_ne_bytes();
    let params: [&[u8]; 7] = [
        &(-13i64).to_ne_bytes(),
        &4i64.to_ne_bytes(),
        &c("sub/../file"),
        &flags,
        &0o755u32.to_ne_bytes(),
        &[],
        &[],
    ];
    world.on(COMMAND, types::SYSCALL_OPENAT_2_X, &params, |cx| {
        for (term, want) in [
            ("evt.res", "EACCES"),
            ("evt.rawres", "-13"),
            ("evt.failed", "true"),
            ("evt.arg.flags", "O_CREAT|O_WRONLY"),
            ("evt.arg[2]", "/srv/data/file"),
            ("evt.rawarg.mode", "755"),
            ("evt.arg[9]", "<NA>"),
            ("evt.arg.pathname", "<NA>"),
            ("evt.abspath", "/srv/data/file"),
            ("fd.num", "-1"),
            ("fd.name", "/srv/data/file"),
            ("fd.nameraw", "sub/../file"),
            ("fd.directory", "/srv/data"),
            ("fd.typechar", "f"),
            ("fd.type", "<NA>"),
            ("evt.is_open_write", "true"),
            ("evt.is_open_read", "false"),
            ("evt.is_open_exec", "true"),
            ("evt.is_open_create", "false"),
            ("evt.count.error.file", "1"),
            ("evt.count.error.net", "<NA>"),
            ("evt.type.is.read", "0"),
        ] {
            assert_eq!(text(cx, term), want, "{term}");
        }
    });
}

#[test]
fn an_absolute_path_leaves_its_directory_as_the_fd_for_what_follows_in_an_output() {
    let mut world = World::new();
    let open = |name: &str, world: &mut World| {
        let params: [&[u8]; 7] =
            [&7i64.to_ne_bytes(), &4i64.to_ne_bytes(), &c(name), &1u32.to_ne_bytes(), &[0; 4], &[], &[]];
        world.on(COMMAND, types::SYSCALL_OPENAT_2_X, &params, |cx| {
            let format = Format::parse("syscall", "%fd.name %evt.abspath %fd.name %fd.num").unwrap();
            let mut shown = String::new();
            format.render(cx, &mut shown);
            let parts: String = format.render_parts(cx).into_iter().map(|p| p.finish(cx.machine)).collect();
            assert_eq!(parts, shown);
            let values = format.values(cx);
            let name = values.iter().find(|(name, _)| name == "fd.name").unwrap().1.clone();
            (shown, name, text(cx, "fd.name"))
        })
    };
    let (shown, in_json, alone) = open("file", &mut world);
    assert_eq!(shown, "/srv/data/file /srv/data/file /srv/data 7");
    assert_eq!((in_json, alone), ("/srv/data".into(), "/srv/data/file".to_owned()));
    let (shown, in_json, _) = open("/etc/file", &mut world);
    assert_eq!(shown, "/etc/file /etc/file /etc/file 7");
    assert_eq!(in_json, "/etc/file");
}

#[test]
fn an_address_has_the_domain_names_that_were_looked_up() {
    let mut world = World::new();
    let server = [std::net::IpAddr::from([192, 0, 2, 1])];
    let names = |world: &mut World| {
        read(world, COMMAND, 5, b"", |cx| {
            let of = |name| format!("{} {}", text(cx, name), operand(cx, name, None));
            ["fd.sip.name", "fd.rip.name", "fd.cip.name", "fd.lip.name"].map(of).join("; ")
        })
    };
    assert_eq!(names(&mut world), "<NA> (); <NA> (); <NA> (); <NA> ()");
    world.machine.set_domain(&"www.example".into(), &server);
    world.machine.set_domain(&"example".into(), &server);
    let both = "example (example,www.example)";
    assert_eq!(names(&mut world), format!("{both}; {both}; <NA> (); <NA> ()"));
    let of_a_file = read(&mut world, WORKER, 3, b"", |cx| operand(cx, "fd.sip.name", None));
    assert_eq!(of_a_file, "()");
}

#[test]
fn arguments_and_transformers() {
    read(&mut World::new(), WORKER, 7, b"c2VjcmV0", |cx| {
        for (term, want) in [
            ("proc.args[1]", "import os"),
            ("proc.args[5]", ""),
            ("proc.env[HOME]", "/home/me"),
            ("proc.env[SPACES]", "a b"),
            ("proc.env[EMPTY]", ""),
            ("proc.aname[0]", "python3"),
            ("proc.aname[1]", "bash"),
            ("proc.aname[2]", "systemd"),
            ("proc.aname[3]", "<NA>"),
            ("proc.aname", "bash systemd"),
            ("proc.apid[1]", "100"),
            ("proc.apid", "200"),
            ("proc.acmdline[2]", "systemd --user x"),
            ("proc.aenv[HOME]", ""),
            (
                "thread.cgroup.blkio",
                "/kubepods/besteffort/pod1-2-3/0123456789abcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
            ),
            ("thread.cgroup.memory", "<NA>"),
            ("fd.types[4]", "(directory)"),
            ("fd.types[99]", "<NA>"),
            ("container.label[app]", "shop"),
            ("container.label[none]", "<NA>"),
            ("container.mount[0]", "/var/run/docker.sock:/docker.sock:rw:true:private"),
            ("container.mount.dest[^/var/run/.*k$]", "/docker.sock"),
            ("container.mount.source[/docker.sock]", "/var/run/docker.sock"),
            ("toupper(proc.name)", "WORKER"),
            ("basename(proc.exepath)", "python3.11"),
            ("len(proc.name)", "6"),
            ("len(fd.types)", "6"),
            ("b64(evt.buffer)", "secret"),
            ("join(\"+\", (proc.name, proc.pid))", "worker+200"),
            ("concat(proc.name, \":\", user.name)", "worker:me"),
            ("12proc.name", "worker      "),
            ("3proc.name", "wor"),
        ] {
            assert_eq!(text(cx, term), want, "{term}");
        }
        String::new()
    });
}

#[test]
fn conditions_see_some_values_otherwise() {
    read(&mut World::new(), WORKER, 5, b"a\0b", |cx| {
        for (name, argument, want) in [
            ("proc.aname", None, "(bash,systemd)"),
            ("proc.aname", Some("1"), "bash"),
            ("proc.apid", None, "(100,1)"),
            ("proc.acmdline", None, "(bash,systemd --user x)"),
            ("fd.ip", None, "(10.0.0.9,192.0.2.1)"),
            ("fd.port", None, "(40000,443)"),
            ("evt.around", Some("1709210096000000000"), "789"),
        ] {
            assert_eq!(operand(cx, name, argument), want, "{name}");
        }
        assert_eq!(text(cx, "fd.ip"), "<NA>");
        assert_eq!(text(cx, "fd.cip"), "10.0.0.9");
        String::new()
    });
}

#[test]
fn json_values_keep_their_types_and_names() {
    let format =
        Format::parse("syscall", "%proc.pid %evt.time %fd.types %proc.aname[9] %tolower(proc.name)").unwrap();
    let json = read(&mut World::new(), COMMAND, 3, b"", |cx| {
        let values: serde_json::Map<_, _> = format.values(cx).into_iter().collect();
        serde_json::to_string(&values).unwrap()
    });
    assert_eq!(
        json,
        r#"{"evt.time":1709210096000000789,"fd.types":["file","pipe","directory","ipv4","ipv6","unix"],"proc.aname[9]":null,"proc.name":"python3","proc.pid":200}"#
    );
}

#[test]
fn an_alert_waits_for_what_is_not_known_yet() {
    let format =
        Format::parse("syscall", "*%container.id %container.name/%k8s.pod.name by %proc.name").unwrap();
    let mut world = World::new();
    let known = world.machine.container(world::CONTAINER.as_bytes()).unwrap().clone();
    let unknown = lanner_machine::Container { id: known.id.clone(), ..Default::default() };
    world.machine.set_container(unknown);
    let size = 1u32.to_ne_bytes();
    let params: [&[u8]; 4] = [&[0; 8], b"", &3i64.to_ne_bytes(), &size];
    let (parts, values) = world
        .on(COMMAND, types::SYSCALL_READ_X, &params, |cx| (format.render_parts(cx), format.value_parts(cx)));
    let late = parts.iter().filter(|p| matches!(p, Part::Late(_))).count();
    assert_eq!(late, 2);
    let finish = |world: &World, parts: Vec<Part<String>>| -> String {
        parts.into_iter().map(|part| part.finish(&world.machine)).collect()
    };
    assert_eq!(finish(&world, parts.clone()), "0123456789ab <NA>/<NA> by python3");
    world.machine.set_container(known);
    assert!(parts.iter().all(|p| match p {
        Part::Late(late) => late.is_known(&world.machine),
        Part::Done(_) => true,
    }));
    assert_eq!(finish(&world, parts), "0123456789ab web/web-1 by python3");
    let values: Vec<String> =
        values.into_iter().map(|(name, part)| format!("{name}={}", part.finish(&world.machine))).collect();
    assert_eq!(
        values,
        [
            "container.id=\"0123456789ab\"",
            "container.name=\"web\"",
            "k8s.pod.name=\"web-1\"",
            "proc.name=\"python3\""
        ]
    );
}

#[test]
fn the_host_is_no_container() {
    read(&mut World::new(), SHELL, 3, b"", |cx| {
        for (term, want) in [
            ("container.id", "host"),
            ("container.name", "host"),
            ("container.image", ""),
            ("container.type", "host"),
            ("container.privileged", "false"),
            ("container.start_ts", "<NA>"),
            ("k8s.pod.name", "<NA>"),
            ("k8s.pod.labels", ""),
            ("user.name", "root"),
            ("user.homedir", "/root"),
            ("user.shell", "<NA>"),
            ("fd.name", ""),
        ] {
            assert_eq!(text(cx, term), want, "{term}");
        }
        String::new()
    });
}

#[test]
fn of_an_unknown_thread_little_is_known() {
    let mut world = World::new();
    let size = 1u32.to_ne_bytes();
    let fd = 3i64.to_ne_bytes();
    world.on(4_711, types::SYSCALL_READ_X, &[&[0; 8], b"", &fd, &size], |cx| {
        assert_eq!(text(cx, "thread.tid"), "4711");
        assert_eq!(text(cx, "evt.type"), "read");
    });
}
