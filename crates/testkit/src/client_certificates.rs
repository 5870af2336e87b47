//! Certificates of clients, the authorities between, and lists of those that were revoked.

use std::time::Duration;

use portcullis_core::Clock;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber,
};

use crate::authority::{CertificateAuthority, Pair};

/// Whom a client's certificate is for.
#[derive(Clone, Debug)]
pub struct Bearer {
    params: CertificateParams,
}

impl Bearer {
    /// Somebody with this common name, good from a minute ago for an hour.
    pub fn new(common_name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("valid parameters");
        params.distinguished_name = DistinguishedName::new();
        if !common_name.is_empty() {
            params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
            params.distinguished_name.push(DnType::CommonName, common_name);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = now() - Duration::from_mins(1);
        params.not_after = now() + Duration::from_hours(1);
        Self { params }
    }

    /// With a URI among its names.
    #[must_use]
    pub fn uri(mut self, uri: &str) -> Self {
        self.params.subject_alt_names.push(SanType::URI(text(uri)));
        self
    }

    /// With a DNS name.
    #[must_use]
    pub fn dns(mut self, name: &str) -> Self {
        self.params.subject_alt_names.push(SanType::DnsName(text(name)));
        self
    }

    /// With a mailbox.
    #[must_use]
    pub fn email(mut self, mailbox: &str) -> Self {
        self.params.subject_alt_names.push(SanType::Rfc822Name(text(mailbox)));
        self
    }

    /// That ends so long from now.
    #[must_use]
    pub fn ends_in(mut self, left: Duration) -> Self {
        self.params.not_after = now() + left;
        self
    }

    /// That ended an hour ago.
    #[must_use]
    pub fn expired(mut self) -> Self {
        self.params.not_before = now() - Duration::from_hours(2);
        self.params.not_after = now() - Duration::from_hours(1);
        self
    }

    /// For servers instead of clients.
    #[must_use]
    pub fn for_servers(mut self) -> Self {
        self.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self
    }
}

/// The time of day, as certificates have it.
fn now() -> time::OffsetDateTime {
    let now = Duration::from_secs(Clock::system().now().unix_seconds());
    rcgen::date_time_ymd(1970, 1, 1) + now
}

fn text(text: &str) -> Ia5String {
    Ia5String::try_from(text).expect("ASCII")
}

impl CertificateAuthority {
    /// One with a name of its own.
    pub fn named(name: &str) -> Self {
        let params = authority(name);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem, chain: String::new() }
    }

    /// A certificate for a client.
    pub fn issue_to(&self, bearer: &Bearer) -> Pair {
        self.sign(&bearer.params)
    }

    /// An authority below this one, sent along with what it signs.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        let params = authority(name);
        let key = KeyPair::generate().expect("a key");
        let pem = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        let chain = format!("{pem}{}", self.chain);
        Self { issuer: Issuer::new(params, key), pem, chain }
    }

    /// A list (PEM) of what it revoked, that holds for `left` from now.
    pub fn revocations(&self, revoked: &[&Pair], left: Duration) -> String {
        let now = now();
        let one = |pair: &&Pair| RevokedCertParams {
            serial_number: SerialNumber::from(serial(pair)),
            revocation_time: now - Duration::from_mins(1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: now - Duration::from_mins(1),
            next_update: now + left,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(one).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).expect("a list").pem().expect("PEM")
    }
}

/// The number by which a certificate is revoked, out of its DER.
fn serial(pair: &Pair) -> Vec<u8> {
    let leaf = &pair.chain()[0];
    // Two headers of sequences longer than 255 bytes, version 3, then the number.
    let (version, rest) = leaf[8..].split_at(5);
    assert_eq!(version, [0xa0, 3, 2, 1, 2], "version 3");
    let [2, length, rest @ ..] = rest else { panic!("no serial number") };
    rest[..usize::from(*length)].to_vec()
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("valid parameters");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
