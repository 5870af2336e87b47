//! Why a request is not served: a client was refused (4xx) or we or the upstream failed (5xx).
//!
//! Each variant has one stable code. Text for the log stays in the variant and never reaches the
//! client; what the client gets is made in [`crate::problem`].

use std::borrow::Cow;
use std::time::Duration;

use http::Method;

use crate::Challenge;

/// A client was refused. `reason` fields are for the log alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Two explicit credentials in one request (RFC 6750 §2).
    AmbiguousCredentials,
    /// The body is larger than the route allows.
    BodyTooLarge {
        /// The route's limit in bytes.
        maximum: u64,
    },
    /// The certificate of the connection is good no more. On a new one the client may show another.
    CertificateInvalid {
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
    /// The client showed no certificate where one is needed.
    CertificateMissing,
    /// The client's certificate has none of the names that may come here.
    CertificateNotAllowed,
    /// The client's address may not come here.
    ClientNotAllowed,
    /// As many requests at once as a limit allows are being served.
    ConcurrencyLimited {
        /// Name of the limit.
        limit: String,
    },
    /// The credential was verified but may not do this: a role is missing.
    RoleMissing {
        /// Roles of which one is asked for.
        wanted: Vec<String>,
    },
    /// The credential was verified but may not do this: scopes are missing.
    ScopeMissing {
        /// The challenge to answer with.
        challenge: Box<Challenge>,
    },
    /// A credential was sent and is not good.
    CredentialInvalid {
        /// The challenge to answer with.
        challenge: Box<Challenge>,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
    /// No credential was sent where one is needed.
    CredentialMissing {
        /// The challenge to answer with.
        challenge: Box<Challenge>,
    },
    /// `Expect` asks for something else than `100-continue`.
    ExpectationUnknown,
    /// The request head has more bytes or fields than allowed.
    HeadTooLarge,
    /// The host is not on the allow-list, or not one for this connection.
    HostNotAllowed,
    /// The bytes are not a request that this gateway understands.
    Malformed {
        /// What is wrong with them.
        reason: Cow<'static, str>,
    },
    /// The content type is not one the route takes.
    MediaTypeNotAllowed,
    /// The route does not take this method.
    MethodNotAllowed {
        /// Methods it takes, for `Allow`.
        allow: Vec<Method>,
    },
    /// An upgrade with a cookie as its credential came from a page of another origin.
    OriginNotAllowed,
    /// A policy of the route does not let it pass.
    PolicyDenied {
        /// Name of the policy.
        policy: String,
        /// What it said, or why it could not say anything.
        reason: Cow<'static, str>,
    },
    /// A limit is used up.
    RateLimited {
        /// Name of the limit.
        limit: String,
        /// How long to wait; rounded up to whole seconds on the wire.
        retry_after: Duration,
    },
    /// The whole head or body did not arrive in time.
    RequestTimeout,
    /// No route takes this path.
    RouteNotFound,
    /// The request target is longer than allowed.
    TargetTooLong,
    /// It came in cleartext where only https is served, and is not one to send there.
    TlsRequired {
        /// What it has that may not come in cleartext.
        reason: &'static str,
    },
    /// Too many wrong credentials came from this address for this account.
    TooManyFailures {
        /// Name of the limit.
        limit: String,
        /// How long to wait; rounded up to whole seconds on the wire.
        retry_after: Duration,
    },
    /// The transfer coding is not one we know.
    TransferCodingUnknown,
}

impl Denial {
    /// The status it is answered with.
    pub const fn status(&self) -> u16 {
        match self {
            Self::AmbiguousCredentials | Self::Malformed { .. } => 400,
            Self::CredentialInvalid { .. } | Self::CredentialMissing { .. } => 401,
            Self::CertificateMissing
            | Self::CertificateNotAllowed
            | Self::ClientNotAllowed
            | Self::OriginNotAllowed
            | Self::PolicyDenied { .. }
            | Self::RoleMissing { .. }
            | Self::ScopeMissing { .. }
            | Self::TlsRequired { .. } => 403,
            Self::RouteNotFound => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::RequestTimeout => 408,
            Self::BodyTooLarge { .. } => 413,
            Self::TargetTooLong => 414,
            Self::MediaTypeNotAllowed => 415,
            Self::ExpectationUnknown => 417,
            Self::CertificateInvalid { .. } | Self::HostNotAllowed => 421,
            Self::ConcurrencyLimited { .. }
            | Self::RateLimited { .. }
            | Self::TooManyFailures { .. } => 429,
            Self::HeadTooLarge => 431,
            Self::TransferCodingUnknown => 501,
        }
    }

    /// Its stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AmbiguousCredentials => "ambiguous-credentials",
            Self::BodyTooLarge { .. } => "body-too-large",
            Self::CertificateInvalid { .. } => "client-certificate-invalid",
            Self::CertificateMissing => "client-certificate-missing",
            Self::CertificateNotAllowed => "client-certificate-not-allowed",
            Self::ClientNotAllowed => "client-not-allowed",
            Self::ConcurrencyLimited { .. } => "concurrency-limited",
            Self::CredentialInvalid { .. } => "credential-invalid",
            Self::CredentialMissing { .. } => "credential-missing",
            Self::ExpectationUnknown => "expectation-unknown",
            Self::HeadTooLarge => "head-too-large",
            Self::HostNotAllowed => "host-not-allowed",
            Self::Malformed { .. } => "malformed-request",
            Self::MediaTypeNotAllowed => "media-type-not-allowed",
            Self::MethodNotAllowed { .. } => "method-not-allowed",
            Self::OriginNotAllowed => "origin-not-allowed",
            Self::PolicyDenied { .. } => "policy-denied",
            Self::RateLimited { .. } => "rate-limited",
            Self::RequestTimeout => "request-timeout",
            Self::RoleMissing { .. } => "role-missing",
            Self::RouteNotFound => "route-not-found",
            Self::ScopeMissing { .. } => "scope-missing",
            Self::TargetTooLong => "target-too-long",
            Self::TlsRequired { .. } => "tls-required",
            Self::TooManyFailures { .. } => "too-many-failures",
            Self::TransferCodingUnknown => "transfer-coding-unknown",
        }
    }

    /// One short sentence for people; names nothing internal.
    pub const fn title(&self) -> &'static str {
        match self {
            Self::AmbiguousCredentials => "More than one credential was sent",
            Self::BodyTooLarge { .. } => "The request body is too large",
            Self::CertificateInvalid { .. } => {
                "The client certificate of this connection is not good any more"
            }
            Self::CertificateMissing => "A client certificate is needed",
            Self::CertificateNotAllowed => "This client certificate may not use this service",
            Self::ClientNotAllowed => "This address may not use this service",
            Self::ConcurrencyLimited { .. } => "Too many requests at the same time",
            Self::CredentialInvalid { .. } => "The credential is not valid",
            Self::CredentialMissing { .. } => "A credential is needed",
            Self::ExpectationUnknown => "This expectation cannot be met",
            Self::HeadTooLarge => "The request head is too large",
            Self::HostNotAllowed => "This host is not served here",
            Self::Malformed { .. } => "The request is malformed",
            Self::MediaTypeNotAllowed => "This content type is not accepted here",
            Self::MethodNotAllowed { .. } => "This method is not accepted here",
            Self::OriginNotAllowed => "Pages of this origin may not connect here",
            Self::PolicyDenied { .. } => "This request is not permitted",
            Self::RateLimited { .. } => "Too many requests",
            Self::RequestTimeout => "The request took too long to arrive",
            Self::RoleMissing { .. } => "The credential lacks a needed role",
            Self::RouteNotFound => "Nothing is served at this path",
            Self::ScopeMissing { .. } => "The credential lacks a needed scope",
            Self::TargetTooLong => "The request target is too long",
            Self::TlsRequired { .. } => "This is served by https alone",
            Self::TooManyFailures { .. } => "Too many wrong credentials",
            Self::TransferCodingUnknown => "This transfer coding is not understood",
        }
    }

    /// What the log says beyond the code; never sent to the client.
    pub fn reason(&self) -> Cow<'_, str> {
        match self {
            Self::CertificateInvalid { reason }
            | Self::CredentialInvalid { reason, .. }
            | Self::Malformed { reason } => Cow::Borrowed(reason),
            Self::TlsRequired { reason } => Cow::Borrowed(reason),
            Self::PolicyDenied { policy, reason } => {
                Cow::Owned(format!("policy {policy}: {reason}"))
            }
            Self::RateLimited { limit, .. } => Cow::Owned(format!("limit {limit} is used up")),
            Self::TooManyFailures { limit, .. } => {
                Cow::Owned(format!("limit {limit}: too many wrong credentials"))
            }
            Self::ConcurrencyLimited { limit } => Cow::Owned(format!("limit {limit} is reached")),
            Self::BodyTooLarge { maximum } => Cow::Owned(format!("more than {maximum} bytes")),
            Self::RoleMissing { wanted } => {
                Cow::Owned(format!("one of the roles {} is needed", wanted.join(", ")))
            }
            Self::ScopeMissing { challenge } => {
                Cow::Owned(format!("scopes {} are needed", challenge.scope))
            }
            Self::AmbiguousCredentials
            | Self::CertificateMissing
            | Self::CertificateNotAllowed
            | Self::ClientNotAllowed
            | Self::CredentialMissing { .. }
            | Self::ExpectationUnknown
            | Self::HeadTooLarge
            | Self::HostNotAllowed
            | Self::MediaTypeNotAllowed
            | Self::MethodNotAllowed { .. }
            | Self::OriginNotAllowed
            | Self::RequestTimeout
            | Self::RouteNotFound
            | Self::TargetTooLong
            | Self::TransferCodingUnknown => Cow::Borrowed(self.title()),
        }
    }

    /// One of each, for the list in `docs/denials.md` and for tests.
    pub fn samples() -> Vec<Self> {
        let challenge = Box::<Challenge>::default();
        vec![
            Self::AmbiguousCredentials,
            Self::BodyTooLarge { maximum: 1 },
            Self::CertificateInvalid { reason: "sample".into() },
            Self::CertificateMissing,
            Self::CertificateNotAllowed,
            Self::ClientNotAllowed,
            Self::ConcurrencyLimited { limit: "sample".into() },
            Self::CredentialInvalid { challenge: challenge.clone(), reason: "sample".into() },
            Self::CredentialMissing { challenge: challenge.clone() },
            Self::ExpectationUnknown,
            Self::HeadTooLarge,
            Self::HostNotAllowed,
            Self::Malformed { reason: "sample".into() },
            Self::MediaTypeNotAllowed,
            Self::MethodNotAllowed { allow: vec![Method::GET] },
            Self::OriginNotAllowed,
            Self::PolicyDenied { policy: "sample".into(), reason: "sample".into() },
            Self::RateLimited { limit: "sample".into(), retry_after: Duration::from_secs(1) },
            Self::RequestTimeout,
            Self::RoleMissing { wanted: vec!["sample".into()] },
            Self::RouteNotFound,
            Self::ScopeMissing { challenge },
            Self::TargetTooLong,
            Self::TlsRequired { reason: "sample" },
            Self::TooManyFailures { limit: "sample".into(), retry_after: Duration::from_secs(1) },
            Self::TransferCodingUnknown,
        ]
    }
}

/// We, an issuer or the upstream failed; the request was not judged bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A defect of ours: a request came to the upstream stage without leave.
    Internal {
        /// What went wrong.
        reason: Cow<'static, str>,
    },
    /// No token of the issuer can be judged: no keys, or no answer of its introspection server.
    IssuerUnavailable {
        /// Name of the issuer in the file.
        issuer: String,
        /// What went wrong.
        reason: Cow<'static, str>,
        /// When the next attempt is due.
        retry_after: Duration,
    },
    /// More connections or requests than the gateway holds.
    Overloaded,
    /// What the gateway must remember cannot be read or kept.
    StateUnavailable {
        /// What went wrong.
        reason: Cow<'static, str>,
    },
    /// The upstream broke off or spoke no HTTP.
    UpstreamFailed {
        /// What went wrong.
        reason: Cow<'static, str>,
    },
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// No endpoint of the upstream takes a connection; not a byte of the request was sent.
    UpstreamUnavailable {
        /// What went wrong.
        reason: Cow<'static, str>,
        /// When another attempt makes sense.
        retry_after: Duration,
    },
}

impl Fault {
    /// The status it is answered with.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Internal { .. } => 500,
            Self::UpstreamFailed { .. } => 502,
            Self::IssuerUnavailable { .. }
            | Self::Overloaded
            | Self::StateUnavailable { .. }
            | Self::UpstreamUnavailable { .. } => 503,
            Self::UpstreamTimeout => 504,
        }
    }

    /// Its stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Internal { .. } => "internal",
            Self::IssuerUnavailable { .. } => "issuer-unavailable",
            Self::Overloaded => "overloaded",
            Self::StateUnavailable { .. } => "state-unavailable",
            Self::UpstreamFailed { .. } => "upstream-failed",
            Self::UpstreamTimeout => "upstream-timeout",
            Self::UpstreamUnavailable { .. } => "upstream-unavailable",
        }
    }

    /// One short sentence for people; names nothing internal.
    pub const fn title(&self) -> &'static str {
        match self {
            Self::Internal { .. } => "The gateway failed",
            Self::IssuerUnavailable { .. } => "Credentials cannot be checked at the moment",
            Self::Overloaded => "The gateway is at its limit",
            Self::StateUnavailable { .. } => "What the gateway remembers cannot be reached",
            Self::UpstreamFailed { .. } => "The service behind the gateway failed",
            Self::UpstreamTimeout => "The service behind the gateway did not answer in time",
            Self::UpstreamUnavailable { .. } => "The service behind the gateway cannot be reached",
        }
    }

    /// What the log says beyond the code; never sent to the client.
    pub fn reason(&self) -> Cow<'_, str> {
        match self {
            Self::Internal { reason }
            | Self::StateUnavailable { reason }
            | Self::UpstreamFailed { reason }
            | Self::UpstreamUnavailable { reason, .. } => Cow::Borrowed(reason),
            Self::IssuerUnavailable { issuer, reason, .. } => {
                Cow::Owned(format!("issuer {issuer}: {reason}"))
            }
            Self::Overloaded | Self::UpstreamTimeout => Cow::Borrowed(self.title()),
        }
    }

    /// One of each, for the list in `docs/denials.md` and for tests.
    pub fn samples() -> Vec<Self> {
        vec![
            Self::Internal { reason: "sample".into() },
            Self::IssuerUnavailable {
                issuer: "sample".into(),
                reason: "sample".into(),
                retry_after: Duration::from_secs(5),
            },
            Self::Overloaded,
            Self::StateUnavailable { reason: "sample".into() },
            Self::UpstreamFailed { reason: "sample".into() },
            Self::UpstreamTimeout,
            Self::UpstreamUnavailable {
                reason: "sample".into(),
                retry_after: Duration::from_secs(1),
            },
        ]
    }
}
