//! What rules can spare: for each event type a bound, from above, on the events that a rule may match, made of
//! what the source of events can decide by itself: how the call ended, what an open asked for, what a socket is,
//! paths, the name of the process, and whether that is in a container.
//!
//! A comparison that can't be decided there holds and fails, so it never takes an event away from a rule.

mod argument;
mod caller;
mod callers;
mod leaf;
mod needs;
mod socket;

use lanner_event::EventType;
use lanner_event::prefilter::{ArgumentClasses, AskedEnds, Home, Interest, Places};
use rustc_hash::FxHashMap;

use crate::engine::Source;
use crate::graph::Edge;
use crate::plan::Plan;
use crate::{Engine, RuleId};

use caller::{Named, Names};
use callers::Asked;
pub use callers::Callers;
pub use needs::Needs;

/// What a rule asks of events of one type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pushed {
    /// The type.
    pub ty: EventType,
    /// The events of it that the rule may match.
    pub interest: Interest,
    /// Fields of the rule's comparisons that can't be decided at the source.
    pub undecided: Vec<String>,
    /// Values of the call's argument with which the rule may match, as they are shown, if it tells them apart.
    pub values: Option<Vec<String>>,
    /// What it asks of some kinds of callers, where that is less.
    pub callers: Option<Callers>,
}

impl Engine {
    /// The events of a type that a rule over system calls may match; `None` if the source can decide nothing
    /// about events of the type.
    pub fn interest(&self, ty: EventType) -> Option<Interest> {
        ty.info().and_then(Places::of)?;
        let Some(source) = self.syscall_source().filter(|source| source.types.contains(ty)) else {
            return Some(Interest::default());
        };
        let plan = Plan::new(&source.graph, &source.roots, ty);
        let classes = self.argument_classes(ty).unwrap_or_default();
        Some(Bound::new(source, &plan, ty, classes).of_all())
    }

    /// The events of a type that a rule over system calls may match by who makes the call, where those of some kind are
    /// fewer than `interest`, in which they are whoever does ([`Engine::interest`]).
    pub fn callers(&self, ty: EventType, interest: &Interest) -> Option<Callers> {
        let source = self.syscall_source().filter(|source| source.types.contains(ty))?;
        let plan = Plan::new(&source.graph, &source.roots, ty);
        let classes = self.argument_classes(ty).unwrap_or_default();
        Asked { source, plan: &plan, ty, classes: &classes }.by_callers(interest)
    }

    /// Ends of streams that rules about calls that move data ask for. The states of [`Engine::interest`] are meant so.
    pub fn asked_ends(&self) -> AskedEnds {
        let mut asked = AskedEnds::default();
        let Some(source) = self.syscall_source() else { return asked };
        let over_sockets =
            |ty: &EventType| ty.info().and_then(Places::of).is_some_and(|of| of.socket.is_some());
        for ty in source.types.iter().filter(over_sockets) {
            let plan = Plan::new(&source.graph, &source.roots, ty);
            let mut bound = Bound::new(source, &plan, ty, ArgumentClasses::default());
            bound.of_all();
            asked.add(bound.ends);
        }
        asked
    }

    /// How the rules tell values of the call's argument apart, if they do. The states of [`Engine::interest`] are meant so.
    pub fn argument_classes(&self, ty: EventType) -> Option<ArgumentClasses> {
        let source = self.syscall_source().filter(|source| source.types.contains(ty))?;
        argument::classes(source, &Plan::new(&source.graph, &source.roots, ty), ty.info()?)
    }

    /// What one rule asks for, type by type.
    pub fn pushed(&self, id: RuleId) -> Vec<Pushed> {
        let Some(source) = self.syscall_source() else { return Vec::new() };
        let own = |(rule, _): &&(RuleId, Edge)| *rule == id;
        let Some(root) = source.roots.iter().find(own) else { return Vec::new() };
        let plan_for = |ty: EventType| Plan::new(&source.graph, std::slice::from_ref(root), ty);
        let types = source.types.iter().map(|ty| (ty, plan_for(ty))).filter(|(_, plan)| !plan.is_empty());
        let pushed = types.map(|(ty, plan)| {
            let classes = ty.info().and_then(|info| argument::classes(source, &plan, info));
            let classes = classes.unwrap_or_default();
            let mut bound = Bound::new(source, &plan, ty, classes.clone());
            let decided = ty.info().and_then(Places::of).is_some();
            let interest = if decided { bound.of_all() } else { Interest::all() };
            let values = ty.info().and_then(|info| argument::shown(&classes, interest.hull(), info));
            let mut undecided = bound.undecided;
            let asked = Asked { source, plan: &plan, ty, classes: &classes };
            let callers = if decided { asked.by_callers(&interest) } else { None };
            undecided.sort();
            undecided.dedup();
            Pushed { ty, interest, undecided, values, callers }
        });
        pushed.collect()
    }

    /// The rules over system calls that an event of a type may match, in load order.
    pub fn rules_for(&self, ty: EventType) -> Vec<RuleId> {
        let Some(source) = self.syscall_source().filter(|source| source.types.contains(ty)) else {
            return Vec::new();
        };
        let plan = Plan::new(&source.graph, &source.roots, ty);
        plan.rules.iter().map(|(id, _)| *id).collect()
    }

    /// The rules over system calls.
    pub(crate) fn syscall_source(&self) -> Option<&Source> {
        self.sources.iter().find(|source| &*source.name == "syscall")
    }
}

/// Finds bounds for a plan's conditions.
struct Bound<'p> {
    source: &'p Source,
    plan: &'p Plan,
    ty: EventType,
    /// Decide by what sockets are, even where the source of events doesn't.
    by_socket: bool,
    /// How values of the call's argument are told apart; empty: not at all.
    classes: ArgumentClasses,
    /// What the process is taken to be called.
    named: Named,
    /// Names that the rules that were looked at ask for, if it is called nothing that is asked for.
    names: Names,
    /// Ends of streams that the rules that were looked at ask for.
    ends: AskedEnds,
    /// Where the process is taken to be.
    home: Home,
    /// Whether some comparison that was looked at fails of every process that is known to be in a container.
    fails_in_containers: bool,
    known: FxHashMap<Edge, Interest>,
    undecided: Vec<String>,
}

impl<'p> Bound<'p> {
    fn new(source: &'p Source, plan: &'p Plan, ty: EventType, classes: ArgumentClasses) -> Bound<'p> {
        Bound {
            source,
            plan,
            ty,
            by_socket: false,
            classes,
            named: Named::Anyhow,
            names: Names::new(),
            ends: AskedEnds::default(),
            home: Home::Unknown,
            fails_in_containers: false,
            known: FxHashMap::default(),
            undecided: Vec::new(),
        }
    }

    /// For all rules of the plan.
    fn of_all(&mut self) -> Interest {
        let plan = self.plan;
        plan.roots.iter().fold(Interest::default(), |all, root| all.or(&self.of(*root)))
    }

    fn of(&mut self, edge: Edge) -> Interest {
        if edge == Edge::TRUE {
            return Interest::all();
        }
        if edge == Edge::FALSE {
            return Interest::default();
        }
        if let Some(known) = self.known.get(&edge) {
            return known.clone();
        }
        let interest = match edge.node().checked_sub(self.plan.leaves.len() + 1) {
            None => self.leaf(edge),
            Some(and) if edge.negated() => {
                let parts = self.plan.parts(and).iter();
                parts.fold(Interest::default(), |all, part| all.or(&self.of(part.not())))
            }
            Some(and) => {
                let mut parts: Vec<Interest> =
                    self.plan.parts(and).iter().map(|part| self.of(*part)).collect();
                // What has no paths bounds the others without loss.
                parts.sort_by_key(|part| part.paths.len());
                parts.iter().fold(Interest::all(), |all, part| all.and(part))
            }
        };
        self.known.insert(edge, interest.clone());
        interest
    }

    fn leaf(&mut self, edge: Edge) -> Interest {
        let predicate = &self.source.graph.predicates[self.plan.leaves[edge.node() - 1].predicate as usize];
        let by_argument = || {
            if self.classes.by_value().is_empty() {
                return None;
            }
            argument::by_argument(predicate, &self.classes, self.ty.info()?, edge.negated())
                .map(Interest::states)
        };
        if let Some(asked) = socket::asked_ends(predicate, edge.negated(), self.ty) {
            self.ends.add(asked);
        }
        let by_name = caller::by_name(predicate, edge.negated(), &self.named, &mut self.names);
        let by_home = |home| caller::by_home(predicate, edge.negated(), home);
        self.fails_in_containers |= by_home(Home::Container) == Some(Interest::default());
        by_name
            .or_else(|| by_home(self.home))
            .or_else(by_argument)
            .or_else(|| leaf::interest(predicate, edge.negated(), self.ty, self.by_socket))
            .unwrap_or_else(|| {
                self.undecided.extend(predicate.term.fields().iter().map(ToString::to_string));
                Interest::all()
            })
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use lanner_event::prefilter::{
        EXCEPTED_NAME, Network, OTHER_NAME, PathTest, READS, SUCCESS, SocketClass, States, THERE, WRITES,
    };
    use lanner_event::types::{self, self as t};
    use lanner_rules::{LoadOptions, SourceText, load};

    use super::*;
    use crate::{Catalog, EngineOptions};

    pub(super) fn engine(condition: &str) -> Engine {
        let text =
            format!("- rule: r\n  desc: d\n  condition: {condition}\n  output: out\n  priority: INFO\n");
        let texts = [SourceText::new("r.yaml", &*text)];
        let loaded = load(&texts, &Catalog::new(["syscall"]), &LoadOptions::default());
        assert!(loaded.report.successful(), "{}", loaded.report.human_text());
        Engine::build(&loaded.rules, EngineOptions::default()).unwrap()
    }

    fn opens(condition: &str) -> Interest {
        engine(&format!("evt.type = openat and {condition}")).interest(types::SYSCALL_OPENAT_2_X).unwrap()
    }

    fn exact(path: &str) -> PathTest {
        PathTest::Exact(path.as_bytes().into())
    }

    #[test]
    fn flags_results_and_paths_are_decided() {
        let read =
            opens("evt.is_open_read = true and fd.num >= 0 and fd.name in (/etc/shadow, /etc/sudoers)");
        assert!(read.whatever.is_empty());
        let wanted = States::with(READS).and(States::with(SUCCESS));
        assert_eq!(
            read.paths.keys().cloned().collect::<Vec<_>>(),
            [exact("/etc/shadow"), exact("/etc/sudoers")]
        );
        assert!(read.paths.values().all(|states| *states == wanted));
        let write = opens("evt.is_open_write = true and not evt.is_open_read = true");
        assert_eq!(write.whatever, States::with(WRITES).and(States::without(READS)));
    }

    #[test]
    fn alternatives_that_are_compared_at_once_are_decided_one_by_one() {
        let many = opens(
            "(fd.name startswith /bin/ or fd.name startswith /lib/ or fd.name startswith /boot/ \
             or fd.name startswith /sbin/ or fd.name startswith /opt/ or fd.name startswith /srv/ \
             or fd.name endswith .key or fd.name contains /.ssh/ or fd.name = /etc/shadow)",
        );
        assert!(many.whatever.is_empty());
        assert_eq!(many.paths.len(), 9);
        assert!(many.paths.contains_key(&exact("/etc/shadow")));
        assert!(many.paths.contains_key(&PathTest::prefix(b"/boot/").unwrap()));
        assert!(many.paths.contains_key(&PathTest::suffix(b".key").unwrap()));
    }

    #[test]
    fn what_is_not_decided_takes_nothing_away() {
        for condition in [
            "proc.name = cat",
            "not fd.name startswith /etc",
            "fd.name glob *",
            "fd.name icontains shadow",
            "(proc.name = cat or fd.name = /etc/shadow)",
            "tolower(fd.name) = /etc/shadow",
            "fd.name != /etc/shadow",
        ] {
            assert_eq!(opens(condition).whatever, States::ALL, "{condition}");
        }
        let or = opens("(proc.name = cat and fd.name = /a/b or fd.filename = x and not proc.name = dog)");
        assert_eq!(or.paths.len(), 2);
        assert!(or.whatever.is_empty());
    }

    #[test]
    fn the_root_directory_is_told_from_those_below() {
        let opens = opens("(fd.directory = / or fd.name = /etc/shadow)");
        assert_eq!(
            opens.paths.keys().cloned().collect::<Vec<_>>(),
            [exact("/etc/shadow"), PathTest::TopLevel]
        );
    }

    #[test]
    fn less_is_asked_of_processes_of_other_names() {
        let names = |names: &[&str]| names.iter().map(|name| name.as_bytes().into()).collect::<Names>();
        let others = |condition: &str| {
            let (any, asked) = by_caller(condition);
            asked.map(|asked| {
                assert_eq!(asked.interest(THERE), &any);
                assert_eq!(asked.interest(OTHER_NAME + THERE), asked.interest(OTHER_NAME));
                (asked.names.clone(), asked.interest(OTHER_NAME).clone())
            })
        };
        let none = |asked: &[&str]| Some((names(asked), Interest::default()));
        assert_eq!(others("proc.name = tar and evt.is_open_read = true"), none(&["tar"]));
        assert_eq!(others("proc.name in (tar, cp) and proc.pname = sh"), none(&["cp", "tar"]));
        let shadow = others("(proc.name = tar or fd.name = /etc/shadow) and not proc.name = cp");
        assert_eq!(shadow, Some((names(&["tar"]), Interest::paths([exact("/etc/shadow")]))));
        for condition in [
            "proc.name startswith ta",
            "tolower(proc.name) = tar",
            "proc.pname = tar",
            "proc.name = '<NA>'",
            "proc.name != '<NA>'",
        ] {
            assert_eq!(others(condition), None, "{condition}");
        }
    }

    #[test]
    fn less_is_asked_of_processes_of_names_that_rules_except() {
        let names = |names: &[&str]| names.iter().map(|name| name.as_bytes().into()).collect::<Names>();
        let excepted = |condition: &str| {
            let (any, asked) = by_caller(condition);
            let asked = asked?;
            assert_eq!(asked.interest(EXCEPTED_NAME + THERE), asked.interest(EXCEPTED_NAME));
            assert!(asked.names.is_empty() && asked.interest(OTHER_NAME) == &any);
            Some((asked.excepted.clone(), asked.interest(EXCEPTED_NAME).clone()))
        };
        let none = |asked: &[&str]| Some((names(asked), Interest::default()));
        for condition in ["proc.name != tar", "not proc.name = tar and user.name = x"] {
            assert_eq!(excepted(condition), none(&["tar"]), "{condition}");
        }
        assert_eq!(excepted("not (proc.name in (tar, cp) and user.name = x)"), None);
        assert_eq!(excepted("evt.is_open_read = true and not proc.name in (tar, cp)"), none(&["cp", "tar"]));
        // each exception counts where it is made: the one that spares most
        let shadow = excepted("(not proc.name in (tar, cp, rm) or fd.name = /a/b and not proc.name = cp)");
        assert_eq!(shadow, none(&["cp"]));
        let shadow =
            excepted("(not proc.name in (tar, rm) or fd.name = /a/b and not proc.name startswith t)");
        assert_eq!(shadow, none(&["tar"]));
        let shadow = excepted("(proc.name != tar or fd.name = /a/b)");
        assert_eq!(shadow, Some((names(&["tar"]), Interest::paths([exact("/a/b")]))));
        for condition in ["proc.pname != tar", "tolower(proc.name) != tar", "not proc.name in ('<NA>')"] {
            assert_eq!(excepted(condition), None, "{condition}");
        }
    }

    #[test]
    fn a_name_may_be_asked_for_and_excepted() {
        let (_, asked) =
            by_caller("(proc.name = tar and fd.name = /a/b or proc.name = cp and not proc.name = rm)");
        let asked = asked.unwrap();
        assert_eq!(asked.interest(OTHER_NAME), &Interest::default());
        assert_eq!(asked.excepted.iter().map(|name| &**name).collect::<Vec<_>>(), [b"tar"]);
        assert_eq!(asked.interest(EXCEPTED_NAME), &Interest::paths([exact("/a/b")]));
        let (_, asked) = by_caller("container.id != host and not proc.name in (tar, cp)");
        let asked = asked.unwrap();
        assert_eq!(asked.interest(THERE), &Interest::default());
        assert_eq!(asked.interest(EXCEPTED_NAME), &Interest::default());
        assert_eq!(asked.excepted.len(), 2);
    }

    #[test]
    fn less_is_asked_of_processes_in_no_container() {
        let less = |condition: &str| {
            let (any, asked) = by_caller(condition);
            let asked = asked?;
            assert_eq!(asked.interest(OTHER_NAME), &any);
            assert_eq!(asked.interest(OTHER_NAME + THERE), asked.interest(THERE));
            assert!(asked.names.is_empty() && !asked.of_containers);
            Some(asked.interest(THERE).clone())
        };
        for condition in [
            "container.id != host",
            "container.id in (web, db) and evt.is_open_read = true",
            "container.name = web",
            "container.type = docker and not container.id = web",
            "container.id startswith web",
        ] {
            assert_eq!(less(condition), Some(Interest::default()), "{condition}");
        }
        let shadow = less("(container.id != host or fd.name = /etc/shadow) and evt.is_open_read = true");
        let reads = Interest::states(States::with(READS));
        assert_eq!(shadow, Some(Interest::paths([exact("/etc/shadow")]).and(&reads)));
        for condition in [
            "container.id in (host, web)",
            // a thread of which nothing is known has no container, nor is it the host's
            "not container.id = host",
            "container.id exists",
            "tolower(container.id) = web",
            "container.image.repository = web",
        ] {
            assert_eq!(less(condition), None, "{condition}");
        }
    }

    #[test]
    fn less_is_asked_of_processes_in_containers() {
        let less = |condition: &str| {
            let asked = by_caller(condition).1.filter(|asked| asked.of_containers)?;
            Some(asked.interest(THERE).clone())
        };
        for condition in [
            "container.id = host",
            "not container.id != host and proc.name = tar",
            "container.type in (host) and evt.is_open_read = true",
        ] {
            assert_eq!(less(condition), Some(Interest::default()), "{condition}");
        }
        let shadow = less("(container.full_id = host or fd.name = /etc/shadow)");
        assert_eq!(shadow, Some(Interest::paths([exact("/etc/shadow")])));
        for condition in [
            // a container may be named so
            "container.name = host",
            "container.id in (host, web)",
            "container.id startswith h",
            // what is about containers too counts where there is none
            "(container.id = host and fd.name = /a/b or container.id != host and fd.name = /c/d)",
        ] {
            assert_eq!(less(condition), None, "{condition}");
        }
    }

    #[test]
    fn where_less_is_asked_for_counts() {
        let chosen = |condition: &str| {
            let asked = by_caller(condition).1.unwrap();
            (asked.of_containers, asked.interest(THERE).clone())
        };
        let at = |path: &str| Interest::paths([exact(path)]);
        let of_host = "(container.id = host or container.id != host and fd.name = /a/b)";
        assert_eq!(chosen(of_host), (true, at("/a/b")));
        let of_containers = "(container.id != host or container.id = host and fd.name = /a/b)";
        assert_eq!(chosen(of_containers), (false, at("/a/b")));
        let alike = "(container.id != host and fd.name = /a/b or container.id = host and fd.name = /c/d)";
        assert_eq!(chosen(alike), (false, at("/c/d")));
        // a name may be what makes the difference
        let named = chosen("(container.id = host or proc.name = tar)");
        assert_eq!(named, (true, Interest::all()));
    }

    #[test]
    fn names_and_containers_are_asked_for_together() {
        let (_, asked) = by_caller(
            "(container.id != host and fd.name = /a/b or proc.name = tar and fd.name = /c/d or fd.name = /e/f)",
        );
        let asked = asked.unwrap();
        let of = |kind: usize| asked.interest(kind).paths.keys().cloned().collect::<Vec<_>>();
        assert_eq!(of(OTHER_NAME), [exact("/a/b"), exact("/e/f")]);
        assert_eq!(of(THERE), [exact("/c/d"), exact("/e/f")]);
        assert_eq!(of(OTHER_NAME + THERE), [exact("/e/f")]);
        let container_or_tar = by_caller("(container.id != host or proc.name = tar)").1.unwrap();
        assert_eq!(
            (container_or_tar.interest(THERE), container_or_tar.interest(OTHER_NAME)),
            (&Interest::all(), &Interest::all())
        );
        assert_eq!(container_or_tar.interest(OTHER_NAME + THERE), &Interest::default());
    }

    #[test]
    fn of_names_that_are_excepted_where_they_are_counts_for_each() {
        // on the host the second part is asked of `cp` alone, in containers the first one of `tar` alone
        for of_host in ["not container.id != host", "container.id = host"] {
            let (_, asked) = by_caller(&format!(
                "(fd.name = /a/b and proc.name != cp and container.id != host \
                 or fd.name = /a/b and proc.name != tar and {of_host} \
                 or fd.name = /c/d and not proc.name in (cp, tar))"
            ));
            let asked = asked.unwrap();
            let at = Interest::paths([exact("/a/b")]);
            assert_eq!(asked.excepted.len(), 2);
            assert_eq!((asked.interest(EXCEPTED_NAME), asked.interest(EXCEPTED_NAME + THERE)), (&at, &at));
        }
    }

    /// What is asked of opens by whoever, and by each kind of callers if that is less.
    fn by_caller(condition: &str) -> (Interest, Option<Callers>) {
        let engine = engine(&format!("evt.type = openat and {condition}"));
        let any = engine.interest(types::SYSCALL_OPENAT_2_X).unwrap();
        let asked = engine.callers(types::SYSCALL_OPENAT_2_X, &any);
        (any, asked)
    }

    fn classes(types: &str, ty: EventType, condition: &str, success: bool) -> Vec<SocketClass> {
        let interest = engine(&format!("evt.type in ({types}) and {condition}")).interest(ty).unwrap();
        let state = |class: &SocketClass| class.bits() | if success { SUCCESS } else { 0 };
        SocketClass::ALL.into_iter().filter(|class| interest.whatever.has(state(class))).collect()
    }

    #[test]
    fn sockets_are_decided_by_family_and_protocol() {
        use SocketClass::*;
        let of = |condition: &str| classes("connect, accept4", t::SOCKET_CONNECT_X, condition, true);
        let not_ip = [Unix, Netlink];
        let ip: Vec<SocketClass> =
            SocketClass::ALL.into_iter().filter(|class| !not_ip.contains(class)).collect();
        assert_eq!(of("(fd.typechar = 4 or fd.typechar = 6)"), ip);
        assert_eq!(of("fd.sockfamily = ip"), ip);
        let unasked = [TcpElsewhere, TcpOtherPorts, TcpUnasked, UdpElsewhere, UdpOtherPorts, UdpUnasked];
        assert_eq!(
            of("fd.type in (ipv4, ipv6) and fd.l4proto = udp"),
            [&[Unknown, Udp4, Udp6, Other4, Other6, Other], &unasked[3..]].concat()
        );
        // of those whose ends no rule asks for, both versions are one
        assert_eq!(of("fd.type = ipv6"), [&[Unknown, Tcp6, Udp6, Other6, Other], &unasked[..]].concat());
        assert_eq!(of("not fd.type in (ipv4, ipv6)"), [Unknown, Unix, Netlink, Other]);
        assert_eq!(of("fd.type = unix"), [Unknown, Unix, Other]);
        // a socket whose role isn't known has no protocol
        assert!(of("fd.l4proto != tcp").contains(&Tcp4));
        assert_eq!(of("fd.name = x").len(), SocketClass::ALL.len());
        // what counts from the state alone
        assert_eq!(of("fd.connected = false").len(), SocketClass::ALL.len());
    }

    #[test]
    fn sockets_are_decided_by_ends_that_rules_ask_for() {
        use SocketClass::*;
        let of = |condition: &str| classes("sendto, sendmsg", t::SOCKET_SENDTO_X, condition, true);
        let whatever = [Unknown, Tcp4, Tcp6, Udp4, Udp6, Other4, Other6, Other];
        let decided = |conditions: &[&str], unasked: &[SocketClass]| {
            for condition in conditions {
                assert_eq!(of(condition), [&whatever, unasked].concat(), "{condition}");
            }
        };
        let by_address = ["fd.sip = 10.0.0.9", "fd.rip in (10.0.0.9, fe80::7)", "fd.net = 10.0.0.0/8"];
        decided(&by_address, &[TcpOtherPorts, UdpOtherPorts]);
        decided(&["fd.snet in (\"192.168.7.0/24\", \"fe80::/10\")"], &[TcpOtherPorts, UdpOtherPorts]);
        let by_port = [
            "fd.port = 53",
            "fd.sport in (3333, 4444)",
            "fd.lport = ssh",
            "fd.proto = 80",
            "fd.rport >= 6660",
        ];
        decided(&by_port, &[TcpElsewhere, UdpElsewhere]);
        decided(&["fd.ip = fe80::9 and fd.sport = 80"], &[]);
        decided(
            &["(fd.rnet = 10.0.0.0/8 or fd.rport = 80)"],
            &[TcpElsewhere, TcpOtherPorts, UdpElsewhere, UdpOtherPorts],
        );
        let streams = [TcpElsewhere, TcpOtherPorts, TcpUnasked, UdpElsewhere, UdpOtherPorts, UdpUnasked];
        decided(&["fd.sip != 10.0.0.9", "fd.cnet != 10.0.0.0/8"], &streams);
        // what holds of an end that isn't known, and what says too little
        decided(&["fd.ip in (10.0.0.9, 0.0.0.0)", "fd.port in (0, 80)", "fd.net = 0.0.0.0/8"], &streams);
        decided(&["fd.sport < 1024", "fd.sport != 80", "fd.port >= 0"], &streams);
        decided(&["fd.net in (\"10.0.0.0/8\", \"128.0.0.0/4\")", "fd.net = ::/10"], &streams);
        for condition in ["not fd.sip in (10.0.0.9)", "fd.sip exists", "fd.sproto = 80", "not fd.sport = 80"]
        {
            assert_eq!(of(condition).len(), SocketClass::ALL.len(), "{condition}");
        }
        let connects = classes("connect, accept4", t::SOCKET_CONNECT_X, "fd.sport = 80", true);
        assert!(connects.contains(&TcpOtherPorts) && !connects.contains(&Unix));
    }

    #[test]
    fn ends_are_asked_for_where_one_has_to_be_theirs() {
        let asked = |condition: &str| {
            let asked = engine(condition).asked_ends();
            (asked.networks.into_iter().collect::<Vec<_>>(), asked.ports.into_iter().collect::<Vec<_>>())
        };
        let [one, two] = ["10.0.0.9", "fe80::9"].map(|text| text.parse::<IpAddr>().unwrap().into());
        let net = Network::new("10.0.0.0".parse().unwrap(), 8).unwrap();
        assert_eq!(
            asked("evt.type = sendto and (fd.sip in (10.0.0.9, fe80::9) or fd.cip != 10.0.0.1)"),
            (vec![one, two], vec![])
        );
        assert_eq!(
            asked("evt.type = recvmsg and not fd.sip = 10.0.0.9 and fd.snet = 10.1.1.1/8 and fd.port = 80"),
            (vec![net], vec![80])
        );
        assert_eq!(
            asked("evt.type = sendto and not (fd.cip = 10.0.0.1 and not fd.sip = 10.0.0.9)"),
            (vec![one], vec![])
        );
        assert_eq!(
            asked("evt.type = sendto and fd.sport > 65533 and fd.port in (0, 80)"),
            (vec![], vec![65534, 65535])
        );
        assert_eq!(
            asked("evt.type in (connect, accept4) and fd.sip = 10.0.0.9 and fd.port = 80"),
            (vec![], vec![])
        );
    }

    #[test]
    fn streams_that_have_carried_data_are_connected() {
        use SocketClass::*;
        let condition = "fd.l4proto != tcp and fd.connected = false and fd.name_changed = true";
        let of = |success| classes("sendto, sendmsg", t::SOCKET_SENDTO_X, condition, success);
        assert_eq!(
            of(true),
            [
                &[Unknown, Udp4, Udp6, Other4, Other6, Unix, Netlink, Other][..],
                &[UdpElsewhere, UdpOtherPorts, UdpUnasked]
            ]
            .concat()
        );
        assert_eq!(of(false), []);
    }

    #[test]
    fn values_of_arguments_are_told_apart() {
        let told = |condition: &str| {
            let engine = engine(condition);
            let pushed = engine.pushed(RuleId::from_index(0)).into_iter();
            pushed.filter(|pushed| pushed.ty != t::SYSCALL_PTRACE_E).find_map(|pushed| pushed.values)
        };
        let ptrace = "evt.type = ptrace and proc.name != gdb and";
        assert_eq!(
            told(&format!(
                "{ptrace} (evt.arg.request contains PTRACE_ATTACH or evt.arg.request = PTRACE_SEIZE)"
            )),
            Some(vec!["PTRACE_ATTACH".into(), "PTRACE_SEIZE".into()])
        );
        assert_eq!(told(&format!("{ptrace} evt.rawarg.request = 11")), Some(vec!["PTRACE_ATTACH".into()]));
        assert_eq!(told(&format!("{ptrace} evt.arg.pid = 1")), None);
        assert_eq!(told(&format!("{ptrace} (evt.arg.request = PTRACE_SEIZE or proc.name = x)")), None);
        let engine = engine(&format!("{ptrace} not evt.arg.request in (PTRACE_CONT, PTRACE_SYSCALL)"));
        let classes = engine.argument_classes(t::SYSCALL_PTRACE_X).unwrap();
        let whatever = engine.interest(t::SYSCALL_PTRACE_X).unwrap().whatever;
        let matters = |value| whatever.has(ArgumentClasses::bits(classes.of(value)));
        assert!(matters(11) && !matters(8) && !matters(13) && matters(9999));
    }

    #[test]
    fn a_type_that_no_rule_asks_for_matters_in_no_state() {
        let engine = engine("evt.type = openat");
        assert_eq!(engine.interest(types::SYSCALL_CLOSE_X), Some(Interest::default()));
        assert_eq!(engine.interest(types::PROCEXIT_1_E), None);
        assert_eq!(engine.rules_for(types::SYSCALL_OPENAT_2_X), [RuleId::from_index(0)]);
        assert_eq!(engine.rules_for(types::SYSCALL_CLOSE_X), []);
        assert_eq!(engine.interest(types::SYSCALL_OPENAT_2_X), Some(Interest::all()));
    }

    #[test]
    fn a_rule_is_told_what_stands_in_the_way() {
        let engine =
            engine("evt.type in (openat, ptrace) and proc.name = cat and not fd.name startswith /x/y");
        let pushed = engine.pushed(RuleId::from_index(0));
        assert!(pushed.iter().any(|p| p.ty == types::SYSCALL_PTRACE_X), "{pushed:?}");
        assert!(pushed.iter().any(|p| p.undecided == ["fd.name", "proc.name"]), "{pushed:?}");
    }
}
