//! Bytes to text: every way in which a file is not a text that can be parsed, said plainly.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::finding::Span;
use crate::finding::{Code, Finding, Place};

/// The most that one file may hold.
pub const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// Reads a file, not more of it than is allowed.
pub(super) fn read(path: &Path, name: &Path) -> Result<Vec<u8>, Box<Finding>> {
    let unreadable = |error: io::Error| {
        Finding::of_file(Code::Unreadable, name, format!("cannot read the file: {error}"))
            .help("make it readable for this user, or take it out of the folder")
    };
    // Opening a pipe would wait for its writer: not to wait is said at the opening, what it is can be asked only after it.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a folder named like a flow file" } else { "not a regular file" };
        let finding = Finding::of_file(Code::Unreadable, name, format!("this is {what}"));
        return Err(finding.help("rename or remove it").into());
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(too_large(name, metadata.len()).into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    // The file may grow between the look at its size and the reading.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Takes bytes for text: UTF-8, with or without a byte order mark (which is dropped), without NUL.
pub(super) fn decode(bytes: Vec<u8>, name: &Path) -> Result<String, Box<Finding>> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(name, bytes.len() as u64).into());
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let byte = error.as_bytes().get(offset).copied().unwrap_or_default();
        let line = error.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1;
        let message = format!("byte {offset} of the file (line {line}), 0x{byte:02x}, is not UTF-8");
        Finding::of_file(Code::NotUtf8, name, message).help("save the file as UTF-8")
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    if let Some(offset) = text.find('\0') {
        let line = text[..offset].matches('\n').count() + 1;
        let message = format!("byte {offset} of the file (line {line}) is NUL");
        let help = "save the file as UTF-8 text: NUL characters usually mean UTF-16 or a binary file";
        return Err(Finding::of_file(Code::NulCharacter, name, message).help(help).into());
    }
    Ok(text)
}

fn too_large(name: &Path, bytes: u64) -> Finding {
    let (size, limit) = (mebibytes(bytes), mebibytes(MAX_FILE_BYTES));
    Finding::of_file(Code::TooLarge, name, format!("the file holds {size} MiB, more than the {limit} MiB allowed"))
        .help("split it: each flow can have a file of its own")
}

fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1024 * 1024)
}

/// A file in which nothing is said.
pub(super) fn empty() -> Finding {
    Finding::new(Code::EmptyFile, Place::Text(Span::default()), "there is no flow in this file")
        .help("write at least `flow:` and `steps:`, or remove the file")
}
