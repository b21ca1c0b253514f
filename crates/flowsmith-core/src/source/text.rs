//! Reading and decoding of files, with a finding for each way in which this fails.

use std::path::Path;

use crate::file::{FileError, MAX_FLOW_FILE_BYTES, Root};
use crate::finding::Span;
use crate::finding::{Code, Finding, Place};

/// Reads a file of at most [`MAX_FLOW_FILE_BYTES`]; `name` is its name in findings.
pub(super) fn read(root: &Root, file: &Path, name: &Path) -> Result<Vec<u8>, Box<Finding>> {
    root.read(file, MAX_FLOW_FILE_BYTES).map_err(|error| Box::new(unreadable(&error, name, "file")))
}

/// The finding for a file or folder that cannot be read.
pub(super) fn unreadable(error: &FileError, name: &Path, noun: &str) -> Finding {
    let finding = |code, message: String, help: &str| Finding::of_file(code, name, message).help(help);
    match error {
        FileError::Outside { .. } => finding(
            Code::OutsideProject,
            format!("this {noun} is outside of the project, or a link that leads out of it"),
            "replace the link with a copy; if this is the folder of the flow files, name the folder that the link leads to with --flows",
        ),
        FileError::BrokenLink { .. } => finding(
            Code::Unreadable,
            "this is a link to a file that does not exist".to_owned(),
            "correct the link, or remove it",
        ),
        FileError::NotRegular { kind: "a folder", .. } => {
            finding(Code::Unreadable, "this is a folder with the name of a flow file".to_owned(), "rename or remove it")
        }
        FileError::NotRegular { kind, .. } => {
            finding(Code::Unreadable, format!("this is {kind}, not a regular file"), "rename or remove it")
        }
        FileError::TooLarge { bytes, .. } => too_large(name, *bytes),
        FileError::Io { source, .. } if noun == "file" => finding(
            Code::Unreadable,
            format!("cannot read the file: {source}"),
            "make the file readable for this user, or move it out of the folder",
        ),
        FileError::Io { source, .. } => finding(
            Code::Unreadable,
            format!("cannot read the folder: {source}"),
            "create the folder, or make it readable for this user",
        ),
        FileError::LinkInPlace { .. } | FileError::NotUtf8 { .. } => {
            finding(Code::Unreadable, error.to_string(), "rename or remove it")
        }
    }
}

/// Decodes UTF-8, drops a byte order mark, and rejects NUL characters.
pub(super) fn decode(bytes: Vec<u8>, name: &Path) -> Result<String, Box<Finding>> {
    if bytes.len() as u64 > MAX_FLOW_FILE_BYTES {
        return Err(too_large(name, bytes.len() as u64).into());
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let byte = error.as_bytes().get(offset).copied().unwrap_or_default();
        let line = error.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1;
        let message = format!("the file is not valid UTF-8: byte 0x{byte:02x} at offset {offset} (line {line})");
        Finding::of_file(Code::NotUtf8, name, message).help("save the file as UTF-8")
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    if let Some(offset) = text.find('\0') {
        let line = text[..offset].matches('\n').count() + 1;
        let message = format!("the file contains a NUL character at offset {offset} (line {line})");
        let help = "save the file as UTF-8 text; a NUL character usually means UTF-16 or a binary file";
        return Err(Finding::of_file(Code::NulCharacter, name, message).help(help).into());
    }
    Ok(text)
}

fn too_large(name: &Path, bytes: u64) -> Finding {
    let (size, limit) = (mebibytes(bytes), mebibytes(MAX_FLOW_FILE_BYTES));
    Finding::of_file(Code::TooLarge, name, format!("the file has {size} MiB, more than the limit of {limit} MiB"))
        .help("split the file, for example into one file per flow")
}

fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1024 * 1024)
}

/// The finding for a file that is empty or contains only comments.
pub(super) fn empty() -> Finding {
    Finding::new(Code::EmptyFile, Place::Text(Span::default()), "this file contains no flow")
        .help("write at least `flow` and `steps`, or remove the file")
}
