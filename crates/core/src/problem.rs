//! What a client sees of a refusal: RFC 9457 body, status and the fields its status demands.

use std::time::Duration;

use http::HeaderValue;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::json;

use crate::{Denial, Fault, Refusal, RequestId};

/// Media type of the body.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// RFC 9449 §8.
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// `type` is this plus the code: a name, not an address to be fetched.
const TYPE_BASE: &str = "urn:portcullis:problem:";

/// A refusal ready to be written in any version of HTTP.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The status.
    pub status: u16,
    /// Fields that the status demands, `content-type` among them.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// The JSON body.
    pub body: Vec<u8>,
}

impl Problem {
    /// Renders `refusal`. Nothing of its reason is in the result.
    pub fn new(refusal: &Refusal, id: &RequestId) -> Self {
        let body = json!({
            "type": format!("{TYPE_BASE}{}", refusal.code()),
            "title": refusal.title(),
            "status": refusal.status(),
            "code": refusal.code(),
            "request_id": id.as_str(),
        });
        let mut fields = vec![(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON))];
        match refusal {
            Refusal::Denial(denial) => denial_fields(denial, &mut fields),
            Refusal::Fault(fault) => fault_fields(fault, &mut fields),
        }
        Self { status: refusal.status(), fields, body: body.to_string().into_bytes() }
    }
}

fn denial_fields(denial: &Denial, fields: &mut Vec<(HeaderName, HeaderValue)>) {
    match denial {
        Denial::CredentialInvalid { challenge, .. }
        | Denial::CredentialMissing { challenge }
        | Denial::ScopeMissing { challenge } => {
            fields.push((WWW_AUTHENTICATE, challenge.field()));
            let nonce = challenge.nonce.as_deref().and_then(|n| HeaderValue::try_from(n).ok());
            fields.extend(nonce.map(|nonce| (DPOP_NONCE, nonce)));
        }
        Denial::AmbiguousCredentials => {
            fields.push((
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer error=\"invalid_request\""),
            ));
        }
        Denial::MethodNotAllowed { allow } => {
            let list: Vec<&str> = allow.iter().map(http::Method::as_str).collect();
            if let Ok(value) = HeaderValue::try_from(list.join(", ")) {
                fields.push((ALLOW, value));
            }
        }
        Denial::RateLimited { retry_after, .. } | Denial::TooManyFailures { retry_after, .. } => {
            fields.push((RETRY_AFTER, seconds(*retry_after)));
        }
        Denial::BodyTooLarge { .. }
        | Denial::CertificateInvalid { .. }
        | Denial::CertificateMissing
        | Denial::CertificateNotAllowed
        | Denial::ClientNotAllowed
        | Denial::ConcurrencyLimited { .. }
        | Denial::ExpectationUnknown
        | Denial::HeadTooLarge
        | Denial::HostNotAllowed
        | Denial::Malformed { .. }
        | Denial::MediaTypeNotAllowed
        | Denial::OriginNotAllowed
        | Denial::RequestTimeout
        | Denial::PolicyDenied { .. }
        | Denial::RoleMissing { .. }
        | Denial::RouteNotFound
        | Denial::TargetTooLong
        | Denial::TlsRequired { .. }
        | Denial::TransferCodingUnknown => {}
    }
}

fn fault_fields(fault: &Fault, fields: &mut Vec<(HeaderName, HeaderValue)>) {
    match fault {
        Fault::IssuerUnavailable { retry_after, .. }
        | Fault::UpstreamUnavailable { retry_after, .. } => {
            fields.push((RETRY_AFTER, seconds(*retry_after)));
        }
        Fault::Overloaded | Fault::StateUnavailable { .. } => {
            fields.push((RETRY_AFTER, HeaderValue::from_static("1")));
        }
        Fault::Internal { .. } | Fault::UpstreamFailed { .. } | Fault::UpstreamTimeout => {}
    }
}

/// Whole seconds, rounded up, at least one (RFC 9110 §10.2.3).
fn seconds(wait: Duration) -> HeaderValue {
    let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    HeaderValue::from(whole.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Challenge, ChallengeError, Scheme, Timestamp};

    #[track_caller]
    fn check(refusal: impl Into<Refusal>, status: u16, field: Option<(HeaderName, &str)>) {
        let id = RequestId::new(Timestamp::from_unix_seconds(1));
        let problem = Problem::new(&refusal.into(), &id);
        assert_eq!(problem.status, status);
        let body: serde_json::Value = serde_json::from_slice(&problem.body).unwrap();
        assert_eq!(body["status"], status);
        assert_eq!(body["request_id"], id.as_str());
        if let Some((name, value)) = field {
            let found = problem.fields.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone());
            assert_eq!(found.unwrap(), value);
        }
    }

    #[test]
    fn statuses_carry_the_fields_they_demand() {
        let challenge = Box::new(Challenge {
            error: Some((Scheme::Bearer, ChallengeError::InvalidToken)),
            scope: "a b".into(),
            ..Challenge::default()
        });
        let reason = "kid".into();
        check(
            Denial::CredentialInvalid { challenge, reason },
            401,
            Some((WWW_AUTHENTICATE, "Bearer error=\"invalid_token\", scope=\"a b\"")),
        );
        check(
            Denial::CredentialMissing { challenge: Box::default() },
            401,
            Some((WWW_AUTHENTICATE, "Bearer")),
        );
        check(
            Denial::RateLimited { limit: "x".into(), retry_after: Duration::from_millis(5_001) },
            429,
            Some((RETRY_AFTER, "6")),
        );
        check(
            Denial::MethodNotAllowed { allow: vec![http::Method::GET, http::Method::HEAD] },
            405,
            Some((ALLOW, "GET, HEAD")),
        );
    }

    #[test]
    fn no_reason_leaves_the_gateway() {
        for refusal in Denial::samples()
            .into_iter()
            .map(Refusal::from)
            .chain(Fault::samples().into_iter().map(Refusal::from))
        {
            let id = RequestId::new(Timestamp::from_unix_seconds(1));
            let body = String::from_utf8(Problem::new(&refusal, &id).body).unwrap();
            assert!(!body.contains("sample"), "{body}");
        }
    }

    #[test]
    fn codes_are_unique_and_kebab_case() {
        let mut codes: Vec<&str> = Denial::samples().iter().map(Denial::code).collect();
        codes.extend(Fault::samples().iter().map(Fault::code));
        let unique: std::collections::BTreeSet<&str> = codes.iter().copied().collect();
        assert_eq!(unique.len(), codes.len());
        assert!(codes.iter().all(|c| c.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
    }
}
