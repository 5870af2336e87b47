//! What somebody asks of API keys, by the admin listener or by a command, and what came of it.

use std::time::Duration;

use http::{Method, StatusCode};
use portcullis_authn::{ApiKeys, Issued, KeyView, ManageError, NewKey};
use portcullis_core::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::AdminError;

/// How long a secret that is replaced is good still, where nothing else is said.
pub(crate) const OVERLAP: &str = "24h";

/// One thing that is asked.
#[derive(Debug)]
pub(crate) enum Asked {
    /// All keys.
    List,
    /// A new key.
    New(NewKey),
    /// An end to a key.
    Revoke(String),
    /// A new secret for a key.
    Rotate(String, Duration),
}

/// What came of it.
pub(crate) struct Done {
    pub status: StatusCode,
    /// For programs; the only place where a new secret is.
    pub value: Value,
    /// For the audit log, where something was changed.
    pub event: Option<Event>,
}

/// A change of a key.
#[derive(Debug)]
pub(crate) struct Event {
    /// Its name.
    pub name: &'static str,
    /// The key's id.
    pub id: String,
    /// Whose it is.
    pub owner: String,
    view: Value,
}

/// The body of `POST /keys`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    owner: String,
    #[serde(default)]
    scopes: Vec<String>,
    expires: Option<String>,
    #[serde(default)]
    allow: Vec<String>,
}

/// The body of `POST /keys/{id}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {
    overlap: Option<String>,
}

impl Asked {
    /// Reads a request to the admin listener.
    pub(crate) fn read(
        method: &Method,
        id: &str,
        body: Value,
        now: Timestamp,
    ) -> Result<Self, AdminError> {
        let told = |error: serde_json::Error| AdminError::bad(error.to_string());
        match (method, id) {
            (&Method::POST, "") => {
                let New { owner, scopes, expires, allow } =
                    serde_json::from_value(body).map_err(told)?;
                Self::new_key(owner, scopes, expires.as_deref(), &allow, now)
                    .map_err(AdminError::bad)
            }
            (&Method::POST, id) => {
                let Rotate { overlap } = serde_json::from_value(body).map_err(told)?;
                Self::rotate(id, overlap.as_deref().unwrap_or(OVERLAP)).map_err(AdminError::bad)
            }
            (&Method::DELETE, id) => Ok(Self::Revoke(id.to_owned())),
            _ => Ok(Self::List),
        }
    }

    /// A new key. `expires` is a time, or how long it is good.
    pub(crate) fn new_key(
        owner: String,
        scopes: Vec<String>,
        expires: Option<&str>,
        allow: &[String],
        now: Timestamp,
    ) -> Result<Self, String> {
        let expires = expires.map(|text| end(text, now)).transpose()?;
        let network = |text: &String| {
            let address = || text.parse::<std::net::IpAddr>().ok().map(ipnet::IpNet::from);
            let network = text.parse().ok().or_else(address);
            network.ok_or_else(|| format!("`{text}` is neither a network nor an address"))
        };
        let allow = allow.iter().map(network).collect::<Result<_, _>>()?;
        Ok(Self::New(NewKey { owner, scopes, expires, allow }))
    }

    /// A new secret, beside the one before for `overlap`.
    pub(crate) fn rotate(id: &str, overlap: &str) -> Result<Self, String> {
        let span = span(overlap);
        let span = span.ok_or_else(|| format!("`{overlap}` is not a duration, such as 24h"))?;
        Ok(Self::Rotate(id.to_owned(), span))
    }

    /// Does it.
    pub(crate) async fn carry_out(self, keys: &ApiKeys) -> Result<Done, ManageError> {
        match self {
            Self::List => {
                let value = json!({"keys": keys.list().await?});
                Ok(Done { status: StatusCode::OK, value, event: None })
            }
            Self::New(new) => {
                Ok(Done::issued("key-created", StatusCode::CREATED, &keys.create(new).await?))
            }
            Self::Rotate(id, overlap) => {
                let issued = keys.rotate(&id, overlap).await?;
                Ok(Done::issued("key-rotated", StatusCode::OK, &issued))
            }
            Self::Revoke(id) => {
                let view = keys.revoke(&id).await?;
                let event = Some(Event::of("key-revoked", &view));
                Ok(Done { status: StatusCode::OK, value: shown(&view), event })
            }
        }
    }
}

impl Done {
    fn issued(name: &'static str, status: StatusCode, issued: &Issued) -> Self {
        let event = Some(Event::of(name, &issued.view));
        let mut value = shown(&issued.view);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("key".to_owned(), issued.key.expose_str().into());
        }
        Self { status, value, event }
    }
}

impl Event {
    fn of(name: &'static str, view: &KeyView) -> Self {
        Self { name, id: view.id.clone(), owner: view.owner.clone(), view: shown(view) }
    }

    /// The line of the audit log.
    pub(crate) fn line(&self, time: Timestamp) -> String {
        let mut line = json!({"event": self.name, "time": time.rfc3339()});
        if let (Some(line), Some(view)) = (line.as_object_mut(), self.view.as_object()) {
            line.extend(view.clone());
        }
        line.to_string()
    }
}

/// A key without its uses, which were not asked for.
fn shown(view: &KeyView) -> Value {
    let mut value = json!(view);
    if let Some(fields) = value.as_object_mut() {
        for name in ["last_used", "uses", "uses_by_day"] {
            fields.remove(name);
        }
    }
    value
}

/// RFC 3339, or a duration from now on.
fn end(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let at = Timestamp::parse_rfc3339(text).or_else(|| Some(now.plus(span(text)?)));
    at.ok_or_else(|| format!("`{text}` is neither a time, RFC 3339, nor a duration, such as 90d"))
}

fn span(text: &str) -> Option<Duration> {
    let span: portcullis_config::units::Duration = serde_json::from_value(json!(text)).ok()?;
    Some(span.get())
}
