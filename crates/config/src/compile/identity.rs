//! `identity`, and the names of fields that nobody else may use.

use http::HeaderName;
use portcullis_authn::identity::{IdentitySigner, SigningSettings};
use portcullis_core::field_name::folded;

use crate::at::At;
use crate::compile::Context;
use crate::compile::hosts::Hosts;
use crate::problem::{Problem, Problems};
use crate::raw::identity::Identity;
use crate::snapshot::IdentityTerms;
use crate::units::Duration;

/// The longest life of a token that is never revoked.
const LONGEST: Duration = Duration::minutes(60);

/// The field of the signed token, read before the routes, which may not use it for another.
pub(super) fn header(raw: &Identity, problems: &mut Problems) -> HeaderName {
    let at = At::root().key("identity").key("header");
    let fallback = HeaderName::from_static("x-portcullis-identity");
    let Ok(name) = HeaderName::try_from(&raw.header) else {
        let message = format!("`{}` is not the name of a field", raw.header);
        problems.push(Problem::new(at, message));
        return fallback;
    };
    if is_ours(&name) && name != http::header::AUTHORIZATION {
        let message = format!("`{name}` has a meaning of its own");
        problems.push(Problem::new(at, message));
        return fallback;
    }
    name
}

impl Identity {
    /// Compiles the section; `is_used` says whether a route asks for the signed token.
    pub(super) fn compile(
        self,
        header: HeaderName,
        is_used: bool,
        hosts: &Hosts,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<IdentityTerms> {
        let Self { issuer, signing_key, header: _, lifetime } = self;
        let at = At::root().key("identity");
        let derived = || hosts.first_name().map(|name| format!("https://{name}"));
        let issuer = issuer.or_else(derived);
        if is_used && issuer.as_deref().is_none_or(str::is_empty) && hosts.len() > 0 {
            let message = "routes ask for the signed token, but it has no issuer";
            let problem = Problem::new(at.key("issuer"), message);
            problems.push(problem.help("`hosts` has no exact name to make one of: say `issuer`"));
            return None;
        }
        if lifetime.get().as_secs() == 0 || lifetime > LONGEST {
            let problem = Problem::new(at.key("lifetime"), format!("{lifetime} is out of range"));
            problems.push(problem.expected("from 1s to 1h"));
            return None;
        }
        let issuer = issuer.unwrap_or_default();
        let key_at = at.key("signing_key");
        let said = signing_key.is_some();
        let signing_key = signing_key.and_then(|key| key.read(&key_at, context, problems));
        if said && signing_key.is_none() && context.reads_files() {
            return None;
        }
        let lifetime = lifetime.get();
        if let Some(key_pem) = signing_key.clone() {
            let settings = SigningSettings { issuer: issuer.clone(), lifetime, key_pem };
            let clock = context.options.handover.clock.clone();
            if let Err(error) = IdentitySigner::new(settings, clock) {
                let problem = Problem::new(key_at, format!("the key cannot sign: {error}"));
                problems.push(problem.expected("an ES256 (P-256) key in PEM, PKCS#8"));
                return None;
            }
        }
        Some(IdentityTerms { issuer, signing_key, header, lifetime, is_used })
    }
}

/// Fields that carry something else and may not be set to tell who calls.
pub(super) fn is_ours(name: &HeaderName) -> bool {
    const OURS: [&str; 22] = [
        "accept",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "date",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "origin",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-request-id",
    ];
    let name = folded(name);
    OURS.contains(&&*name)
        || name.starts_with("x-forwarded-")
        || name.starts_with("access-control-")
}
