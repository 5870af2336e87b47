//! From the raw types to cases, with every mistake noted at its place.

use portcullis_authn::ReadFrom;
use portcullis_core::{AlternativeName, Denial, Fault, Timestamp};
use std::collections::HashSet;

use super::raw::{self, Values};
use super::values::{members, place};
use super::{ApiKeyCase, Case, CertificateCase, DpopCase, Expect, IntrospectionCase, TokenCase};
use crate::at::At;
use crate::problem::{Problem, Problems};
use crate::raw::issuers::TokenPlace;
use crate::report::Source;
use crate::yaml::tree::Node;

/// The most requests of one case.
const MOST: u32 = 10_000;

pub(super) fn compile(
    file: raw::File,
    source: &Source,
    tree: &Node,
    problems: &mut Problems,
) -> Vec<Case> {
    let root = At::root().key("cases");
    if file.cases.is_empty() && problems.is_empty() {
        problems.push(Problem::new(root.clone(), "there are no cases"));
    }
    let mut names = HashSet::new();
    let mut cases = Vec::new();
    for (at, raw) in file.cases.into_at(&root) {
        if let Some(name) = &raw.name
            && !names.insert(name.clone())
        {
            let message = format!("there is another case `{name}`");
            problems.push(Problem::new(at.key("name"), message));
        }
        let line = source.line(tree, &at);
        cases.extend(case(raw, &at, line, tree, problems));
    }
    cases
}

fn case(raw: raw::Case, at: &At, line: u32, tree: &Node, problems: &mut Problems) -> Option<Case> {
    let raw::Case { name, request, credential, repeat, at_once, expect } = raw;
    let name = problems.required(at, "name", name);
    let expect = problems.required(at, "expect", expect);
    let expect =
        expect.and_then(|expect| compile_expect(expect, &at.key("expect"), tree, problems));
    let repeat = repeat.map_or(1, std::num::NonZero::get);
    if repeat > MOST {
        let problem = Problem::new(at.key("repeat"), format!("found {repeat}"));
        problems.push(problem.expected(format!("a whole number from 1 to {MOST}")));
    }
    let request_at = at.key("request");
    let url = problems.required(&request_at, "url", request.url);
    let address = parsed(request.address, &request_at.key("address"), "an IP address", problems);
    let time = request.time.and_then(|text| {
        let time = Timestamp::parse_rfc3339(&text);
        if time.is_none() {
            let problem = Problem::new(request_at.key("time"), format!("`{text}` is no time"));
            problems.push(problem.expected("a time as in RFC 3339: 2026-11-25T12:00:00Z"));
        }
        time
    });
    let mut headers = fields(request.headers, &request_at.key("headers"));
    if let Some(raw::Body { length, media_type }) = request.body {
        headers.extend(length.map(|size| ("content-length".to_owned(), size.bytes().to_string())));
        headers.extend(media_type.map(|kind| ("content-type".to_owned(), kind)));
    }
    let credential_at = at.key("credential");
    let token = credential.token;
    let token = token.and_then(|t| compile_token(t, &credential_at.key("token"), tree, problems));
    let certificate = credential.client_certificate;
    let certificate = certificate
        .map(|c| compile_certificate(c, &credential_at.key("client_certificate"), problems));
    Some(Case {
        name: name?,
        line,
        method: request.method.unwrap_or_else(|| "GET".to_owned()),
        url: url?,
        headers,
        address,
        listener: request.listener,
        time,
        token,
        api_key: credential.api_key.map(compile_api_key),
        certificate,
        repeat,
        at_once,
        expect: expect?,
        at: at.clone(),
    })
}

fn parsed<T: std::str::FromStr>(
    text: Option<String>,
    at: &At,
    expected: &str,
    problems: &mut Problems,
) -> Option<T> {
    let text = text?;
    let value = text.parse().ok();
    if value.is_none() {
        let problem = Problem::new(at.clone(), format!("found `{text}`"));
        problems.push(problem.expected(expected));
    }
    value
}

fn fields(raw: crate::read::Entries<Values>, at: &At) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for (_, name, values) in raw.into_at(at) {
        match values {
            Values::One(value) => fields.push((name, value)),
            Values::Many(values) => {
                fields.extend(values.iter().map(|value| (name.clone(), value.clone())));
            }
        }
    }
    fields
}

fn compile_token(
    raw: raw::Token,
    at: &At,
    tree: &Node,
    problems: &mut Problems,
) -> Option<TokenCase> {
    let claims = members(tree, &at.key("claims"), problems);
    let issuer = problems.required(at, "issuer", raw.issuer);
    let place = raw.place.map(|place| match place {
        TokenPlace::Authorization => ReadFrom::Authorization,
        TokenPlace::Cookie(name) => ReadFrom::Cookie(name),
        TokenPlace::Query(name) => ReadFrom::Query(name),
    });
    Some(TokenCase {
        issuer: issuer?,
        subject: raw.subject.unwrap_or_else(|| "tester".to_owned()),
        audience: raw.audience,
        scopes: raw.scopes.into_vec(),
        roles: raw.roles.into_vec(),
        claims,
        expired: raw.expired,
        wrong_key: raw.wrong_key,
        bound_to_certificate: raw.bound_to_certificate,
        revoked: raw.revoked,
        dpop: raw.dpop.map(DpopCase::from),
        introspection: raw.introspection.map(IntrospectionCase::from).unwrap_or_default(),
        place,
    })
}

impl From<raw::Dpop> for DpopCase {
    fn from(raw: raw::Dpop) -> Self {
        match raw {
            raw::Dpop::Good => Self::Good,
            raw::Dpop::Missing => Self::Missing,
            raw::Dpop::OtherKey => Self::OtherKey,
            raw::Dpop::OtherRequest => Self::OtherRequest,
            raw::Dpop::Old => Self::Old,
            raw::Dpop::Replayed => Self::Replayed,
            raw::Dpop::WithoutNonce => Self::WithoutNonce,
        }
    }
}

impl From<raw::Introspection> for IntrospectionCase {
    fn from(raw: raw::Introspection) -> Self {
        match raw {
            raw::Introspection::Active => Self::Active,
            raw::Introspection::Inactive => Self::Inactive,
            raw::Introspection::Unavailable => Self::Unavailable,
        }
    }
}

fn compile_api_key(raw: raw::ApiKey) -> ApiKeyCase {
    let raw::ApiKey { owner, scopes, wrong, expired, revoked } = raw;
    let owner = owner.unwrap_or_else(|| "tester".to_owned());
    ApiKeyCase { owner, scopes: scopes.into_vec(), wrong, expired, revoked }
}

fn compile_certificate(raw: raw::Certificate, at: &At, problems: &mut Problems) -> CertificateCase {
    let mut names = Vec::new();
    for (at, text) in raw.san.into_at(&at.key("san")) {
        if let Some(name) = AlternativeName::parse(&text) {
            names.push(name);
            continue;
        }
        let problem = Problem::new(at, format!("`{text}` is no name of a certificate"));
        problems.push(problem.expected("a DNS name, a URI, a mailbox or an address"));
    }
    CertificateCase { names, subject: raw.subject.unwrap_or_default() }
}

fn compile_expect(
    raw: raw::Expect,
    at: &At,
    tree: &Node,
    problems: &mut Problems,
) -> Option<Expect> {
    let word = |verdict: raw::Verdict| match verdict {
        raw::Verdict::Allow => "allow",
        raw::Verdict::Deny => "deny",
        raw::Verdict::Metadata => "metadata",
        raw::Verdict::Preflight => "preflight",
        raw::Verdict::Redirect => "redirect",
    };
    let plain = |verdict: raw::Verdict| Expect {
        verdict: word(verdict),
        code: None,
        route: None,
        reason: None,
        rule: None,
    };
    let more = match raw {
        raw::Expect::Allow => return Some(plain(raw::Verdict::Allow)),
        raw::Expect::Deny => return Some(plain(raw::Verdict::Deny)),
        raw::Expect::Metadata => return Some(plain(raw::Verdict::Metadata)),
        raw::Expect::Preflight => return Some(plain(raw::Verdict::Preflight)),
        raw::Expect::Redirect => return Some(plain(raw::Verdict::Redirect)),
        raw::Expect::More(more) => more,
    };
    let raw::More { verdict, code, route, reason, rule } = more;
    let rule = rule.and_then(|_| place(tree, &at.key("rule"), problems));
    let of_refusal = code.is_some() || reason.is_some() || rule.is_some();
    let verdict = match (verdict, of_refusal) {
        (Some(raw::Verdict::Deny), _) | (None, true) => Some("deny"),
        (Some(verdict), false) => Some(word(verdict)),
        (Some(_), true) => {
            let message = "only a `deny` has a code, a reason or a rule";
            problems.push(Problem::new(at.key("verdict"), message));
            None
        }
        (None, false) => problems.required(at, "verdict", None),
    };
    if let Some(code) = &code
        && !codes().contains(&code.as_str())
    {
        let problem = Problem::new(at.key("code"), format!("there is no code `{code}`"));
        problems.push(problem.one_of(code, &codes()));
    }
    Some(Expect { verdict: verdict?, code, route, reason, rule })
}

/// Every code there is.
fn codes() -> Vec<&'static str> {
    let denials = Denial::samples();
    let denials = denials.iter().map(Denial::code);
    let faults = Fault::samples();
    denials.chain(faults.iter().map(Fault::code)).collect()
}
