//! What the file says about ACME, and what the process around it gives.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::Secret;

use super::{ChallengeType, DnsMeans, Published, Solver};
use crate::CertificateStore;

/// The directory that is asked where the file names none: that of Let's Encrypt.
pub const DEFAULT_DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// An account elsewhere that the ACME account is bound to (RFC 8555 §7.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAccount {
    /// The authority's name for the key.
    pub key_id: String,
    /// The key of the HMAC, decoded.
    pub hmac: Secret,
}

/// Whom certificates are ordered from, and how names are proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeSettings {
    /// URL of the directory (RFC 8555 §7.1.1).
    pub directory: String,
    /// URLs that the authority may write to, such as `mailto:ops@example.com`.
    pub contact: Vec<String>,
    /// How names are proved; wildcards always by `dns-01`.
    pub challenge: ChallengeType,
    /// Bound to the account when it is made.
    pub external_account: Option<ExternalAccount>,
    /// The only roots trusted for the directory, PEM; `None` for those of the system.
    pub trust_pem: Option<Vec<u8>>,
    /// How `dns-01` is answered.
    pub dns: Option<DnsMeans>,
}

impl AcmeSettings {
    /// How `name` is proved.
    pub fn challenge_for(&self, name: &str) -> ChallengeType {
        if name.starts_with("*.") { ChallengeType::Dns01 } else { self.challenge }
    }
}

/// Who presents the answers to challenges.
#[derive(Clone, Debug)]
pub struct Solvers {
    /// `http-01` and `tls-alpn-01`, from our own listeners.
    pub published: Published,
    /// `dns-01`, where the file says how.
    pub dns: Option<Arc<dyn Solver>>,
}

impl Solvers {
    pub(super) fn of(&self, kind: ChallengeType) -> Option<Arc<dyn Solver>> {
        match kind {
            ChallengeType::Dns01 => self.dns.clone(),
            ChallengeType::Http01 | ChallengeType::TlsAlpn01 => {
                Some(Arc::new(self.published.clone()))
            }
        }
    }
}

/// What is to be ordered, and where it goes. A reload brings another.
#[derive(Clone, Debug)]
pub struct AcmePlan {
    /// Whom from.
    pub settings: AcmeSettings,
    /// The names, one certificate each: in lower case, `*.` and a parent is one too.
    pub names: Vec<String>,
    /// Who presents answers.
    pub solvers: Solvers,
    /// Who serves what is issued.
    pub store: CertificateStore,
}

/// What happens to names. For metrics; must not block.
pub trait AcmeEvents: fmt::Debug + Send + Sync {
    /// An order was placed.
    fn ordered(&self, name: &str);
    /// A certificate was issued and is kept.
    fn issued(&self, name: &str);
    /// An attempt failed; another one follows.
    fn failed(&self, name: &str);
    /// No attempt can be made at all, and none be written down; `None`: it can again. What is told
    /// once holds until something else is told.
    fn held_up(&self, name: &str, reason: Option<&str>);
}

/// How fast things go. One set for the product; tests have others.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Names that are worked on at once, of those that did not fail last.
    pub at_once: usize,
    /// And of those that did.
    pub failing_at_once: usize,
    /// How long a lease lasts without its holder.
    pub lease: Duration,
    /// How often the records are looked at while something is missing or due.
    pub busy: Duration,
    /// How often they are looked at else.
    pub idle: Duration,
    /// Between two looks at an order that the authority works on.
    pub step: Duration,
    /// How long the authority is waited for in one attempt.
    pub patience: Duration,
    /// The first wait after a failure; each further one doubles it.
    pub backoff: Duration,
    /// The longest wait after a failure of ours.
    pub longest_backoff: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            at_once: 64,
            failing_at_once: 8,
            lease: Duration::from_secs(10),
            busy: Duration::from_secs(2),
            idle: Duration::from_mins(1),
            step: Duration::from_millis(500),
            patience: Duration::from_secs(90),
            backoff: Duration::from_secs(10),
            longest_backoff: Duration::from_hours(1),
        }
    }
}
