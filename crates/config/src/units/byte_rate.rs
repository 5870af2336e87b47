//! `500B/s`, `4KiB/s`.

use std::fmt;
use std::num::NonZeroU32;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::read::{Complaint, FromText, text};
use crate::units::Size;

/// So many bytes in a second: a size from 1B, and `/s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRate(NonZeroU32);

impl ByteRate {
    /// So many bytes a second.
    pub const fn of(bytes: NonZeroU32) -> Self {
        Self(bytes)
    }

    /// Bytes a second.
    pub fn bytes(self) -> u64 {
        self.0.get().into()
    }
}

impl FromText for ByteRate {
    const EXPECTED: &'static str = "a rate of bytes, such as 500B/s or 4KiB/s";

    fn from_text(text: &str) -> Result<Self, Complaint> {
        let complaint = || Complaint::new(format!("`{text}` is not a rate of bytes"));
        let Some((size, period)) = text.split_once('/') else {
            return Err(complaint().help(format!("say the period: `{text}/s`")));
        };
        if period != "s" {
            return Err(complaint().help(format!("write it by the second: `{size}/s`")));
        }
        let bytes = Size::from_text(size)?.bytes();
        let bytes = u32::try_from(bytes).ok().and_then(NonZeroU32::new);
        bytes.map(Self).ok_or_else(|| complaint().help("from 1B/s to 4294967295B/s"))
    }
}

impl fmt::Display for ByteRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", Size::of(self.bytes()))
    }
}

impl Serialize for ByteRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}

impl JsonSchema for ByteRate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByteRate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "So many bytes in a second: a size and `/s`.",
            "pattern": r"^[1-9][0-9]*(B|KiB|MiB|GiB)/s$|\$\{",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rates_of_bytes_have_a_size_and_a_second() {
        assert_eq!(ByteRate::from_text("500B/s").map(ByteRate::bytes), Ok(500));
        assert_eq!(ByteRate::from_text("4KiB/s").map(ByteRate::bytes), Ok(4096));
    }

    #[test]
    fn c47_other_spellings_are_refused() {
        for text in ["", "500", "500B", "500/s", "0B/s", "500B/min", "500b/s", "4GiB/s", "-1B/s"] {
            assert!(ByteRate::from_text(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes in 1_u32..) {
            let rate = ByteRate::of(NonZeroU32::new(bytes).unwrap());
            prop_assert_eq!(ByteRate::from_text(&rate.to_string()), Ok(rate));
        }
    }
}
