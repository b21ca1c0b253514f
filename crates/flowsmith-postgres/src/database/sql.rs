//! SQL templates.
//!
//! SQL is kept in `.sql` files and runs in one of two ways:
//!
//! - A statement of an open [`Transaction`](super::Transaction) binds its values as parameters (`$1`).
//! - A query that is a transaction of its own takes one round trip. Its file is a template whose values are rendered as
//!   literals by the filters below, and [`send`](super::transaction::send) puts it into one message. The same applies to parts
//!   of a statement that cannot be parameters, such as names and optional columns.
//!
//! Rows are read by column name.

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};

use flowsmith_core::sql::{array, quote};

/// The templates of one folder, parsed once. A template can include the others by file name.
///
/// Filters: `literal` and `identifier` quote a text, `array` makes a `text[]` of a list of texts, `comment` keeps a text
/// within its comment line. The function `seconds` is an expression for the time between two timestamps, also infinite ones.
/// Everything else is inserted as it is.
pub(crate) struct Templates(Environment<'static>);

impl Templates {
    /// Parses templates, given as file name and content. Use the macro [`templates!`].
    ///
    /// # Panics
    /// If a template has a syntax error. Templates are part of the program, and tests render each of them.
    pub(crate) fn new(files: &[(&'static str, &'static str)]) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.add_filter("literal", |text: &str| quote::literal(text));
        environment.add_filter("identifier", |name: &str| quote::identifier(name));
        environment.add_filter("array", |texts: Vec<String>| array(texts, "text"));
        environment.add_filter("comment", |text: &str| quote::comment(text));
        environment.add_function("seconds", |from: &str, to: &str| seconds(from, to));
        for (file, content) in files {
            environment.add_template(file, content).unwrap_or_else(|error| panic!("template {file}: {error:#}"));
        }
        Self(environment)
    }

    /// Renders a template.
    ///
    /// # Panics
    /// If there is no such template or if it reads a value that is not given.
    pub(crate) fn render(&self, file: &str, values: impl Into<Value>) -> String {
        let rendered = self.0.get_template(file).and_then(|template| template.render(values));
        rendered.unwrap_or_else(|error| panic!("template {file}: {error:#}"))
    }
}

/// The seconds from one timestamp to another; null if one of them is null. PostgreSQL before 17 cannot subtract infinite
/// timestamps, and JSON has no infinite numbers.
fn seconds(from: &str, to: &str) -> String {
    format!(
        "case when {from} is not null and {to} is not null then \
         least(greatest((extract(epoch from {to}) - extract(epoch from {from}))::float8, -1e15), 1e15) end"
    )
}

/// The [`Templates`] of the named files in a folder, which is relative to the file of the invocation.
macro_rules! templates {
    ($folder:literal: $($file:literal),+ $(,)?) => {
        std::sync::LazyLock::new(|| {
            $crate::database::sql::Templates::new(&[$(($file, include_str!(concat!($folder, "/", $file)))),+])
        })
    };
}
pub(crate) use templates;

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    #[test]
    fn filters_quote_values() {
        let templates = Templates::new(&[
            ("a.sql", "select {{ text | literal }}, {{ name | identifier }}, {{ list | array }} {% include 'b.sql' %}"),
            ("b.sql", "-- {{ name | comment }}"),
        ]);
        let values = context! { text => "it's <b>", name => "a\"b", list => ["x", "y'"] };
        assert_eq!(
            templates.render("a.sql", values),
            "select 'it''s <b>', \"a\"\"b\", array['x', 'y''']::text[] -- a\"b"
        );
    }
}
