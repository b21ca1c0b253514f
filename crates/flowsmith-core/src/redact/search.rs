//! Searching bytes in linear time, whatever they are.

use std::ops::Range;

/// A sequence of bytes to search for, with the table of Knuth, Morris and Pratt. Unlike a search with shifts, it is linear also in
/// a text that was written to make it slow.
#[derive(Clone)]
pub(super) struct Pattern {
    bytes: Vec<u8>,
    /// For each length of a match, the length of the longest shorter match that ends at the same place.
    borders: Vec<usize>,
}

impl Pattern {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut borders = vec![0; bytes.len() + 1];
        for end in 1..bytes.len() {
            let mut length = borders[end];
            while length > 0 && bytes[length] != bytes[end] {
                length = borders[length];
            }
            borders[end + 1] = if bytes[length] == bytes[end] { length + 1 } else { 0 };
        }
        Self { bytes: bytes.to_vec(), borders }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Calls `found` with the place of each occurrence.
    pub(super) fn find(&self, text: &[u8], mut found: impl FnMut(Range<usize>)) {
        let mut length = 0;
        for (place, byte) in text.iter().enumerate() {
            while length > 0 && self.bytes[length] != *byte {
                length = self.borders[length];
            }
            if self.bytes[length] == *byte {
                length += 1;
            }
            if length == self.bytes.len() {
                found(place + 1 - length..place + 1);
                length = self.borders[length];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn every_occurrence_is_found() {
        let places = |pattern: &str, text: &str| {
            let mut places = Vec::new();
            Pattern::new(pattern.as_bytes()).find(text.as_bytes(), |place| places.push(place.start));
            places
        };
        assert_eq!(places("abab", "xabababxabab"), [1, 3, 8]);
        assert_eq!(places("aaaa", "aaaaaa"), [0, 1, 2]);
        assert_eq!(places("aabaaac", "aabaabaaac"), [3]);
        assert_eq!(places("abcd", "abc"), [0; 0]);
    }
}
