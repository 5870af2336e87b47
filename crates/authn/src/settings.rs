//! What the file says of an issuer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::Alg;

/// The settings of one issuer of JWTs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerSettings {
    /// Its name in the file.
    pub name: Arc<str>,
    /// What `iss` must be, byte for byte.
    pub issuer: Arc<str>,
    /// Audiences of which the token must name one.
    pub audience: Vec<String>,
    /// The claim that names the audience.
    pub audience_claim: String,
    /// Algorithms a token may be signed with.
    pub algorithms: Vec<Alg>,
    /// Where the keys come from.
    pub keys: KeySource,
    /// When the keys are fetched again.
    pub refresh: Refresh,
    /// CA certificates of the issuer in PEM, instead of those of the system.
    pub trust_pem: Option<Vec<u8>>,
    /// Values of `typ` that are taken, whatever their case; an absent `typ` counts as `JWT`.
    pub token_types: Vec<String>,
    /// How far the issuer's clock may be off.
    pub leeway: Duration,
    /// The longest time from `iat` to `exp`; with it, `iat` is demanded and may not lie ahead.
    /// Without it `iat` may lie ahead.
    pub maximum_lifetime: Option<Duration>,
    /// Claims that must be there and not null, beside issuer, audience and `exp`.
    pub required_claims: Vec<String>,
    /// Where a request carries its token, in this order.
    pub read_from: Vec<ReadFrom>,
    /// Where in the claims the principal is found.
    pub claims: ClaimPaths,
    /// What shows that a token is used by its holder.
    pub proof: Proof,
}

/// What must show that a token is used by the holder it was issued to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// The certificate of the connection (RFC 8705 §3).
    pub certificate: Possession,
    /// A key, by which each request is signed (RFC 9449).
    pub dpop: Possession,
    /// Whether each proof by the key needs a nonce that was given out here.
    pub nonce_required: bool,
}

/// Whether tokens are bound to something that their holder has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Possession {
    /// They are not; one that is bound is refused, since nobody looks whether its holder sent it.
    #[default]
    None,
    /// Those that are bound need it, others do not.
    Optional,
    /// They are; one that is not bound is refused.
    Required,
}

/// Where the keys of an issuer come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The issuer's `OpenID` configuration names the place.
    Discover,
    /// Nowhere: its tokens are opaque.
    None,
    /// A file that holds a key set, read again when it changes.
    File(PathBuf),
    /// The URL of a key set.
    Url(Url),
}

/// When keys are fetched again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// Time between two fetches in the background.
    pub every: Duration,
    /// Time between two fetches that tokens with an unknown key id bring about.
    pub unknown_kid: Duration,
    /// How long keys are used after the last good fetch.
    pub usable_without_issuer: Duration,
}

impl Default for Refresh {
    fn default() -> Self {
        Self {
            every: Duration::from_mins(10),
            unknown_kid: Duration::from_secs(30),
            usable_without_issuer: Duration::from_hours(24),
        }
    }
}

/// A place of a request where a token may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// `Authorization: Bearer` (RFC 6750 §2.1).
    Authorization,
    /// The cookie of this name.
    Cookie(String),
    /// The query parameter of this name (RFC 6750 §2.3).
    Query(String),
}

/// Where in the claims the parts of a principal are; a path is one key per level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPaths {
    /// The subject.
    pub subject: Vec<String>,
    /// The scopes: the first of these paths that is there counts.
    pub scopes: Vec<Vec<String>>,
    /// The roles; none are read without it.
    pub roles: Option<Vec<String>>,
}

impl Default for ClaimPaths {
    fn default() -> Self {
        let path = |key: &str| vec![key.to_owned()];
        Self { subject: path("sub"), scopes: vec![path("scope"), path("scp")], roles: None }
    }
}
