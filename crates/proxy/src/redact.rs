//! What logs never show: values of query parameters that carry credentials.

use std::collections::HashSet;

/// Query parameters that are always hidden.
const BUILT_IN: [&str; 16] = [
    "access_token",
    "api_key",
    "apikey",
    "assertion",
    "client_secret",
    "code",
    "code_verifier",
    "id_token",
    "id_token_hint",
    "key",
    "password",
    "refresh_token",
    "secret",
    "signature",
    "state",
    "token",
];

/// Header fields that are always hidden.
const BUILT_IN_HEADERS: [&str; 6] =
    ["authorization", "cookie", "dpop", "proxy-authorization", "set-cookie", "x-api-key"];

/// The built-in lists and what the file adds.
#[derive(Clone, Debug)]
pub struct Redaction {
    query: HashSet<String>,
    headers: HashSet<String>,
}

impl Redaction {
    /// `query` and `headers` are added to the built-in lists; compared without case.
    pub fn new<'a>(
        query: impl IntoIterator<Item = &'a str>,
        headers: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let query = BUILT_IN.into_iter().chain(query).map(str::to_ascii_lowercase).collect();
        let headers = BUILT_IN_HEADERS.into_iter().chain(headers);
        Self { query, headers: headers.map(str::to_ascii_lowercase).collect() }
    }

    /// The value of a header field as it may be shown.
    pub fn header<'v>(&self, name: &str, value: &'v str) -> &'v str {
        let name = name.to_ascii_lowercase();
        let folded = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        if self.headers.contains(&name) || self.headers.contains(&folded) {
            "REDACTED"
        } else {
            value
        }
    }

    /// `path?query` with the values of listed parameters replaced.
    pub fn target(&self, target: &str) -> String {
        let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
        // Some servers split at `;` too.
        let shown = query.split_inclusive(['&', ';']).map(|part| {
            let pair = part.trim_end_matches(['&', ';']);
            format!("{}{}", self.pair(pair), part.get(pair.len()..).unwrap_or_default())
        });
        format!("{path}?{}", shown.collect::<String>())
    }

    fn pair(&self, pair: &str) -> String {
        match pair.split_once('=') {
            Some((name, _)) if self.hides(name) => format!("{name}=REDACTED"),
            Some(_) | None => pair.to_owned(),
        }
    }

    fn hides(&self, name: &str) -> bool {
        let decoded = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
        let decoded = decoded.trim_matches(|c: char| c.is_control() || c == ' ' || c == '+');
        self.query.contains(&decoded.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: &str, expected: &str) {
        assert_eq!(Redaction::new(["sid"], []).target(target), expected);
    }

    #[test]
    fn credentials_in_the_query_are_hidden() {
        check("/a", "/a");
        check("/a?x=1", "/a?x=1");
        check("/a?access_token=abc&x=1&TOKEN=t", "/a?access_token=REDACTED&x=1&TOKEN=REDACTED");
        check("/a?access%5Ftoken=abc", "/a?access%5Ftoken=REDACTED");
        check("/a?sid=9&code=1&state=2", "/a?sid=REDACTED&code=REDACTED&state=REDACTED");
        check("/a?token", "/a?token");
        check("/a?x=1;access_token=abc;y", "/a?x=1;access_token=REDACTED;y");
        check("/a?access_token%00=abc&+token=b", "/a?access_token%00=REDACTED&+token=REDACTED");
        check("/a?&&x=1&", "/a?&&x=1&");
    }

    #[test]
    fn credentials_in_headers_are_hidden() {
        let redaction = Redaction::new([], ["x-session"]);
        assert_eq!(redaction.header("Authorization", "Bearer abc"), "REDACTED");
        assert_eq!(redaction.header("DPoP", "abc"), "REDACTED");
        assert_eq!(redaction.header("X-Session", "abc"), "REDACTED");
        assert_eq!(redaction.header("X_Api_Key", "abc"), "REDACTED");
        assert_eq!(redaction.header("accept", "*/*"), "*/*");
    }
}
