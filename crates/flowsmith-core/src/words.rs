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

/// The choice that a misspelling most likely stands for.
pub fn nearest<'a>(written: &str, choices: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    choices
        .map(|choice| {
            let near = strsim::jaro_winkler(&lower, &choice.to_lowercase());
            // A word that contains the other, as `depends_on` contains `depends`, is similar whatever its length.
            let within = choice.contains(&lower) || lower.contains(choice);
            (if within && lower.len() > 2 && choice.len() > 1 { near.max(0.9) } else { near }, choice)
        })
        .filter(|(near, _)| *near > 0.82)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, choice)| choice)
}

/// Joins words as in `` `a`, `b` or `c` ``.
pub fn quoted_list<'a>(words: impl Iterator<Item = &'a str>, last: &str) -> String {
    let quoted: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((end, before)) => format!("{} {last} {end}", before.join(", ")),
    }
}
