//! What rules need beyond the events that they may match: every event, or what every open file is.

use lanner_event::prefilter::{ArgumentClasses, SUCCESS, SocketClass, States};
use lanner_event::{Category, EventFlag, EventInfo, EventType, ParamInfo, ParamType, types};
use lanner_fields::Field;

use super::Bound;
use crate::engine::Source;
use crate::plan::Plan;
use crate::{CompiledRule, Engine};

/// Rules that can't spare what others can: the rule and the field that it looks at.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Needs {
    /// One that counts events or the time between them: none may be missing.
    pub every_event: Option<(String, String)>,
    /// One that looks, at a later call, at how a file was opened: no open may be missing.
    pub every_open: Option<(String, String)>,
    /// One that looks, at a later call, at what a unix socket is connected to or was accepted from.
    pub unix_sockets: Option<(String, String)>,
}

/// Fields whose values depend on which events came before.
const COUNTING: [&str; 7] = [
    "evt.num",
    "evt.deltatime",
    "evt.deltatime.s",
    "evt.deltatime.ns",
    "evt.reltime",
    "evt.reltime.s",
    "evt.reltime.ns",
];

/// Fields that look at all open files of a process.
const ALL_FILES: [&str; 3] = ["fd.types", "proc.fdopencount", "proc.fdusage"];

/// Fields that say where a file is. When it is used, the kernel tells the path that was found in place of the one
/// that was asked for: good enough to be shown, not to be compared.
const PATHS: [&str; 6] =
    ["fd.name", "fd.nameraw", "fd.directory", "fd.filename", "fd.containername", "fd.containerdirectory"];

/// Fields that only the open call itself tells.
const OF_OPEN: [&str; 5] =
    ["fd.dev", "fd.dev.major", "fd.dev.minor", "fd.is_upper_layer", "fd.is_lower_layer"];

impl Engine {
    /// What rules over system calls need beyond the events that they may match.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        let Some(source) = self.syscall_source() else { return needs };
        for (id, root) in &source.roots {
            let rule = self.rule(*id);
            let mut note = |place: fn(&mut Needs) -> &mut Option<(String, String)>, field: &Field| {
                place(&mut needs).get_or_insert_with(|| (rule.rule.name.clone(), field.to_string()));
            };
            for ty in source.types.iter() {
                let plan = Plan::new(&source.graph, &[(*id, *root)], ty);
                let Some(info) = ty.info().filter(|_| !plan.is_empty()) else { continue };
                let predicates =
                    plan.leaves.iter().map(|leaf| &source.graph.predicates[leaf.predicate as usize]);
                let compared: Vec<&Field> = predicates.flat_map(|predicate| predicate.fields()).collect();
                let shown: Vec<&Field> = shown(rule).collect();
                let unix = UnixSockets::of(source, &plan, ty, info);
                // what has to do with files alone shows no name of a socket that it is given
                let seen = shown.iter().filter(|_| !info.is(Category::File));
                for field in compared.iter().chain(seen).filter(|field| unix.told_by(field, info)) {
                    note(|needs| &mut needs.unix_sockets, field);
                }
                for field in compared.iter().chain(&shown) {
                    if COUNTING.contains(&field.info().name) {
                        note(|needs| &mut needs.every_event, field);
                    }
                    let listed = field.info().class.name == "fdlist" || lists_fds(field, info);
                    if ALL_FILES.contains(&field.info().name) || listed {
                        note(|needs| &mut needs.every_open, field);
                    }
                }
                if !uses_files(info) {
                    continue;
                }
                let of_used = |field: &&Field| match opens(info) {
                    true => lists_arguments(field, info),
                    false => tells_path(field, info) || of_open(field),
                };
                for field in compared.into_iter().filter(of_used) {
                    note(|needs| &mut needs.every_open, field);
                }
                for field in shown.into_iter().filter(|field| of_open(field) && !opens(info)) {
                    note(|needs| &mut needs.every_open, field);
                }
            }
        }
        needs
    }
}

/// How a rule may see unix sockets in events of a type.
struct UnixSockets {
    /// As the fd that the event is about, in these states.
    subject: States,
    /// The event connects it.
    connects: bool,
    /// As another fd of the call.
    beside: bool,
}

impl UnixSockets {
    fn of(source: &Source, plan: &Plan, ty: EventType, info: &EventInfo) -> UnixSockets {
        // One that is accepted comes with what there is to know of it.
        let fds = info.params.iter().skip(1).filter(|param| is_used(param)).count();
        if fds == 0 {
            return UnixSockets { subject: States::NONE, connects: false, beside: false };
        }
        if opens(info) {
            return UnixSockets { subject: States::NONE, connects: false, beside: true };
        }
        let bound = Bound { by_socket: true, ..Bound::new(source, plan, ty, ArgumentClasses::default()) }
            .of(plan.roots[0]);
        let connects = ty == types::SOCKET_CONNECT_X;
        UnixSockets { subject: bound.hull().and(SocketClass::Unix.states()), connects, beside: fds > 1 }
    }

    /// Whether a field tells more of such an fd than its number.
    fn told_by(&self, field: &Field, info: &EventInfo) -> bool {
        let own = field.info().class.name == "fd" && field.info().name != "fd.num";
        let any = tells_path(field, info);
        // A connect that succeeds says itself all that there is to know, but what the socket was called before.
        let new = self.connects && field.info().name != "fd.name_changed";
        let subject = if new { self.subject.and(States::without(SUCCESS)) } else { self.subject };
        (own || any) && !subject.is_empty() || !own && any && self.beside
    }
}

fn shown(rule: &CompiledRule) -> impl Iterator<Item = &Field> {
    rule.output.fields().chain(rule.extra_fields.iter().flat_map(|(_, format, _)| format.fields()))
}

fn of_open(field: &Field) -> bool {
    OF_OPEN.contains(&field.info().name)
}

fn is_fd(ty: ParamType) -> bool {
    matches!(ty, ParamType::Fd | ParamType::Fd32)
}

/// Whether a parameter is an fd that was made before; directories, which are always known, aside.
fn is_used(param: &ParamInfo) -> bool {
    is_fd(param.ty) && !param.name.contains("dir")
}

fn is_of_sockets(info: &EventInfo) -> bool {
    info.symbol.starts_with("SOCKET_")
}

/// Whether calls of the type use files that were opened before.
fn uses_files(info: &EventInfo) -> bool {
    // The first parameter is the result.
    !is_of_sockets(info) && info.params.iter().skip(1).any(is_used)
}

/// Whether calls of the type open a file by its path, of which their fields of files are, whatever else they are given.
fn opens(info: &EventInfo) -> bool {
    let is_path = |param: &ParamInfo| matches!(param.ty, ParamType::Fspath | ParamType::Fsrelpath);
    info.has(EventFlag::CreatesFd) && info.params.iter().any(is_path)
}

/// Whether a field says what each fd is of those that the call waits for.
fn lists_fds(field: &Field, info: &EventInfo) -> bool {
    info.params.iter().any(|param| param.ty == ParamType::Fdlist)
        && matches!(field.info().name, "evt.args" | "evt.info" | "evt.arg")
}

/// Whether a field has the path of a file that the call uses.
fn tells_path(field: &Field, info: &EventInfo) -> bool {
    let name = field.info().name;
    let of_file =
        matches!(name, "evt.is_syslog" | "fs.path.name" | "fs.path.nameraw") || PATHS.contains(&name);
    of_file || lists_arguments(field, info)
}

/// Whether a field has the path of a file that the call was given as an fd.
fn lists_arguments(field: &Field, info: &EventInfo) -> bool {
    match field.info().name {
        "evt.args" | "evt.info" => true,
        "evt.arg" => {
            let name = field.to_string();
            let named = |at: usize| {
                name.strip_prefix("evt.arg.") == Some(info.params[at].name)
                    || name == format!("evt.arg[{at}]")
            };
            (0..info.params.len()).any(|at| named(at) && is_fd(info.params[at].ty))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::engine;

    fn open(condition: &str) -> Option<String> {
        engine(condition).needs().every_open.map(|(_, field)| field)
    }

    #[test]
    fn paths_compared_at_later_calls_need_every_open() {
        assert_eq!(open("evt.type = fchmod and fd.name = /etc/x"), Some("fd.name".into()));
        assert_eq!(open("evt.type = fchmod and evt.arg.mode contains S_ISUID"), None);
        assert_eq!(open("evt.type in (openat, unlinkat) and fd.name = /etc/x"), None);
        assert_eq!(open("evt.type = connect and fd.name = x"), None);
        assert_eq!(open("evt.type = open_by_handle_at and fd.name = /etc/x"), None);
        assert_eq!(
            open("evt.type = open_by_handle_at and evt.arg.mountfd contains x"),
            Some("evt.arg.mountfd".into())
        );
        assert_eq!(open("evt.type = execve and proc.fdopencount > 9"), Some("proc.fdopencount".into()));
        assert_eq!(open("evt.type = poll and evt.args contains :f"), Some("evt.args".into()));
    }

    #[test]
    fn unix_sockets_are_needed_where_a_rule_may_see_one() {
        let unix = |condition: &str| engine(condition).needs().unix_sockets.map(|(_, field)| field);
        assert_eq!(unix("evt.type = connect and fd.typechar in (4, 6) and fd.name contains x"), None);
        assert_eq!(unix("evt.type = connect and fd.name contains x"), Some("fd.name".into()));
        assert_eq!(unix("evt.type = connect and fd.type = unix"), Some("fd.type".into()));
        assert_eq!(unix("evt.type = dup2 and fd.num = 0"), None);
        assert_eq!(unix("evt.type = dup2 and fd.type = ipv4 and fd.name contains x"), None);
        assert_eq!(
            unix("evt.type = dup2 and fd.type = ipv4 and evt.args contains x"),
            Some("evt.args".into())
        );
        assert_eq!(unix("evt.type = shutdown and fd.name contains x"), Some("fd.name".into()));
        assert_eq!(unix("evt.type = close and evt.args contains x"), Some("evt.args".into()));
        assert_eq!(unix("evt.type = socket and evt.args contains x"), None);
        assert_eq!(unix("evt.type = accept4 and evt.args contains x"), None);
        assert_eq!(unix("evt.type = connect and evt.rawres >= 0 and fd.name contains x"), None);
        assert_eq!(
            unix("evt.type = connect and evt.rawres >= 0 and fd.name_changed = true"),
            Some("fd.name_changed".into())
        );
        assert_eq!(unix("evt.type = fchmod and fd.name contains x"), Some("fd.name".into()));
        assert_eq!(unix("evt.type = openat and fd.name = /etc/x"), None);
        assert_eq!(unix("evt.type = open_by_handle_at and fd.name = /etc/x"), None);
    }

    #[test]
    fn counting_needs_every_event() {
        let needs = engine("evt.type = openat and evt.num < 100").needs();
        assert_eq!(needs.every_event, Some(("r".into(), "evt.num".into())));
        assert_eq!(engine("evt.type = openat and evt.rawtime > 5").needs().every_event, None);
    }
}
