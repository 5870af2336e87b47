//! What becomes of the fields of an app's answer: header policy, cookies, cross-origin fields.

use http::{HeaderName, HeaderValue, StatusCode, Version, header};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use portcullis_policy::cors::CORS_FIELDS;
use portcullis_policy::headers::is_document;
use portcullis_policy::{CookieRules, Fields, SameSite};

use crate::answer::add_common;
use crate::ctx::{Ctx, Manner};
use crate::request_fields::nominated;

/// Lets the header policy work on pingora's answer.
pub(crate) struct Answer<'a>(pub(crate) &'a mut ResponseHeader);

impl Fields for Answer<'_> {
    fn contains(&self, name: &HeaderName) -> bool {
        self.0.headers.contains_key(name)
    }

    fn insert(&mut self, name: &HeaderName, value: &HeaderValue) {
        // Only a name that is none can fail, and this is one.
        self.0.insert_header(name.clone(), value.clone()).ok();
    }

    fn remove(&mut self, name: &HeaderName) {
        self.0.remove_header(name);
    }
}

/// Applies all of it to the final head of an app's answer.
pub(crate) fn apply(
    session: &Session,
    ctx: &Ctx,
    answer: &mut ResponseHeader,
) -> pingora::Result<()> {
    drop_hop_by_hop(session, ctx, answer);
    apply_policy(session, ctx, answer)
}

/// Applies what the file says, and leaves fields of this hop alone: those of a 101 turn the
/// connection.
pub(crate) fn apply_policy(
    session: &Session,
    ctx: &Ctx,
    answer: &mut ResponseHeader,
) -> pingora::Result<()> {
    let Some(route) = &ctx.route else { return Ok(()) };
    let document = is_document(answer.headers.get(header::CONTENT_TYPE));
    route.response_headers.apply(&mut Answer(answer), document, ctx.https);
    harden_cookies(route.forward.cookies, answer)?;
    if let Some(field) = route.access.key_field() {
        // Caches know of themselves that `Authorization` makes an answer somebody's own (RFC 9111
        // §3.5); of this field they must be told.
        answer.append_header(header::VARY, field.as_str())?;
    }
    if ctx.cors.is_some() {
        for name in CORS_FIELDS {
            answer.remove_header(name);
        }
    }
    add_common(session, ctx, answer)
}

/// Fields that are about the connection to the app (RFC 9110 §7.6.1), and what it nominates as such.
fn drop_hop_by_hop(session: &Session, ctx: &Ctx, answer: &mut ResponseHeader) {
    let upgrade = answer.headers.get(header::UPGRADE).cloned();
    for name in nominated(&answer.headers) {
        answer.remove_header(name.as_str());
    }
    for name in ["connection", "keep-alive", "proxy-connection", "te", "upgrade"] {
        answer.remove_header(name);
    }
    if let Some(upgrade) = upgrade.filter(|_| answer.status == StatusCode::UPGRADE_REQUIRED) {
        // RFC 9110 §15.5.22: a 426 has to say what it asks for.
        answer.insert_header(header::UPGRADE, upgrade).ok();
    }
    if ctx.manner != Manner::Grpc {
        // The fields that it announces do not pass from HTTP/1.1.
        answer.remove_header(&header::TRAILER);
    }
    if session.req_header().version == Version::HTTP_10 {
        // RFC 9112 §6.1: the body ends with the connection instead.
        answer.remove_header(&header::TRANSFER_ENCODING);
    }
}

fn harden_cookies(rules: CookieRules, answer: &mut ResponseHeader) -> pingora::Result<()> {
    if rules == CookieRules::default() || !answer.headers.contains_key(header::SET_COOKIE) {
        return Ok(());
    }
    let cookies: Vec<HeaderValue> =
        answer.headers.get_all(header::SET_COOKIE).iter().cloned().collect();
    answer.remove_header(&header::SET_COOKIE);
    for cookie in cookies {
        let hardened = cookie.to_str().ok().map(|text| harden(rules, text));
        let value = hardened.and_then(|text| HeaderValue::try_from(text).ok()).unwrap_or(cookie);
        answer.append_header(header::SET_COOKIE, value)?;
    }
    Ok(())
}

/// Adds what is missing and tightens `SameSite`; never loosens (RFC 6265bis §4.1.2).
fn harden(rules: CookieRules, cookie: &str) -> String {
    let mut parts: Vec<&str> = cookie.split(';').map(str::trim).collect();
    let has =
        |parts: &[&str], name: &str| parts.iter().skip(1).any(|p| p.eq_ignore_ascii_case(name));
    if rules.secure && !has(&parts, "secure") {
        parts.push("Secure");
    }
    if rules.http_only && !has(&parts, "httponly") {
        parts.push("HttpOnly");
    }
    let mut same_site = String::new();
    if let Some(wanted) = rules.same_site {
        let strictest = parts.iter().skip(1).filter_map(|part| said_same_site(part)).max();
        let value = strictest.map_or(wanted, |said| said.max(wanted));
        let is_other = |part: &&str| said_same_site(part).is_none();
        let (first, rest) = parts.split_at(1.min(parts.len()));
        parts = first.iter().chain(rest.iter().filter(|p| is_other(p))).copied().collect();
        same_site = format!("SameSite={}", value.as_str());
    }
    if !same_site.is_empty() {
        parts.push(&same_site);
    }
    parts.join("; ")
}

/// The value of a `SameSite` attribute; anything unknown counts as none said tight.
fn said_same_site(part: &str) -> Option<SameSite> {
    let (name, value) = part.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("samesite") {
        return None;
    }
    let value = value.trim();
    Some(if value.eq_ignore_ascii_case("strict") {
        SameSite::Strict
    } else if value.eq_ignore_ascii_case("lax") {
        SameSite::Lax
    } else {
        SameSite::None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: CookieRules =
        CookieRules { secure: true, http_only: true, same_site: Some(SameSite::Lax) };

    #[track_caller]
    fn check(cookie: &str, expected: &str) {
        assert_eq!(harden(ALL, cookie), expected);
    }

    #[test]
    fn cookies_are_hardened_and_never_loosened() {
        check("a=1", "a=1; Secure; HttpOnly; SameSite=Lax");
        check("a=1; Path=/; secure", "a=1; Path=/; secure; HttpOnly; SameSite=Lax");
        check("a=1; SameSite=Strict", "a=1; Secure; HttpOnly; SameSite=Strict");
        check("a=1; samesite=none; Secure", "a=1; Secure; HttpOnly; SameSite=Lax");
        check("a=1; SameSite=odd", "a=1; Secure; HttpOnly; SameSite=Lax");
        check("secure=1", "secure=1; Secure; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn only_what_is_asked_for_is_added() {
        let secure = CookieRules { secure: true, http_only: false, same_site: None };
        assert_eq!(harden(secure, "a=1; SameSite=None"), "a=1; SameSite=None; Secure");
    }
}
