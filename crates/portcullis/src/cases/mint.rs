//! What the client of a case has to show: made here, so that no secret and no issuer is needed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use portcullis_authn::{Alg, IssuerSettings, ReadFrom, StandIn};
use portcullis_config::cases::{CertificateCase, TokenCase};
use portcullis_core::{ClientCertificate, ShownCertificate, Timestamp, Vouch};
use serde_json::{Map, Value, json};

/// How long tokens and certificates are good for.
const LIFE: Duration = Duration::from_mins(5);

/// Thumbprint of the certificate of a case (RFC 8705 §3.1).
const THUMBPRINT: &str = "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2";

/// Keys that stand in for those of issuers, one for each algorithm, and one that nobody takes.
#[derive(Debug, Default)]
pub(super) struct Keys {
    good: HashMap<Alg, Arc<StandIn>>,
    wrong: HashMap<Alg, Arc<StandIn>>,
}

impl Keys {
    /// The key of `alg`, drawn when it is first asked for; of those that nobody takes if `wrong`.
    pub(super) fn of(&mut self, alg: Alg, wrong: bool) -> Result<Arc<StandIn>, String> {
        let keys = if wrong { &mut self.wrong } else { &mut self.good };
        if let Some(key) = keys.get(&alg) {
            return Ok(Arc::clone(key));
        }
        let key = StandIn::new(alg).ok_or("the system gives no random bytes")?;
        Ok(Arc::clone(keys.entry(alg).or_insert_with(|| Arc::new(key))))
    }
}

/// A token of `case` as the issuer would sign it.
pub(super) fn token(
    case: &TokenCase,
    settings: &IssuerSettings,
    key: &StandIn,
    now: Timestamp,
) -> Result<String, String> {
    let types = &settings.token_types;
    let typ = match types.iter().find(|typ| typ.eq_ignore_ascii_case("jwt")).or(types.first()) {
        Some(typ) => typ.as_str(),
        None => "JWT",
    };
    let claims = claims(case, settings, now)?;
    key.sign(typ, &claims).ok_or_else(|| "the token cannot be signed".to_owned())
}

fn claims(
    case: &TokenCase,
    settings: &IssuerSettings,
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
    if case.bound_to_certificate {
        claims.insert("cnf".to_owned(), json!({ "x5t#S256": THUMBPRINT }));
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

/// A token as a request carries it.
pub(super) fn carried(token: &str, place: Option<&ReadFrom>) -> Carried {
    match place {
        Some(ReadFrom::Cookie(name)) => Carried::Field("cookie", format!("{name}={token}")),
        Some(ReadFrom::Query(name)) => Carried::Query(format!("{name}={token}")),
        Some(ReadFrom::Authorization) | None => {
            Carried::Field("authorization", format!("Bearer {token}"))
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
