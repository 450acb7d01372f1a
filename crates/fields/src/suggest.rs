//! "Did you mean".

/// The candidate that a mistyped word most likely stands for, if one is near enough.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = 1 + word.len() / 5;
    let (distance, candidate) = candidates
        .into_iter()
        .map(|c| (distance(word.as_bytes(), c.as_bytes(), limit), c))
        .min_by_key(|x| x.0)?;
    (distance <= limit).then_some(candidate)
}

/// Edits (a letter more, less, changed, or two swapped) between two words; counted up to beyond `limit`.
fn distance(a: &[u8], b: &[u8], limit: usize) -> usize {
    if a.len().abs_diff(b.len()) > limit {
        return limit + 1;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let changed = above[j] + usize::from(!x.eq_ignore_ascii_case(y));
            let mut best = changed.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_not() {
        let names = ["proc.name", "proc.pname", "fd.name", "container.id"];
        assert_eq!(closest("proc.nmae", names), Some("proc.name"));
        assert_eq!(closest("Proc.Name", names), Some("proc.name"));
        assert_eq!(closest("contaner.id", names), Some("container.id"));
        assert_eq!(closest("something.else", names), None);
        assert_eq!(closest("x", []), None);
    }
}
