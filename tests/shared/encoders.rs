//! Encodings of a secret, written independently of what decodes them.

use std::fmt::Write as _;

/// An encoding with its name.
pub(crate) type Encoder = (&'static str, fn(&str) -> String);

pub(crate) const ENCODERS: [Encoder; 17] = [
    ("plain", str::to_owned),
    ("JSON", json),
    ("JSON in ASCII", json_ascii),
    ("JSON in JSON", |text| json(&json(text))),
    ("URL", percent),
    ("URL in lower case", |text| percent_with(text, |byte| format!("%{byte:02x}"))),
    ("URL, every byte", |text| text.bytes().fold(String::new(), |all, byte| all + &format!("%{byte:02x}"))),
    ("form", |text| percent(text).replace("%20", "+")),
    ("Base64", |text| base64(text.as_bytes())),
    ("Base64 for URLs", |text| base64(text.as_bytes()).replace('+', "-").replace('/', "_").replace('=', "")),
    ("Base64 in a URL", |text| percent(&base64(text.as_bytes()))),
    ("hex", |text| text.bytes().fold(String::new(), |all, byte| all + &format!("{byte:02x}"))),
    ("HEX", |text| text.bytes().fold(String::new(), |all, byte| all + &format!("{byte:02X}"))),
    ("HTML", html),
    ("HTML, every character", |text| {
        text.chars().fold(String::new(), |all, c| all + &format!("&#x{:x};", u32::from(c)))
    }),
    ("Rust", |text| format!("{text:?}")),
    ("colours", |text| text.chars().fold(String::new(), |all, c| format!("{all}{c}\u{1b}[1m"))),
];

fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn json_ascii(text: &str) -> String {
    json(text).encode_utf16().fold(String::new(), |mut all, unit| {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => all.push(char::from(byte)),
            _ => {
                let _ = write!(all, "\\u{unit:04X}");
            }
        }
        all
    })
}

/// Encodes everything but unreserved characters.
pub(crate) fn percent(text: &str) -> String {
    percent_with(text, |byte| format!("%{byte:02X}"))
}

fn percent_with(text: &str, encode: fn(u8) -> String) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            all.push(char::from(byte));
        } else {
            all.push_str(&encode(byte));
        }
        all
    })
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let three = [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let value = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for digit in 0..4 {
            let is_padding = digit > chunk.len();
            let place = (value >> (18 - 6 * digit)) as usize & 63;
            text.push(if is_padding { '=' } else { char::from(DIGITS[place]) });
        }
    }
    text
}
