//! `250ms`, `30s`, `10m`, `24h`, `7d`.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::read::{Complaint, FromText, text};
use crate::units::number::with_unit;

/// A span of time: a whole number and one unit of ms, s, m, h, d.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(std::time::Duration);

/// Units and their milliseconds, largest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Duration {
    /// Whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// Whole minutes.
    pub const fn minutes(minutes: u64) -> Self {
        Self::seconds(minutes.saturating_mul(60))
    }

    /// The time itself.
    pub const fn get(self) -> std::time::Duration {
        self.0
    }
}

impl FromText for Duration {
    const EXPECTED: &'static str = "a duration, such as 250ms, 30s, 10m, 24h or 7d";

    fn from_text(text: &str) -> Result<Self, Complaint> {
        let (number, unit) = with_unit(text, "a duration")?;
        let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
        let complaint = || Complaint::new(format!("`{text}` is not a duration"));
        let Some(factor) = factor else {
            return Err(match unit.as_str() {
                "" => complaint().help(format!("say the unit: `{number}s`")),
                "min" | "mins" | "minutes" => complaint().help(format!("write `{number}m`")),
                "sec" | "secs" | "seconds" => complaint().help(format!("write `{number}s`")),
                _ => complaint().help("one whole number and one unit of ms, s, m, h, d"),
            });
        };
        let millis = number.checked_mul(factor).filter(|millis| *millis <= 365_000 * 86_400_000);
        let millis = millis.ok_or_else(|| complaint().help("at most 365000d"))?;
        Ok(Self(std::time::Duration::from_millis(millis)))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let whole =
            |(_, factor): &&(&str, u64)| millis >= *factor && millis.is_multiple_of(*factor);
        match UNITS.iter().find(whole) {
            Some((unit, factor)) => write!(f, "{}{unit}", millis / factor),
            None => f.write_str("0s"),
        }
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A span of time: a whole number and one unit of ms, s, m, h, d.",
            "pattern": r"^(0|[1-9][0-9]*)(ms|s|m|h|d)$|\$\{",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, millis: u64) {
        let expected = std::time::Duration::from_millis(millis);
        assert_eq!(Duration::from_text(text).map(Duration::get), Ok(expected), "{text}");
    }

    #[test]
    fn durations_have_a_number_and_a_unit() {
        check("250ms", 250);
        check("30s", 30_000);
        check("10m", 600_000);
        check("24h", 86_400_000);
        check("7d", 604_800_000);
        check("0s", 0);
    }

    #[test]
    fn c47_other_spellings_are_refused() {
        for text in [
            "",
            "s",
            "30",
            "030s",
            "-1s",
            "+1s",
            "1.5s",
            "1e3s",
            "1_000s",
            "30 s",
            "30S",
            "12:30",
            "1h30m",
            "10min",
            "99999999999999999999s",
            "365001d",
            " 30s",
            "30s ",
            "٣s",
        ] {
            assert!(Duration::from_text(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(millis in 0_u64..10_000_000_000) {
            let duration = Duration(std::time::Duration::from_millis(millis));
            prop_assert_eq!(Duration::from_text(&duration.to_string()), Ok(duration));
        }

        #[test]
        fn no_text_makes_it_fail_otherwise(text in ".*") {
            let read = Duration::from_text(&text);
            prop_assert!(read.is_err() || text.starts_with(|c: char| c.is_ascii_digit()));
        }
    }
}
