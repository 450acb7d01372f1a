//! Fields of the user and the group that a thread acts for.

use lanner_machine::User as Account;

use crate::table::{Group, User};
use crate::{Context, Value};

/// The text for a user or group that isn't known.
const UNKNOWN: &[u8] = b"<NA>";

pub(crate) fn user<'a>(id: User, cx: &Context<'a>) -> Option<Value<'a>> {
    let thread = cx.thread()?;
    let account = |uid: u32| cx.machine.user(&thread.container, uid);
    // Root is known without asking.
    let text = |uid: u32, part: fn(&Account) -> &[u8], root: &'static [u8]| {
        let unknown = if uid == 0 { root } else { UNKNOWN };
        Some(Value::Text(account(uid).map_or(unknown, part)))
    };
    match id {
        User::UserUid => Some(Value::Unsigned(thread.uid.into())),
        User::UserName => text(thread.uid, |u| &u.name, b"root"),
        User::UserHomedir => text(thread.uid, |u| &u.home, b"/root"),
        User::UserShell => text(thread.uid, |u| &u.shell, UNKNOWN),
        User::UserLoginuid if thread.loginuid == u32::MAX => Some(Value::Signed(-1)),
        User::UserLoginuid => Some(Value::Signed(thread.loginuid.into())),
        User::UserLoginname => text(thread.loginuid, |u| &u.name, b"root"),
    }
}

pub(crate) fn group<'a>(id: Group, cx: &Context<'a>) -> Option<Value<'a>> {
    let thread = cx.thread()?;
    match id {
        Group::GroupGid => Some(Value::Unsigned(thread.gid.into())),
        Group::GroupName => {
            let unknown: &[u8] = if thread.gid == 0 { b"root" } else { UNKNOWN };
            let group = cx.machine.group(&thread.container, thread.gid);
            Some(Value::Text(group.map_or(unknown, |g| &g.name)))
        }
    }
}
