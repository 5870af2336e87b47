//! Judging claims (RFC 7519 §4.1): who issued, for whom, and when. Done on every request.

use std::time::Duration;

use portcullis_core::Timestamp;
use serde_json::{Map, Value};

use crate::IssuerSettings;

/// The first second that is past the year 9999; no honest token names it.
const END_OF_TIME: u64 = 253_402_300_800;

/// The times of a token, read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) expires: Timestamp,
    not_before: Option<Timestamp>,
    issued: Option<Timestamp>,
}

impl Times {
    /// Reads `exp`, which must be there, and `nbf` and `iat`, which may.
    pub(crate) fn read(claims: &Map<String, Value>) -> Result<Self, &'static str> {
        if claims.contains_key("exp") { Self::read_optional(claims) } else { Err("exp is missing") }
    }

    /// The same where `exp` too may be left out, as in the answer of an introspection server (RFC 7662
    /// §2.2): then the token ends when the server says so.
    pub(crate) fn read_optional(claims: &Map<String, Value>) -> Result<Self, &'static str> {
        let expires = claims.get("exp").map(|value| numeric_date(value).ok_or("exp is not a time"));
        let expires = expires.transpose()?.unwrap_or(Timestamp::from_unix_seconds(END_OF_TIME));
        let not_before =
            claims.get("nbf").map(|value| numeric_date(value).ok_or("nbf is not a time"));
        let issued = claims.get("iat").map(|value| numeric_date(value).ok_or("iat is not a time"));
        Ok(Self { expires, not_before: not_before.transpose()?, issued: issued.transpose()? })
    }

    fn judge(&self, settings: &IssuerSettings, now: Timestamp) -> Result<(), &'static str> {
        let leeway = settings.leeway;
        if now >= self.expires.plus(leeway) {
            return Err("the token has expired");
        }
        let lies_ahead = |at: Timestamp| at > now.plus(leeway);
        if self.not_before.is_some_and(lies_ahead) {
            return Err("the token is not valid yet");
        }
        if let Some(maximum) = settings.maximum_lifetime {
            let issued = self.issued.ok_or("iat is missing")?;
            if lies_ahead(issued) {
                return Err("the token was issued in the future");
            }
            if self.expires.since(issued) > maximum {
                return Err("the token lives too long");
            }
        }
        Ok(())
    }
}

/// Whether `claims` are good for an issuer with `settings` at the time `now`.
pub(crate) fn judge(
    settings: &IssuerSettings,
    claims: &Map<String, Value>,
    times: &Times,
    now: Timestamp,
) -> Result<(), &'static str> {
    if !claims.contains_key("iss") {
        return Err("iss is missing");
    }
    judge_introspected(settings, claims, times, now)
}

/// The same for what an introspection server said, where `iss` may be left out: the server stands for
/// it.
pub(crate) fn judge_introspected(
    settings: &IssuerSettings,
    claims: &Map<String, Value>,
    times: &Times,
    now: Timestamp,
) -> Result<(), &'static str> {
    if claims.get("iss").is_some_and(|issuer| issuer.as_str() != Some(&*settings.issuer)) {
        return Err("iss is another issuer");
    }
    let audience = claims.get(&settings.audience_claim).ok_or("the audience is missing")?;
    judge_audience(&settings.audience, audience)?;
    let is_missing = |name: &String| claims.get(name).is_none_or(Value::is_null);
    if settings.required_claims.iter().any(is_missing) {
        return Err("a required claim is missing");
    }
    times.judge(settings, now)
}

/// A string, or a list of nothing but strings; one of them must be wanted (RFC 7519 §4.1.3).
fn judge_audience(wanted: &[String], audience: &Value) -> Result<(), &'static str> {
    const NOT_US: &str = "the audience is another";
    const MALFORMED: &str = "the audience is not a string or a list of strings";
    let is_wanted = |name: &str| wanted.iter().any(|wanted| wanted == name);
    if let Some(name) = audience.as_str() {
        return if is_wanted(name) { Ok(()) } else { Err(NOT_US) };
    }
    let names = audience.as_array().ok_or(MALFORMED)?;
    let mut found = false;
    for name in names {
        found |= is_wanted(name.as_str().ok_or(MALFORMED)?);
    }
    if found { Ok(()) } else { Err(NOT_US) }
}

/// A `NumericDate` (RFC 7519 §2), fraction and all. `None` for what is no number, negative or past
/// the year 9999.
pub(crate) fn numeric_date(value: &Value) -> Option<Timestamp> {
    let number = value.as_number()?;
    if let Some(seconds) = number.as_u64() {
        return (seconds < END_OF_TIME).then(|| Timestamp::from_unix_seconds(seconds));
    }
    let since = Duration::try_from_secs_f64(number.as_f64()?).ok()?;
    (since.as_secs() < END_OF_TIME).then(|| Timestamp::default().plus(since))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{NOW, settings};

    fn good() -> Map<String, Value> {
        let claims = json!({
            "iss": "https://idp.test/r1", "aud": "api", "sub": "u1",
            "iat": NOW, "nbf": NOW, "exp": NOW + 300,
        });
        claims.as_object().unwrap().clone()
    }

    fn judged(
        change: impl FnOnce(&mut IssuerSettings),
        claims: &Map<String, Value>,
    ) -> Result<(), &'static str> {
        let mut settings = settings();
        change(&mut settings);
        let times = Times::read(claims)?;
        judge(&settings, claims, &times, Timestamp::from_unix_seconds(NOW))
    }

    /// The good claims with `name` set to `value`, or removed where it is `"(missing)"`.
    #[track_caller]
    fn check(name: &str, value: &Value, expected: Result<(), &'static str>) {
        let mut claims = good();
        if *value == "(missing)" {
            claims.remove(name);
        } else {
            claims.insert(name.to_owned(), value.clone());
        }
        assert_eq!(judged(|_| {}, &claims), expected, "{name}: {value}");
    }

    #[test]
    fn c05_exp() {
        check("exp", &json!("(missing)"), Err("exp is missing"));
        let malformed = Err("exp is not a time");
        for value in [json!("4102444800"), json!(null), json!(-1), json!(1e50), json!([NOW])] {
            check("exp", &value, malformed);
        }
        for value in
            [json!(u64::MAX), json!(253_402_300_800_u64), json!(253_402_300_800.5), json!(-0.5)]
        {
            check("exp", &value, malformed);
        }
        check("exp", &json!(1e308), malformed);
        for value in [json!(1.8e9 + 300.5), json!(NOW - 10), json!(4_102_444_800_u64)] {
            check("exp", &value, Ok(()));
        }
        check("exp", &json!(253_402_300_799_u64), Ok(()));
        check("exp", &json!(NOW - 29), Ok(()));
        check("exp", &json!(1.8e9 - 29.5), Ok(()));
        for value in [json!(NOW - 30), json!(NOW - 31), json!(0), json!(1.8e9 - 30.5)] {
            check("exp", &value, Err("the token has expired"));
        }
    }

    #[test]
    fn c05_nbf_and_iat() {
        for value in [json!(NOW + 20), json!(NOW + 30), json!("(missing)"), json!(0)] {
            check("nbf", &value, Ok(()));
        }
        check("nbf", &json!(NOW + 31), Err("the token is not valid yet"));
        for value in [json!(u64::MAX), json!("1700000000"), json!(null), json!(-1)] {
            check("nbf", &value, Err("nbf is not a time"));
        }
        for value in [json!(NOW + 3600), json!("(missing)"), json!(1.8e9 + 0.25)] {
            check("iat", &value, Ok(()));
        }
        for value in [json!("x"), json!(null), json!({}), json!(-1), json!(u64::MAX)] {
            check("iat", &value, Err("iat is not a time"));
        }
    }

    #[test]
    fn a_maximum_lifetime_demands_iat_and_bounds_exp() {
        #[track_caller]
        fn check(iat: &Value, exp: u64, expected: Result<(), &'static str>) {
            let mut claims = good();
            claims.insert("exp".to_owned(), json!(exp));
            claims.insert("iat".to_owned(), iat.clone());
            if iat.is_null() {
                claims.remove("iat");
            }
            let limit = |settings: &mut IssuerSettings| {
                settings.maximum_lifetime = Some(Duration::from_hours(1));
            };
            assert_eq!(judged(limit, &claims), expected, "{iat} {exp}");
        }
        check(&json!(NOW), NOW + 3600, Ok(()));
        check(&json!(NOW), NOW + 3601, Err("the token lives too long"));
        check(&json!(NOW + 30), NOW + 300, Ok(()));
        check(&json!(NOW + 31), NOW + 300, Err("the token was issued in the future"));
        check(&json!(NOW + 3600), NOW + 3900, Err("the token was issued in the future"));
        check(&json!(null), NOW + 300, Err("iat is missing"));
    }

    #[test]
    fn c06_aud() {
        for value in [json!("api"), json!(["x", "api"]), json!(["api"])] {
            check("aud", &value, Ok(()));
        }
        check("aud", &json!("(missing)"), Err("the audience is missing"));
        for value in [json!("API"), json!("api "), json!(""), json!([]), json!(["x"])] {
            check("aud", &value, Err("the audience is another"));
        }
        let malformed = Err("the audience is not a string or a list of strings");
        for value in [json!(123), json!({"a": "api"}), json!(null), json!(true)] {
            check("aud", &value, malformed);
        }
        for value in [json!(["evil", 1]), json!(["api", 1]), json!([["api"]]), json!(["api", null])]
        {
            check("aud", &value, malformed);
        }
    }

    #[test]
    fn c06_iss() {
        check("iss", &json!("(missing)"), Err("iss is missing"));
        for value in [
            json!(1),
            json!(["evil", "https://idp.test/r1"]),
            json!(["https://idp.test/r1"]),
            json!("https://idp.test/r1/"),
            json!("HTTPS://idp.test/r1"),
            json!(null),
            json!(""),
        ] {
            check("iss", &value, Err("iss is another issuer"));
        }
    }

    #[test]
    fn the_audience_may_be_named_by_another_claim() {
        let by_client = |settings: &mut IssuerSettings| {
            settings.audience_claim = "client_id".to_owned();
        };
        let mut claims = good();
        assert_eq!(judged(by_client, &claims), Err("the audience is missing"));
        claims.insert("client_id".to_owned(), json!("api"));
        assert_eq!(judged(by_client, &claims), Ok(()));
    }

    #[test]
    fn a_required_claim_is_there_and_not_null() {
        let missing = Err("a required claim is missing");
        check("sub", &json!("(missing)"), missing);
        check("sub", &json!(null), missing);
        check("sub", &json!(""), Ok(()));
    }
}
