//! Cross-origin answers (Fetch Standard, "HTTP extensions").

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::Origin;

/// Who answers other origins on a route.
#[derive(Clone, Debug, Default)]
pub enum RouteCors {
    /// The app: preflights go to it without credentials, its fields pass.
    App,
    /// Nobody: the app's fields pass, a preflight is an ordinary OPTIONS.
    #[default]
    Off,
    /// The gateway; the app's fields are taken out.
    Policy(Arc<CorsPolicy>),
}

/// One origin of `origins`: exact, or `*.` for exactly one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern {
    scheme: Box<str>,
    wildcard: bool,
    rest: Box<str>,
}

impl OriginPattern {
    /// Parses `https://host`, `https://host:port` or `https://*.host`: lower case, no default port,
    /// no path, as a browser serialises an origin (RFC 6454 §6.2). `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (wildcard, rest) = rest.strip_prefix("*.").map_or((false, rest), |rest| (true, rest));
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._:[]".contains(&b);
        let default_port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return None,
        };
        let sound = !rest.is_empty()
            && rest.bytes().all(good)
            && !rest.starts_with(['.', ':'])
            && !rest.ends_with(['.', ':'])
            && !rest.ends_with(default_port);
        sound.then(|| Self { scheme: scheme.into(), wildcard, rest: rest.into() })
    }

    fn matches(&self, origin: &str) -> bool {
        let Some(host) =
            origin.strip_prefix(&*self.scheme).and_then(|rest| rest.strip_prefix("://"))
        else {
            return false;
        };
        if !self.wildcard {
            return host == &*self.rest;
        }
        let Some(label) = host.strip_suffix(&*self.rest).and_then(|l| l.strip_suffix('.')) else {
            return false;
        };
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty() && label.bytes().all(good)
    }
}

/// One entry of `cors`.
#[derive(Clone, Debug)]
pub struct CorsPolicy {
    /// Its name in the file.
    pub name: Arc<str>,
    /// Origins answered.
    pub origins: Vec<OriginPattern>,
    /// `*`: any origin, without credentials.
    pub any_origin: bool,
    /// Whether `null` was listed in words.
    pub null_origin: bool,
    /// Methods a preflight grants.
    pub methods: Vec<Method>,
    /// Request fields a preflight grants, in lower case.
    pub headers: Vec<Box<str>>,
    /// Answer fields shown to scripts beside ours.
    pub expose_headers: Vec<Box<str>>,
    /// Whether cookies and client certificates may go along.
    pub credentials: bool,
    /// How long a preflight's answer is good for.
    pub max_age: Duration,
    /// Its first line.
    pub origin: Origin,
}

/// Our own answer fields that scripts may always read.
const EXPOSED: &str = "retry-after, www-authenticate, ratelimit, ratelimit-policy, x-request-id";

/// Fields of the app that the gateway's own answer takes the place of.
pub const CORS_FIELDS: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
];

impl CorsPolicy {
    /// The request's origin, if it is exactly one and allowed.
    pub fn allowed_origin<'h>(&self, headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
        let mut values = headers.get_all(header::ORIGIN).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let origin = value.to_str().ok()?;
        let allowed =
            if origin == "null" { self.null_origin } else { self.any_origin || self.names(origin) };
        allowed.then_some(value)
    }

    /// Whether `origins` has this origin in it; `*` and `null` are no names.
    pub fn names(&self, origin: &str) -> bool {
        self.origins.iter().any(|pattern| pattern.matches(origin))
    }

    /// Fields for an answer to a request with `headers`; always `vary`, since the answer depends on
    /// the origin.
    pub fn answer_fields(&self, headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let mut fields = Vec::with_capacity(4);
        if let Some(origin) = self.allowed_origin(headers) {
            self.push_origin(origin, &mut fields);
            let mut exposed = String::from(EXPOSED);
            for name in &self.expose_headers {
                exposed.push_str(", ");
                exposed.push_str(name);
            }
            push(&mut fields, header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
        fields
    }

    /// Fields for the 204 that answers a preflight; none where the origin is not allowed, or asks
    /// for a method or field that is not granted.
    pub fn preflight_fields(&self, headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let mut fields = Vec::with_capacity(5);
        let Some(origin) = self.allowed_origin(headers) else { return fields };
        self.push_origin(origin, &mut fields);
        let methods: Vec<&str> = self.methods.iter().map(Method::as_str).collect();
        push(&mut fields, header::ACCESS_CONTROL_ALLOW_METHODS, methods.join(", "));
        if !self.headers.is_empty() {
            push(&mut fields, header::ACCESS_CONTROL_ALLOW_HEADERS, self.headers.join(", "));
        }
        push(&mut fields, header::ACCESS_CONTROL_MAX_AGE, self.max_age.as_secs().to_string());
        fields
    }

    fn push_origin(&self, origin: &HeaderValue, fields: &mut Vec<(HeaderName, HeaderValue)>) {
        let value = if self.any_origin && !self.credentials {
            HeaderValue::from_static("*")
        } else {
            origin.clone()
        };
        fields.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, value));
        if self.credentials {
            let name = header::ACCESS_CONTROL_ALLOW_CREDENTIALS;
            fields.push((name, HeaderValue::from_static("true")));
        }
    }
}

fn push(fields: &mut Vec<(HeaderName, HeaderValue)>, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        fields.push((name, value));
    }
}

/// Whether a request is a CORS preflight (Fetch Standard, "CORS-preflight request").
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> CorsPolicy {
        let parse = |text| OriginPattern::parse(text).unwrap();
        CorsPolicy {
            name: "web".into(),
            origins: vec![parse("https://ui.test"), parse("https://*.ui.test")],
            any_origin: false,
            null_origin: false,
            methods: vec![Method::GET, Method::PUT],
            headers: vec!["authorization".into(), "x-a".into()],
            expose_headers: vec!["x-total".into()],
            credentials: true,
            max_age: Duration::from_mins(10),
            origin: Origin(1),
        }
    }

    #[track_caller]
    fn check(origins: &[&'static str], allowed: bool) {
        let headers = origins
            .iter()
            .map(|o| (header::ORIGIN, HeaderValue::from_static(o)))
            .collect::<Vec<_>>();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value);
        }
        assert_eq!(policy().allowed_origin(&map).is_some(), allowed, "{origins:?}");
        assert_eq!(policy().answer_fields(&map).is_empty(), !allowed, "{origins:?}");
        assert_eq!(policy().preflight_fields(&map).is_empty(), !allowed, "{origins:?}");
    }

    #[test]
    fn c42_origins_match_whole() {
        check(&["https://ui.test"], true);
        check(&["https://a.ui.test"], true);
        for bad in [
            "http://ui.test",
            "https://ui.test:8443",
            "https://ui.test.evil.test",
            "https://evilui.test",
            "https://uiXtest",
            "https://a_.ui.test.evil.test",
            "https://a.b.ui.test",
            "https://.ui.test",
            "null",
            "https://UI.TEST",
            "https://ui.test, https://evil.test",
            "",
        ] {
            check(&[bad], false);
        }
        check(&["https://ui.test", "https://ui.test"], false);
        check(&[], false);
    }

    #[test]
    fn a_preflight_grants_what_the_file_lists() {
        let mut map = HeaderMap::new();
        map.insert(header::ORIGIN, HeaderValue::from_static("https://ui.test"));
        let fields: HeaderMap = policy().preflight_fields(&map).into_iter().collect();
        assert_eq!(fields["access-control-allow-origin"], "https://ui.test");
        assert_eq!(fields["access-control-allow-credentials"], "true");
        assert_eq!(fields["access-control-allow-methods"], "GET, PUT");
        assert_eq!(fields["access-control-allow-headers"], "authorization, x-a");
        assert_eq!(fields["access-control-max-age"], "600");
    }

    #[test]
    fn patterns_are_checked() {
        for bad in [
            "https://ui.test/",
            "https://ui.test:443",
            "https://UI.test",
            "ftp://ui.test",
            "ui.test",
            "https://",
            "https://*",
            "https://*.",
            "https://a.*.test",
        ] {
            assert_eq!(OriginPattern::parse(bad), None, "{bad}");
        }
    }
}
