//! Values from a payload that is JSON, read as the field table says.

use lanner_event::{params, types};

use crate::field::Arg;
use crate::json::{Json, Kind};
use crate::scratch::Buffer;
use crate::table::{JsonMode, JsonRead};
use crate::{Context, Field, Scratch, Value};

/// The payload of an event that isn't the kernel's.
pub(crate) fn bytes<'a>(cx: &Context<'a>) -> Option<&'a [u8]> {
    if cx.event.ty() != types::PLUGINEVENT_E {
        return None;
    }
    let payload = cx.event.param(params::pluginevent_e::EVENT_DATA)?;
    let end = payload.iter().rposition(|&byte| byte != 0)?;
    Some(&payload[..=end])
}

/// The payload as JSON, if it is an object or a list.
pub(crate) fn root<'a>(cx: &Context<'a>) -> Option<Json<'a>> {
    let payload = bytes(cx)?;
    matches!(payload.first(), Some(b'{' | b'[')).then(|| cx.scratch.json(payload)).flatten()
}

/// The value of a field that the table describes.
pub(crate) fn read<'a>(read: JsonRead, field: &Field, cx: &Context<'a>) -> Option<Value<'a>> {
    let root = root(cx)?;
    if !read.needs.is_empty() {
        root.get(read.needs)?;
    }
    let index = match field.arg {
        Arg::Index(index) => Some(usize::try_from(index).ok()?),
        _ => None,
    };
    let scratch = cx.scratch;
    if field.is_list() {
        let values = if read.mode == JsonMode::Get {
            items(root.at_path(read.path)?, index, scratch)?
        } else {
            gather(read, root, index, scratch)?
        };
        return list(values);
    }
    match read.mode {
        JsonMode::Every | JsonMode::Repository => gather(read, root, Some(0), scratch)?.first().copied(),
        JsonMode::Any => any(read.path, root).map(truth),
        mode => single(mode, root.at_path(read.path)?, scratch),
    }
}

/// A list, none if it is empty.
pub(crate) fn list<'a>(values: Buffer<'a, Value<'a>>) -> Option<Value<'a>> {
    (!values.is_empty()).then(|| Value::List(values.into_bump_slice()))
}

/// A truth as Falco's plugins tell it.
pub(crate) fn truth(holds: bool) -> Value<'static> {
    Value::Text(if holds { b"true" } else { b"false" })
}

fn single<'a>(mode: JsonMode, value: Json<'a>, scratch: &'a Scratch) -> Option<Value<'a>> {
    Some(match mode {
        JsonMode::Json => Value::Text(scratch.built(|out| value.write(out))),
        JsonMode::Flag => truth(value.kind() == Kind::True),
        JsonMode::Number => Value::Unsigned(number(value)),
        JsonMode::Text if value.kind() == Kind::Null => Value::Text(b""),
        _ => Value::Text(value.show(scratch)),
    })
}

/// A number that is written whole or with a fraction; 0 for anything else.
pub(crate) fn number(value: Json<'_>) -> u64 {
    let text = std::str::from_utf8(value.raw()).unwrap_or_default();
    text.parse().or_else(|_| text.parse::<f64>().map(|fraction| fraction as u64)).unwrap_or(0)
}

/// The values of an array, or the one at an index.
fn items<'a>(array: Json<'a>, index: Option<usize>, scratch: &'a Scratch) -> Option<Buffer<'a, Value<'a>>> {
    if array.kind() != Kind::Array {
        return None;
    }
    let mut values = scratch.value_buffer();
    let wanted = array.items().enumerate().filter(|(nth, _)| index.is_none_or(|index| index == *nth));
    values.extend(wanted.map(|(_, item)| Value::Text(item.show(scratch))));
    Some(values)
}

/// Follows a path through objects and arrays: `visit` is given what it leads to in each element, `None` where an
/// element lacks it. With an index only that element of each array counts. `None`: there is nothing on the path.
fn each<'a>(
    mut value: Json<'a>,
    path: &[&str],
    index: Option<usize>,
    visit: &mut dyn FnMut(Option<Json<'a>>),
) -> Option<()> {
    for (nth, key) in path.iter().enumerate() {
        if value.kind() == Kind::Array {
            let Some(index) = index else {
                for item in value.items() {
                    if each(item, &path[nth..], None, visit).is_none() {
                        visit(None);
                    }
                }
                return Some(());
            };
            value = value.items().nth(index)?;
        }
        value = value.get(key)?;
    }
    visit(Some(value));
    Some(())
}

fn any(path: &[&str], root: Json<'_>) -> Option<bool> {
    let mut holds = false;
    each(root, path, None, &mut |value| holds |= value.is_some_and(|value| value.kind() == Kind::True))?;
    Some(holds)
}

/// The values of a list that is spread over the elements of arrays.
fn gather<'a>(
    read: JsonRead,
    root: Json<'a>,
    index: Option<usize>,
    scratch: &'a Scratch,
) -> Option<Buffer<'a, Value<'a>>> {
    let mut values = scratch.value_buffer();
    if read.mode == JsonMode::Keys {
        keys(root.at_path(read.path)?, index, &mut values);
        return Some(values);
    }
    let for_all = match read.mode {
        JsonMode::Effective => of_pod(read.path, root, scratch),
        _ => None,
    };
    let mut sound = true;
    each(root, read.path, index, &mut |value| match value {
        Some(value) => sound &= take(read.mode, value, scratch, &mut values).is_some(),
        None if read.mode == JsonMode::Effective => values.push(Value::Text(for_all.unwrap_or(b"0"))),
        None => sound &= !matches!(read.mode, JsonMode::Every | JsonMode::Repository),
    })?;
    sound.then_some(values)
}

/// What the pod says for all its containers: the path without the containers.
fn of_pod<'a>(path: &[&str], root: Json<'a>, scratch: &'a Scratch) -> Option<&'a [u8]> {
    let (pod, container) = (path.get(..2)?, path.get(3..)?);
    Some(root.at_path(pod)?.at_path(container)?.show(scratch))
}

/// Adds what one value gives. `None`: it isn't what it must be, which spoils the whole list.
fn take<'a>(
    mode: JsonMode,
    value: Json<'a>,
    scratch: &'a Scratch,
    values: &mut Buffer<'a, Value<'a>>,
) -> Option<()> {
    match mode {
        JsonMode::Repository => {
            let image = value.show(scratch);
            let end = image.iter().position(|&byte| byte == b':' || byte == b'@');
            values.push(Value::Text(&image[..end.unwrap_or(image.len())]));
        }
        JsonMode::Join => values.push(Value::Text(joined(value, scratch)?)),
        JsonMode::Flat => values.extend(value.items().map(|item| Value::Text(item.show(scratch)))),
        JsonMode::Ports if value.kind() != Kind::Array => return None,
        JsonMode::Ports => {
            // With the host's network the container's port is the host's.
            let port = |port: Json<'a>| port.get("hostPort").or_else(|| port.get("containerPort"));
            values.extend(value.items().filter_map(port).map(|port| Value::Text(port.show(scratch))));
        }
        _ => values.push(Value::Text(value.show(scratch))),
    }
    Some(())
}

fn joined<'a>(array: Json<'a>, scratch: &'a Scratch) -> Option<&'a [u8]> {
    if array.kind() != Kind::Array {
        return None;
    }
    let mut out = scratch.buffer();
    for (nth, item) in array.items().enumerate() {
        if nth > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(item.as_text(scratch)?);
    }
    Some(out.into_bump_slice())
}

fn keys<'a>(array: Json<'a>, index: Option<usize>, values: &mut Buffer<'a, Value<'a>>) {
    let wanted = array.items().enumerate().filter(|(nth, _)| index.is_none_or(|index| index == *nth));
    let keys = wanted.flat_map(|(_, item)| item.entries()).map(|(key, _)| key);
    values.extend(keys.filter(|key| *key != b"name").map(Value::Text));
}
