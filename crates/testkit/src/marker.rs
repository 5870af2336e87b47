//! Words that occur once, so that tests which share an upstream find their own requests.

use std::sync::atomic::{AtomicU64, Ordering};

static NEXT: AtomicU64 = AtomicU64::new(1);

/// `prefix`, a dash and a number that no other call got. The number is padded: no marker is the
/// beginning of another.
pub fn marker(prefix: &str) -> String {
    format!("{prefix}-{:06}", NEXT.fetch_add(1, Ordering::Relaxed))
}
