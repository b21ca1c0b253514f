//! Secrets of the environment, which are kept out of logs and of the errors that are stored in the database.

use std::ffi::OsString;

use flowsmith_core::redact::Redactor;

/// Parts of names of variables that hold secrets. The programs of `exec` handlers inherit them.
const NAMES: [&str; 10] =
    ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL", "APIKEY", "KEY", "PASS", "PWD"];

/// The values of environment variables whose names say that they are secret, such as `STRIPE_API_KEY` and `GITHUB_TOKEN`, and the
/// passwords in values that are URLs, such as `DATABASE_URL`.
pub fn secrets_of(environment: impl Iterator<Item = (OsString, OsString)>) -> Redactor {
    let mut secrets = Redactor::new();
    for (name, value) in environment {
        // No handler can refer to a variable that is not UTF-8.
        let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) else { continue };
        if is_secret(&name) {
            secrets.add_variable(&name, &value);
        } else {
            secrets.add_password_of(&value, &format!("${{env:{name}}}"));
        }
    }
    secrets
}

fn is_secret(name: &str) -> bool {
    let name = name.to_uppercase();
    // A part of a name: `KEYBOARD` is not a key. Paths and names of secrets are not secret.
    let is_name = |word: &str| NAMES.contains(&word) || NAMES[..6].iter().any(|part| word.ends_with(part));
    let is_word = |word: &str| is_name(word) || word.strip_suffix('S').is_some_and(is_name);
    let says_where =
        ["FILE", "PATH", "DIR", "NAME", "ID", "URL"].iter().any(|end| name.rsplit('_').next() == Some(end));
    // The variable PWD is the working directory.
    !says_where && name != "PWD" && name.split('_').any(is_word)
}

#[cfg(test)]
mod tests {
    use super::{is_secret, secrets_of};

    #[test]
    fn names_say_what_is_secret() {
        for name in [
            "PGPASSWORD",
            "STRIPE_API_KEY",
            "GITHUB_TOKEN",
            "client_secret",
            "AWS_SECRET_ACCESS_KEY",
            "DB_PASSWD",
            "SMTP_PASS",
            "DB_PWD",
            "CREDENTIALS",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "HOME",
            "KEYBOARD",
            "PWD",
            "OLDPWD",
            "COMPASS",
            "PATH",
            "MONKEY",
            "AWS_ACCESS_KEY_ID",
            "SECRET_FILE",
            "TOKEN_URL",
            "AUTHOR",
            "PGUSER",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn passwords_of_urls_are_secret() {
        let variables =
            [("DATABASE_URL", "postgres://app:s3cret%21@db/app"), ("API_TOKEN", "t0ken"), ("HOME", "/home/app")];
        let secrets = secrets_of(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        assert_eq!(
            secrets.redact("s3cret! s3cret%21 t0ken /home/app app@db"),
            "${env:DATABASE_URL} ${env:DATABASE_URL} ${env:API_TOKEN} /home/app app@db"
        );
    }
}
