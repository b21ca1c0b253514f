//! Phrases of messages: counts, lists, and suggestions for misspelt names.

/// A count with its noun: `1 change`, `3 changes`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Suggests the choice that is most similar to the text, or lists the choices if none is similar and they are few.
pub fn suggest<'a>(written: &str, choices: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(written, choices.clone()) {
        return format!("did you mean `{near}`?");
    }
    match choices.clone().count() {
        0 => "remove it: there is nothing to choose from".to_owned(),
        1 => format!("write {}", quoted_list(choices, "or")),
        2..=16 => format!("write one of {}", quoted_list(choices, "or")),
        count => format!("write one of the {count} existing names, none of which resembles `{written}`"),
    }
}

/// The longest word that is compared with others, in bytes: comparing two words takes the product of their lengths.
const MAX_COMPARED_LENGTH: usize = 128;

/// The number of choices that are compared with a word; of further ones, the same number that begin with the same letter.
const MAX_COMPARED: usize = 500;

/// The choice that a misspelling most likely stands for.
pub fn nearest<'a>(written: &str, choices: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if written.len() > MAX_COMPARED_LENGTH {
        return None;
    }
    let lower = written.to_lowercase();
    let initial = |word: &str| word.chars().next().map(|first| first.to_ascii_lowercase());
    choices
        .filter(|choice| choice.len() <= MAX_COMPARED_LENGTH)
        .enumerate()
        .filter(|(place, choice)| *place < MAX_COMPARED || initial(choice) == initial(&lower))
        .take(2 * MAX_COMPARED)
        .map(|(_, choice)| {
            let near = strsim::jaro_winkler(&lower, &choice.to_lowercase());
            // A word that contains the other, as `depends_on` contains `depends`, is similar whatever its length.
            let within = choice.contains(&lower) || lower.contains(choice);
            (if within && lower.len() > 2 && choice.len() > 1 { near.max(0.9) } else { near }, choice)
        })
        .filter(|(near, _)| *near > 0.82)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, choice)| choice)
}

/// The number of words of a list that are written; the others are counted.
const MAX_LISTED: usize = 24;

/// Joins words as in `` `a`, `b` or `c` ``.
pub fn quoted_list<'a>(words: impl Iterator<Item = &'a str>, last: &str) -> String {
    let mut words = words.fuse();
    let mut quoted: Vec<_> = words.by_ref().take(MAX_LISTED).map(|word| format!("`{word}`")).collect();
    let more = words.count();
    if more > 0 {
        quoted.push(format!("{more} more"));
    }
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((end, before)) => format!("{} {last} {end}", before.join(", ")),
    }
}

/// The longest text of a message, in bytes. Names in it can have any length.
const MAX_TEXT: usize = 2000;

/// A text with its middle cut out if it is longer than a message can be.
pub fn shortened(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let (mut start, mut end) = (MAX_TEXT / 2, text.len() - MAX_TEXT / 2);
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        while !text.is_char_boundary(end) {
            end += 1;
        }
        text.replace_range(start..end, " … ");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_are_found_among_many() {
        let names: Vec<String> = (0..50_000).map(|number| format!("step_{number}")).chain(["unload".into()]).collect();
        let names = || names.iter().map(String::as_str);
        assert_eq!(nearest("step_12", names()), Some("step_12"));
        assert_eq!(nearest("unlaod", names()), Some("unload"));
        assert_eq!(nearest("zebra", names()), None);
        assert_eq!(nearest(&"step_1".repeat(100), names()), None);
    }

    #[test]
    fn long_lists_and_texts_are_cut() {
        let names: Vec<String> = (0..50_000).map(|number| number.to_string()).collect();
        let list = quoted_list(names.iter().map(String::as_str), "or");
        assert!(list.starts_with("`0`, `1`, ") && list.ends_with("`23` or 49976 more"), "{list}");
        let cut = shortened("ä".repeat(1_000_000));
        assert!(cut.len() < 2100 && cut.starts_with("ää") && cut.ends_with("ää") && cut.contains(" … "));
        assert_eq!(shortened("short".into()), "short");
    }
}
