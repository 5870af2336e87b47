//! The static table of RFC 7541 appendix A, and the dynamic one behind it.

use std::collections::VecDeque;

/// `SETTINGS_HEADER_TABLE_SIZE` in bytes: what is in force where no other is advertised.
pub(super) const SIZE: usize = 4096;

/// What an entry weighs beside its name and value (RFC 7541 §4.1).
const OVERHEAD: usize = 32;

/// Entries of which the newest is first. Their number is bounded by their weight.
#[derive(Debug)]
pub(super) struct Table {
    entries: VecDeque<Entry>,
    size: usize,
    maximum: usize,
}

#[derive(Debug)]
struct Entry {
    /// The name, then the value.
    text: Box<[u8]>,
    name: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self { entries: VecDeque::new(), size: 0, maximum: SIZE }
    }
}

impl Table {
    /// Name and value at an index of both tables, which begin at 1.
    pub(super) fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let index = index.checked_sub(1)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Some((name.as_bytes(), value.as_bytes()));
        }
        let entry = self.entries.get(index - STATIC.len())?;
        entry.text.split_at_checked(entry.name)
    }

    /// Puts a field in front; old ones make room.
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let weight = name.len() + value.len() + OVERHEAD;
        if weight > self.maximum {
            self.clear();
            return;
        }
        self.shrink(self.maximum - weight);
        self.size += weight;
        let text = [name, value].concat().into_boxed_slice();
        self.entries.push_front(Entry { text, name: name.len() });
    }

    /// Sets the size that the other end says it uses.
    pub(super) fn resize(&mut self, maximum: usize) {
        self.maximum = maximum;
        self.shrink(maximum);
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.size = 0;
    }

    fn shrink(&mut self, maximum: usize) {
        while self.size > maximum {
            let Some(oldest) = self.entries.pop_back() else { return };
            self.size -= oldest.text.len() + OVERHEAD;
        }
    }
}

const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];
