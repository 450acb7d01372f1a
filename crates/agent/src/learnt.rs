//! What a recording says of containers besides what their threads do: who they are, and their accounts.

use lanner_event::{EncodeError, Event, EventBuf, params, types};
use lanner_machine::{Container, Group, Machine, Text, User};

use crate::accounts::Accounts;

/// The thread of events that no thread caused.
const NO_THREAD: i64 = -1;

/// The event that tells who a container is.
///
/// # Errors
/// When what is known of it is longer than an event can be.
pub fn container_event(ts: u64, container: &Container) -> Result<EventBuf, EncodeError> {
    let json = lanner_container::to_event(container);
    EventBuf::new(ts, NO_THREAD, 0, types::CONTAINER_JSON_2_E, &[&json])
}

/// The event by which rules hear that a container is known, as Falco's container plugin sends it; `tid` is one of its
/// threads.
///
/// # Errors
/// When what is known of it is longer than an event can be.
pub fn announcement(ts: u64, tid: Option<i64>, container: &Container) -> Result<EventBuf, EncodeError> {
    let (plugin, json) = (0u32.to_ne_bytes(), lanner_container::to_event(container));
    // Its data are bytes, which need no end.
    let data = json.strip_suffix(b"\0").unwrap_or(&json);
    let params: [&[u8]; 3] = [&plugin, b"container\0", data];
    EventBuf::new(ts, tid.unwrap_or(NO_THREAD), 0, types::ASYNCEVENT_E, &params)
}

/// The events that tell the accounts of a container. Names that are longer than an event can be are left out.
pub fn account_events(ts: u64, accounts: &Accounts) -> Vec<EventBuf> {
    let text = |text: &[u8]| [text, b"\0"].concat();
    let container = text(&accounts.container);
    let users = accounts.users.iter().map(|user| {
        let (uid, gid) = (user.uid.to_ne_bytes(), user.gid.to_ne_bytes());
        let (name, home, shell) = (text(&user.name), text(&user.home), text(&user.shell));
        let params: [&[u8]; 6] = [&uid, &gid, &name, &home, &shell, &container];
        EventBuf::new(ts, NO_THREAD, 0, types::USER_ADDED_E, &params)
    });
    let groups = accounts.groups.iter().map(|group| {
        let params: [&[u8]; 3] = [&group.gid.to_ne_bytes(), &text(&group.name), &container];
        EventBuf::new(ts, NO_THREAD, 0, types::GROUP_ADDED_E, &params)
    });
    users.chain(groups).filter_map(Result::ok).collect()
}

/// Puts an account that such an event tells of into the machine.
pub fn give_to(event: &Event<'_>, machine: &mut Machine) {
    let text = |index| Text::from(event.text(index).unwrap_or_default());
    let number = |index| event.u32(index).unwrap_or(u32::MAX);
    match event.ty() {
        types::USER_ADDED_E => {
            use params::user_added_e as p;
            let user = User {
                uid: number(p::UID),
                gid: number(p::GID),
                name: text(p::NAME),
                home: text(p::HOME),
                shell: text(p::SHELL),
            };
            machine.add_user(&text(p::CONTAINER_ID), user);
        }
        types::GROUP_ADDED_E => {
            use params::group_added_e as p;
            let group = Group { gid: number(p::GID), name: text(p::NAME) };
            machine.add_group(&text(p::CONTAINER_ID), group);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_that_were_told_are_known_again() {
        let accounts = Accounts {
            container: "c1".into(),
            users: vec![User {
                uid: 7,
                gid: 8,
                name: "app".into(),
                home: "/home/app".into(),
                shell: "/bin/sh".into(),
            }],
            groups: vec![Group { gid: 8, name: "apps".into() }],
        };
        let mut machine = Machine::default();
        for event in account_events(5, &accounts) {
            give_to(&event.event().unwrap(), &mut machine);
        }
        assert_eq!(machine.user(b"c1", 7), Some(&accounts.users[0]));
        assert_eq!(machine.group(b"c1", 8), Some(&accounts.groups[0]));
        assert!(machine.user(b"", 7).is_none());
    }
}
