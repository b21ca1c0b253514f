//! Values of environment variables that must not appear in errors, which are logged and stored in the database.

/// Shorter values are not redacted: they are not secrets, and may be part of any text.
const MIN_LENGTH: usize = 4;

/// Texts to redact with their replacements, the longest first.
#[derive(Debug, Default)]
pub(super) struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// Adds the value of a variable: as it is, as JSON escapes it, and as URLs encode it.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        if value.len() < MIN_LENGTH {
            return;
        }
        let json = serde_json::Value::from(value).to_string();
        let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let forms = [value.to_owned(), json[1..json.len() - 1].to_owned(), encoded.replace('+', "%20"), encoded];
        for form in forms {
            if self.0.iter().all(|(known, _)| *known != form) {
                self.0.push((form, format!("${{env:{name}}}")));
            }
        }
        self.0.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    }

    /// Replaces each value by a reference to its variable.
    pub(super) fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (secret, replacement)| text.replace(secret, replacement))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_redacted_in_every_encoding() {
        let mut secrets = Secrets::default();
        secrets.add("SHORT", "abc");
        secrets.add("PART", "s3c/");
        secrets.add("KEY", "s3c/r\"t x");
        let text = r#"abc s3c/r"t x {"k": "s3c/r\"t x"} ?k=s3c%2Fr%22t%20x&l=s3c%2Fr%22t+x s3c/"#;
        let redacted = r#"abc ${env:KEY} {"k": "${env:KEY}"} ?k=${env:KEY}&l=${env:KEY} ${env:PART}"#;
        assert_eq!(secrets.redact(text), redacted);
    }
}
