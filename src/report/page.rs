//! HTML pages, each a single file without external resources.

use std::sync::LazyLock;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::Serialize;

use crate::graph::{STYLE, escaped};

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    // The same escaping as in diagrams, which also makes directional characters visible.
    templates.set_formatter(|out, state, value| match value.as_str().filter(|_| !value.is_safe()) {
        Some(text) => out.write_str(&escaped(text)).map_err(Into::into),
        None => minijinja::escape_formatter(out, state, value),
    });
    templates.add_filter("code", code);
    for (name, text) in [
        ("page.html", include_str!("../../templates/html/page.html")),
        ("graph.html", include_str!("../../templates/html/graph.html")),
        ("plan.html", include_str!("../../templates/html/plan.html")),
    ] {
        templates
            .add_template(name, text)
            .expect("the templates in the binary are well-formed, as the tests render them");
    }
    templates.add_global("styles", format!("{}{STYLE}", include_str!("../../templates/html/page.css")));
    templates
});

/// HTML of a text whose code is quoted with backticks.
fn code(text: &str) -> Value {
    let escaped = escaped(text);
    let parts: Vec<&str> = escaped.split('`').collect();
    // With an odd number of backticks, one of them is part of quoted text.
    if parts.len().is_multiple_of(2) {
        return Value::from_safe_string(escaped);
    }
    let mark =
        |(at, part): (usize, &&str)| if at % 2 == 1 { format!("<code>{part}</code>") } else { (*part).to_owned() };
    Value::from_safe_string(parts.iter().enumerate().map(mark).collect())
}

/// Renders a page.
pub(super) fn render(template: &str, context: &impl Serialize) -> String {
    TEMPLATES
        .get_template(template)
        .and_then(|template| template.render(Serde(context)))
        .expect("each template reads fields that its context has, as the tests render them")
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn what_stands_between_backticks_is_code_and_escaped() {
        let shown = |text| code(text).to_string();
        assert_eq!(shown("raise `version:` in `a<b`"), "raise <code>version:</code> in <code>a&lt;b</code>");
        assert_eq!(shown("one ` alone & left"), "one ` alone &amp; left");
    }
}
