//! What binds a token to its holder: the claim `cnf` (RFC 7800), by the thumbprint of a certificate
//! (RFC 8705 §3.1) or of a key (RFC 9449 §6.1).

use serde_json::{Map, Value};

use crate::Possession;

/// Who alone may use a token; both where it is bound to both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Binding<'c> {
    /// Thumbprint of the holder's certificate: `x5t#S256`.
    pub certificate: Option<&'c str>,
    /// Thumbprint of the holder's key: `jkt`.
    pub key: Option<&'c str>,
}

impl<'c> Binding<'c> {
    /// Reads `cnf`. A token that says it is bound, in a way that cannot be checked here, is refused:
    /// without the check it would be one that anybody may use.
    pub fn read(claims: &'c Map<String, Value>) -> Result<Self, &'static str> {
        let cnf = match claims.get("cnf") {
            None | Some(Value::Null) => return Ok(Self::default()),
            Some(value) => value.as_object().ok_or("cnf is not an object")?,
        };
        let thumbprint = |name: &str| match cnf.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.as_str())),
            Some(_) => Err("a thumbprint in cnf is not a string"),
        };
        let binding = Self { certificate: thumbprint("x5t#S256")?, key: thumbprint("jkt")? };
        if binding == Self::default() {
            return Err("cnf binds the token in a way that cannot be checked");
        }
        Ok(binding)
    }

    /// Judges the part about certificates; `shown` is the thumbprint of the one that the connection
    /// showed. Gives whether the token is bound to it.
    pub fn judge_certificate(
        &self,
        demanded: Possession,
        shown: Option<&str>,
    ) -> Result<bool, &'static str> {
        match (self.certificate, demanded) {
            (None, Possession::Required) => Err("the token is not bound to a certificate"),
            (None, Possession::None | Possession::Optional) => Ok(false),
            (Some(_), Possession::None) => {
                Err("the token is bound to a certificate, which is not asked for")
            }
            (Some(bound), Possession::Optional | Possession::Required) => match shown {
                None => Err("the token is bound to a certificate, and none was shown"),
                Some(shown) if shown == bound => Ok(true),
                Some(_) => Err("the token is bound to another certificate"),
            },
        }
    }

    /// Judges the part about keys; `is_dpop` is whether the token was sent as one that is bound to a
    /// key. Gives the key of which a proof must be there.
    pub fn judge_key(
        &self,
        demanded: Possession,
        is_dpop: bool,
    ) -> Result<Option<&'c str>, &'static str> {
        match (self.key, demanded) {
            (Some(_), Possession::None) => {
                Err("the token is bound to a key, of which no proof is asked for")
            }
            (None, Possession::Required) => Err("the token is not bound to a key"),
            (None, Possession::None | Possession::Optional) if is_dpop => {
                Err("the token was sent as one that is bound to a key, and is not")
            }
            (None, Possession::None | Possession::Optional) => Ok(None),
            (Some(_), Possession::Optional | Possession::Required) if !is_dpop => {
                Err("the token is bound to a key, and was sent as a bearer token")
            }
            (Some(key), Possession::Optional | Possession::Required) => Ok(Some(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(cnf: &Value, expected: Result<(Option<&str>, Option<&str>), &'static str>) {
        let claims = json!({"sub": "u1", "cnf": cnf});
        let read = Binding::read(claims.as_object().unwrap());
        assert_eq!(read.map(|one| (one.certificate, one.key)), expected, "{cnf}");
    }

    #[test]
    fn bindings_are_read() {
        check(&json!({"x5t#S256": "a"}), Ok((Some("a"), None)));
        check(&json!({"jkt": "b"}), Ok((None, Some("b"))));
        check(&json!({"jkt": "b", "x5t#S256": "a"}), Ok((Some("a"), Some("b"))));
        check(&json!({"jkt": "b", "xms_ksl": "sw"}), Ok((None, Some("b"))));
        check(&json!(null), Ok((None, None)));
        assert_eq!(Binding::read(&Map::new()), Ok(Binding::default()));
    }

    #[test]
    fn what_cannot_be_checked_is_refused() {
        let unknown = Err("cnf binds the token in a way that cannot be checked");
        for cnf in [
            json!({}),
            json!({"kid": "k1"}),
            json!({"jwk": {"kty": "EC"}}),
            json!({"x5t": "a"}),
            json!({"JKT": "b"}),
        ] {
            check(&cnf, unknown);
        }
        for cnf in [json!("jkt"), json!([]), json!(["jkt"]), json!(true)] {
            check(&cnf, Err("cnf is not an object"));
        }
        for value in [json!(null), json!(""), json!(1), json!(["a"])] {
            let odd = Err("a thumbprint in cnf is not a string");
            check(&json!({"x5t#S256": value}), odd);
            check(&json!({"jkt": value}), odd);
            check(&json!({"jkt": "b", "x5t#S256": value}), odd);
        }
    }

    #[test]
    fn a_certificate_is_judged_as_the_issuer_demands() {
        use Possession::{None as Off, Optional, Required};

        #[track_caller]
        fn check(
            bound: Option<&str>,
            demanded: Possession,
            shown: Option<&str>,
            expected: Result<bool, &'static str>,
        ) {
            let binding = Binding { certificate: bound, key: None };
            assert_eq!(binding.judge_certificate(demanded, shown), expected);
        }
        let (mine, other) = (Some("mine"), Some("else"));
        for demanded in [Off, Optional] {
            check(None, demanded, None, Ok(false));
            check(None, demanded, mine, Ok(false));
        }
        for shown in [None, mine] {
            check(None, Required, shown, Err("the token is not bound to a certificate"));
            let reason = "the token is bound to a certificate, which is not asked for";
            check(mine, Off, shown, Err(reason));
        }
        for demanded in [Optional, Required] {
            check(mine, demanded, mine, Ok(true));
            check(mine, demanded, other, Err("the token is bound to another certificate"));
            let reason = "the token is bound to a certificate, and none was shown";
            check(mine, demanded, None, Err(reason));
        }
    }

    #[test]
    fn a_key_is_judged_as_the_issuer_demands() {
        use Possession::{None as Off, Optional, Required};

        #[track_caller]
        fn check(
            bound: Option<&str>,
            demanded: Possession,
            is_dpop: bool,
            expected: Result<Option<&str>, &'static str>,
        ) {
            let binding = Binding { certificate: None, key: bound };
            assert_eq!(binding.judge_key(demanded, is_dpop), expected);
        }
        for demanded in [Off, Optional] {
            check(None, demanded, false, Ok(None));
            let reason = "the token was sent as one that is bound to a key, and is not";
            check(None, demanded, true, Err(reason));
        }
        for is_dpop in [false, true] {
            check(None, Required, is_dpop, Err("the token is not bound to a key"));
            let reason = "the token is bound to a key, of which no proof is asked for";
            check(Some("k"), Off, is_dpop, Err(reason));
        }
        for demanded in [Optional, Required] {
            check(Some("k"), demanded, true, Ok(Some("k")));
            let reason = "the token is bound to a key, and was sent as a bearer token";
            check(Some("k"), demanded, false, Err(reason));
        }
    }
}
