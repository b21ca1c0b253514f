//! Values of environment variables that must not get into errors: these go to logs and into the database.

/// Values shorter than this are no secrets, and may be part of any text.
const SHORTEST: usize = 4;

/// Texts to blot out, and what is written instead, the longest first.
#[derive(Debug, Default)]
pub(super) struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// Also blots this value out, as it is and as JSON and addresses write it.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        if value.len() < SHORTEST {
            return;
        }
        let json = serde_json::Value::from(value).to_string();
        let form: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let forms = [value.to_owned(), json[1..json.len() - 1].to_owned(), form.replace('+', "%20"), form];
        for form in forms {
            if self.0.iter().all(|(known, _)| *known != form) {
                self.0.push((form, format!("${{env:{name}}}")));
            }
        }
        self.0.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    }

    /// The text without them.
    pub(super) fn blot(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (secret, instead)| text.replace(secret, instead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_blotted_out_however_they_are_written() {
        let mut secrets = Secrets::default();
        secrets.add("SHORT", "abc");
        secrets.add("PART", "s3c/");
        secrets.add("KEY", "s3c/r\"t x");
        let text = r#"abc s3c/r"t x {"k": "s3c/r\"t x"} ?k=s3c%2Fr%22t%20x&l=s3c%2Fr%22t+x s3c/"#;
        let blotted = r#"abc ${env:KEY} {"k": "${env:KEY}"} ?k=${env:KEY}&l=${env:KEY} ${env:PART}"#;
        assert_eq!(secrets.blot(text), blotted);
    }
}
