//! From claims to a principal: subject, scopes and roles at their configured paths.

use std::sync::Arc;

use portcullis_core::{CredentialKind, Derived, Principal};
use serde_json::{Map, Value};

use crate::IssuerSettings;
use crate::claims::Times;

/// The principal that `claims` speak of. Claims of the wrong shape are refused, not passed over: an
/// empty list of scopes would be a guess.
pub(crate) fn build(
    settings: &IssuerSettings,
    claims: Map<String, Value>,
    times: &Times,
) -> Result<Principal, &'static str> {
    let paths = &settings.claims;
    let subject = match at(&claims, &paths.subject) {
        None => String::new(),
        Some(Value::String(subject)) => subject.clone(),
        Some(_) => return Err("the subject is not a string"),
    };
    let scopes = paths.scopes.iter().find_map(|path| at(&claims, path));
    let scopes = scopes.map(words).transpose()?.unwrap_or_default();
    let roles = paths.roles.as_ref().and_then(|path| at(&claims, path));
    let roles = roles.map(words).transpose()?.unwrap_or_default();
    Ok(Principal {
        subject,
        issuer_name: Arc::clone(&settings.name),
        issuer: Arc::clone(&settings.issuer),
        scopes,
        roles,
        claims: Arc::new(claims),
        expires: times.expires,
        credential: CredentialKind::Token,
        derived: Derived::default(),
    })
}

/// What stands at `path`; null counts as nothing.
fn at<'a>(claims: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    let (last, parents) = path.split_last()?;
    let mut level = claims;
    for key in parents {
        level = level.get(key)?.as_object()?;
    }
    level.get(last).filter(|value| !value.is_null())
}

/// A string is split at blanks (RFC 6749 §3.3); a list of strings is taken as it is.
fn words(value: &Value) -> Result<Vec<String>, &'static str> {
    const MALFORMED: &str = "scopes or roles are not a string or a list of strings";
    match value {
        Value::String(text) => Ok(text.split_ascii_whitespace().map(str::to_owned).collect()),
        Value::Array(items) => {
            let word = |item: &Value| item.as_str().map(str::to_owned).ok_or(MALFORMED);
            items.iter().map(word).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(MALFORMED),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{NOW, settings};

    fn built(claims: &Value) -> Result<Principal, &'static str> {
        let mut settings = settings();
        settings.claims.roles = Some(vec!["realm_access".to_owned(), "roles".to_owned()]);
        let mut claims = claims.as_object().unwrap().clone();
        claims.insert("exp".to_owned(), json!(NOW + 300));
        let times = Times::read(&claims).unwrap();
        build(&settings, claims, &times)
    }

    #[test]
    fn scopes_come_from_the_first_path_that_is_there() {
        #[track_caller]
        fn check(claims: &Value, expected: &[&str]) {
            assert_eq!(built(claims).unwrap().scopes, expected, "{claims}");
        }
        check(&json!({"scope": "a:read  b:write"}), &["a:read", "b:write"]);
        check(&json!({"scope": "a", "scp": ["b"]}), &["a"]);
        check(&json!({"scope": "", "scp": ["b"]}), &[]);
        check(&json!({"scope": null, "scp": ["b", "c"]}), &["b", "c"]);
        check(&json!({"scp": "b c"}), &["b", "c"]);
        check(&json!({"scp": []}), &[]);
        check(&json!({}), &[]);
    }

    #[test]
    fn subject_and_roles_are_read_at_their_paths() {
        let claims = json!({"sub": "u1", "realm_access": {"roles": ["admin", "x y"]}, "n": 1});
        let principal = built(&claims).unwrap();
        assert_eq!(principal.subject, "u1");
        assert_eq!(principal.roles, ["admin", "x y"]);
        assert_eq!((&*principal.issuer_name, &*principal.issuer), ("main", "https://idp.test/r1"));
        assert_eq!(principal.expires.unix_seconds(), NOW + 300);
        assert_eq!(principal.claim(&["n"]), Some(&json!(1)));
        let none = built(&json!({"realm_access": "roles"})).unwrap();
        assert_eq!((none.subject.as_str(), none.roles.len()), ("", 0));
    }

    #[test]
    fn claims_of_the_wrong_shape_are_refused() {
        for claims in [
            json!({"sub": 1}),
            json!({"sub": ["u1"]}),
            json!({"scope": 1}),
            json!({"scope": {"a": true}}),
            json!({"scope": ["a", 1], "scp": ["b"]}),
            json!({"realm_access": {"roles": true}}),
            json!({"realm_access": {"roles": ["admin", null]}}),
        ] {
            assert!(built(&claims).is_err(), "{claims}");
        }
    }
}
