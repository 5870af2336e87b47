//! `upstreams[].endpoints`: a scheme and a place, and nothing behind it.

use std::sync::Arc;

use portcullis_policy::{Endpoint, Place, Scheme};
use url::Url;

use crate::at::At;
use crate::problem::{Problem, Problems};

/// The longest path of a unix socket, in bytes (`sun_path`, less its NUL).
const LONGEST_PATH: usize = 107;

/// `http://host:port`, `https://host:port`, `h2c://host:port` or `unix:/path`.
pub(super) fn compile(text: &str, at: &At, problems: &mut Problems) -> Option<Endpoint> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path, at, problems);
    }
    // The URL standard knows `http`, not `h2c`: only so it parses hosts as hosts.
    let h2c = text.strip_prefix("h2c://").map(|rest| format!("http://{rest}"));
    let problem = |message: String| {
        let expected = "http://, https:// or h2c://, a host and perhaps a port, or unix:/path";
        Problem::new(at.clone(), message).expected(expected)
    };
    let url = match Url::parse(h2c.as_deref().unwrap_or(text)) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        Ok(_) | Err(_) => {
            let wrong = problem(format!("`{text}` is not an endpoint"));
            problems.push(if text.contains("://") {
                wrong
            } else {
                wrong.help(format!("did you mean `http://{text}`?"))
            });
            return None;
        }
    };
    let (said, authority) = text.split_once("://").unwrap_or_default();
    let bare = authority.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        let help = format!("did you mean `{said}://{bare}`?");
        problems.push(problem("an endpoint has no path".to_owned()).help(help));
        return None;
    }
    if authority.contains('@') || !url.username().is_empty() {
        problems.push(problem("an endpoint has no user and password".to_owned()));
        return None;
    }
    let host = match url.host()? {
        url::Host::Domain(name) => Arc::from(name),
        url::Host::Ipv4(address) => Arc::from(address.to_string()),
        url::Host::Ipv6(address) => Arc::from(address.to_string()),
    };
    let port = url.port_or_known_default().filter(|port| *port != 0);
    if port.is_none() {
        problems.push(problem("an endpoint has no port 0".to_owned()));
    }
    let scheme = match (h2c.is_some(), url.scheme()) {
        (true, _) => Scheme::H2c,
        (false, "https") => Scheme::Https,
        (false, _) => Scheme::Http,
    };
    Some(Endpoint { scheme, place: Place::Tcp { host, port: port? } })
}

fn unix(path: &str, at: &At, problems: &mut Problems) -> Option<Endpoint> {
    let sound = path.starts_with('/') && path.len() <= LONGEST_PATH && !path.contains('\0');
    if !sound || path.starts_with("//") {
        let problem = Problem::new(at.clone(), format!("`unix:{path}` is not an endpoint"));
        let expected = format!("unix: and an absolute path of at most {LONGEST_PATH} bytes");
        problems.push(problem.expected(expected));
        return None;
    }
    Some(Endpoint { scheme: Scheme::Http, place: Place::Unix(path.into()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(Scheme, &str)>) {
        let mut problems = Problems::default();
        let endpoint = compile(text, &At::root().key("x"), &mut problems);
        let found = endpoint.as_ref().map(|e| (e.scheme, e.to_string()));
        let expected = expected.map(|(scheme, text)| (scheme, text.to_owned()));
        assert_eq!(found, expected, "{text}");
        assert_eq!(problems.len(), usize::from(expected.is_none()), "{text}: {problems:?}");
    }

    #[test]
    fn endpoints_are_scheme_host_and_port() {
        check("http://10.0.0.5:8000", Some((Scheme::Http, "10.0.0.5:8000")));
        check("https://orders.internal", Some((Scheme::Https, "orders.internal:443")));
        check("http://[::1]:8080/", Some((Scheme::Http, "[::1]:8080")));
        check("http://app", Some((Scheme::Http, "app:80")));
        check("h2c://app:50051", Some((Scheme::H2c, "app:50051")));
        check("unix:/run/app.sock", Some((Scheme::Http, "unix:/run/app.sock")));
        let long = format!("unix:/{}", "a".repeat(LONGEST_PATH));
        for bad in [
            "10.0.0.5:8000",
            "app",
            "ftp://app",
            "http://app/x",
            "h2c://app/x",
            "h2c://",
            "http://app?x",
            "http://app/#x",
            "http://u:p@app",
            "http://@app",
            "http://",
            "http://app:0",
            "http://app:99999",
            "",
            "unix:",
            "unix:app.sock",
            "unix://run/app.sock",
            &long,
        ] {
            check(bad, None);
        }
    }
}
