//! Reading and decoding of files, with a finding for each way in which this fails.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::finding::Span;
use crate::finding::{Code, Finding, Place};

/// The maximum size of a flow file, in bytes.
pub const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// Reads a file of at most [`MAX_FILE_BYTES`].
pub(super) fn read(path: &Path, name: &Path) -> Result<Vec<u8>, Box<Finding>> {
    let unreadable = |error: io::Error| {
        Finding::of_file(Code::Unreadable, name, format!("cannot read the file: {error}"))
            .help("make the file readable for this user, or move it out of the folder")
    };
    // Opening a pipe blocks until it has a writer, and the type of the file is known only after opening it.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        let message =
            if metadata.is_dir() { "this is a folder with the name of a flow file" } else { "not a regular file" };
        return Err(Finding::of_file(Code::Unreadable, name, message).help("rename or remove it").into());
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(too_large(name, metadata.len()).into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    // The file may have grown since its size was read.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Decodes UTF-8, drops a byte order mark, and rejects NUL characters.
pub(super) fn decode(bytes: Vec<u8>, name: &Path) -> Result<String, Box<Finding>> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
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
    let (size, limit) = (mebibytes(bytes), mebibytes(MAX_FILE_BYTES));
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
