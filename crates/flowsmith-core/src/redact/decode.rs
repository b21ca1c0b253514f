//! Decoders of the encodings in which programs repeat a secret. Each decodes all that it can within any text, and keeps the rest.

use std::ops::Range;

use super::MIN_LENGTH;
use crate::visible::is_invisible;

/// Separates decoded parts that do not follow each other. No secret contains it, because it does not occur in UTF-8.
const GAP: u8 = 0xFF;

/// The least number of characters that can hold a secret.
const MIN_BASE64: usize = (MIN_LENGTH * 4).div_ceil(3);
const MIN_HEX: usize = MIN_LENGTH * 2;

/// A decoded text.
#[derive(Default)]
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    /// The bytes of the encoded text that each byte stands for.
    pub(super) origins: Vec<Range<usize>>,
}

impl View {
    /// The bytes of the encoded text that a range stands for.
    pub(super) fn origin(&self, place: &Range<usize>) -> Range<usize> {
        match self.origins.get(place.clone()) {
            Some([first, .., last]) => first.start..last.end,
            Some([only]) => only.clone(),
            _ => 0..0,
        }
    }

    fn push(&mut self, byte: u8, origin: Range<usize>) {
        self.bytes.push(byte);
        self.origins.push(origin);
    }

    fn push_char(&mut self, character: char, origin: &Range<usize>) {
        for byte in character.encode_utf8(&mut [0; 4]).bytes() {
            self.push(byte, origin.clone());
        }
    }
}

/// Returns what a text is after decoding: nothing if it does not contain the encoding, several views if the decoder cannot know
/// where the encoded text starts.
type Decoder = fn(&[u8]) -> Vec<View>;

pub(super) const DECODERS: [Decoder; 7] = [percent, form, backslash, html, invisible, base64, hex];

/// Decodes a text in which `marker` starts an escape. `escape` decodes one at the beginning of its argument: it adds what the
/// escape stands for and returns its length, or 0 if it is not an escape.
fn escapes(text: &[u8], marker: u8, escape: impl Fn(&[u8], usize, &mut View) -> usize) -> Vec<View> {
    if !text.contains(&marker) {
        return Vec::new();
    }
    let mut view = View::default();
    let (mut place, mut has_any) = (0, false);
    while place < text.len() {
        let length = if text[place] == marker { escape(&text[place..], place, &mut view) } else { 0 };
        if length == 0 {
            view.push(text[place], place..place + 1);
        }
        has_any |= length > 0;
        place += length.max(1);
    }
    if has_any { vec![view] } else { Vec::new() }
}

/// The value of the hexadecimal digits at the beginning, of which there must be at least one, and their number.
fn hex_number(text: &[u8], most: usize) -> Option<(u32, usize)> {
    let digits: Vec<u32> = text.iter().take(most).map_while(|byte| char::from(*byte).to_digit(16)).collect();
    (!digits.is_empty()).then(|| (digits.iter().fold(0, |value, digit| value * 16 + digit), digits.len()))
}

fn percent_escape(text: &[u8], place: usize, view: &mut View) -> usize {
    match hex_number(&text[1..], 2) {
        Some((value, 2)) => {
            view.push(value as u8, place..place + 3);
            3
        }
        _ => 0,
    }
}

/// `%2F`
fn percent(text: &[u8]) -> Vec<View> {
    escapes(text, b'%', percent_escape)
}

/// `%2F`, and `+` for a blank
fn form(text: &[u8]) -> Vec<View> {
    if !text.contains(&b'+') {
        return Vec::new();
    }
    let mut view = percent(text).pop().unwrap_or_else(|| View {
        bytes: text.to_vec(),
        origins: (0..text.len()).map(|place| place..place + 1).collect(),
    });
    for (byte, origin) in view.bytes.iter_mut().zip(&view.origins) {
        if *byte == b'+' && origin.len() == 1 {
            *byte = b' ';
        }
    }
    vec![view]
}

/// The text that a percent-encoded one stands for.
pub(super) fn percent_text(text: &str) -> Option<String> {
    String::from_utf8(percent(text.as_bytes()).pop()?.bytes).ok()
}

/// `\"`, `\n`, `\x2f`, `\u002f`, `\u{2f}`, `\057`
fn backslash(text: &[u8]) -> Vec<View> {
    escapes(text, b'\\', |text, place, view| {
        let Some(letter) = text.get(1) else { return 0 };
        let (character, length) = match letter {
            b'n' => ('\n', 2),
            b't' => ('\t', 2),
            b'r' => ('\r', 2),
            b'b' => ('\u{8}', 2),
            b'f' => ('\u{c}', 2),
            b'e' => ('\u{1b}', 2),
            b'x' => match hex_number(&text[2..], 2) {
                Some((byte, 2)) => {
                    view.push(byte as u8, place..place + 4);
                    return 4;
                }
                _ => return 0,
            },
            b'u' | b'U' => match unicode_escape(text) {
                Some(escape) => escape,
                None => return 0,
            },
            b'0'..=b'7' => {
                let digits = text[1..].iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7'));
                let (value, count) =
                    digits.fold((0u32, 0), |(value, n), byte| (value * 8 + u32::from(byte - b'0'), n + 1));
                view.push(value as u8, place..place + 1 + count);
                return 1 + count;
            }
            // Any other character stands for itself; the rest of one of several bytes follows as it is.
            other => {
                view.push(*other, place..place + 2);
                return 2;
            }
        };
        view.push_char(character, &(place..place + length));
        length
    })
}

/// `\u002f`, `\ud83d\ude00`, `\u{2f}`, `\U0000002f`
fn unicode_escape(text: &[u8]) -> Option<(char, usize)> {
    if text.get(2) == Some(&b'{') {
        let (value, count) = hex_number(&text[3..], 6)?;
        return (text.get(3 + count) == Some(&b'}')).then_some((char::from_u32(value)?, 4 + count));
    }
    let digits = if text[1] == b'U' { 8 } else { 4 };
    let (value, count) = hex_number(&text[2..], digits)?;
    if count < digits {
        return None;
    }
    if let Some(character) = char::from_u32(value) {
        return Some((character, 2 + digits));
    }
    let (low, 4) = text.get(6..8).filter(|start| *start == b"\\u").and_then(|_| hex_number(&text[8..], 4))? else {
        return None;
    };
    let pair = [u16::try_from(value).ok()?, u16::try_from(low).ok()?];
    Some((char::decode_utf16(pair).next()?.ok()?, 12))
}

/// `&amp;`, `&#47;`, `&#x2F;`
fn html(text: &[u8]) -> Vec<View> {
    const LONGEST: usize = 10;
    escapes(text, b'&', |text, place, view| {
        let Some(end) = text.iter().take(LONGEST).position(|byte| *byte == b';') else { return 0 };
        let character = match &text[1..end] {
            b"amp" => Some('&'),
            b"lt" => Some('<'),
            b"gt" => Some('>'),
            b"quot" => Some('"'),
            b"apos" => Some('\''),
            [b'#', b'x' | b'X', digits @ ..] => hex_number(digits, 6).and_then(|(value, _)| char::from_u32(value)),
            [b'#', digits @ ..] => {
                std::str::from_utf8(digits).ok().and_then(|digits| char::from_u32(digits.parse().ok()?))
            }
            _ => None,
        };
        let Some(character) = character else { return 0 };
        view.push_char(character, &(place..place + end + 1));
        end + 1
    })
}

/// Removes what a terminal does not show: control sequences, control characters and characters without width.
fn invisible(text: &[u8]) -> Vec<View> {
    if text.iter().all(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~')) {
        return Vec::new();
    }
    let mut view = View::default();
    let mut start = 0;
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid();
        let mut place = 0;
        while let Some(character) = valid[place..].chars().next() {
            let hidden = match character {
                '\n' | '\t' => 0,
                '\u{1b}' => control_sequence(valid[place..].as_bytes()),
                character if is_invisible(character) => character.len_utf8(),
                _ => 0,
            };
            let end = place + hidden.max(character.len_utf8());
            if hidden == 0 {
                (place..end).for_each(|at| view.push(valid.as_bytes()[at], start + at..start + at + 1));
            }
            place = end;
        }
        let end = start + valid.len();
        (end..end + chunk.invalid().len()).for_each(|at| view.push(text[at], at..at + 1));
        start = end + chunk.invalid().len();
    }
    if view.bytes.len() == text.len() { Vec::new() } else { vec![view] }
}

/// The length of the control sequence at the beginning: `ESC [ … letter`, `ESC ] … BEL`, or `ESC` alone.
fn control_sequence(text: &[u8]) -> usize {
    let body = text.get(2..).unwrap_or_default();
    match text.get(1) {
        Some(b'[') => {
            let parameters = body.iter().take_while(|byte| matches!(byte, b' '..=b'?')).count();
            2 + parameters + usize::from(matches!(body.get(parameters), Some(b'@'..=b'~')))
        }
        Some(b']') => {
            let content = body.iter().take_while(|byte| !matches!(byte, 0x07 | 0x1b | b'\n')).count();
            2 + content + usize::from(body.get(content) == Some(&0x07))
        }
        _ => 1,
    }
}

/// Decodes the runs of characters of an alphabet at each place where the encoded text may start. `digit` returns the value of
/// a character; `bits` is the number of its bits.
fn runs(text: &[u8], digit: fn(u8) -> Option<u8>, bits: usize, least: usize) -> Vec<View> {
    // As many characters as fill whole bytes.
    let period = if bits == 6 { 4 } else { 2 };
    let mut views: Vec<View> = (0..period).map(|_| View::default()).collect();
    let mut run: Vec<(usize, u8)> = Vec::new();
    for place in 0..=text.len() {
        let byte = text.get(place).copied();
        match byte.and_then(digit) {
            Some(value) => run.push((place, value)),
            // Base64 is often wrapped.
            None if bits == 6 && matches!(byte, Some(b'\n' | b'\r')) => {}
            None => {
                if run.len() >= least {
                    views.iter_mut().enumerate().for_each(|(phase, view)| decode_run(&run[phase..], bits, view));
                }
                run.clear();
            }
        }
    }
    views.retain(|view| !view.bytes.is_empty());
    views
}

fn decode_run(run: &[(usize, u8)], bits: usize, view: &mut View) {
    let (mut value, mut filled) = (0u32, 0);
    for (index, (place, digit)) in run.iter().enumerate() {
        value = value << bits | u32::from(*digit);
        filled += bits;
        if filled >= 8 {
            filled -= 8;
            // A byte has bits of the character before, in hexadecimal and Base64 alike.
            let first = index.checked_sub(1).map_or(*place, |before| run[before].0);
            view.push((value >> filled) as u8, first..place + 1);
        }
    }
    let end = run.last().map_or(0, |(place, _)| place + 1);
    view.push(GAP, end..end);
}

/// Base64 of both alphabets.
fn base64(text: &[u8]) -> Vec<View> {
    runs(text, base64_digit, 6, MIN_BASE64)
}

fn base64_digit(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// The text of which a whole value is the Base64 encoding.
pub(super) fn base64_text(value: &str) -> Option<String> {
    let digits = value.trim_end_matches('=');
    if digits.len() < MIN_BASE64 || !digits.bytes().all(|byte| base64_digit(byte).is_some()) {
        return None;
    }
    let mut bytes = base64(digits.as_bytes()).swap_remove(0).bytes;
    bytes.pop();
    String::from_utf8(bytes).ok().filter(|text| !text.contains(char::is_control))
}

fn hex(text: &[u8]) -> Vec<View> {
    runs(text, |byte| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()), 4, MIN_HEX)
}
