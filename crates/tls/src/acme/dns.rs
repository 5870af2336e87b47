//! `dns-01`: what is put into the DNS, and by what means.

use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::Clock;

use super::{Challenge, ChallengeType, DnsExec, Rfc2136, Rfc2136Settings, SolveError, Solver};

/// How a TXT record comes into the DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsMeans {
    /// A program does it.
    Exec(PathBuf),
    /// The server of the zone is told to.
    Rfc2136(Rfc2136Settings),
}

impl DnsMeans {
    /// Answers `dns-01` by these means.
    pub fn solver(&self, clock: &Clock) -> Arc<dyn Solver> {
        match self {
            Self::Exec(program) => Arc::new(DnsExec::new(program.clone())),
            Self::Rfc2136(settings) => Arc::new(Rfc2136::new(settings.clone(), clock.clone())),
        }
    }
}

/// A TXT record that answers a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TxtRecord {
    /// `_acme-challenge.` and the name, without a dot at the end.
    pub(super) name: String,
    /// SHA-256 of the key authorization, in base64url.
    pub(super) value: String,
}

impl TxtRecord {
    /// The record for `challenge` (RFC 8555 §8.4).
    pub(super) fn answering(challenge: &Challenge) -> Result<Self, SolveError> {
        if challenge.kind != ChallengeType::Dns01 {
            return Err(challenge.unsolved("the DNS does not answer this kind of challenge"));
        }
        let digest = digest(&SHA256, challenge.key_authorization.expose());
        let value = URL_SAFE_NO_PAD.encode(digest);
        Ok(Self { name: format!("_acme-challenge.{}", challenge.name), value })
    }
}

#[cfg(test)]
mod tests {
    use portcullis_core::Secret;

    use super::*;

    fn challenge(kind: ChallengeType) -> Challenge {
        Challenge {
            kind,
            name: "a.test".to_owned(),
            token: "token".to_owned(),
            key_authorization: Secret::new("token.thumbprint"),
        }
    }

    #[test]
    fn the_record_is_that_of_the_rfc() {
        let record = TxtRecord::answering(&challenge(ChallengeType::Dns01)).unwrap();
        assert_eq!(record.name, "_acme-challenge.a.test");
        // printf token.thumbprint | openssl sha256 -binary | basenc --base64url
        assert_eq!(record.value, "61rBZ_4knHblO0MNoxFsXZ_eTFUHum0B6IVRbhvUn5I");
        for other in [ChallengeType::Http01, ChallengeType::TlsAlpn01] {
            assert!(TxtRecord::answering(&challenge(other)).is_err());
        }
    }
}
