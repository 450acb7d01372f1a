//! Rule files with every rule several times.

/// A rule file in which each rule stands `copies` times, under names of their own.
pub fn copied(file: &str, copies: usize) -> String {
    let mut out = String::new();
    for item in items(file) {
        out.push_str(item);
        let Some(rest) = item.strip_prefix("- rule:") else { continue };
        let (name, body) = rest.split_once('\n').unwrap_or((rest, ""));
        for copy in 1..copies {
            let name = name.trim().trim_matches('"');
            out.push_str(&format!("- rule: \"{name} (copy {copy})\"\n{body}"));
        }
    }
    out
}

/// The parts of a file that begin with a dash at the beginning of a line; first what stands before them.
fn items(file: &str) -> Vec<&str> {
    let mut begins: Vec<usize> = file.match_indices("\n- ").map(|(at, _)| at + 1).collect();
    begins.insert(0, 0);
    begins.push(file.len());
    begins.windows(2).map(|ends| &file[ends[0]..ends[1]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_copied_and_nothing_else() {
        let file = "# head\n- list: a\n  items: [b]\n- rule: \"Some rule\"\n  desc: d\n\n- macro: m\n";
        let copied = copied(file, 2);
        assert_eq!(
            copied,
            "# head\n- list: a\n  items: [b]\n- rule: \"Some rule\"\n  desc: d\n\n\
             - rule: \"Some rule (copy 1)\"\n  desc: d\n\n- macro: m\n"
        );
    }
}
