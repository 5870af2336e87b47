//! What the app is told of the principal, encoded so that no claim can split a line or a list.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use portcullis_core::{ClientCertificate, Principal};
use portcullis_policy::IdentityValue;
use serde_json::Value;

/// Everything but visible ASCII is percent-encoded, and `%` itself, so that decoding is exact.
const VALUE: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b',');

/// Who calls, and the certificate of the connection, whoever calls.
#[derive(Clone, Copy)]
pub(crate) struct Known<'k> {
    pub(crate) principal: Option<&'k Principal>,
    pub(crate) certificate: Option<&'k ClientCertificate>,
}

/// The field's value; `None` where nothing is known to put there.
pub(crate) fn value(what: &IdentityValue, known: Known<'_>) -> Option<String> {
    if what.is_of_connection() {
        return of_certificate(what, known.certificate?);
    }
    of_principal(what, known.principal?)
}

fn of_certificate(what: &IdentityValue, certificate: &ClientCertificate) -> Option<String> {
    let text = match what {
        IdentityValue::Certificate => byte_sequence(&certificate.leaf),
        IdentityValue::CertificateChain => {
            certificate.chain.iter().map(|der| byte_sequence(der)).collect::<Vec<_>>().join(", ")
        }
        IdentityValue::CertificateThumbprint => certificate.thumbprint.clone(),
        IdentityValue::Claim(_)
        | IdentityValue::Issuer
        | IdentityValue::Roles
        | IdentityValue::Scopes
        | IdentityValue::Subject => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// RFC 9651 §3.3.5.
fn byte_sequence(bytes: &[u8]) -> String {
    format!(":{}:", STANDARD.encode(bytes))
}

fn of_principal(what: &IdentityValue, principal: &Principal) -> Option<String> {
    let text = match what {
        IdentityValue::Certificate
        | IdentityValue::CertificateChain
        | IdentityValue::CertificateThumbprint => return None,
        IdentityValue::Claim(path) => match principal.claim(path)? {
            Value::String(text) => encode(text),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Array(_) | Value::Null | Value::Object(_) => return None,
        },
        IdentityValue::Issuer => encode(&principal.issuer),
        IdentityValue::Roles => list(&principal.roles, ","),
        IdentityValue::Scopes => list(&principal.scopes, " "),
        IdentityValue::Subject => encode(&principal.subject),
    };
    (!text.is_empty()).then_some(text)
}

fn list(items: &[String], separator: &str) -> String {
    items.iter().map(|item| encode(item)).collect::<Vec<_>>().join(separator)
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn principal(subject: &str, roles: &[&str]) -> Principal {
        let claims = json!({"tenant": {"id": 7}, "list": []});
        Principal {
            subject: subject.to_owned(),
            issuer_name: "corporate".into(),
            issuer: "https://idp.test/r1".into(),
            scopes: vec!["a".into(), "b c".into()],
            roles: roles.iter().map(|r| (*r).to_owned()).collect(),
            claims: Arc::new(claims.as_object().unwrap().clone()),
            expires: portcullis_core::Timestamp::from_unix_seconds(1),
            credential: portcullis_core::CredentialKind::Token,
            derived: portcullis_core::Derived::default(),
        }
    }

    fn value(what: &IdentityValue, principal: &Principal) -> Option<String> {
        super::value(what, Known { principal: Some(principal), certificate: None })
    }

    #[test]
    fn no_claim_can_split_a_line_or_a_list() {
        let evil = principal("u1\r\nx-auth-roles: admin", &["clerk,admin", "é"]);
        let subject = value(&IdentityValue::Subject, &evil).unwrap();
        assert_eq!(subject, "u1%0D%0Ax-auth-roles:%20admin");
        assert_eq!(value(&IdentityValue::Roles, &evil).unwrap(), "clerk%2Cadmin,%C3%A9");
        assert_eq!(value(&IdentityValue::Scopes, &evil).unwrap(), "a b%20c");
    }

    #[test]
    fn what_is_missing_gives_no_field() {
        let plain = principal("u1", &[]);
        assert_eq!(value(&IdentityValue::Roles, &plain), None);
        let claim =
            |path: &[&str]| IdentityValue::Claim(path.iter().map(|p| (*p).to_owned()).collect());
        assert_eq!(value(&claim(&["tenant", "id"]), &plain).as_deref(), Some("7"));
        assert_eq!(value(&claim(&["list"]), &plain), None);
        assert_eq!(value(&claim(&["none"]), &plain), None);
    }
}
