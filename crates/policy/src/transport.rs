//! The stage "transport": a listener without TLS serves only where the file says so in words. What
//! else comes in cleartext is sent to https, or refused.

use std::borrow::Cow;
use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, header};
use portcullis_authn::bearer;
use portcullis_core::field_name::is_same;
use portcullis_core::forwarded::ClientView;
use portcullis_core::{Authority, ConnMeta, Denial, Head, Refusal};

use crate::{Origin, Stage, Trace};

/// Fields by which a request says who it is, whether or not anything here reads them.
const CREDENTIALS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static("x-api-key"),
];

/// Where the challenges of ACME are (RFC 8555 §8.3). They are for the gateway itself, and come by
/// http alone: on a redirect listener nothing else is there.
pub const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// The port of https that no URL needs to say.
const HTTPS: u16 = 443;

/// What a listener does with what comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Serves it: it speaks TLS, or the file says that cleartext is meant.
    #[default]
    Serves,
    /// Sends it to https.
    Redirects(ToHttps),
    /// Serves what a trusted proxy says came by https, and sends everything else there.
    AsForwarded(ToHttps),
}

/// Where to, and by which line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToHttps {
    /// The port that clients reach https on.
    pub port: NonZeroU16,
    /// The line that says so.
    pub origin: Origin,
}

/// What the listeners do, and what counts as a credential beside the fields that always do.
#[derive(Clone, Debug, Default)]
pub struct Transport {
    roles: HashMap<Arc<str>, Role>,
    token_parameters: Vec<Box<str>>,
    key_field: Option<HeaderName>,
}

/// The gateway's own answer to what came in cleartext: 308 with this `Location`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The same resource by https.
    pub location: HeaderValue,
}

/// What the way by which a request came means for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Served,
    ToHttps(ToHttps),
    /// No listener of this configuration: one that was taken out, while its connections end.
    Unknown,
}

impl Transport {
    /// From the role of each listener, by name, and the query parameters that issuers read tokens
    /// from.
    pub fn new(
        roles: impl IntoIterator<Item = (Arc<str>, Role)>,
        token_parameters: impl IntoIterator<Item = Box<str>>,
    ) -> Self {
        let roles = roles.into_iter().collect();
        let token_parameters = token_parameters.into_iter().collect();
        Self { roles, token_parameters, key_field: None }
    }

    /// The same with the field that carries API keys, where any route takes them.
    #[must_use]
    pub fn with_key_field(self, key_field: Option<HeaderName>) -> Self {
        Self { key_field, ..self }
    }

    /// Whether the listener sends to https whatever comes, so that nothing is served on it.
    pub fn is_redirect(&self, listener: &str) -> bool {
        matches!(self.roles.get(listener), Some(Role::Redirects(_)))
    }

    /// What becomes of a request. Who is no trusted proxy has no say in it: `client.https` is what
    /// trusted ones said alone.
    pub(crate) fn arrival(&self, conn: &ConnMeta, client: &ClientView) -> Arrival {
        if conn.tls.is_some() {
            return Arrival::Served;
        }
        match self.roles.get(&conn.listener) {
            None => Arrival::Unknown,
            Some(Role::Serves) => Arrival::Served,
            Some(Role::Redirects(to)) => Arrival::ToHttps(*to),
            Some(Role::AsForwarded(to)) => {
                let by_https = client.by_trusted_proxy && client.https == Some(true);
                if by_https { Arrival::Served } else { Arrival::ToHttps(*to) }
            }
        }
    }

    /// `None`: by TLS, or in cleartext where that is served. Nothing else gets to a route.
    pub(crate) fn admit<T: Trace>(
        &self,
        head: &Head<'_>,
        conn: &ConnMeta,
        arrival: Arrival,
        trace: &mut T,
    ) -> Result<Option<Redirect>, Refusal> {
        let (redirect, origin) = match arrival {
            Arrival::Served => return Ok(None),
            Arrival::ToHttps(to) if self.is_unknown_challenge(head, conn) => {
                trace.note(Stage::Transport, to.origin, || "no such challenge".to_owned());
                return Err(Denial::RouteNotFound.into());
            }
            Arrival::ToHttps(to) => (self.redirect(head, to), to.origin),
            Arrival::Unknown => {
                (Err(refused("no listener of the file takes cleartext here")), Origin::default())
            }
        };
        trace.note(Stage::Transport, origin, || match &redirect {
            Ok(_) => format!("cleartext on listener {}: sent to https", conn.listener),
            Err(denial) => denial.reason().into_owned(),
        });
        Ok(Some(redirect?))
    }

    /// The answer that sends a request to https. Only GET and HEAD without credentials get one:
    /// what else came in cleartext has been seen on the way, and its sender must learn of it.
    fn redirect(&self, head: &Head<'_>, to: ToHttps) -> Result<Redirect, Denial> {
        if !matches!(*head.method, Method::GET | Method::HEAD) {
            return Err(refused("neither GET nor HEAD, in cleartext"));
        }
        if self.has_credential(head) {
            return Err(refused("a credential in cleartext"));
        }
        let authority = to.authority(head);
        let mut text = format!("https://{authority}{}", head.path);
        if let Some(query) = head.query {
            text.push('?');
            text.push_str(query);
        }
        let location = HeaderValue::from_str(&text).map_err(|_| Denial::Malformed {
            reason: "the query has a character that is not allowed".into(),
        })?;
        Ok(Redirect { location })
    }

    /// One that is pending was answered before anything was judged.
    fn is_unknown_challenge(&self, head: &Head<'_>, conn: &ConnMeta) -> bool {
        let is_challenge = head.path.as_str().starts_with(CHALLENGES);
        is_challenge && self.is_redirect(&conn.listener)
    }

    fn has_credential(&self, head: &Head<'_>) -> bool {
        let query = head.query.unwrap_or_default();
        let in_query = |name: &str| !matches!(bearer::from_query(query, name), Ok(None));
        let is_one = |name: &HeaderName| {
            CREDENTIALS.iter().chain(&self.key_field).any(|one| is_same(one, name))
        };
        head.headers.keys().any(is_one) || self.token_parameters.iter().any(|name| in_query(name))
    }
}

impl ToHttps {
    /// Where the request is sent: its own host, with the port of https.
    pub(crate) fn authority(self, head: &Head<'_>) -> Authority {
        let port = Some(self.port.get()).filter(|port| *port != HTTPS);
        Authority { host: head.authority.host.clone(), port }
    }
}

impl Arrival {
    /// The authority that must be on the allow-list, and the port it has where it says none: that
    /// of the request, or of where it is sent. Nobody is sent to what is answered 421 there.
    pub(crate) fn authority<'h>(self, head: &'h Head<'_>) -> (Cow<'h, Authority>, u16) {
        match self {
            Self::ToHttps(to) => (Cow::Owned(to.authority(head)), HTTPS),
            Self::Served | Self::Unknown => {
                (Cow::Borrowed(&head.authority), if head.https { HTTPS } else { 80 })
            }
        }
    }
}

const fn refused(reason: &'static str) -> Denial {
    Denial::TlsRequired { reason }
}

#[cfg(test)]
mod tests;
