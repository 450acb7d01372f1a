//! What the domain names in rules stand for. `fd.sip.name = example.com` asks whether a connection's server is one of
//! that name's addresses; these are looked up on a thread of their own, from the start on and ever again.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use lanner_engine::Engine;
use lanner_filter::{Check, Expr, ExprKind, Operand, Right};
use lanner_machine::Text;

/// The fields that are compared with domain names.
const FIELDS: [&str; 4] = ["fd.cip.name", "fd.sip.name", "fd.lip.name", "fd.rip.name"];
/// Time until a name is looked up again; twice as long each time its addresses stay the same.
const FIRST: Duration = Duration::from_secs(10);
/// The longest such time.
const LONGEST: Duration = Duration::from_secs(320);
/// The most names; rules that have more have the rest in vain.
const MOST_NAMES: usize = 4_096;
/// Answers that may wait.
const MOST_ANSWERS: usize = 256;

/// The domain names that rules compare with.
pub fn names(engine: &Engine) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rule in engine.rules() {
        collect(&rule.rule.condition, &mut found);
    }
    found
}

fn collect(condition: &Expr, found: &mut BTreeSet<String>) {
    match &condition.kind {
        ExprKind::And(parts) | ExprKind::Or(parts) => parts.iter().for_each(|part| collect(part, found)),
        ExprKind::Not(of) => collect(of, found),
        ExprKind::Macro { body, .. } => collect(body, found),
        ExprKind::Check(check) => found.extend(names_in(check)),
        ExprKind::Name(_) | ExprKind::Exists(_) => {}
    }
}

fn names_in(check: &Check) -> Vec<String> {
    let of_name = matches!(&check.left, Operand::Field(field) if FIELDS.contains(&field.name.as_str()));
    match &check.right {
        Right::Value(name) if of_name => vec![name.text().into_owned()],
        Right::List(names) if of_name => names.iter().map(|name| name.text().into_owned()).collect(),
        _ => Vec::new(),
    }
}

/// A name and its addresses.
pub type Answer = (Text, Vec<IpAddr>);
type Lookup = fn(&str) -> Vec<IpAddr>;

/// Looks names up. The thread starts with the first name and ends with this.
pub struct Domains {
    lookup: Lookup,
    thread: Option<(Sender<BTreeSet<String>>, Receiver<Answer>)>,
}

impl Default for Domains {
    fn default() -> Domains {
        Domains { lookup: ask_system, thread: None }
    }
}

/// The addresses of a name, as the system's own resolver knows them.
fn ask_system(name: &str) -> Vec<IpAddr> {
    let found = (name, 0).to_socket_addrs();
    let addresses: BTreeSet<IpAddr> = found.into_iter().flatten().map(|address| address.ip()).collect();
    addresses.into_iter().collect()
}

impl Domains {
    /// Wants the addresses of these names from now on, and of no others.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn want(&mut self, names: BTreeSet<String>) -> io::Result<()> {
        if names.is_empty() && self.thread.is_none() {
            return Ok(());
        }
        let wishes = match &self.thread {
            Some((wishes, _)) => wishes,
            None => {
                let (wishes, incoming) = channel();
                let (outgoing, answers) = sync_channel(MOST_ANSWERS);
                let lookup = self.lookup;
                let serve = move || serve(lookup, &incoming, &outgoing);
                std::thread::Builder::new().name("domains".into()).stack_size(256 << 10).spawn(serve)?;
                &self.thread.insert((wishes, answers)).0
            }
        };
        // The thread ends only after this does.
        let _ = wishes.send(names.into_iter().take(MOST_NAMES).collect());
        Ok(())
    }

    /// Hands over the answers since the last call. Never waits.
    pub fn drain(&mut self, sink: &mut dyn FnMut(Answer)) {
        self.thread.iter().flat_map(|(_, answers)| answers.try_iter()).for_each(sink);
    }
}

/// A name that is looked up.
struct Wanted {
    name: String,
    addresses: Option<Vec<IpAddr>>,
    pause: Duration,
    next: Instant,
}

fn serve(lookup: Lookup, wishes: &Receiver<BTreeSet<String>>, answers: &SyncSender<Answer>) {
    let mut wanted: Vec<Wanted> = Vec::new();
    loop {
        let next = wanted.iter().map(|wanted| wanted.next).min();
        let wait = next.map_or(LONGEST, |next| next.saturating_duration_since(Instant::now()));
        match wishes.recv_timeout(wait) {
            Ok(names) => {
                let (kept, gone): (Vec<_>, Vec<_>) =
                    wanted.into_iter().partition(|known| names.contains(&known.name));
                wanted = kept;
                let gone: Vec<Answer> =
                    gone.into_iter().map(|known| (known.name.into(), Vec::new())).collect();
                let is_new = |name: &String| wanted.iter().all(|known| known.name != *name);
                let new: Vec<String> = names.into_iter().filter(is_new).collect();
                let next = Instant::now();
                wanted.extend(new.into_iter().map(|name| Wanted {
                    name,
                    addresses: None,
                    pause: FIRST,
                    next,
                }));
                if gone.into_iter().any(|answer| answers.send(answer).is_err()) {
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // One at a time, so that wishes are heard in between.
        let now = Instant::now();
        let Some(due) = wanted.iter_mut().filter(|wanted| wanted.next <= now).min_by_key(|w| w.next) else {
            continue;
        };
        let addresses = lookup(&due.name);
        let same = due.addresses.as_ref() == Some(&addresses);
        due.pause = if same { (due.pause * 2).min(LONGEST) } else { FIRST };
        due.next = Instant::now() + due.pause;
        due.addresses = Some(addresses.clone());
        if !same && answers.send((due.name.as_str().into(), addresses)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::filter;

    fn fixed(name: &str) -> Vec<IpAddr> {
        match name {
            "a.example" => vec![IpAddr::from([10, 0, 0, 1])],
            _ => Vec::new(),
        }
    }

    fn next(domains: &mut Domains) -> Answer {
        let end = Instant::now() + Duration::from_secs(10);
        let mut got = None;
        while got.is_none() && Instant::now() < end {
            if let Some((_, answers)) = &domains.thread {
                got = answers.recv_timeout(Duration::from_millis(10)).ok();
            }
        }
        got.unwrap()
    }

    #[test]
    fn names_are_found_in_conditions() {
        let engine = filter(
            "evt.type = connect and (fd.sip.name = a.example or not fd.cip.name in (b.example, c.example)) and \
             fd.name != d.example",
        );
        let names: Vec<String> = names(&engine.unwrap()).into_iter().collect();
        assert_eq!(names, ["a.example", "b.example", "c.example"]);
    }

    #[test]
    fn names_are_looked_up_while_they_are_wanted() {
        let mut domains = Domains { lookup: fixed, thread: None };
        domains.want(BTreeSet::new()).unwrap();
        assert!(domains.thread.is_none(), "nothing is asked without need");
        domains.want(BTreeSet::from(["a.example".to_owned()])).unwrap();
        assert_eq!(next(&mut domains), ("a.example".into(), fixed("a.example")));
        domains.want(BTreeSet::from(["b.example".to_owned()])).unwrap();
        assert_eq!(next(&mut domains), ("a.example".into(), Vec::new()), "it is forgotten");
        assert_eq!(next(&mut domains), ("b.example".into(), Vec::new()));
    }

    #[test]
    fn the_system_knows_its_own_name() {
        assert!(ask_system("localhost").iter().all(IpAddr::is_loopback));
        assert!(!ask_system("localhost").is_empty());
    }
}
