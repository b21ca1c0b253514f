//! Checksums of what is fetched or unpacked.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// SHA-256 of bytes, in lower-case hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
