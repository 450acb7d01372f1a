//! Upgrades events of old captures to today's table.
//!
//! Once a call gave two events: one at its beginning with the arguments, one at its end with the result. Today
//! the end's event has it all. So the beginning's event is kept per thread, and the end's is completed from
//! it: each parameter that today's type has and the old event has not is looked up by its name.

use lanner_event::{Direction, EVENTS, Event, EventFlag, EventInfo, EventType, HEADER_LEN, ParamType};
use rustc_hash::FxHashMap;

use crate::upgrade_table::{
    EMPTY_WHERE_ABSENT, Fill, KEPT_AND_PASSED, NOT_FROM_ENTER, PASSED, RENAMED, REPLACED, ZERO_PARAMS,
    is_beginning,
};

/// The most threads whose calls are under way at a time. A capture that has more has lost events.
const MOST_WAITING: usize = 1 << 16;
/// The most bytes of their events that are kept.
const MOST_KEPT: usize = 32 << 20;
/// The most parameters of a type.
const MOST_PARAMS: usize = 40;
const ZEROS: [u8; 16] = [0; 16];
const NO_ID: [u8; 4] = [0xff; 4];

/// What is to be done with an event of a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Plan {
    /// It is as today's.
    Pass,
    /// Nothing of it is needed today.
    Drop,
    /// It is of type `to` today.
    Becomes { to: EventType, fill: Fill, keep: bool, pass: bool },
    /// A container, described by single parameters.
    Container,
}

fn plan(info: &EventInfo) -> Plan {
    let code = info.code;
    if code == lanner_event::types::CONTAINER_E {
        return Plan::Container;
    }
    if info.has(EventFlag::Unused) {
        return Plan::Drop;
    }
    if !info.has(EventFlag::ConverterManaged) {
        return if info.has(EventFlag::OldVersion) { Plan::Drop } else { Plan::Pass };
    }
    let replaced = REPLACED.iter().find(|(old, ..)| *old == code);
    let same = || if EMPTY_WHERE_ABSENT.contains(&code) { Fill::Empty } else { Fill::Zero };
    let (to, fill) = replaced.map_or_else(|| (code, same()), |(_, new, fill)| (*new, *fill));
    let enter = info.direction == Direction::Enter;
    let both = KEPT_AND_PASSED.contains(&to);
    let pass = !enter || both || PASSED.contains(&to);
    Plan::Becomes { to, fill, keep: enter && (both || !pass), pass }
}

/// What is asked of the type of nearly every event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Today {
    /// From how many parameters on an event is as today's; `u32::MAX` if it never is.
    least: u32,
    /// It is the beginning of a call whose end is the event that rules see.
    pub beginning: bool,
}

impl Today {
    fn of(info: &EventInfo, plan: &Plan) -> Today {
        let least = match plan {
            Plan::Pass => 0,
            Plan::Becomes { to, keep: false, pass: true, .. } if *to == info.code => info.params.len() as u32,
            _ => u32::MAX,
        };
        Today { least, beginning: is_beginning(info.code) }
    }

    /// Whether an event with so many parameters is as today's.
    #[inline]
    pub fn has(self, count: usize) -> bool {
        self.least != u32::MAX && count >= self.least as usize
    }
}

/// What became of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Upgraded {
    /// It stays as it is.
    Same,
    /// [`Upgrader::bytes`] has it.
    New,
    /// There is no such event today, or a later one completes it.
    Nothing,
}

/// Upgrades events one after the other.
pub(crate) struct Upgrader {
    plans: Vec<Plan>,
    /// By type.
    today: Box<[Today]>,
    /// Events of calls' beginnings, by thread; empty when used up.
    kept: FxHashMap<i64, Vec<u8>>,
    /// Bytes that were put into `kept` since it was empty; memory is used again, so no more than these are held.
    kept_bytes: usize,
    out: Vec<u8>,
}

impl Upgrader {
    pub fn new() -> Upgrader {
        let plans: Vec<Plan> = EVENTS.iter().map(plan).collect();
        Upgrader {
            today: EVENTS.iter().zip(&plans).map(|(info, plan)| Today::of(info, plan)).collect(),
            plans,
            kept: FxHashMap::default(),
            kept_bytes: 0,
            out: Vec::new(),
        }
    }

    /// The last event that became a new one.
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// Forgets all calls under way.
    pub fn clear(&mut self) {
        self.kept = FxHashMap::default();
        self.kept_bytes = 0;
    }

    /// What is known of a type.
    #[inline]
    pub fn today(&self, ty: EventType) -> Option<Today> {
        self.today.get(usize::from(ty.0)).copied()
    }

    /// Whether an event of this type and number of parameters is as today's.
    pub fn passes(&self, ty: EventType, count: usize) -> bool {
        self.today(ty).is_some_and(|today| today.has(count))
    }

    /// Upgrades an event.
    pub fn upgrade(&mut self, event: &Event<'_>) -> Upgraded {
        let Some(plan) = self.plans.get(usize::from(event.ty().0)) else { return Upgraded::Same };
        match *plan {
            Plan::Pass => Upgraded::Same,
            Plan::Drop => Upgraded::Nothing,
            Plan::Container => match write_container(event, &mut self.out) {
                Some(()) => Upgraded::New,
                None => Upgraded::Nothing,
            },
            Plan::Becomes { to, fill, keep, pass } => {
                let Some(info) = to.info() else { return Upgraded::Nothing };
                let same = to == event.ty() && event.param_count() >= info.params.len();
                if !same {
                    self.rebuild(event, info, fill);
                }
                if keep {
                    let bytes = if same { event.as_bytes() } else { &self.out };
                    if self.kept.len() >= MOST_WAITING || self.kept_bytes >= MOST_KEPT {
                        self.kept = FxHashMap::default();
                        self.kept_bytes = 0;
                    }
                    let kept = self.kept.entry(event.tid).or_default();
                    self.kept_bytes += bytes.len().saturating_sub(kept.capacity());
                    kept.clear();
                    kept.extend_from_slice(bytes);
                }
                match (pass, same) {
                    (false, _) => Upgraded::Nothing,
                    (true, true) => Upgraded::Same,
                    (true, false) => Upgraded::New,
                }
            }
        }
    }

    /// Writes `event` as one of type `to`.
    fn rebuild(&mut self, event: &Event<'_>, to: &EventInfo, fill: Fill) {
        let kept = self.kept.get(&event.tid).and_then(|bytes| Event::decode(bytes, event.cpu).ok());
        let enter = kept.filter(|kept| {
            event.info.direction == Direction::Exit && [event.ty().0, to.code.0].contains(&(kept.ty().0 + 1))
        });
        let mut values: [&[u8]; MOST_PARAMS] = [&[]; MOST_PARAMS];
        let mut used = false;
        for (index, value) in values.iter_mut().enumerate().take(to.params.len()) {
            let of_enter = || enter.as_ref().and_then(|enter| from_enter(enter, event, to, index));
            *value = match from_old(event, to, index) {
                Some(value) => value,
                None => match of_enter() {
                    Some(value) => {
                        used = true;
                        value
                    }
                    None => fill_value(to, index, fill),
                },
            };
        }
        write_event(event, to, &values[..to.params.len().min(MOST_PARAMS)], &mut self.out);
        if used {
            if let Some(kept) = self.kept.get_mut(&event.tid) {
                kept.clear();
            }
        }
    }
}

/// A parameter's value in the old event itself.
fn from_old<'a>(event: &Event<'a>, to: &EventInfo, index: usize) -> Option<&'a [u8]> {
    let wanted = &to.params[index];
    let at = if event.info.code == to.code { index } else { position(event.info, to, wanted.name)? };
    let value = event.param(at)?;
    Some(fit(value, event.info.params[at].ty, wanted.ty))
}

/// A parameter's value in the event of the call's beginning.
fn from_enter<'a>(enter: &Event<'a>, event: &Event<'_>, to: &EventInfo, index: usize) -> Option<&'a [u8]> {
    let wanted = &to.params[index];
    let is_late = |(code, name, count): &(EventType, &str, usize)| {
        *code == to.code && *name == wanted.name && event.param_count() < *count
    };
    if NOT_FROM_ENTER.iter().any(is_late) {
        return None;
    }
    let at = position(enter.info, to, wanted.name)?;
    Some(fit(enter.param(at)?, enter.info.params[at].ty, wanted.ty))
}

/// Where an older type has what today's calls `name`.
fn position(old: &EventInfo, to: &EventInfo, name: &str) -> Option<usize> {
    let renamed = RENAMED.iter().find(|(code, new, _)| *code == to.code && *new == name);
    let name = renamed.map_or(name, |(_, _, old)| old);
    old.params.iter().position(|p| p.name == name)
}

/// A value as a parameter of another type has it: without the byte that picks a variant, and cut to length.
fn fit(value: &[u8], from: ParamType, to: ParamType) -> &[u8] {
    let value = if from == ParamType::Dyn && to != ParamType::Dyn {
        value.get(1..).unwrap_or_default()
    } else {
        value
    };
    match to.fixed_len() {
        // Only a little-endian machine has the lower half first, but no big-endian one ever wrote these.
        Some(len) if value.len() > len => &value[..len],
        _ => value,
    }
}

/// What a parameter has that nothing tells.
fn fill_value(to: &EventInfo, index: usize, fill: Fill) -> &'static [u8] {
    if fill == Fill::Empty && !ZERO_PARAMS.contains(&(to.code, index)) {
        return &[];
    }
    match to.params[index].ty {
        ParamType::Uid | ParamType::Gid => &NO_ID,
        ty => &ZEROS[..ty.fixed_len().unwrap_or(0)],
    }
}

fn write_event(event: &Event<'_>, to: &EventInfo, values: &[&[u8]], out: &mut Vec<u8>) {
    let wide = to.has(EventFlag::LargePayload);
    out.clear();
    out.extend(event.ts.to_ne_bytes());
    out.extend(event.tid.to_ne_bytes());
    out.extend([0; 4]);
    out.extend(to.code.0.to_ne_bytes());
    out.extend((values.len() as u32).to_ne_bytes());
    debug_assert_eq!(out.len(), HEADER_LEN);
    // Values come from events whose lengths had the same width, so they fit; were one longer, it is cut.
    let cut = |value: &[u8]| if wide { value.len() } else { value.len().min(usize::from(u16::MAX)) };
    for value in values {
        if wide {
            out.extend((value.len() as u32).to_ne_bytes());
        } else {
            out.extend((cut(value) as u16).to_ne_bytes());
        }
    }
    for value in values {
        out.extend_from_slice(&value[..cut(value)]);
    }
    let total = out.len() as u32;
    out[16..20].copy_from_slice(&total.to_ne_bytes());
}

/// A container whose parameters were its id, type, name and image is a JSON text today.
fn write_container(event: &Event<'_>, out: &mut Vec<u8>) -> Option<()> {
    let text = |index| event.text(index).map(String::from_utf8_lossy).unwrap_or_default();
    let (id, ty, name, image) = (text(0), event.u32(1)?, text(2), text(3));
    let json = format!("{{\"id\":\"{id}\",\"type\":{ty},\"name\":\"{name}\",\"image\":\"{image}\"}}\0");
    let to = lanner_event::types::CONTAINER_JSON_2_E.info()?;
    write_event(event, to, &[json.as_bytes()], out);
    Some(())
}

#[cfg(test)]
mod tests;
