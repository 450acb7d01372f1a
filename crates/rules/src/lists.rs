//! Putting lists in the place of their names.
//!
//! It is done in the text of a condition before that is parsed, because that is what rule files out there
//! rely on: a name counts wherever blanks, parentheses, commas or `=` stand around it, even within quotes,
//! and lists are put in one after the other in the order of their definition, so that the items of one may
//! be names of later ones.

use std::collections::{BTreeSet, HashMap};

use crate::collect::Table;
use crate::define::ListDefinition;

/// How long a condition may become.
const LONGEST: usize = 4 << 20;
/// How many bytes all passes over one condition may read.
const MOST_WORK: usize = 128 << 20;
/// How many items all lists together may have.
const MOST_ITEMS: usize = 4_000_000;

/// Lists ready to be put in.
#[derive(Clone, Debug)]
pub(crate) struct Lists {
    pub lists: Vec<Ready>,
    by_name: HashMap<String, usize>,
    /// Lists whose names have delimiters in them, which a search for words misses.
    odd: BTreeSet<usize>,
}

/// A list whose items are known, those of lists it names included.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub name: String,
    pub items: Vec<String>,
    pub used: bool,
    /// The items as they stand in conditions.
    text: String,
}

/// A condition or the lists became too long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn is_delimiter(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b'(' | b')' | b',' | b'=')
}

/// An item of a list or an exception as it stands in a condition.
pub(crate) fn quoted(item: &str) -> String {
    if item.contains(' ') && !item.starts_with(['"', '\'']) { format!("\"{item}\"") } else { item.to_owned() }
}

impl Lists {
    pub fn new(definitions: &Table<ListDefinition>) -> Result<Lists, TooLong> {
        let mut lists: Vec<Ready> = Vec::with_capacity(definitions.items.len());
        let mut used = vec![false; definitions.items.len()];
        let mut total = 0usize;
        for definition in &definitions.items {
            let mut items = Vec::new();
            for item in &definition.item.items {
                let named = definitions.position(item).map(|n| (n, &definitions.items[n]));
                match named.filter(|(_, list)| list.index < definition.visibility) {
                    Some((position, list)) => {
                        used[position] = true;
                        total += list.item.items.len();
                        if total > MOST_ITEMS {
                            return Err(TooLong);
                        }
                        items.extend(list.item.items.iter().cloned());
                    }
                    None => items.push(item.clone()),
                }
            }
            let text = items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", ");
            lists.push(Ready { name: definition.item.name.clone(), items, used: false, text });
        }
        for (list, used) in lists.iter_mut().zip(used) {
            list.used = used;
        }
        let by_name = lists.iter().enumerate().map(|(index, list)| (list.name.clone(), index)).collect();
        let has_delimiter = |list: &Ready| list.name.bytes().any(is_delimiter);
        let odd = lists.iter().enumerate().filter(|(_, list)| has_delimiter(list)).map(|(i, _)| i).collect();
        Ok(Lists { lists, by_name, odd })
    }

    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The list whose name is the word at an offset.
    pub fn name_at<'t>(&self, text: &'t str, offset: usize) -> Option<&'t str> {
        let rest = text.get(offset..)?;
        let end = rest.find(|c: char| u8::try_from(c).is_ok_and(is_delimiter)).unwrap_or(rest.len());
        rest.get(..end).filter(|word| self.has(word))
    }

    /// The condition with all lists put in.
    pub fn put_in(&mut self, condition: &str) -> Result<String, TooLong> {
        let (text, used) = self.all(Traced::new(condition, false))?;
        used.into_iter().for_each(|index| self.lists[index].used = true);
        Ok(text.text)
    }

    /// For each byte of the condition with lists put in, the byte of the condition that it comes from.
    pub fn origins(&self, condition: &str) -> Vec<usize> {
        self.all(Traced::new(condition, true)).ok().and_then(|(text, _)| text.origin).unwrap_or_default()
    }

    fn all(&self, mut text: Traced) -> Result<(Traced, Vec<usize>), TooLong> {
        let mut waiting = self.odd.clone();
        waiting.extend(self.words(&text.text));
        let mut used = Vec::new();
        let mut work = 0;
        while let Some(index) = waiting.pop_first() {
            let list = &self.lists[index];
            work += text.text.len();
            let Some(replaced) = text.replace(&list.name, &list.text) else { continue };
            text = replaced;
            if text.text.len() > LONGEST || work > MOST_WORK {
                return Err(TooLong);
            }
            used.push(index);
            waiting.extend(self.words(&list.text).filter(|&later| later > index));
        }
        Ok((text, used))
    }

    /// The lists whose names are words of a text.
    fn words<'t>(&'t self, text: &'t str) -> impl Iterator<Item = usize> + 't {
        let words = text.split(|c: char| u8::try_from(c).is_ok_and(is_delimiter));
        words.filter_map(|word| self.by_name.get(word).copied())
    }
}

/// A text that knows, if wanted, where its bytes come from.
struct Traced {
    text: String,
    origin: Option<Vec<usize>>,
}

impl Traced {
    fn new(text: &str, trace: bool) -> Traced {
        Traced { text: text.to_owned(), origin: trace.then(|| (0..text.len()).collect()) }
    }

    fn empty_like(other: &Traced) -> Traced {
        Traced {
            text: String::with_capacity(other.text.len()),
            origin: other.origin.as_ref().map(|_| Vec::new()),
        }
    }

    /// Appends bytes `from..to` of another text.
    fn copy(&mut self, other: &Traced, from: usize, to: usize) {
        self.text.push_str(other.text.get(from..to).unwrap_or_default());
        if let (Some(mine), Some(theirs)) = (&mut self.origin, &other.origin) {
            mine.extend_from_slice(theirs.get(from..to).unwrap_or_default());
        }
    }

    /// Appends a text that stands for the byte `at` of another.
    fn insert(&mut self, text: &str, other: &Traced, at: usize) {
        self.text.push_str(text);
        if let (Some(mine), Some(theirs)) = (&mut self.origin, &other.origin) {
            let origin = theirs.get(at).copied().unwrap_or_default();
            mine.extend(std::iter::repeat_n(origin, text.len()));
        }
    }

    fn truncate(&mut self, len: usize) {
        self.text.truncate(len);
        if let Some(origin) = &mut self.origin {
            origin.truncate(len);
        }
    }

    /// The text with `name` replaced by `items` wherever it stands by itself, if it does.
    fn replace(&self, name: &str, items: &str) -> Option<Traced> {
        let bytes = self.text.as_bytes();
        let mut out = Traced::empty_like(self);
        let (mut cursor, mut search) = (0, 0);
        let mut found = false;
        while let Some(start) = self.text.get(search..).and_then(|rest| rest.find(name)).map(|n| n + search) {
            let mut end = start + name.len();
            let begins = start == 0 || (start == cursor && found) || is_delimiter(bytes[start - 1]);
            if !begins || bytes.get(end).is_some_and(|&b| !is_delimiter(b)) {
                search = next_char(&self.text, start);
                continue;
            }
            found = true;
            out.copy(self, cursor, start);
            out.truncate(out.text.trim_end_matches([' ', '\t', '\n', '\r']).len());
            while bytes.get(end).is_some_and(|&b| is_blank(b)) {
                end += 1;
            }
            if items.is_empty() {
                if out.text.ends_with(',') {
                    out.truncate(out.text.len() - 1);
                } else if bytes.get(end) == Some(&b',') {
                    end += 1;
                }
            }
            let at_start = out.text.is_empty();
            if !at_start {
                out.insert(" ", self, start);
            }
            out.insert(items, self, start);
            out.insert(" ", self, start);
            cursor = end;
            // Right after a list that begins the condition, Falco overlooks one that follows at once.
            search = if at_start { next_char(&self.text, end) } else { end };
        }
        if found {
            out.copy(self, cursor, bytes.len());
        }
        found.then_some(out)
    }
}

/// The start of the character after the one at `offset`.
fn next_char(text: &str, offset: usize) -> usize {
    let width = text.get(offset..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
    offset + width
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::Collector;
    use crate::place::Place;
    use crate::version::Version;

    struct Nothing;

    impl crate::catalog::FieldCatalog for Nothing {
        fn has_source(&self, _: &str) -> bool {
            true
        }
        fn check_operand(&self, _: &str, _: &lanner_filter::Operand) -> Result<(), crate::Problem> {
            Ok(())
        }
        fn check_condition(
            &self,
            _: &str,
            _: &lanner_filter::Expr,
        ) -> Result<Vec<crate::CheckWarning>, crate::Problem> {
            Ok(Vec::new())
        }
        fn check_output(&self, _: &str, _: &str) -> Result<Vec<String>, crate::Problem> {
            Ok(Vec::new())
        }
        fn event_type_count(&self, _: &lanner_filter::Expr) -> usize {
            1
        }
        fn event_names(&self, _: &str, _: &lanner_filter::Expr) -> Vec<String> {
            Vec::new()
        }
        fn field_names(&self, _: &str) -> Vec<String> {
            Vec::new()
        }
    }

    fn lists(definitions: &[(&str, &[&str])]) -> Lists {
        let mut collector = Collector::new(&Nothing, Version::ENGINE);
        for (name, items) in definitions {
            collector.define_list(ListDefinition {
                name: (*name).to_owned(),
                items: items.iter().map(|item| (*item).to_owned()).collect(),
                place: Place::file("f".into()),
            });
        }
        Lists::new(&collector.lists).unwrap()
    }

    #[test]
    fn a_name_is_replaced_where_it_stands_by_itself() {
        let mut lists = lists(&[("cats", &["cat", "big cat"]), ("none", &[])]);
        let mut put = |text: &str| lists.put_in(text).unwrap();
        assert_eq!(put("proc.name in (cats)"), "proc.name in ( cat, \"big cat\" )");
        assert_eq!(put("a in (x, cats ,y)"), "a in (x, cat, \"big cat\" ,y)");
        assert_eq!(put("a=cats and b"), "a= cat, \"big cat\" and b");
        assert_eq!(put("a in (mycats) and catsx = \"cats\""), "a in (mycats) and catsx = \"cats\"");
        assert_eq!(put("a = \"my cats here\""), "a = \"my cat, \"big cat\" here\"");
        assert_eq!(put("a in (x, none, y)"), "a in (x  , y)");
        assert_eq!(put("a in (none, y)"), "a in (   y)");
        assert_eq!(put("a in (none)"), "a in (  )");
    }

    #[test]
    fn lists_see_earlier_ones_one_level_deep_and_later_ones_by_substitution() {
        let mut lists = lists(&[("a", &["x"]), ("b", &["a", "y"]), ("c", &["b", "d"]), ("d", &["z"])]);
        assert_eq!(lists.lists[1].items, ["x", "y"]);
        assert_eq!(lists.lists[2].items, ["a", "y", "d"]);
        assert_eq!(lists.put_in("(c)").unwrap(), "( a, y, z )");
        let used: Vec<bool> = lists.lists.iter().map(|list| list.used).collect();
        assert_eq!(used, [true, true, true, true]);
    }

    #[test]
    fn every_byte_knows_its_origin() {
        let lists = lists(&[("cats", &["cat", "lion"])]);
        let condition = "a in (cats) and b";
        let origins = lists.origins(condition);
        let text = "a in ( cat, lion ) and b";
        assert_eq!(origins.len(), text.len());
        assert_eq!(origins[text.find("lion").unwrap()], condition.find("cats").unwrap());
        assert_eq!(origins[text.rfind('b').unwrap()], condition.rfind('b').unwrap());
    }

    #[test]
    fn bombs_end_in_an_error() {
        let names: Vec<String> = (0..40).map(|n| format!("l{n}")).collect();
        let refs: Vec<Vec<&str>> = (0..40).map(|n| vec![names.get(n + 1).map_or("x", |s| s); 8]).collect();
        let definitions: Vec<(&str, &[&str])> =
            names.iter().zip(&refs).map(|(name, items)| (name.as_str(), items.as_slice())).collect();
        assert_eq!(lists(&definitions).put_in("a in (l0)"), Err(TooLong));
    }
}
