//! Fields that are not in the table: those of plugins that are loaded at run time.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::table::{Extractor, find_own};
use crate::{Argument, ClassInfo, Context, FieldInfo, FieldType, NumberFormat, StableUntil, Value};

/// A field as its plugin describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForeignField {
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub ty: FieldType,
    /// It has a list of values.
    pub list: bool,
    /// What argument it takes.
    pub argument: Argument,
    /// What it tells.
    pub description: String,
}

/// The fields of a plugin.
#[derive(Clone, Debug)]
pub struct ForeignClass {
    /// The plugin's name.
    pub plugin: String,
    /// What it does.
    pub about: String,
    /// The sources whose events have the fields; none stands for every source.
    pub sources: Vec<String>,
    /// The fields, in the order by which the plugin numbers them.
    pub fields: Vec<ForeignField>,
}

/// What is asked of a plugin.
#[derive(Clone, Copy, Debug)]
pub struct ForeignRequest<'r> {
    /// The plugin.
    pub plugin: &'r str,
    /// Number of the field within it.
    pub id: u32,
    /// The field.
    pub info: &'r FieldInfo,
    /// What stood in brackets.
    pub argument: ForeignArgument<'r>,
}

/// What stood in brackets behind a field's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForeignArgument<'r> {
    /// Nothing.
    None,
    /// A position.
    Index(u64),
    /// A name.
    Key(&'r str),
}

/// Asks the plugins of a loop for values.
pub trait ForeignFields: Send + Sync {
    /// The value of a field; what it refers to lives in the context's scratch memory.
    fn extract<'a>(&self, request: &ForeignRequest<'_>, cx: &Context<'a>) -> Option<Value<'a>>;

    /// The one-line summary of an event by the plugin that made it.
    fn summary<'a>(&self, cx: &Context<'a>) -> Option<&'a [u8]>;
}

/// The plugins of a loop, if there are any.
#[derive(Clone, Default)]
pub struct Foreign(pub Option<Arc<dyn ForeignFields>>);

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Foreign(plugins)" } else { "Foreign(none)" })
    }
}

static REGISTERED: RwLock<Vec<&'static FieldInfo>> = RwLock::new(Vec::new());

/// Makes a plugin's fields known to the whole process, for as long as it lives: rules refer to them. A field that is
/// in the table already stays what it is; the plugins that such fields are known by are the answer, so that whoever
/// loads a plugin in their place can name them too.
pub fn register(class: &ForeignClass) -> Vec<&'static str> {
    let mut stands_for: Vec<&'static str> = Vec::new();
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    let mut info: Option<&'static ClassInfo> = None;
    for (id, field) in class.fields.iter().enumerate() {
        if let Some(own) = find_own(&field.name) {
            stands_for.extend(own.class.plugin.filter(|plugin| !stands_for.contains(plugin)));
            continue;
        }
        if registered
            .iter()
            .any(|known| known.name == field.name && known.class.plugin == Some(&class.plugin))
        {
            continue;
        }
        let class = *info.get_or_insert_with(|| leak_class(class));
        registered.push(leak_field(field, class, id as u32));
    }
    stands_for
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn leak_class(class: &ForeignClass) -> &'static ClassInfo {
    let sources: Vec<&'static str> = class.sources.iter().map(|source| leak(source)).collect();
    Box::leak(Box::new(ClassInfo {
        name: leak(&class.plugin),
        about: leak(&class.about),
        sources: Box::leak(sources.into_boxed_slice()),
        plugin: Some(leak(&class.plugin)),
        loaded: true,
    }))
}

fn leak_field(field: &ForeignField, class: &'static ClassInfo, id: u32) -> &'static FieldInfo {
    Box::leak(Box::new(FieldInfo {
        name: leak(&field.name),
        class,
        ty: field.ty,
        argument: field.argument,
        list: field.list,
        description: leak(&field.description),
        stable_until: StableUntil::EVENT,
        format: NumberFormat::Plain,
        filter_only: false,
        right_side: true,
        transformable: true,
        deprecated: false,
        extractor: Extractor::Foreign(id),
    }))
}

/// A plugin's field by its name. Several plugins may have one of that name, over different sources: one that `fits` comes
/// first.
pub(crate) fn find_foreign(
    name: &str,
    fits: impl Fn(&'static FieldInfo) -> bool,
) -> Option<&'static FieldInfo> {
    let known = registered();
    let mut named = known.into_iter().filter(|field| field.name == name);
    let first = named.next()?;
    if fits(first) { Some(first) } else { named.find(|field| fits(field)).or(Some(first)) }
}

/// All plugins' fields.
pub(crate) fn registered() -> Vec<&'static FieldInfo> {
    REGISTERED.read().unwrap_or_else(PoisonError::into_inner).clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Field;

    #[test]
    fn plugins_may_have_fields_of_one_name_over_different_sources() {
        for (plugin, source, ty) in [("one", "ones", FieldType::Text), ("two", "twos", FieldType::Uint64)] {
            let field = ForeignField {
                name: "same.name".to_owned(),
                ty,
                list: false,
                argument: Argument { allowed: false, required: false, index: false, key: false, dot: false },
                description: "Named by both.".to_owned(),
            };
            let (plugin, about) = (plugin.to_owned(), "A test.".to_owned());
            register(&ForeignClass { plugin, about, sources: vec![source.to_owned()], fields: vec![field] });
        }
        let of =
            |source: &str| Field::resolve(source, "same.name", None).map(|field| field.info().class.plugin);
        assert_eq!((of("ones"), of("twos")), (Ok(Some("one")), Ok(Some("two"))));
        assert!(of("syscall").unwrap_err().to_string().contains("it belongs to ones"));
    }
}
