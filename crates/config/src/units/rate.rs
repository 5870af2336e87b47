//! `5/s`, `60/min`, `1000/h`.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::read::{Complaint, FromText, text};
use crate::units::number::with_unit;

/// So many in a period: a whole number from 1, `/`, and one of s, min, h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In which time: a second, a minute or an hour.
    pub period: Duration,
}

/// Units and their seconds.
const UNITS: [(&str, u64); 3] = [("/s", 1), ("/min", 60), ("/h", 3_600)];

impl FromText for Rate {
    const EXPECTED: &'static str = "a rate, such as 5/s, 60/min or 1000/h";

    fn from_text(text: &str) -> Result<Self, Complaint> {
        let (number, unit) = with_unit(text, "a rate")?;
        let complaint = || Complaint::new(format!("`{text}` is not a rate"));
        let Some((_, seconds)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(match unit.as_str() {
                "/m" | "/minute" => complaint().help(format!("write `{number}/min`")),
                "/sec" | "/second" => complaint().help(format!("write `{number}/s`")),
                "/hour" => complaint().help(format!("write `{number}/h`")),
                "" => complaint().help(format!("say the period: `{number}/min`")),
                _ => complaint(),
            });
        };
        let count = u32::try_from(number).ok().and_then(NonZeroU32::new);
        let count = count.ok_or_else(|| complaint().help("from 1 to 4294967295"))?;
        Ok(Self { count, period: Duration::from_secs(*seconds) })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, seconds)| *seconds == self.period.as_secs());
        write!(f, "{}{}", self.count, unit.map_or("/s", |(name, _)| name))
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "So many in a period: a whole number, `/`, and one of s, min, h.",
            "pattern": r"^[1-9][0-9]*/(s|min|h)$|\$\{",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, count: u32, seconds: u64) {
        let count = NonZeroU32::new(count).unwrap();
        let expected = Rate { count, period: Duration::from_secs(seconds) };
        assert_eq!(Rate::from_text(text), Ok(expected), "{text}");
    }

    #[test]
    fn rates_have_a_number_and_a_period() {
        check("5/s", 5, 1);
        check("60/min", 60, 60);
        check("1000/h", 1_000, 3_600);
    }

    #[test]
    fn c47_other_spellings_are_refused() {
        for text in
            ["", "60", "0/s", "60/m", "60 / min", "1e3/s", "060/s", "5000000000/s", "/s", "1/d"]
        {
            assert!(Rate::from_text(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(count in 1_u32.., unit in 0_usize..3) {
            let period = Duration::from_secs(UNITS[unit].1);
            let rate = Rate { count: NonZeroU32::new(count).unwrap(), period };
            prop_assert_eq!(Rate::from_text(&rate.to_string()), Ok(rate));
        }
    }
}
