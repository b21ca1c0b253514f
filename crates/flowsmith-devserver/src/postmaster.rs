//! The file `postmaster.pid`, in which a running server describes itself.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// The relevant fields of `postmaster.pid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Postmaster {
    pub(super) pid: u32,
    port: u16,
    pub(super) socket_dir: PathBuf,
    /// `starting`, `ready`, `stopping`, `standby`; empty while being written.
    status: String,
}

impl Postmaster {
    /// Reads the file of a data folder; none if it is missing or incomplete.
    pub(super) fn read(data: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(data.join("postmaster.pid")).ok()?)
    }

    /// Parses the file, which has one value per line: process, data folder, start time, port, socket folder, address, shared memory,
    /// status.
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        Some(Self {
            pid: lines.first()?.parse().ok()?,
            port: lines.get(3)?.parse().ok()?,
            socket_dir: lines.get(4)?.into(),
            status: lines.get(7).copied().unwrap_or_default().to_owned(),
        })
    }

    pub(super) fn is_ready(&self) -> bool {
        self.status == "ready"
    }

    /// Whether a server accepts connections on the socket. After a crash or a reboot the file is left behind, and its process id may
    /// belong to another process.
    pub(super) fn listens(&self) -> bool {
        UnixStream::connect(self.socket_dir.join(format!(".s.PGSQL.{}", self.port))).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_ready_server() {
        let text = "4711\n/p/data\n1763694000\n5432\n/tmp/flowsmith-1\n\n  1234   5\nready   \n";
        let expected =
            Postmaster { pid: 4711, port: 5432, socket_dir: "/tmp/flowsmith-1".into(), status: "ready".into() };
        assert_eq!(Postmaster::parse(text), Some(expected));
    }

    #[test]
    fn a_file_that_is_still_being_written_says_nothing_yet() {
        assert_eq!(Postmaster::parse("4711\n/p/data\n"), None);
        assert!(!Postmaster::parse("4711\n/p\n1\n5432\n/tmp/x\n").unwrap().is_ready());
    }
}
