//! The compact form of a JWS (RFC 7515 §7.1), read strictly before any cryptography.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::{Alg, strict_json};

/// The longest token that is looked at, in bytes.
pub(crate) const MAXIMUM_LENGTH: usize = 16 * 1024;

/// `typ` of the gateway's own identity tokens: they tell an app who calls, and open no door.
pub(crate) const IDENTITY_TYPE: &str = "portcullis-identity+jwt";

/// A token in its parts. Nothing of it is verified.
#[derive(Debug)]
pub(crate) struct Compact<'a> {
    pub(crate) header: JoseHeader,
    /// The bytes that are signed: header, dot, payload.
    pub(crate) signed: &'a [u8],
    pub(crate) payload: Vec<u8>,
    /// Strict base64url, not empty.
    pub(crate) signature: &'a str,
}

/// The members of a JOSE header that mean something here (RFC 7515 §4.1).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JoseHeader {
    pub(crate) alg: Alg,
    pub(crate) kid: Option<String>,
    pub(crate) typ: Option<String>,
}

impl<'a> Compact<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, &'static str> {
        Self::with_header(token).map(|(token, _)| token)
    }

    /// The same, with the members of the header that [`JoseHeader`] has no place for.
    pub(crate) fn with_header(token: &'a str) -> Result<(Self, Map<String, Value>), &'static str> {
        if token.len() > MAXIMUM_LENGTH {
            return Err("the token is too long");
        }
        let (header, payload, signature) = three_parts(token)?;
        let signed = token.len() - signature.len() - 1;
        let signed = token.as_bytes().get(..signed).ok_or("the token is not in three parts")?;
        decode(signature).ok_or("the signature is not base64url")?;
        if signature.is_empty() {
            return Err("the token is not signed");
        }
        let header = decode(header).ok_or("the header is not base64url")?;
        let (header, others) = JoseHeader::parse(&header)?;
        let payload = decode(payload).ok_or("the payload is not base64url")?;
        Ok((Self { header, signed, payload, signature }, others))
    }
}

impl JoseHeader {
    fn parse(bytes: &[u8]) -> Result<(Self, Map<String, Value>), &'static str> {
        let mut members =
            strict_json::object(bytes).map_err(|_| "the header is not usable JSON")?;
        // No extension is understood here, so none may be critical (RFC 7515 §4.1.11), and an
        // unencoded payload (RFC 7797) would change what is signed.
        if members.contains_key("crit") || members.contains_key("b64") {
            return Err("the header asks for an extension");
        }
        let alg = members.get("alg").ok_or("the header has no alg")?;
        let alg = alg.as_str().and_then(Alg::parse).ok_or("unsupported alg")?;
        let mut text = |name: &str| match members.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err("kid or typ is not a string"),
        };
        let header = Self { alg, kid: text("kid")?, typ: text("typ")? };
        Ok((header, members))
    }

    /// Whether `typ` is one of `accepted` (RFC 7515 §4.1.9, RFC 8725 §3.11).
    pub(crate) fn type_is_one_of<S: AsRef<str>>(&self, accepted: &[S]) -> bool {
        let bare = |text: &str| bare_type(text).to_ascii_lowercase();
        let typ = bare(self.typ.as_deref().unwrap_or("JWT"));
        typ != IDENTITY_TYPE && accepted.iter().any(|accepted| bare(accepted.as_ref()) == typ)
    }
}

/// `application/` may be left out of a media type that has no other slash.
fn bare_type(text: &str) -> &str {
    const PREFIX: &str = "application/";
    match text.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) && !rest.contains('/') => rest,
        _ => text,
    }
}

/// Exactly three parts between exactly two dots.
pub(crate) fn three_parts(token: &str) -> Result<(&str, &str, &str), &'static str> {
    let mut parts = token.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(header), Some(payload), Some(signature), None) => Ok((header, payload, signature)),
        _ => Err("the token is not in three parts"),
    }
}

/// base64url without padding (RFC 7515 §2).
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// base64url without padding, without stray bits at the end (RFC 7515 §2).
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(text: &str) -> String {
        URL_SAFE_NO_PAD.encode(text)
    }

    #[track_caller]
    fn check_header(header: &str, expected: &Result<JoseHeader, &'static str>) {
        let token = format!("{}.e30.AAAA", encode(header));
        assert_eq!(&Compact::parse(&token).map(|token| token.header), expected, "{header}");
    }

    #[test]
    fn a_header_is_read() {
        let header =
            JoseHeader { alg: Alg::Rs256, kid: Some("k1".into()), typ: Some("JWT".into()) };
        check_header(r#"{"alg":"RS256","kid":"k1","typ":"JWT","x":[1]}"#, &Ok(header));
        check_header(
            r#"{"alg":"Ed25519"}"#,
            &Ok(JoseHeader { alg: Alg::EdDsa, kid: None, typ: None }),
        );
    }

    #[test]
    fn c07_none_hmac_and_mistyped_alg_are_refused() {
        for alg in
            ["none", "None", "nOnE", "", "HS256", "HS384", "HS512", "rs256", "RS256 ", "ES512"]
        {
            check_header(&format!(r#"{{"alg":"{alg}"}}"#), &Err("unsupported alg"));
        }
        for header in [r#"{"alg":["RS256"]}"#, r#"{"alg":null}"#, r#"{"alg":1}"#] {
            check_header(header, &Err("unsupported alg"));
        }
        check_header("{}", &Err("the header has no alg"));
    }

    #[test]
    fn a_header_that_two_readers_may_see_differently_is_refused() {
        for header in [
            r#"{"alg":"RS256","crit":[]}"#,
            r#"{"alg":"RS256","crit":["exp"],"exp":1}"#,
            r#"{"alg":"RS256","b64":true}"#,
            r#"{"alg":"RS256","b64":false,"crit":["b64"]}"#,
        ] {
            check_header(header, &Err("the header asks for an extension"));
        }
        for header in [r#"{"alg":"RS256","kid":1}"#, r#"{"alg":"RS256","typ":["JWT"]}"#] {
            check_header(header, &Err("kid or typ is not a string"));
        }
        for header in [r#"{"alg":"none","alg":"RS256"}"#, "[]", "", "{", r#"{"alg":"RS256"}x"#] {
            check_header(header, &Err("the header is not usable JSON"));
        }
    }

    #[test]
    fn the_three_parts_are_strict() {
        let header = encode(r#"{"alg":"RS256"}"#);
        let check = |token: String, reason: &str| {
            assert_eq!(Compact::parse(&token).map(|_| ()), Err(reason), "{token}");
        };
        for token in ["", "a", "a.b", "a.b.c.d", "a.b.c.d.e"] {
            check(token.to_owned(), "the token is not in three parts");
        }
        check(format!("{header}.e30."), "the token is not signed");
        check(format!("{header}.e30.AAA="), "the signature is not base64url");
        check(format!("{header}.e30.AAB"), "the signature is not base64url");
        check(format!("{header}.e30.A+/A"), "the signature is not base64url");
        check(format!("{header}.e30.AA A"), "the signature is not base64url");
        check(format!("{header}=.e30.AAAA"), "the header is not base64url");
        check(format!("{header}.e30=.AAAA"), "the payload is not base64url");
        check(format!("{header}.e31.AAAA"), "the payload is not base64url");
        let long = "A".repeat(MAXIMUM_LENGTH);
        check(format!("{header}.{long}.AAAA"), "the token is too long");
        let room = MAXIMUM_LENGTH - format!("{header}..AAAA").len();
        let of_length = |length| format!("{header}.{}.AAAA", "A".repeat(length));
        assert_ne!(Compact::parse(&of_length(room)).map(|_| ()), Err("the token is too long"));
        check(of_length(room + 1), "the token is too long");
        assert_eq!(Compact::parse(&format!("{header}.e30.AAAA")).unwrap().payload, b"{}");
    }

    #[test]
    fn types_are_compared_without_case_and_prefix() {
        #[track_caller]
        fn check(typ: Option<&str>, accepted: &[&str], expected: bool) {
            let header = JoseHeader { alg: Alg::Rs256, kid: None, typ: typ.map(str::to_owned) };
            let accepted: Vec<String> = accepted.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(header.type_is_one_of(&accepted), expected, "{typ:?} of {accepted:?}");
        }
        for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt", "jwt", "JWT"] {
            check(Some(typ), &["at+jwt", "JWT"], true);
        }
        check(Some("at+jwt"), &["application/AT+JWT"], true);
        check(None, &["at+jwt", "JWT"], true);
        check(None, &["at+jwt"], false);
        for typ in ["", "logout+jwt", "dpop+jwt", "text/jwt", "application/x/jwt", " JWT", "jwts"] {
            check(Some(typ), &["at+jwt", "JWT"], false);
        }
        check(Some("portcullis-identity+jwt"), &["portcullis-identity+jwt"], false);
        check(Some("application/Portcullis-Identity+JWT"), &["Portcullis-Identity+JWT"], false);
    }
}
