//! What all files read so far define, each item changing or replacing what stands before it.

use std::collections::{HashMap, HashSet};

use lanner_filter::{Modifier, Operator};

use crate::catalog::FieldCatalog;
use crate::define::{
    EngineRequirement, Entry, Exception, ListDefinition, MacroDefinition, PluginRequirementDefinition,
    RuleDefinition, RuleUpdate,
};
use crate::place::Place;
use crate::report::{Diagnostic, ErrorCode, WarningCode};
use crate::suggest::closest;
use crate::version::Version;

/// A definition with when it was made: `index` when first, `visibility` when last changed. An item sees what
/// was first defined before its own last change.
#[derive(Clone, Debug)]
pub(crate) struct Dated<T> {
    pub item: T,
    pub index: usize,
    pub visibility: usize,
}

/// Definitions by name, in the order of their first appearance.
#[derive(Clone, Debug)]
pub(crate) struct Table<T> {
    pub items: Vec<Dated<T>>,
    by_name: HashMap<String, usize>,
}

impl<T> Table<T> {
    fn new() -> Table<T> {
        Table { items: Vec::new(), by_name: HashMap::new() }
    }

    pub fn position(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub fn get(&self, name: &str) -> Option<&Dated<T>> {
        self.items.get(self.position(name)?)
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut Dated<T>> {
        let position = self.position(name)?;
        self.items.get_mut(position)
    }

    fn define(&mut self, name: &str, item: T, now: usize) {
        match self.get_mut(name) {
            Some(earlier) => {
                earlier.item = item;
                earlier.visibility = now;
            }
            None => {
                self.by_name.insert(name.to_owned(), self.items.len());
                self.items.push(Dated { item, index: now, visibility: now });
            }
        }
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

type Done = Result<(), Box<Diagnostic>>;

fn refuse(message: impl Into<String>, place: &Place) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(ErrorCode::Validate, message, place.clone()))
}

/// The definitions.
pub(crate) struct Collector<'c> {
    pub catalog: &'c dyn FieldCatalog,
    engine: Version,
    now: usize,
    pub lists: Table<ListDefinition>,
    pub macros: Table<MacroDefinition>,
    pub rules: Table<RuleDefinition>,
    pub plugins: Vec<PluginRequirementDefinition>,
    pub required_engine: Version,
    /// Names of items that couldn't be read: what refers to them isn't wrong for that.
    pub spoiled: HashSet<String>,
    /// Whether a whole file couldn't be read, so that anything may be missing.
    pub unreadable: bool,
}

impl<'c> Collector<'c> {
    pub fn new(catalog: &'c dyn FieldCatalog, engine: Version) -> Collector<'c> {
        Collector {
            catalog,
            engine,
            now: 0,
            lists: Table::new(),
            macros: Table::new(),
            rules: Table::new(),
            plugins: Vec::new(),
            required_engine: Version::default(),
            spoiled: HashSet::new(),
            unreadable: false,
        }
    }

    fn tick(&mut self) -> usize {
        self.now += 1;
        self.now - 1
    }

    pub fn spoil_list(&mut self, name: &str) {
        self.spoiled.insert(name.to_owned());
    }

    pub fn spoil_macro(&mut self, name: &str) {
        self.spoiled.insert(name.to_owned());
    }

    pub fn spoil_rule(&mut self, name: &str) {
        self.spoiled.insert(name.to_owned());
    }

    pub fn require_engine(&mut self, wanted: EngineRequirement) -> Done {
        if !self.engine.serves(wanted.version) {
            let message = format!(
                "Rules require engine version {}, but engine version is {}",
                wanted.version, self.engine
            );
            let advice = "take rules made for this version, or a newer lanner";
            return Err(Box::new(refuse(message, &wanted.place).advise(advice)));
        }
        self.required_engine = self.required_engine.max(wanted.version);
        Ok(())
    }

    pub fn require_plugin(&mut self, wanted: PluginRequirementDefinition) -> Done {
        let mut names = HashSet::new();
        for (name, version) in &wanted.any_of {
            if Version::parse(version).is_none() {
                let message = format!("Invalid required version '{version}' for plugin '{name}'");
                return Err(Box::new(refuse(message, &wanted.place).advise("write it as x.y.z")));
            }
            if !names.insert(name) {
                let message =
                    format!("Defined multiple alternative version requirements for plugin '{name}'");
                return Err(refuse(message, &wanted.place));
            }
        }
        self.plugins.push(wanted);
        Ok(())
    }

    pub fn define_list(&mut self, list: ListDefinition) {
        let now = self.tick();
        let name = list.name.clone();
        self.lists.define(&name, list, now);
    }

    pub fn append_list(&mut self, list: ListDefinition) -> Done {
        let Some(earlier) = self.lists.get_mut(&list.name) else {
            let message =
                "List uses 'append' or 'override.items: append' but no list by that name already exists";
            return self.no_earlier(message, &list.name, &list.place, self.lists.names());
        };
        earlier.item.items.extend(list.items);
        earlier.visibility = self.now;
        self.tick();
        Ok(())
    }

    pub fn define_macro(&mut self, definition: MacroDefinition) {
        let now = self.tick();
        let name = definition.name.clone();
        self.macros.define(&name, definition, now);
    }

    pub fn append_macro(&mut self, definition: MacroDefinition) -> Done {
        let Some(earlier) = self.macros.get_mut(&definition.name) else {
            let message = "Macro uses 'append' or 'override.condition: append' but no macro by that name already exists";
            return self.no_earlier(message, &definition.name, &definition.place, self.macros.names());
        };
        earlier.item.condition.append(definition.condition);
        earlier.visibility = self.now;
        self.tick();
        Ok(())
    }

    /// The refusal to change what isn't there, unless it isn't there because it couldn't be read.
    fn no_earlier<'n>(
        &self,
        message: &str,
        name: &str,
        place: &Place,
        names: impl Iterator<Item = &'n str>,
    ) -> Done {
        if self.spoiled.contains(name) || self.unreadable {
            return Ok(());
        }
        let advice = match closest(name, names) {
            Some(meant) => format!("did you mean '{meant}'?"),
            None => "it must be defined in this file before this item, or in a file loaded before".to_owned(),
        };
        Err(Box::new(refuse(message, place).advise(advice)))
    }

    /// Refuses an item that names another source than the earlier rule of its name.
    fn same_source(&self, name: &str, source: &str, place: &Place) -> Done {
        let differs = |earlier: &Dated<RuleDefinition>| {
            !earlier.item.source.is_empty() && !source.is_empty() && earlier.item.source != source
        };
        match self.rules.get(name) {
            Some(earlier) if differs(earlier) => {
                let advice = format!(
                    "the earlier rule has the source '{}': give this one another name",
                    earlier.item.source
                );
                let error = refuse("Rule has been re-defined with a different source", place);
                Err(Box::new(error.advise(advice)))
            }
            _ => Ok(()),
        }
    }

    pub fn define_rule(&mut self, mut rule: RuleDefinition, warnings: &mut Vec<Diagnostic>) -> Done {
        self.same_source(&rule.name, &rule.source, &rule.place)?;
        if !self.catalog.has_source(&rule.source) {
            rule.unknown_source = true;
            let message = format!("Unknown source {}, skipping", rule.source);
            let warning = Diagnostic::warning(WarningCode::UnknownSource, message, rule.place.clone());
            let advice = "load the plugin that provides this source, or correct its name";
            warnings.push(warning.advise(advice));
        }
        let source = (!rule.unknown_source).then(|| rule.source.clone());
        for exception in &mut rule.exceptions {
            if !exception.fields.is_given() {
                let message = "Rule exception item must have fields property with a list of fields";
                return Err(refuse(message, &exception.place));
            }
            self.check_exception(source.as_deref(), exception)?;
        }
        let now = self.tick();
        let name = rule.name.clone();
        self.rules.define(&name, rule, now);
        Ok(())
    }

    pub fn enable(&mut self, name: &str, enabled: bool, place: &Place) -> Done {
        match self.rules.get_mut(name) {
            Some(rule) => {
                rule.item.enabled = enabled;
                Ok(())
            }
            None => {
                let message = "Rule has 'enabled' key but no rule by that name already exists";
                self.no_earlier(message, name, place, self.rules.names())
            }
        }
    }

    pub fn append_rule(&mut self, mut update: RuleUpdate) -> Done {
        self.same_source(&update.name, &update.source, &update.place)?;
        let Some(earlier) = self.rules.get(&update.name) else {
            let message =
                "Rule uses 'append' or 'override.<key>: append' but no rule by that name already exists";
            return self.no_earlier(message, &update.name, &update.place, self.rules.names());
        };
        if !update.changes_something() {
            let message = "Appended rule must have exceptions or condition property";
            return Err(refuse(message, &update.place));
        }
        let source = (!earlier.item.unknown_source).then(|| earlier.item.source.clone());
        for exception in update.exceptions.iter_mut().flatten() {
            let known = earlier.item.exceptions.iter().any(|e| e.name == exception.name);
            self.check_appended_exception(source.as_deref(), exception, known)?;
        }
        let now = self.tick();
        let Some(earlier) = self.rules.get_mut(&update.name) else { return Ok(()) };
        earlier.visibility = now;
        let rule = &mut earlier.item;
        if let Some(condition) = update.condition {
            rule.condition.append(condition);
        }
        if let Some(output) = update.output {
            rule.output.append(output);
        }
        if let Some(description) = update.description {
            rule.description.push(' ');
            rule.description.push_str(&description);
        }
        rule.tags.extend(update.tags.into_iter().flatten());
        for exception in update.exceptions.into_iter().flatten() {
            match rule.exceptions.iter_mut().find(|earlier| earlier.name == exception.name) {
                Some(earlier) => earlier.values.extend(exception.values),
                None => rule.exceptions.push(exception),
            }
        }
        Ok(())
    }

    fn check_appended_exception(&self, source: Option<&str>, exception: &mut Exception, known: bool) -> Done {
        let (fields, comps) = (exception.fields.is_given(), exception.comps.is_given());
        let message = match (known, fields) {
            (true, true) => "Can not append exception fields to existing exception, only values",
            (true, false) if comps => "Can not append exception comps to existing exception, only values",
            (true, false) => return Ok(()),
            (false, false) => "Rule exception must have fields property with a list of fields",
            (false, true) if exception.values.is_empty() => {
                "Rule exception must have values property with a list of values"
            }
            (false, true) => return self.check_exception(source, exception),
        };
        Err(refuse(message, &exception.place))
    }

    pub fn replace_in_rule(&mut self, update: RuleUpdate) -> Done {
        self.same_source(&update.name, &update.source, &update.place)?;
        if self.rules.get(&update.name).is_none() {
            let message = "An 'override.<key>: replace' to a rule was requested but no rule by that name already exists";
            return self.no_earlier(message, &update.name, &update.place, self.rules.names());
        }
        if !update.changes_something() {
            return Err(refuse("The rule must have at least one field that can be replaced", &update.place));
        }
        let now = self.tick();
        let Some(earlier) = self.rules.get_mut(&update.name) else { return Ok(()) };
        earlier.visibility = now;
        let rule = &mut earlier.item;
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut rule.condition, update.condition);
        set(&mut rule.output, update.output);
        set(&mut rule.description, update.description);
        set(&mut rule.tags, update.tags);
        set(&mut rule.exceptions, update.exceptions);
        set(&mut rule.priority, update.priority);
        set(&mut rule.capture, update.capture);
        set(&mut rule.capture_duration, update.capture_duration);
        set(&mut rule.enabled, update.enabled);
        set(&mut rule.warn_evttypes, update.warn_evttypes);
        set(&mut rule.skip_if_unknown_filter, update.skip_if_unknown_filter);
        Ok(())
    }

    /// Checks an exception and fills in the operators it leaves out.
    fn check_exception(&self, source: Option<&str>, exception: &mut Exception) -> Done {
        let place = exception.place.clone();
        let Exception { fields, comps, .. } = exception;
        match fields {
            Entry::List(fields) => {
                if !comps.is_given() {
                    *comps = Entry::List(vec![Entry::Item("=".to_owned()); fields.len()]);
                }
                let Entry::List(comps) = comps else {
                    return Err(refuse("Fields and comps lists must have equal length", &place));
                };
                if comps.len() != fields.len() {
                    let advice = format!("there are {} fields and {} comps", fields.len(), comps.len());
                    let error = refuse("Fields and comps lists must have equal length", &place);
                    return Err(Box::new(error.advise(advice)));
                }
                for comp in comps {
                    *comp = Entry::Item(comp.item().trim_matches(BLANKS).to_owned());
                    check_operator(comp.item(), &place)?;
                }
                fields.iter().try_for_each(|field| self.check_field(source, field.item(), &place))
            }
            Entry::Item(_) | Entry::Missing => {
                if !comps.is_given() {
                    *comps = Entry::Item("in".to_owned());
                }
                if matches!(comps, Entry::List(_)) {
                    return Err(refuse("Fields and comps must both be strings", &place));
                }
                let comp = comps.item().trim_matches(BLANKS).to_owned();
                if !matches!(comp.as_str(), "in" | "pmatch" | "intersects") && !is_modified_operator(&comp) {
                    let message = "When fields is a single value, comps must be one of (in, pmatch, intersects) or a \
                                   modifier operator (e.g. startswith oneof)";
                    return Err(refuse(message, &place));
                }
                *comps = Entry::Item(comp);
                self.check_field(source, fields.item(), &place)
            }
        }
    }

    fn check_field(&self, source: Option<&str>, field: &str, place: &Place) -> Done {
        let Some(source) = source else { return Ok(()) };
        let operand = lanner_filter::parse_operand(field).ok();
        let problem = match &operand {
            Some(operand) => match self.catalog.check_operand(source, operand) {
                Ok(()) => return Ok(()),
                Err(problem) => problem.advice,
            },
            None => None,
        };
        let known = self.catalog.field_names(source);
        let meant = closest(field, known.iter().map(String::as_str));
        let advice = meant.map(|meant| format!("did you mean '{meant}'?")).or(problem);
        let error = refuse(format!("'{field}' is not a supported filter field"), place);
        Err(Box::new(error.advise_some(advice)))
    }
}

const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

fn check_operator(comp: &str, place: &Place) -> Done {
    if Operator::all_names().any(|name| name == comp) || is_modified_operator(comp) {
        return Ok(());
    }
    let meant = closest(comp, Operator::all_names()).map(|meant| format!("did you mean '{meant}'?"));
    let known = || format!("use one of {}", Operator::all_names().collect::<Vec<_>>().join(", "));
    let error = refuse(format!("'{comp}' is not a supported comparison operator"), place);
    Err(Box::new(error.advise(meant.unwrap_or_else(known))))
}

/// `startswith oneof` and the like.
pub(crate) fn is_modified_operator(comp: &str) -> bool {
    let mut words = comp.split_whitespace();
    let (Some(operator), Some(modifier), None) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    let takes_modifier = |operator: &Operator| !operator.takes_number() && !operator.takes_list();
    Modifier::ALL.iter().any(|known| known.as_str() == modifier)
        && Operator::ALL.iter().filter(|o| takes_modifier(o)).any(|known| known.as_str() == operator)
}
