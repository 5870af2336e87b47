//! Certificates of clients in memory: hostile ones, and sessions that carry one on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::{AlternativeName, Clock, Timestamp};
use proptest::prelude::*;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, HandshakeKind};
use tempfile::TempDir;

use crate::acceptor_tests::{TLS12, TLS13, client_of, shake};
use crate::{
    CertificateSources, CertificateStore, ClientMode, ClientTerms, ClientTrusts, HandshakePolicy,
    Minimum, Protocol, TlsAcceptor, TlsPlan, provider, read_client_certificate,
};

const NOW: u64 = 1_700_000_000;
const DAY: u64 = 86_400;

fn date(at: u64) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(i64::try_from(at).unwrap()).unwrap()
}

struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date(NOW - DAY);
        params.not_after = date(NOW + 10 * DAY);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    /// A certificate that ends a day from now, and its key.
    fn issue(&self, serial: u64) -> (CertificateDer<'static>, KeyPair) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "me");
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = date(NOW - DAY);
        params.not_after = date(NOW + DAY);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().der().clone(), key)
    }

    fn revoke(&self, serials: &[u64], seconds: u64) -> String {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date(NOW),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date(NOW - DAY),
            next_update: date(NOW + seconds),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

struct Fixture {
    folder: TempDir,
    clock: Clock,
    trusts: ClientTrusts,
    terms: ClientTerms,
}

impl Fixture {
    fn new(authority: &Authority, mode: ClientMode, crl: Option<&str>) -> Self {
        let folder = TempDir::new().unwrap();
        let clock = Clock::manual(Timestamp::from_unix_seconds(NOW));
        let path = |name: &str| -> PathBuf { folder.path().join(name) };
        std::fs::write(path("ca.pem"), &authority.1).unwrap();
        let mut crls = Vec::new();
        if let Some(crl) = crl {
            std::fs::write(path("crl.pem"), crl).unwrap();
            crls.push(path("crl.pem"));
        }
        let terms = ClientTerms { mode, trust: path("ca.pem"), crls };
        let trusts = ClientTrusts::open([&terms], None, &clock).unwrap();
        Self { folder, clock, trusts, terms }
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.folder.path().join(name), content).unwrap();
    }

    fn acceptor(&self) -> TlsAcceptor {
        let sources = CertificateSources {
            self_signed: vec!["a.test".to_owned()],
            ..CertificateSources::default()
        };
        TlsAcceptor::new(TlsPlan {
            certificates: CertificateStore::open(&sources, None, self.clock.clone()).unwrap(),
            policy: HandshakePolicy { minimum: Minimum::Tls12, clients: Some(self.terms.clone()) },
            by_name: Vec::new(),
            trusts: self.trusts.clone(),
            without_sni: None,
            protocols: vec![Protocol::Http11],
        })
        .unwrap()
    }
}

fn client(
    versions: &[&'static rustls::SupportedProtocolVersion],
    shown: Option<(CertificateDer<'static>, &KeyPair)>,
) -> ClientConfig {
    let schemes = [rustls::SignatureScheme::ECDSA_NISTP256_SHA256];
    let mut config = client_of(versions, &[], &schemes, provider());
    if let Some((leaf, key)) = shown {
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let signer = provider().key_provider.load_private_key(key).unwrap();
        let key = rustls::sign::CertifiedKey::new(vec![leaf], signer);
        config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(key));
    }
    config
}

fn kind(acceptor: &TlsAcceptor, config: &ClientConfig) -> Result<HandshakeKind, String> {
    let (_, server) = shake(acceptor, config.clone(), "a.test")?;
    if config.client_auth_cert_resolver.has_certs() {
        assert_eq!(server.peer_certificates().map(<[_]>::len), Some(1));
    }
    Ok(server.handshake_kind().unwrap())
}

#[test]
fn a_session_without_a_certificate_goes_on_only_where_none_is_needed() {
    // As rustls writes a session: no server name, version, suite, a secret, no certificate.
    let session = [0, 3, 4, 0x13, 1, 2, 7, 7, 1, 0, 0];
    for (mode, goes_on) in [(ClientMode::Optional, true), (ClientMode::Required, false)] {
        let fixture = Fixture::new(&Authority::new("ca"), mode, None);
        let tickets = fixture.trusts.find(&fixture.terms).unwrap().current().tickets();
        let ticket = tickets.encrypt(&session).unwrap();
        assert_eq!(tickets.decrypt(&ticket).is_some(), goes_on, "{mode:?}");
    }
}

#[test]
fn sessions_resume_while_their_certificate_is_good() {
    for versions in [TLS12, TLS13] {
        let authority = Authority::new("ca");
        let fixture = Fixture::new(&authority, ClientMode::Required, None);
        let acceptor = fixture.acceptor();
        let (leaf, key) = authority.issue(1);
        let config = client(versions, Some((leaf, &key)));
        assert_eq!(kind(&acceptor, &config), Ok(HandshakeKind::Full));
        assert_eq!(kind(&acceptor, &config), Ok(HandshakeKind::Resumed));
        // Keys of tickets go on: what ends the session is the end of the certificate.
        fixture.clock.advance(Duration::from_secs(DAY - 60));
        kind(&acceptor, &config).unwrap();
        assert_eq!(kind(&acceptor, &config), Ok(HandshakeKind::Resumed));
        fixture.clock.advance(Duration::from_mins(2));
        let error = kind(&acceptor, &config).unwrap_err();
        assert!(error.contains("certificate expired"), "{error}");
    }
}

#[test]
fn a_session_does_not_outlive_what_its_certificate_was_believed_for() {
    for versions in [TLS12, TLS13] {
        let authority = Authority::new("ca");
        let fixture =
            Fixture::new(&authority, ClientMode::Required, Some(&authority.revoke(&[], 5 * DAY)));
        let acceptor = fixture.acceptor();
        let (leaf, key) = authority.issue(7);
        let config = client(versions, Some((leaf, &key)));
        assert_eq!(kind(&acceptor, &config), Ok(HandshakeKind::Full));
        assert_eq!(kind(&acceptor, &config), Ok(HandshakeKind::Resumed));
        // Another list, though it revokes somebody else: new keys, a full handshake.
        fixture.write("crl.pem", &authority.revoke(&[8], 5 * DAY));
        assert_eq!(fixture.trusts.reload().replaced.len(), 1);
        assert_eq!(kind(&acceptor, &config), Ok(HandshakeKind::Full));
        fixture.write("crl.pem", &authority.revoke(&[7], 5 * DAY));
        assert_eq!(fixture.trusts.reload().replaced.len(), 1);
        let error = kind(&acceptor, &config).unwrap_err();
        assert!(error.contains("Revoked"), "{error}");
        fixture.write("crl.pem", &authority.revoke(&[], 5 * DAY));
        fixture.write("ca.pem", &Authority::new("other").1);
        assert_eq!(fixture.trusts.reload().replaced.len(), 1);
        let error = kind(&acceptor, &config).unwrap_err();
        assert!(error.contains("UnknownIssuer"), "{error}");
    }
}

#[test]
fn sessions_of_one_policy_are_not_those_of_another() {
    let authority = Authority::new("ca");
    let optional = Fixture::new(&authority, ClientMode::Optional, None);
    let required = Fixture::new(&authority, ClientMode::Required, None);
    for versions in [TLS12, TLS13] {
        let nobody = client(versions, None);
        assert_eq!(kind(&optional.acceptor(), &nobody), Ok(HandshakeKind::Full));
        assert_eq!(kind(&optional.acceptor(), &nobody), Ok(HandshakeKind::Resumed));
        let error = kind(&required.acceptor(), &nobody).unwrap_err();
        assert!(error.contains("no certificates"), "{error}");
        let (leaf, key) = authority.issue(1);
        let somebody = client(versions, Some((leaf, &key)));
        assert_eq!(kind(&optional.acceptor(), &somebody), Ok(HandshakeKind::Full));
        assert_eq!(kind(&required.acceptor(), &somebody), Ok(HandshakeKind::Full));
    }
}

#[test]
fn a_certificate_of_a_connection_is_judged_again() {
    let authority = Authority::new("ca");
    let fixture =
        Fixture::new(&authority, ClientMode::Required, Some(&authority.revoke(&[], 5 * DAY)));
    let trust = fixture.trusts.find(&fixture.terms).unwrap();
    let (leaf, _) = authority.issue(7);
    let shown = trust.shown(std::slice::from_ref(&leaf)).unwrap();
    assert_eq!(shown.judge(), Ok(()));
    fixture.write("crl.pem", &authority.revoke(&[7], 5 * DAY));
    assert_eq!(shown.judge(), Ok(()), "nobody read it yet");
    fixture.trusts.reload();
    assert!(shown.judge().unwrap_err().contains("Revoked"));
    // A bad replacement changes nothing.
    fixture.write("crl.pem", "nonsense");
    fixture.trusts.reload();
    assert!(shown.judge().unwrap_err().contains("Revoked"));
    fixture.write("crl.pem", &authority.revoke(&[], 5 * DAY));
    fixture.trusts.reload();
    assert_eq!(shown.judge(), Ok(()));
    // The certificate's own end is seen at once, that of a list soon after.
    fixture.clock.advance(Duration::from_secs(DAY + 1));
    assert_eq!(shown.judge(), Err("it has expired".into()));
    // Who is retired vouches for nobody.
    let fixture = Fixture::new(&authority, ClientMode::Required, None);
    let trust = fixture.trusts.find(&fixture.terms).unwrap();
    let shown = trust.shown(&[leaf]).unwrap();
    fixture.trusts.retire(&fixture.trusts);
    assert_eq!(shown.judge(), Ok(()));
    fixture.trusts.retire(&ClientTrusts::default());
    assert!(shown.judge().is_err());
}

#[test]
fn a_list_that_ends_meanwhile_lets_nobody_in() {
    let authority = Authority::new("ca");
    let list = authority.revoke(&[], 5);
    let fixture = Fixture::new(&authority, ClientMode::Required, Some(&list));
    let trust = fixture.trusts.find(&fixture.terms).unwrap();
    let (leaf, _) = authority.issue(7);
    let shown = trust.shown(std::slice::from_ref(&leaf)).unwrap();
    assert_eq!(shown.judge(), Ok(()));
    fixture.clock.advance(Duration::from_secs(11));
    assert!(shown.judge().unwrap_err().contains("revocation list expired"));
    assert!(trust.verify(&[leaf]).unwrap_err().contains("revocation list expired"));
    // Read again it is refused; what was read before is told with its end.
    assert_eq!(fixture.trusts.reload().failed.len(), 1);
    let status = &fixture.trusts.status()[0];
    assert!(status.last_error.as_ref().is_some_and(|error| error.contains("ended")), "{status:?}");
    assert_eq!(status.next_update, Some(Timestamp::from_unix_seconds(NOW + 5)));
}

#[track_caller]
fn not_taken(fixture: &Fixture, name: &str, content: &str, part: &str) {
    fixture.write(name, content);
    let report = fixture.trusts.reload();
    assert!(report.replaced.is_empty(), "it was taken");
    let error = fixture.trusts.status()[0].last_error.clone().expect("it was taken");
    assert!(error.contains(part), "{error}");
    assert!(fixture.trusts.reload().failed.is_empty(), "it is told once");
}

#[test]
fn bad_files_are_refused() {
    let authority = Authority::new("ca");
    let fixture =
        Fixture::new(&authority, ClientMode::Required, Some(&authority.revoke(&[], 5 * DAY)));
    not_taken(&fixture, "ca.pem", "", "no certificate");
    not_taken(
        &fixture,
        "ca.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "not a usable",
    );
    not_taken(&fixture, "ca.pem", &authority.1[..authority.1.len() / 2], "not a usable");
    fixture.write("ca.pem", &authority.1);
    not_taken(&fixture, "crl.pem", "", "revocation list");
    not_taken(&fixture, "crl.pem", &authority.1, "revocation list");
    fixture.write("crl.pem", &authority.revoke(&[], 5 * DAY));
    assert!(fixture.trusts.reload().failed.is_empty());
    fixture.clock.advance(Duration::from_secs(11 * DAY));
    not_taken(&fixture, "crl.pem", &authority.revoke(&[], 50 * DAY), "expired");
}

/// A certificate whose names are anything at all.
fn odd(names: Vec<SanType>, subject: &str) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
}

fn uri(text: &str) -> SanType {
    SanType::URI(Ia5String::try_from(text).unwrap())
}

#[test]
fn names_are_read_each_once_and_odd_ones_refused() {
    let good = odd(vec![uri("spiffe://x/a"), uri("spiffe://x/a"), uri("urn:b")], "a");
    let read = read_client_certificate(&good, &[]).unwrap();
    let name = |text: &str| AlternativeName::parse(text).unwrap();
    assert_eq!(read.names, [name("spiffe://x/a"), name("urn:b")]);
    for text in ["spiffe://x/a\0", "spiffe://x/a b", "\n", ""] {
        assert!(read_client_certificate(&odd(vec![uri(text)], "a"), &[]).is_err(), "{text:?}");
    }
    let many = (0..300).map(|n| uri(&format!("urn:{n}"))).collect();
    assert!(read_client_certificate(&odd(many, "a"), &[]).is_err());
    let huge = odd(vec![uri(&format!("urn:{}", "x".repeat(17_000)))], "a");
    assert!(read_client_certificate(&huge, &[]).is_err());
    let nine = vec![good.clone(); 9];
    assert!(read_client_certificate(&good, &nine).is_err());
}

#[test]
fn subjects_are_written_so_that_no_part_looks_like_another() {
    #[track_caller]
    fn check(subject: &str, expected: &str) {
        let read = read_client_certificate(&odd(Vec::new(), subject), &[]).unwrap();
        assert_eq!(read.subject, expected);
    }
    check("a", "CN=a");
    check("a,O=admin", "CN=a\\,O=admin");
    check("a+b\"c\\d<e>f;g", "CN=a\\+b\\\"c\\\\d\\<e\\>f\\;g");
    check("#1 ", "CN=\\#1\\ ");
    check(" x", "CN=\\ x");
    check("a\0b\r\nc", "CN=a\\00b\\0D\\0Ac");
    check("é=1", "CN=é=1");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(at in 0usize..2000, with in any::<u8>(), cut in 0usize..2000, any in proptest::collection::vec(any::<u8>(), 0..200)) {
        static GOOD: std::sync::OnceLock<CertificateDer<'static>> = std::sync::OnceLock::new();
        let good = GOOD.get_or_init(|| odd(vec![uri("spiffe://x/a"), SanType::IpAddress([10, 0, 0, 1].into())], "a"));
        let mut bytes = good.to_vec();
        let length = bytes.len();
        bytes[at % length] = with;
        read_client_certificate(&bytes.clone().into(), &[]).ok();
        bytes.truncate(cut % length);
        prop_assert!(read_client_certificate(&bytes.into(), &[]).is_err());
        prop_assert!(read_client_certificate(&any.into(), &[]).is_err());
    }
}
