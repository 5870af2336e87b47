//! What the client of a case has to show: made here, so that no secret and no issuer is needed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use portcullis_authn::{Alg, IssuerSettings, ReadFrom, StandIn};
use portcullis_config::cases::{CertificateCase, IntrospectionCase, TokenCase};
use portcullis_core::{ClientCertificate, ShownCertificate, Timestamp, Vouch};
use serde_json::{Map, Value, json};

/// How long tokens and certificates are good for.
const LIFE: Duration = Duration::from_mins(5);

/// Thumbprint of the certificate of a case (RFC 8705 §3.1).
const THUMBPRINT: &str = "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2";

/// Keys that are drawn for a run: one of each kind, when it is first asked for.
#[derive(Debug, Default)]
pub(super) struct Keys(HashMap<(Whose, Alg), Arc<StandIn>>);

/// Whose key one stands in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    /// That of issuers.
    Issuer,
    /// That of the client, for its proofs.
    Client,
    /// That of nobody whose key is taken.
    Other,
}

impl Keys {
    /// The key for `alg`.
    pub(super) fn of(&mut self, whose: Whose, alg: Alg) -> Result<Arc<StandIn>, String> {
        if let Some(key) = self.0.get(&(whose, alg)) {
            return Ok(Arc::clone(key));
        }
        let key = StandIn::new(alg).ok_or("the system gives no random bytes")?;
        Ok(Arc::clone(self.0.entry((whose, alg)).or_insert_with(|| Arc::new(key))))
    }
}

/// A token with these claims, as the issuer would sign it.
pub(super) fn token(
    claims: &Map<String, Value>,
    settings: &IssuerSettings,
    key: &StandIn,
) -> Result<String, String> {
    let types = &settings.token_types;
    let typ = match types.iter().find(|typ| typ.eq_ignore_ascii_case("jwt")).or(types.first()) {
        Some(typ) => typ.as_str(),
        None => "JWT",
    };
    key.sign(typ, claims).ok_or_else(|| "the token cannot be signed".to_owned())
}

/// What the issuer's server answers about a token with these claims (RFC 7662 §2.2); `None`: nothing.
pub(super) fn answer(case: IntrospectionCase, mut claims: Map<String, Value>) -> Option<Value> {
    match case {
        IntrospectionCase::Active => {
            claims.insert("active".to_owned(), true.into());
            Some(claims.into())
        }
        IntrospectionCase::Inactive => Some(json!({"active": false})),
        IntrospectionCase::Unavailable => None,
    }
}

/// What the token of `case` says; `key` is the thumbprint of the one that it is bound to.
pub(super) fn claims(
    case: &TokenCase,
    settings: &IssuerSettings,
    key: Option<&str>,
    now: Timestamp,
) -> Result<Map<String, Value>, String> {
    let life = settings.maximum_lifetime.map_or(LIFE, |longest| longest.min(LIFE)).as_secs();
    let now = now.unix_seconds();
    let ended = settings.leeway.as_secs() + 60;
    let ends = if case.expired { now.saturating_sub(ended) } else { now + life };
    let begins = ends.saturating_sub(life);
    let audience = case.audience.as_ref().or(settings.audience.first());
    let mut claims = Map::new();
    for name in &settings.required_claims {
        claims.insert(name.clone(), "tester".into());
    }
    for (name, value) in [
        ("iss", json!(&*settings.issuer)),
        ("client_id", json!("tester")),
        ("jti", json!("a token of a test")),
        ("iat", json!(begins)),
        ("nbf", json!(begins)),
        ("exp", json!(ends)),
        (settings.audience_claim.as_str(), json!(audience)),
    ] {
        claims.insert(name.to_owned(), value);
    }
    put(&mut claims, &settings.claims.subject, json!(case.subject));
    if !case.scopes.is_empty() {
        let path = settings.claims.scopes.first().ok_or("the issuer reads no scopes")?;
        put(&mut claims, path, json!(case.scopes.join(" ")));
    }
    if !case.roles.is_empty() {
        let path = settings.claims.roles.as_ref();
        let path = path.ok_or("the issuer's tokens have no roles: `claims.roles` is not set")?;
        put(&mut claims, path, json!(case.roles));
    }
    let certificate = case.bound_to_certificate.then_some(("x5t#S256", THUMBPRINT));
    let bound = [certificate, key.map(|key| ("jkt", key))];
    let bound: Map<_, _> =
        bound.into_iter().flatten().map(|(name, of)| (name.to_owned(), json!(of))).collect();
    if !bound.is_empty() {
        claims.insert("cnf".to_owned(), bound.into());
    }
    for (name, value) in &case.claims {
        if value.is_null() {
            claims.remove(name);
        } else {
            claims.insert(name.clone(), value.clone());
        }
    }
    Ok(claims)
}

/// Puts `value` at `path`, one key per level.
fn put(claims: &mut Map<String, Value>, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        claims.insert(first.clone(), value);
        return;
    }
    let level = claims.entry(first.clone()).or_insert_with(|| json!({}));
    if let Some(level) = level.as_object_mut() {
        put(level, rest, value);
    }
}

/// Where a token is put: a field, or a parameter of the query.
pub(super) enum Carried {
    Field(&'static str, String),
    Query(String),
}

/// A token as a request carries it, with the scheme where it has one.
pub(super) fn carried(token: &str, place: Option<&ReadFrom>, scheme: &str) -> Carried {
    match place {
        Some(ReadFrom::Cookie(name)) => Carried::Field("cookie", format!("{name}={token}")),
        Some(ReadFrom::Query(name)) => Carried::Query(format!("{name}={token}")),
        Some(ReadFrom::Authorization) | None => {
            Carried::Field("authorization", format!("{scheme} {token}"))
        }
    }
}

/// Good as long as the case runs.
#[derive(Debug)]
struct Good;

impl Vouch for Good {
    fn judge(&self, _: &ClientCertificate) -> Result<(), Cow<'static, str>> {
        Ok(())
    }
}

/// A certificate that the handshake verified.
pub(super) fn certificate(case: &CertificateCase, now: Timestamp) -> ShownCertificate {
    let issuer = "CN=portcullis test";
    let claims = json!({"iss": issuer, "cnf": {"x5t#S256": THUMBPRINT}});
    let certificate = ClientCertificate {
        leaf: Vec::new(),
        chain: Vec::new(),
        subject: case.subject.clone(),
        issuer: issuer.into(),
        names: case.names.clone(),
        thumbprint: THUMBPRINT.to_owned(),
        claims: Arc::new(claims.as_object().cloned().unwrap_or_default()),
        not_before: now,
        not_after: now.plus(LIFE),
    };
    ShownCertificate { certificate: Arc::new(certificate), vouch: Arc::new(Good) }
}
