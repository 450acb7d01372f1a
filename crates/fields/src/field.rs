//! A field with its argument, ready to be extracted.

use std::fmt;

use lanner_event::{EVENTS, EventType, ParamInfo};
use regex::{Regex, RegexBuilder};

use crate::table::{Extractor, FieldInfo, Syscall, find};
use crate::{Context, FieldError, FieldType, NumberFormat, StableUntil, Value, Vocabulary, closest, extract};

/// Where a named parameter stands in each event type.
#[derive(Clone, Debug)]
pub(crate) struct ParamPlaces(Box<[u8]>);

impl ParamPlaces {
    fn of(name: &str) -> ParamPlaces {
        let place =
            |params: &[ParamInfo]| params.iter().position(|p| p.name == name).map_or(u8::MAX, |i| i as u8);
        ParamPlaces(EVENTS.iter().map(|e| place(e.params)).collect())
    }

    /// The parameter's position in events of a type.
    pub(crate) fn get(&self, ty: EventType) -> Option<usize> {
        self.0.get(usize::from(ty.0)).filter(|&&i| i != u8::MAX).map(|&i| usize::from(i))
    }
}

/// What stood in brackets or behind the dot.
#[derive(Clone, Debug)]
pub(crate) enum Arg {
    /// Nothing.
    None,
    /// A position or number.
    Index(u64),
    /// A name.
    Key(Box<str>),
    /// A regular expression.
    Pattern(Box<Regex>),
    /// The name of an event's parameter.
    Param(ParamPlaces),
    /// One or two event types.
    Types([EventType; 2]),
}

/// A field with its argument.
#[derive(Clone)]
pub struct Field {
    info: &'static FieldInfo,
    written: Box<str>,
    pub(crate) arg: Arg,
    ty: FieldType,
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({})", self.written)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Field) -> bool {
        self.written == other.written
    }
}

impl Eq for Field {}

impl std::hash::Hash for Field {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.written.hash(state);
    }
}

impl Field {
    /// The field of this name in the vocabulary (or of all that events of a source have), `argument` being what
    /// stood in brackets.
    ///
    /// # Errors
    /// When there is no such field, or not for the source, or the argument isn't as the field wants it.
    pub fn resolve<'v>(
        vocabulary: impl Into<Vocabulary<'v>>,
        name: &str,
        argument: Option<&str>,
    ) -> Result<Field, FieldError> {
        let vocabulary = vocabulary.into();
        let (info, dotted) = lookup(vocabulary, name).ok_or_else(|| vocabulary.unknown(name))?;
        vocabulary.admit(info)?;
        let mut written = name.to_string();
        if let Some(argument) = argument {
            written = format!("{name}[{argument}]");
        }
        let (arg, ty) = match (dotted, argument) {
            (Some(dotted), None) => dotted_argument(info, dotted)?,
            (None, Some(argument)) => (bracket_argument(info, argument)?, info.ty),
            (None, None) if info.argument.required => {
                return Err(FieldError::ArgumentMissing { name: info.name, example: example(info) });
            }
            (None, None) => (Arg::None, info.ty),
            (Some(_), Some(argument)) => {
                return Err(FieldError::ArgumentForbidden { name: info.name, argument: argument.into() });
            }
        };
        Ok(Field { info, written: written.into(), arg, ty })
    }

    /// What the table says of it.
    pub fn info(&self) -> &'static FieldInfo {
        self.info
    }

    /// The type of its values; unlike the table's it is never [`FieldType::Dynamic`].
    pub fn ty(&self) -> FieldType {
        self.ty
    }

    /// Whether it has a list of values.
    pub fn is_list(&self) -> bool {
        self.info.list
    }

    /// How long a value may be remembered.
    pub fn stable_until(&self) -> StableUntil {
        self.info.stable_until
    }

    /// Whether its values come from a container's runtime, so that they may still be on their way.
    pub fn is_late(&self) -> bool {
        matches!(self.info.extractor, Extractor::Container(field) if extract::container::is_late(field))
    }

    /// Whether taking it makes another fd the event's own for what an output shows after it.
    pub(crate) fn moves_fd(&self) -> bool {
        matches!(self.info.extractor, Extractor::Syscall(Syscall::EvtAbspath))
    }

    /// What the values after it in an output are taken from.
    pub(crate) fn after<'a>(&self, cx: Context<'a>) -> Context<'a> {
        let fd = if self.moves_fd() { extract::syscall::fd_after(&self.arg, &cx) } else { None };
        match fd {
            Some(fd) => Context { subject: cx.scratch.keep(cx.subject.looking_at(fd)), ..cx },
            None => cx,
        }
    }

    /// How numbers of it are printed.
    pub(crate) fn number_format(&self, cx: &Context<'_>) -> NumberFormat {
        match self.info.extractor {
            Extractor::Syscall(field) => extract::syscall::number_format(field, self, cx),
            _ => self.info.format,
        }
    }

    /// Its JSON value where that isn't the value itself.
    pub(crate) fn special_json(&self, cx: &Context<'_>) -> Option<serde_json::Value> {
        match self.info.extractor {
            Extractor::Evt(field) => extract::evt::special_json(field, cx),
            Extractor::Syscall(field) => extract::syscall::special_json(field),
            _ => None,
        }
    }

    /// Its value as an output shows it.
    pub fn extract<'a>(&self, cx: &Context<'a>) -> Value<'a> {
        extract::extract(self, self.info.extractor, cx)
    }

    /// Its value as a condition compares it, if it is the same for every event of a type.
    pub fn fixed_for(&self, ty: EventType) -> Option<Value<'static>> {
        extract::fixed(self, self.info.extractor, ty.info()?)
    }

    /// Its value as a condition compares it: [`Value::Any`] of all ancestors' names for `proc.aname` without
    /// index, [`Value::Ends`] for `fd.ip`, the bytes themselves for `evt.buffer`.
    pub fn operand<'a>(&self, cx: &Context<'a>) -> Value<'a> {
        extract::operand(self, self.info.extractor, cx)
    }
}

/// The field of that name, and what follows its name behind a dot.
fn lookup<'n>(vocabulary: Vocabulary<'_>, name: &'n str) -> Option<(&'static FieldInfo, Option<&'n str>)> {
    if let Some(info) = find(vocabulary, name) {
        return Some((info, None));
    }
    let mut end = name.len();
    loop {
        end = name[..end].rfind('.')?;
        if let Some(info) = find(vocabulary, &name[..end]).filter(|i| i.argument.dot) {
            return Some((info, Some(&name[end + 1..])));
        }
    }
}

fn example(info: &FieldInfo) -> String {
    let name = info.name;
    match info.name {
        "evt.arg" | "evt.rawarg" => format!("{name}.fd"),
        "evt.type.is" => format!("{name}.open"),
        "evt.around" => format!("{name}[1404996934793590564]"),
        "thread.cgroup" => format!("{name}.cpu"),
        _ if info.argument.index => format!("{name}[0]"),
        _ => format!("{name}[name]"),
    }
}

fn invalid(info: &'static FieldInfo, argument: &str, reason: impl Into<String>) -> FieldError {
    FieldError::ArgumentInvalid { name: info.name, argument: argument.into(), reason: reason.into() }
}

fn dotted_argument(info: &'static FieldInfo, argument: &str) -> Result<(Arg, FieldType), FieldError> {
    match info.extractor {
        Extractor::Syscall(Syscall::EvtArg | Syscall::EvtRawarg) => {
            let mut params = EVENTS.iter().flat_map(|e| e.params);
            let Some(param) = params.clone().find(|p| p.name == argument) else {
                let similar = closest(argument, params.by_ref().map(|p| p.name));
                let hint = similar.map_or(String::new(), |s| format!("; did you mean {s}?"));
                return Err(invalid(info, argument, format!("is no argument of any event{hint}")));
            };
            let ty = if info.ty == FieldType::Dynamic { FieldType::of_param(param.ty) } else { info.ty };
            Ok((Arg::Param(ParamPlaces::of(argument)), ty))
        }
        Extractor::Syscall(Syscall::EvtTypeIs) => {
            let named = EVENTS.iter().find(|e| e.name == argument).map(|e| e.code);
            // A name stands for the beginning and the end of the call, a number for just that type.
            let types = match argument.parse() {
                Ok(code) => Some([EventType(code), EventType(code)]),
                Err(_) => named.map(|code| [code, EventType(code.0 + 1)]),
            };
            let types = types.ok_or_else(|| invalid(info, argument, "is no event type"))?;
            Ok((Arg::Types(types), info.ty))
        }
        Extractor::Syscall(Syscall::EvtAbspath) => match argument {
            "src" | "dst" => Ok((Arg::Key(argument.into()), info.ty)),
            _ => Err(invalid(info, argument, "is neither src nor dst")),
        },
        _ if argument.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_') => {
            Ok((Arg::Key(argument.into()), info.ty))
        }
        _ => Err(invalid(info, argument, "may have letters and _ only")),
    }
}

fn bracket_argument(info: &'static FieldInfo, argument: &str) -> Result<Arg, FieldError> {
    let rule = info.argument;
    if !rule.index && !rule.key {
        return Err(if rule.dot {
            invalid(info, argument, format!("must follow a dot, such as {}", example(info)))
        } else {
            FieldError::ArgumentForbidden { name: info.name, argument: argument.into() }
        });
    }
    if rule.index {
        let digits = !argument.is_empty() && argument.bytes().all(|b| b.is_ascii_digit());
        match argument.parse::<u64>() {
            Ok(number) if digits => return Ok(Arg::Index(number)),
            _ if !rule.key => return Err(invalid(info, argument, "is no number from 0 on")),
            _ => {}
        }
    }
    if info.name.starts_with("container.mount") {
        let pattern = RegexBuilder::new(argument).multi_line(true).build();
        return pattern
            .map(Box::new)
            .map(Arg::Pattern)
            .map_err(|_| invalid(info, argument, "is no regular expression"));
    }
    Ok(Arg::Key(argument.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(name: &str, argument: Option<&str>) -> Result<Field, String> {
        Field::resolve("syscall", name, argument).map_err(|e| e.to_string())
    }

    #[test]
    fn arguments_are_read_as_each_field_wants_them() {
        assert!(matches!(resolve("proc.aname", Some("2")).unwrap().arg, Arg::Index(2)));
        assert!(matches!(resolve("proc.aname", None).unwrap().arg, Arg::None));
        assert!(matches!(resolve("proc.env", Some("HOME")).unwrap().arg, Arg::Key(k) if &*k == "HOME"));
        assert!(matches!(resolve("evt.arg", Some("0")).unwrap().arg, Arg::Index(0)));
        assert!(matches!(resolve("evt.arg.flags", None).unwrap().arg, Arg::Param(_)));
        assert!(matches!(resolve("evt.abspath.src", None).unwrap().arg, Arg::Key(_)));
        assert!(matches!(resolve("thread.cgroup.cpu", None).unwrap().arg, Arg::Key(_)));
        assert!(matches!(resolve("container.mount", Some("/a/*")).unwrap().arg, Arg::Pattern(_)));
        assert_eq!(resolve("evt.rawarg.res", None).unwrap().ty(), FieldType::Int64);
        assert_eq!(resolve("proc.aname", Some("2")).unwrap().to_string(), "proc.aname[2]");
    }

    #[test]
    fn errors_say_what_is_wrong_and_what_to_do() {
        let error = |name, argument| resolve(name, argument).unwrap_err();
        assert_eq!(error("proc.nmae", None), "there is no field proc.nmae; did you mean proc.name?");
        assert_eq!(error("proc.name", Some("1")), "field proc.name takes no argument, but has [1]");
        assert_eq!(
            error("container.mount", Some("(")),
            "field container.mount: argument ( is no regular expression"
        );
        assert_eq!(error("evt.arg", None), "field evt.arg needs an argument, such as evt.arg.fd");
        assert_eq!(error("proc.aname", Some("x")), "field proc.aname: argument x is no number from 0 on");
        assert_eq!(
            error("evt.arg.flag", None),
            "field evt.arg: argument flag is no argument of any event; did you mean flags?"
        );
        assert_eq!(
            error("thread.cgroup", Some("cpu")),
            "field thread.cgroup: argument cpu must follow a dot, such as thread.cgroup.cpu"
        );
        assert_eq!(
            error("ka.verb", None),
            "events of source syscall have no field ka.verb; it belongs to k8s_audit"
        );
        assert!(Field::resolve("k8s_audit", "ka.verb", None).is_ok());
        assert!(Field::resolve("k8s_audit", "evt.time", None).is_ok());
        assert!(Field::resolve("k8s_audit", "jevt.value", Some("/verb")).is_ok());
    }
}
