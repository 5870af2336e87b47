//! `htu`: the URI of a request, compared in normal form (RFC 9449 §4.3, check 9).

use portcullis_core::{Authority, CanonicalPath};

/// Whether `htu` is the URI of a request, whatever its query and fragment. Both sides have the normal
/// form in which the gateway judges requests: case, default ports, escapes and dot segments do not
/// count (RFC 3986 §6.2.2 and §6.2.3).
pub(super) fn is_target(
    htu: &str,
    https: bool,
    authority: &Authority,
    path: &CanonicalPath,
) -> bool {
    read(htu).is_some_and(|(is_https, named, at)| {
        is_https == https && named == *authority && at == *path
    })
}

/// Scheme, authority without a default port, and path.
fn read(htu: &str) -> Option<(bool, Authority, CanonicalPath)> {
    let (scheme, rest) = htu.split_once("://")?;
    let https = scheme.eq_ignore_ascii_case("https");
    if !https && !scheme.eq_ignore_ascii_case("http") {
        return None;
    }
    let bare = rest.split(['?', '#']).next()?;
    let (authority, path) = match bare.find('/') {
        Some(at) => bare.split_at_checked(at)?,
        None => (bare, "/"),
    };
    let authority = Authority::parse(authority).ok()?;
    let default_port = if https { 443 } else { 80 };
    let port = authority.port.filter(|port| *port != default_port);
    let path = CanonicalPath::parse(path).ok()?;
    Some((https, Authority { port, ..authority }, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(htu: &str, request: (&str, &str), expected: bool) {
        let authority = Authority::parse(request.0).unwrap();
        let path = CanonicalPath::parse(request.1).unwrap();
        assert_eq!(is_target(htu, true, &authority, &path), expected, "{htu}");
    }

    #[test]
    fn one_uri_in_other_words_is_the_same() {
        let request = ("api.test", "/a/b~c%20d");
        for htu in [
            "https://api.test/a/b~c%20d",
            "HTTPS://API.Test/a/b~c%20d",
            "https://api.test:443/a/b~c%20d",
            "https://api.test./a/b~c%20d",
            "https://api.test/a/b%7Ec%20d",
            "https://api.test/a/b%7ec%20d",
            "https://api.test/a/./x/../b~c%20d",
            "https://api.test/%61/b~c%20d",
            "https://api.test/a/b~c%20d?q=1",
            "https://api.test/a/b~c%20d#top",
            "https://api.test/a/b~c%20d?q=1#top?",
            "https://api.test/a/b~c%20d#top?/",
        ] {
            check(htu, request, true);
        }
        check("https://api.test", ("api.test", "/"), true);
        check("https://api.test?x", ("api.test", "/"), true);
        check("https://api.test:8443/", ("api.test:8443", "/"), true);
        check("https://[::0:1]/", ("[::1]", "/"), true);
    }

    #[test]
    fn another_uri_is_another() {
        let request = ("api.test", "/a/b");
        for htu in [
            "",
            "/a/b",
            "api.test/a/b",
            "//api.test/a/b",
            "https:/api.test/a/b",
            "https:api.test/a/b",
            "https:///a/b",
            "http://api.test/a/b",
            "http://api.test:443/a/b",
            "https://api.test:80/a/b",
            "https://api.test:8443/a/b",
            "https://api.test:/a/b",
            "https://api.test.evil/a/b",
            "https://evil@api.test/a/b",
            "https://api.test@evil/a/b",
            "https://api.test\\@evil/a/b",
            "https://evil#@api.test/a/b",
            "https://evil?api.test/a/b",
            "https://api.test/a/b/",
            "https://api.test/a/B",
            "https://api.test/a",
            "https://api.test/a//b",
            "https://api.test/a%2Fb",
            "https://api.test/a;x/b",
            "https://api.test/a/b%00",
            "https://api.test/../a/b",
            "https://api.test/a/b%3Fq",
            " https://api.test/a/b",
            "https://api.test/a/b ",
            "https://api.test /a/b",
            "wss://api.test/a/b",
            "https+x://api.test/a/b",
            "https://xn--api.test/a/b",
        ] {
            check(htu, request, false);
        }
    }
}
