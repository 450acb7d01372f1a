//! Environment variables in values: `${NAME}`; `$${NAME}` stands for `${NAME}` itself.

/// Replacements in one value, so that a variable that names itself comes to an end.
const MAX_REPLACEMENTS: usize = 100;

/// Replaces variables in a text, those that a variable's value names too. An unset variable is empty; an
/// unclosed `${` ends the replacing.
pub fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut value = text.to_owned();
    let mut from = 0;
    for _ in 0..MAX_REPLACEMENTS {
        let Some(at) = value[from..].find("${").map(|n| from + n) else { break };
        let Some(end) = value[at..].find('}').map(|n| at + n) else { break };
        if at > from && value[from..at].ends_with('$') {
            value.remove(at - 1);
            from = at + 1;
        } else {
            let replacement = lookup(&value[at + 2..end]).unwrap_or_default();
            value.replace_range(at..=end, &replacement);
            from = at;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        expand(text, &|name| match name {
            "NAME" => Some("value".to_owned()),
            "OTHER" => Some("<${NAME}>".to_owned()),
            "SELF" => Some("x${SELF}".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn variables_are_replaced_and_escapes_kept() {
        assert_eq!(expanded("a ${NAME} b ${NAME}"), "a value b value");
        assert_eq!(expanded("${UNSET}x"), "x");
        assert_eq!(expanded("${OTHER}"), "<value>");
        assert_eq!(expanded("$${NAME} ${NAME}"), "${NAME} value");
        assert_eq!(expanded("$NAME ${NAME"), "$NAME ${NAME");
        assert_eq!(expanded("no dollars"), "no dollars");
    }

    #[test]
    fn a_variable_that_names_itself_comes_to_an_end() {
        assert!(expanded("${SELF}").len() < 300);
    }
}
