//! `*.tests.yaml` as types: what may stand where.

use std::num::NonZeroU32;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::raw::issuers::TokenPlace;
use crate::read::{Entries, Items};
use crate::units::Size;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    /// The configuration that is tested, beside this file. Default: that of the file's own name.
    pub(super) config: Option<String>,
    /// The cases.
    pub(super) cases: Items<Case>,
}

/// One request, and what is to come of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: Option<String>,
    pub(super) request: Request,
    pub(super) credential: Credential,
    pub(super) repeat: Option<NonZeroU32>,
    pub(super) at_once: bool,
    pub(super) expect: Option<Expect>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Request {
    pub(super) method: Option<String>,
    pub(super) url: Option<String>,
    pub(super) headers: Entries<Values>,
    pub(super) address: Option<String>,
    pub(super) listener: Option<String>,
    pub(super) time: Option<String>,
    pub(super) body: Option<Body>,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "a string, or a list of strings")]
pub(super) enum Values {
    #[serde(rename = "<list>")]
    Many(Items<String>),
    #[serde(rename = "<string>")]
    One(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Body {
    pub(super) length: Option<Size>,
    #[serde(rename = "type")]
    pub(super) media_type: Option<String>,
}

/// What the client has to show. Several may be there: that is a case too.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Credential {
    pub(super) token: Option<Token>,
    pub(super) api_key: Option<ApiKey>,
    pub(super) client_certificate: Option<Certificate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file")]
pub(super) struct Token {
    pub(super) issuer: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) scopes: Items<String>,
    pub(super) roles: Items<String>,
    pub(super) claims: Option<IgnoredAny>,
    pub(super) expired: bool,
    pub(super) wrong_key: bool,
    pub(super) bound_to_certificate: bool,
    pub(super) revoked: bool,
    pub(super) dpop: Option<Dpop>,
    pub(super) introspection: Option<Introspection>,
    #[serde(rename = "in")]
    pub(super) place: Option<TokenPlace>,
}

/// The proof beside a token that is bound to a key.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(
    rename_all = "snake_case",
    expecting = "`good`, `missing`, `other_key`, `other_request`, `old`, `replayed` or `without_nonce`"
)]
pub(super) enum Dpop {
    Good,
    Missing,
    OtherKey,
    OtherRequest,
    Old,
    Replayed,
    WithoutNonce,
}

/// What the server says that is asked about an opaque token.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case", expecting = "`active`, `inactive` or `unavailable`")]
pub(super) enum Introspection {
    Active,
    Inactive,
    Unavailable,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Certificate {
    pub(super) san: Items<String>,
    pub(super) subject: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(
    rename_all = "snake_case",
    expecting = "`allow`, `deny`, `metadata`, `preflight`, `redirect` or {verdict: …, code: …, route: …}"
)]
pub(super) enum Expect {
    Allow,
    Deny,
    Metadata,
    Preflight,
    Redirect,
    #[serde(rename = "<mapping>")]
    More(More),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct More {
    pub(super) verdict: Option<Verdict>,
    pub(super) code: Option<String>,
    pub(super) route: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) rule: Option<IgnoredAny>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(
    rename_all = "snake_case",
    expecting = "`allow`, `deny`, `metadata`, `preflight` or `redirect`"
)]
pub(super) enum Verdict {
    Allow,
    Deny,
    Metadata,
    Preflight,
    Redirect,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ApiKey {
    pub(super) owner: Option<String>,
    pub(super) scopes: Items<String>,
    pub(super) wrong: bool,
    pub(super) expired: bool,
    pub(super) revoked: bool,
}
