//! `512B`, `32KiB`, `1MiB`, `2GiB`.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::read::{Complaint, FromText, text};
use crate::units::number::with_unit;

/// A number of bytes: a whole number and one unit of B, KiB, MiB, GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

/// Units and their bytes, largest first.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Size {
    /// So many bytes.
    pub(super) const fn of(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many KiB.
    pub const fn kib(kib: u64) -> Self {
        Self(kib.saturating_mul(1024))
    }

    /// In bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromText for Size {
    const EXPECTED: &'static str = "a size, such as 512B, 32KiB, 1MiB or 2GiB";

    fn from_text(text: &str) -> Result<Self, Complaint> {
        let (number, unit) = with_unit(text, "a size")?;
        let complaint = || Complaint::new(format!("`{text}` is not a size"));
        let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            let known = UNITS.iter().find(|(name, _)| {
                let first = |unit: &str| unit.chars().next().map(|c| c.to_ascii_lowercase());
                first(name) == first(&unit)
            });
            return Err(match known {
                Some((name, _)) => complaint().help(format!("did you mean `{number}{name}`?")),
                None => complaint().help(format!("say the unit: `{number}B` or `{number}KiB`")),
            });
        };
        let bytes = number.checked_mul(*factor).filter(|bytes| *bytes <= 1 << 50);
        bytes.map(Self).ok_or_else(|| complaint().help("at most 1048576GiB"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole =
            |(_, factor): &&(&str, u64)| self.0 >= *factor && self.0.is_multiple_of(*factor);
        match UNITS.iter().find(whole) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => f.write_str("0B"),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A number of bytes: a whole number and one unit of B, KiB, MiB, GiB.",
            "pattern": r"^(0|[1-9][0-9]*)(B|KiB|MiB|GiB)$|\$\{",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, bytes: u64) {
        assert_eq!(Size::from_text(text).map(Size::bytes), Ok(bytes), "{text}");
    }

    #[test]
    fn sizes_have_a_number_and_a_unit() {
        check("512B", 512);
        check("32KiB", 32_768);
        check("1MiB", 1_048_576);
        check("2GiB", 2_147_483_648);
    }

    #[test]
    fn c47_other_spellings_are_refused() {
        for text in ["", "512", "1MB", "1mib", "1 MiB", "1.5MiB", "01MiB", "1e3B", "-1B", "1_0B"] {
            assert!(Size::from_text(text).is_err(), "{text}");
        }
        let help = Size::from_text("1MB").unwrap_err().help;
        assert_eq!(help, "did you mean `1MiB`?");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes in 0_u64..(1 << 50)) {
            prop_assert_eq!(Size::from_text(&Size(bytes).to_string()), Ok(Size(bytes)));
        }
    }
}
