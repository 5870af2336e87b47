//! Where a request carries its token: `Authorization`, a cookie or the query.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};
use percent_encoding::percent_decode_str;

/// What `Authorization` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearer<'a> {
    /// There is no such header.
    Absent,
    /// A token in the right form, sent by whoever says to have the key it is bound to (RFC 9449
    /// §7.1).
    Dpop(&'a str),
    /// There is one, and it is no token; why, for the log.
    Malformed(&'static str),
    /// A token in the right form.
    Token(&'a str),
}

/// Reads `Authorization` (RFC 6750 §2.1, RFC 9449 §7.1): the scheme in any case, at least one blank, one token of
/// the characters of RFC 9110 §11.2. Two headers are as wrong as none that fits.
pub fn from_authorization(headers: &HeaderMap) -> Bearer<'_> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Bearer::Absent };
    if values.next().is_some() {
        return Bearer::Malformed("more than one Authorization header");
    }
    let Ok(text) = value.to_str() else {
        return Bearer::Malformed("Authorization is not ASCII");
    };
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    let is_dpop = scheme.eq_ignore_ascii_case("dpop");
    if !is_dpop && !scheme.eq_ignore_ascii_case("bearer") {
        return Bearer::Malformed("Authorization is not Bearer");
    }
    let token = rest.trim_matches(' ');
    if token.is_empty() {
        Bearer::Malformed("Authorization has no token")
    } else if !is_token68(token) {
        Bearer::Malformed("the bearer token has characters that none has")
    } else if is_dpop {
        Bearer::Dpop(token)
    } else {
        Bearer::Token(token)
    }
}

/// The value of the cookie `name` (RFC 6265 §4.2). Fails where it is there twice: which of the two is
/// the user's own cannot be told.
pub fn from_cookie<'a>(
    headers: &'a HeaderMap,
    name: &str,
) -> Result<Option<&'a str>, &'static str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    // A blank behind the name belongs to it, or to nothing: no client that means it writes one.
    let mut found = pairs.filter(|(key, _)| key.trim_start_matches([' ', '\t']) == name);
    let Some((_, value)) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err("the cookie of the token is there twice");
    }
    let value = value.trim_matches([' ', '\t']);
    Ok(Some(value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)))
}

/// The value of the query parameter `name` (RFC 6750 §2.3), percent-decoded; `query` is without its
/// question mark. Fails where the parameter is there twice, or is no text.
pub fn from_query<'a>(query: &'a str, name: &str) -> Result<Option<Cow<'a, str>>, &'static str> {
    let mut found = None;
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        // The name is decoded too, or `access%5Ftoken` would be a second, unseen credential.
        if percent_decode_str(key).decode_utf8().is_ok_and(|key| key == name) {
            let value = percent_decode_str(value).decode_utf8();
            let value = value.map_err(|_| "the token in the query is not UTF-8")?;
            if found.replace(value).is_some() {
                return Err("the query has more than one token");
            }
        }
    }
    Ok(found)
}

/// RFC 9110 §11.2 `token68`, with `=` at the end alone.
fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !body.is_empty() && body.bytes().all(is_inner)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: &http::HeaderName, lines: &[&str]) -> HeaderMap {
        let value = |line: &&str| HeaderValue::from_bytes(line.as_bytes()).unwrap();
        lines.iter().map(|line| (name.clone(), value(line))).collect()
    }

    #[track_caller]
    fn check(lines: &[&str], expected: Bearer<'_>) {
        assert_eq!(from_authorization(&headers(&AUTHORIZATION, lines)), expected, "{lines:?}");
    }

    #[test]
    fn c10_the_scheme_is_read_in_any_case_and_blanks() {
        for line in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c", "Bearer   a.b.c"] {
            check(&[line], Bearer::Token("a.b.c"));
        }
        for line in ["DPoP a.b.c", "dpop a.b.c", "DPOP   a.b.c"] {
            check(&[line], Bearer::Dpop("a.b.c"));
        }
        check(&["Bearer a-b_c.d~e+f/g=="], Bearer::Token("a-b_c.d~e+f/g=="));
        check(&[], Bearer::Absent);
    }

    #[test]
    fn c10_anything_else_is_malformed_and_never_absent() {
        let empty = Bearer::Malformed("Authorization has no token");
        let other = Bearer::Malformed("Authorization is not Bearer");
        let odd = Bearer::Malformed("the bearer token has characters that none has");
        check(&["Bearer"], empty);
        check(&["Bearer "], empty);
        check(&["DPoP"], empty);
        check(&["DPoP a b"], odd);
        for line in
            ["BearerX a.b.c", "Basic dTpw", "a.b.c", "Bearer\ta.b.c", "DPoPX a", " Bearer a", ""]
        {
            check(&[line], other);
        }
        let odd_lines = [
            "Bearer a b",
            "Bearer a, Bearer b",
            "Bearer a,b",
            "Bearer =",
            "Bearer a=b",
            "Bearer \"a\"",
        ];
        for line in odd_lines {
            check(&[line], odd);
        }
        check(&["Bearer é"], Bearer::Malformed("Authorization is not ASCII"));
        let two = Bearer::Malformed("more than one Authorization header");
        check(&["Bearer a", "Bearer a"], two);
        check(&["Bearer a", "Basic dTpw"], two);
        check(&["DPoP a", "Bearer a"], two);
    }

    #[test]
    fn a_cookie_is_found_by_its_exact_name_and_only_once() {
        #[track_caller]
        fn check(lines: &[&str], expected: Option<&str>) {
            assert_eq!(from_cookie(&headers(&COOKIE, lines), "token"), Ok(expected), "{lines:?}");
        }
        #[track_caller]
        fn twice(lines: &[&str]) {
            assert!(from_cookie(&headers(&COOKIE, lines), "token").is_err(), "{lines:?}");
        }
        check(&["a=1; token=x.y.z; b=2"], Some("x.y.z"));
        check(&["a=1", "token=x.y.z"], Some("x.y.z"));
        check(&["token=\"x.y.z\""], Some("x.y.z"));
        check(&["token="], Some(""));
        check(&["Token=x", "tokens=x", "atoken=x", "token"], None);
        check(&["token =x"], None);
        twice(&["token=x; token=y"]);
        twice(&["token=x", "token=x"]);
        check(&[], None);
    }

    #[test]
    fn a_query_parameter_is_found_in_every_spelling_and_only_once() {
        #[track_caller]
        fn check(query: &str, expected: Result<Option<&str>, &'static str>) {
            let actual = from_query(query, "access_token");
            assert_eq!(actual.as_ref().map(Option::as_deref).map_err(|e| *e), expected, "{query}");
        }
        check("", Ok(None));
        check("a=1&access_token=x.y.z&b", Ok(Some("x.y.z")));
        check("access%5ftoken=x%2Ey", Ok(Some("x.y")));
        check("access_token", Ok(Some("")));
        check("Access_token=x&xaccess_token=x", Ok(None));
        let twice = Err("the query has more than one token");
        check("access_token=x&access_token=x", twice);
        check("access_token=x&access%5Ftoken=y", twice);
        check("access_token=%ff", Err("the token in the query is not UTF-8"));
    }
}
