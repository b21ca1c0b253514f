//! Keeps secrets out of text, in any common encoding.
//!
//! The text is searched as it is, and again after each encoding that it may contain is decoded: JSON and backslash escapes, percent
//! encoding, HTML entities, Base64, hexadecimal digits, and characters that a terminal does not show. Decoding twice finds
//! combinations, such as Base64 in a query string. Decoding the text rather than encoding the secret finds a secret in the middle
//! of a longer encoded text, and any mixture of letter cases and of encoded and plain characters.

mod decode;
mod search;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use decode::{DECODERS, View};
use search::Pattern;

/// Shorter values are not redacted: they protect nothing, and would be found by chance.
pub const MIN_LENGTH: usize = 4;

/// Shorter lines of a value of several lines are not redacted: a bracket is not a secret.
const MIN_LINE_LENGTH: usize = 8;

/// The number of encodings around a secret.
const DEPTH: usize = 2;

/// No common encoding makes a byte longer than this.
const MAX_EXPANSION: usize = 8;

/// Secrets, with the texts that replace them.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Vec<Secret>,
    known: HashSet<Vec<u8>>,
}

#[derive(Clone)]
struct Secret {
    pattern: Pattern,
    replacement: String,
}

/// An occurrence of a secret in a text.
struct Found {
    bytes: Range<usize>,
    secret: usize,
}

impl Redactor {
    /// A redactor without secrets, which changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the value of an environment variable, which is replaced by a reference to it.
    pub fn add_variable(&mut self, name: &str, value: &str) {
        self.add(value, &format!("${{env:{name}}}"));
    }

    /// Adds a secret: the value, each line of it, the password in it if it is a URL, and the credentials in it if it is their Base64
    /// encoding, as in the header `Authorization`.
    pub fn add(&mut self, value: &str, replacement: &str) {
        self.add_exactly(value, replacement);
        for line in value.lines().map(str::trim).filter(|line| line.len() >= MIN_LINE_LENGTH) {
            self.add_exactly(line, replacement);
        }
        if let Ok(url) = url::Url::parse(value)
            && let Some(password) = url.password()
        {
            self.add_encoded(password, replacement);
        }
        if let Some((_, password)) = decode::base64_text(value).as_deref().and_then(|text| text.split_once(':')) {
            self.add_exactly(password, replacement);
        }
    }

    /// Adds a secret that is percent-encoded, and its decoded form.
    fn add_encoded(&mut self, value: &str, replacement: &str) {
        self.add_exactly(value, replacement);
        if let Some(decoded) = decode::percent_text(value) {
            self.add_exactly(&decoded, replacement);
        }
    }

    fn add_exactly(&mut self, value: &str, replacement: &str) {
        if value.len() >= MIN_LENGTH && self.known.insert(value.as_bytes().to_vec()) {
            let pattern = Pattern::new(value.as_bytes());
            self.secrets.push(Secret { pattern, replacement: replacement.to_owned() });
        }
    }

    /// Adds the password of a database URL, which may also be a parameter, unless it is also in a part of the URL that is no secret.
    pub fn add_password_of(&mut self, url: &str, replacement: &str) {
        let Ok(url) = url::Url::parse(url) else { return };
        let parameters: Vec<_> = url.query_pairs().collect();
        let public = |text: &str| {
            let named =
                parameters.iter().any(|(name, value)| matches!(&**name, "user" | "dbname" | "host") && value == text);
            named
                || [url.username(), url.path().trim_start_matches('/'), url.host_str().unwrap_or_default()]
                    .contains(&text)
        };
        if let Some(password) = url.password().filter(|password| !public(password)) {
            self.add_encoded(password, replacement);
        }
        for (_, value) in parameters.iter().filter(|(name, value)| name == "password" && !public(value)) {
            self.add_exactly(value, replacement);
        }
    }

    /// Adds the secrets of another redactor.
    pub fn extend(&mut self, other: &Self) {
        for secret in &other.secrets {
            if self.known.insert(secret.pattern.bytes().to_vec()) {
                self.secrets.push(secret.clone());
            }
        }
    }

    /// Whether there are no secrets.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// The text with each secret replaced.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.is_empty() {
            return Cow::Borrowed(text);
        }
        let found = self.find(text.as_bytes());
        if found.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(self.replaced(text.as_bytes(), &found)) }
    }

    /// The text of the first `limit` bytes with each secret replaced, also one that continues behind them. Also returns the number
    /// of bytes that the result stands for.
    pub fn redact_start(&self, bytes: &[u8], limit: usize) -> (String, usize) {
        let found = self.find(&bytes[..bytes.len().min(limit + self.margin())]);
        let cut = boundary(bytes, limit);
        let within = found.partition_point(|found| found.bytes.start < cut);
        let end = found[..within].last().map_or(cut, |last| last.bytes.end.max(cut));
        (self.replaced(&bytes[..end], &found[..within]), end)
    }

    /// The number of bytes that [`Redactor::redact_start`] reads behind its limit.
    pub fn margin(&self) -> usize {
        self.secrets.iter().map(|secret| secret.pattern.len()).max().unwrap_or(0) * MAX_EXPANSION
    }

    /// The occurrences of secrets in order; overlapping ones are one, that of the longest secret.
    fn find(&self, bytes: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        if !self.is_empty() {
            self.search(bytes, None, DEPTH, &mut found);
        }
        found.sort_by_key(|found| found.bytes.start);
        found.dedup_by(|next, last| {
            let is_one = next.bytes.start < last.bytes.end;
            if is_one {
                last.bytes.end = last.bytes.end.max(next.bytes.end);
                let length = |secret: usize| self.secrets[secret].pattern.len();
                last.secret = std::cmp::max_by_key(last.secret, next.secret, |secret| length(*secret));
            }
            is_one
        });
        found
    }

    /// Searches a text, and what it is after decoding. `view` says which bytes of the whole text those of this one stand for.
    fn search(&self, bytes: &[u8], view: Option<&View>, depth: usize, found: &mut Vec<Found>) {
        let origin = |place: Range<usize>| view.map_or(place.clone(), |view| view.origin(&place));
        for (secret, Secret { pattern, .. }) in self.secrets.iter().enumerate() {
            pattern.find(bytes, |place| found.push(Found { bytes: origin(place), secret }));
        }
        if depth == 0 {
            return;
        }
        for decoder in DECODERS {
            for mut decoded in decoder(bytes) {
                if let Some(view) = view {
                    decoded.origins.iter_mut().for_each(|place| *place = view.origin(place));
                }
                self.search(&decoded.bytes, Some(&decoded), depth - 1, found);
            }
        }
    }

    fn replaced(&self, bytes: &[u8], found: &[Found]) -> String {
        let mut text = String::with_capacity(bytes.len());
        let mut rest = 0;
        for found in found {
            text.push_str(&String::from_utf8_lossy(&bytes[rest..found.bytes.start]));
            text.push_str(&self.secrets[found.secret].replacement);
            rest = found.bytes.end;
        }
        text.push_str(&String::from_utf8_lossy(&bytes[rest..]));
        text
    }
}

/// The last place up to `limit` that is not within a character.
fn boundary(bytes: &[u8], limit: usize) -> usize {
    if limit >= bytes.len() {
        return bytes.len();
    }
    let is_within = |place: &usize| bytes[*place] & 0xC0 == 0x80;
    // A character has at most 4 bytes; with more of these, the text is not UTF-8.
    (limit.saturating_sub(3)..=limit).rev().find(|place| !is_within(place)).unwrap_or(limit)
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("secrets", &self.secrets.len()).finish()
    }
}
