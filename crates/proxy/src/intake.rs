//! From pingora's request to the one head that every stage sees.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, Method, Version, header};
use pingora::http::RequestHeader;
use portcullis_core::{Authority, CanonicalPath, Denial, Head, RequestId};
use portcullis_policy::CHALLENGES;

use crate::ctx::{Ctx, RawRequest};

/// The parts of a head that are kept beyond the decision.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) authority: Authority,
    pub(crate) path: CanonicalPath,
    pub(crate) query: Option<String>,
    pub(crate) content_length: Option<u64>,
    pub(crate) has_body: bool,
}

impl Request {
    /// Normalises a request, or says why it is none. `https` is the client's scheme.
    pub(crate) fn read(req: &RequestHeader, has_body: bool, https: bool) -> Result<Self, Denial> {
        let authority =
            Authority::parse(authority_text(req)?).map_err(|error| malformed(&error))?;
        let default_port = if https { 443 } else { 80 };
        let port = authority.port.filter(|port| *port != default_port);
        let path = CanonicalPath::parse(req.uri.path()).map_err(|error| malformed(&error))?;
        Ok(Self {
            method: req.method.clone(),
            authority: Authority { port, ..authority },
            path,
            query: req.uri.query().map(str::to_owned),
            content_length: content_length(&req.headers)?,
            has_body,
        })
    }

    /// The head that policy judges.
    pub(crate) fn head<'a>(&'a self, headers: &'a HeaderMap, https: bool) -> Head<'a> {
        Head {
            method: &self.method,
            authority: self.authority.clone(),
            path: self.path.clone(),
            query: self.query.as_deref(),
            headers,
            https,
            content_length: self.content_length,
            has_body: self.has_body,
        }
    }
}

/// Whether the target begins as that of a challenge (RFC 8555 §8.3) and has dot segments behind it:
/// nobody who proves a name sends such, and where redirects begin nothing else is at this place.
pub(crate) fn leaves_challenges(req: &RequestHeader) -> bool {
    let rest = req.uri.path().strip_prefix(CHALLENGES);
    rest.is_some_and(|rest| {
        let rest = rest.to_ascii_lowercase().replace("%2e", ".");
        rest.split('/').any(|segment| matches!(segment, "." | ".."))
    })
}

fn malformed(error: &impl ToString) -> Denial {
    Denial::Malformed { reason: error.to_string().into() }
}

/// `:authority` of HTTP/2, `Host` of HTTP/1.1: exactly one, and equal where both are there.
pub(crate) fn authority_text(req: &RequestHeader) -> Result<&str, Denial> {
    let reason = |text: &'static str| Denial::Malformed { reason: text.into() };
    let mut hosts = req.headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(reason("more than one Host"));
    }
    let host = host.map(|h| h.to_str().map_err(|_| reason("Host is not ASCII"))).transpose()?;
    match (req.uri.authority(), host) {
        (Some(authority), Some(host)) if authority.as_str() != host => {
            Err(reason("Host and :authority differ"))
        }
        (Some(authority), _) => Ok(authority.as_str()),
        (None, Some(host)) => Ok(host),
        (None, None) => Err(reason("no Host")),
    }
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Denial> {
    let reason = || Denial::Malformed { reason: "Content-Length is not one number".into() };
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let bytes = value.as_bytes();
    if values.next().is_some() || bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return Err(reason());
    }
    value.to_str().ok().and_then(|text| text.parse().ok()).map(Some).ok_or_else(reason)
}

impl Ctx {
    /// Notes who is calling, from the connection and from trusted proxies.
    pub(crate) fn note_client(
        &mut self,
        headers: &HeaderMap,
    ) -> portcullis_core::forwarded::ClientView {
        let conn = self.conn.as_ref();
        let peer = conn.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |conn| conn.address());
        let view = self.serving.pipeline.clients.trusted_proxies.view(peer, headers);
        self.https = view.https.unwrap_or_else(|| conn.is_some_and(|c| c.tls.is_some()));
        self.client = Some(view.address);
        self.hops.clone_from(&view.chain);
        if view.by_trusted_proxy {
            let mut ids = headers.get_all(portcullis_core::request_id::REQUEST_ID_HEADER).iter();
            if let (Some(id), None) = (ids.next(), ids.next())
                && let Some(id) = RequestId::from_peer(id.as_bytes())
            {
                self.id = id;
            }
        }
        view
    }

    /// Notes what the log shows, before anything is judged.
    pub(crate) fn note_raw(&mut self, req: &RequestHeader) {
        let host = req.uri.authority().map(ToString::to_string).or_else(|| {
            req.headers
                .get(header::HOST)
                .map(|h| String::from_utf8_lossy(h.as_bytes()).into_owned())
        });
        self.raw = Some(RawRequest {
            method: req.method.clone(),
            host: host.unwrap_or_default(),
            target: req.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            version: version_name(req.version),
        });
    }
}

fn version_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}
