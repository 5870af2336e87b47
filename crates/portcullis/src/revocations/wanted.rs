//! What somebody asks to be revoked, of the admin listener or by a command.

use std::collections::HashMap;
use std::sync::Arc;

use http::StatusCode;
use portcullis_authn::{
    Issuer, NewRevocation, Revocation, RevocationError, Revocations, Revoked, unverified_issuer,
    unverified_jti,
};
use portcullis_core::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::admin::AdminError;

/// The body of `POST /revocations`. Not to be printed: there may be a token in it.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// Issuers of the file by name.
pub(crate) type Issuers = HashMap<Arc<str>, Arc<Issuer>>;

impl Wanted {
    /// Reads a body.
    pub(crate) fn read(body: Value) -> Result<Self, AdminError> {
        // What serde says could repeat what was sent, which may be a token.
        let told = "give `issuer` and one of `jti`, `subject` and `issued_before`, or `token`, \
                    and `expires` where you know it; all are strings";
        // A list would be read as the values in the order they are declared.
        let object = body.is_object().then_some(body).ok_or_else(|| AdminError::bad(told))?;
        serde_json::from_value(object).map_err(|_| AdminError::bad(told))
    }

    /// Revokes.
    pub(crate) async fn make(
        self,
        revocations: &Revocations,
        issuers: &Issuers,
        clock: &Clock,
    ) -> Result<Revocation, AdminError> {
        let expires = match &self.expires {
            Some(text) => Some(time(text, clock.now(), "expires")?),
            None => None,
        };
        let (issuer, revoked, ends) = self.tokens(issuers, clock).await?;
        let settings = issuer.settings();
        let new = NewRevocation {
            issuer: settings.issuer.to_string(),
            revoked,
            expires: expires.or(ends),
        };
        let made = revocations.revoke(new, Some(settings)).await;
        made.map_err(|error| refused(&error))
    }

    /// Whose tokens, which of them, and when they end where they say so.
    async fn tokens<'i>(
        &self,
        issuers: &'i Issuers,
        clock: &Clock,
    ) -> Result<(&'i Issuer, Revoked, Option<Timestamp>), AdminError> {
        let named = || self.issuer.as_deref().ok_or_else(|| invalid("`issuer` is missing"));
        let Self { jti, subject, issued_before, token, .. } = self;
        match (jti, subject, issued_before, token) {
            (Some(jti), None, None, None) => {
                Ok((find(issuers, named()?)?, Revoked::Jti(jti.clone()), None))
            }
            (None, Some(subject), None, None) => {
                Ok((find(issuers, named()?)?, Revoked::Subject(subject.clone()), None))
            }
            (None, None, Some(before), None) => {
                let before = time(before, clock.now(), "issued_before")?;
                Ok((find(issuers, named()?)?, Revoked::IssuedBefore(before), None))
            }
            (None, None, None, Some(token)) => self.one_token(token.trim(), issuers).await,
            _ => Err(invalid("give one of `jti`, `subject`, `issued_before` and `token`")),
        }
    }

    /// A token's word on when it ends counts only where its signature is good: one that was tampered
    /// with would end its own revocation early.
    async fn one_token<'i>(
        &self,
        token: &str,
        issuers: &'i Issuers,
    ) -> Result<(&'i Issuer, Revoked, Option<Timestamp>), AdminError> {
        let said = unverified_issuer(token);
        let told = "the token does not say who issued it: give `issuer`";
        let name = self.issuer.as_deref().or(said.as_deref()).ok_or_else(|| invalid(told))?;
        let issuer = find(issuers, name)?;
        if said.is_some_and(|said| *said != *issuer.settings().issuer) {
            return Err(invalid("the token is one of another issuer"));
        }
        let verified = issuer.verify_even_revoked(token).await.ok();
        let jti = verified.as_ref().map_or_else(
            || unverified_jti(token),
            |principal| principal.claims.get("jti").and_then(Value::as_str).map(str::to_owned),
        );
        // An introspection server may put the end off from one answer to the next.
        let ends = verified.filter(|_| !issuer.is_opaque()).map(|principal| principal.expires);
        let told = "the token cannot be read, or has no jti: revoke by subject";
        let jti = jti.filter(|jti| !jti.is_empty()).ok_or_else(|| invalid(told))?;
        Ok((issuer, Revoked::Jti(jti), ends))
    }
}

/// The issuer of this name in the file, or of this `iss`.
fn find<'i>(issuers: &'i Issuers, name: &str) -> Result<&'i Issuer, AdminError> {
    let by_iss = || issuers.values().find(|issuer| &*issuer.settings().issuer == name);
    let found = issuers.get(name).or_else(by_iss);
    found.map(|issuer| &**issuer).ok_or_else(|| {
        invalid("no issuer of the file has this name or `iss`, so none of its tokens is taken")
    })
}

/// A time as in RFC 3339, or `now`.
fn time(text: &str, now: Timestamp, name: &str) -> Result<Timestamp, AdminError> {
    let found = if text == "now" { Some(now) } else { Timestamp::parse_rfc3339(text) };
    let told = || format!("`{name}` is `now` or a time as in RFC 3339: 2026-11-25T14:00:00Z");
    found.ok_or_else(|| AdminError::new(StatusCode::UNPROCESSABLE_ENTITY, CODE).telling(told()))
}

const CODE: &str = "request-invalid";

fn invalid(told: &'static str) -> AdminError {
    AdminError::new(StatusCode::UNPROCESSABLE_ENTITY, CODE).telling(told)
}

fn refused(error: &RevocationError) -> AdminError {
    match error {
        RevocationError::Invalid(told) => invalid(told),
        RevocationError::Full => AdminError::new(StatusCode::INSUFFICIENT_STORAGE, "store-full")
            .telling(error.to_string()),
        RevocationError::Durable(error) => super::unavailable(error),
        _ => AdminError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}
