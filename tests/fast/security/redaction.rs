//! Secrets are redacted in every encoding in which a program or a server may repeat them.

use flowsmith_core::redact::{MIN_LENGTH, Redactor};
use proptest::prelude::*;

use crate::shared::encoders::{ENCODERS, base64, percent};

fn redactor(secrets: &[&str]) -> Redactor {
    let mut redactor = Redactor::new();
    for secret in secrets {
        redactor.add(secret, "***");
    }
    redactor
}

#[test]
fn each_encoding_is_redacted_with_its_surroundings_kept() {
    let redactor = redactor(&["s3c/r\"t <é>'\\x", "tok+en=1"]);
    for (text, redacted) in [
        // As it is, and more than once.
        (r#"a s3c/r"t <é>'\x b s3c/r"t <é>'\x c"#, "a *** b *** c"),
        // JSON, also in JSON.
        (r#"{"k": "s3c/r\"t <é>'\\x"}"#, r#"{"k": "***"}"#),
        (r#"{"k": "s3c\/r\"t \u003c\u00E9\u003e'\\x"}"#, r#"{"k": "***"}"#),
        (r#"{\"k\": \"s3c/r\\\"t <é>'\\\\x\"}"#, r#"{\"k\": \"***\"}"#),
        // URLs: upper and lower case, a blank as `+`, unreserved characters encoded too.
        ("?k=s3c%2Fr%22t%20%3C%C3%A9%3E%27%5Cx&l=1", "?k=***&l=1"),
        ("?k=s3c%2fr%22t+%3c%c3%a9%3E%27%5cx&l=1", "?k=***&l=1"),
        ("%73%33c/r%22t+%3c%c3%a9%3E%27%5cx", "***"),
        ("?k=tok%2Ben%3D1", "?k=***"),
        ("?k=tok%252Ben%253D1", "?k=***"),
        // HTML.
        ("<b>s3c/r&quot;t &lt;é&gt;&#39;\\x</b>", "<b>***</b>"),
        ("<b>s3c&#x2F;r&#34;t &lt;&#233;&gt;&apos;\\x</b>", "<b>***</b>"),
        // Shells and programming languages.
        (r"s3c/r\x22t\ \<\u{e9}\>\'\\x", "***"),
        (r"\164ok\53en=1", "***"),
        // Hexadecimal.
        ("key 746f6b2b656e3d31.", "key ***."),
        ("key 746F6B2B656E3D31 0746f6b2b656e3d310", "key *** 0***0"),
        // Terminals.
        ("tok\u{1b}[31m+\u{1b}[0men=1", "***"),
        ("tok\u{1b}]0;t\u{7}+\u{200b}en\u{0}=\u{9b}1", "***"),
    ] {
        assert_eq!(redactor.redact(text), redacted, "{text}");
    }
}

#[test]
fn base64_is_redacted_at_every_alignment() {
    let redactor = redactor(&["s3cret-token?>"]);
    for before in ["", "u", "us", "use", "user:", "{\"password\":\""] {
        for after in ["", "\"", "\"}", "abc"] {
            let text = base64(format!("{before}s3cret-token?>{after}").as_bytes());
            for text in [text.clone(), text.replace('+', "-").replace('/', "_"), text.replace('=', "")] {
                for text in [
                    format!("Basic {text}"),
                    format!("x={text}&y"),
                    format!("\"{}\"", text.replace('/', "\\/")),
                    percent(&text),
                ] {
                    let redacted = redactor.redact(&text);
                    assert!(redacted.contains("***"), "{before} {after}: {text}");
                    assert!(!redacted.contains("czNjcmV0"), "{redacted}");
                }
            }
        }
    }
    let wrapped = base64(&[b'x'; 40].iter().chain(b"s3cret-token?>").copied().collect::<Vec<_>>());
    assert!(redactor.redact(&format!("{}\n{}", &wrapped[..60], &wrapped[60..])).contains("***"));
}

#[test]
fn values_that_hold_a_secret_are_taken_apart() {
    let url = redactor(&["postgres://app:p%40ss%2Fword@db/app"]);
    assert_eq!(url.redact("p@ss/word p%40ss%2Fword postgres://app:p%40ss%2Fword@db/app"), "*** *** ***");
    let basic = redactor(&[&base64(b"user:open sesame")]);
    assert_eq!(basic.redact("the password open sesame is wrong"), "the password *** is wrong");
    let key = redactor(&["-----BEGIN KEY-----\nMIIEpAIBAAKC\n{\nQyA9\n-----END KEY-----\n"]);
    assert_eq!(key.redact("line MIIEpAIBAAKC { QyA9"), "line *** { QyA9");
}

#[test]
fn other_text_is_unchanged() {
    let text = "attempt 1 of 3: https://x.test/a%2Fb?c=d+e \\u{1b} &amp; YWJjZGVmZ2g= 6162636465666768 \u{1b}[31mred\u{1b}[0m é";
    assert_eq!(redactor(&["s3cret-token"]).redact(text), text);
    assert!(matches!(Redactor::new().redact(text), std::borrow::Cow::Borrowed(_)));
    // Short values are no secrets.
    assert_eq!(redactor(&["abc", "", "1"]).redact("abc 1"), "abc 1");
}

#[test]
fn the_longest_of_overlapping_secrets_is_named() {
    let mut redactor = Redactor::new();
    redactor.add_variable("PART", "s3cret");
    redactor.add_variable("WHOLE", "s3cret-token");
    assert_eq!(redactor.redact("s3cret-token s3cret"), "${env:WHOLE} ${env:PART}");
    assert_eq!(format!("{redactor:?}"), "Redactor { secrets: 2 }");
}

#[test]
fn a_secret_at_the_cut_is_redacted_as_a_whole() {
    let redactor = redactor(&["s3cret-token"]);
    let text = format!("{}s3cret-token and more", "é".repeat(10));
    for limit in 0..text.len() {
        let (start, end) = redactor.redact_start(text.as_bytes(), limit);
        assert!(!start.contains("s3") && !start.contains('\u{fffd}'), "{limit}: {start}");
        assert!(start.ends_with("***") == (21..=32).contains(&limit), "{limit}: {start}");
        assert!(!text[end..].contains("oken") || end <= 20, "{limit}: {end}");
    }
    // Bytes that are not UTF-8 become replacement characters.
    assert_eq!(redactor.redact_start(b"\xff s3cret-token \xc3", 100).0, "\u{fffd} *** \u{fffd}");
}

/// A secret: random characters, among them some that encoders treat in a special way.
fn secret() -> impl Strategy<Value = String> {
    let character =
        prop_oneof![4 => proptest::char::range(' ', '~'), 1 => any::<char>(), 1 => Just('\\'), 1 => Just('%')];
    proptest::collection::vec(character, MIN_LENGTH..40)
        .prop_map(String::from_iter)
        // What a terminal does not show at the edges of a secret need not be found.
        .prop_filter("a secret is visible", |text| !text.chars().any(flowsmith_core::visible::is_invisible))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing is left that decodes to the secret.
    #[test]
    fn no_encoded_secret_survives(
        secret in secret(),
        before in "[^\\p{C}\u{1f512}]{0,30}",
        after in "[^\\p{C}\u{1f512}]{0,30}",
        beside in "[ -~]{0,5}",
    ) {
        let mut redactor = Redactor::new();
        redactor.add(&secret, "\u{1f512}");
        for (name, encode) in ENCODERS {
            let alone = encode(&secret);
            // With text that is encoded with it, as a user name before a password.
            let within = encode(&format!("{beside}{secret}{beside}"));
            for text in [format!("{before} {within} {after}"), format!("{before}\n{alone}\n{after}")] {
                let redacted = redactor.redact(&text);
                prop_assert!(redacted.contains('\u{1f512}'), "{name}: {text:?}");
                prop_assert!(!redacted.contains(&alone) && !redacted.contains(&secret), "{name}: {redacted:?}");
                let rest = redacted.replace('\u{1f512}', " ");
                prop_assert_eq!(redactor.redact(&rest), rest.as_str(), "{}", name);
            }
        }
    }
}
