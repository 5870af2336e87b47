//! A certificate authority, and TLS settings for clients and servers of the tests.

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::Clock;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// Whom a client believes.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Anybody: for a certificate that the gateway made for itself.
    Anybody,
    /// What this authority (PEM) signed.
    Authority(String),
}

/// A private certificate authority.
#[derive(Debug)]
pub struct CertificateAuthority {
    pub(crate) issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
    /// What is sent after the certificates it signs: nothing where it is a root.
    pub(crate) chain: String,
}

/// A certificate and its key, both PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The chain.
    pub certificate: String,
    /// The private key (PKCS #8).
    pub key: String,
}

impl Default for CertificateAuthority {
    fn default() -> Self {
        Self::new()
    }
}

impl CertificateAuthority {
    /// A new one.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("valid parameters");
        // A name that no certificate has, or OpenSSL takes those for self-signed.
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem, chain: String::new() }
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// What a client that believes it holds.
    pub fn trust(&self) -> Trust {
        Trust::Authority(self.pem.clone())
    }

    /// A certificate for `names`, signed by it.
    pub fn issue(&self, names: &[&str]) -> Pair {
        self.sign(&Self::params(names))
    }

    /// The same, but it ended long ago.
    pub fn issue_expired(&self, names: &[&str]) -> Pair {
        let mut params = Self::params(names);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        self.sign(&params)
    }

    /// What it makes of a signing request, PEM.
    pub(crate) fn sign_request(&self, request: &rcgen::CertificateSigningRequestParams) -> String {
        request.signed_by(&self.issuer).expect("a certificate").pem()
    }

    /// The same, but it is not good for a long time yet.
    pub fn issue_early(&self, names: &[&str]) -> Pair {
        let mut params = Self::params(names);
        params.not_before = rcgen::date_time_ymd(2400, 1, 1);
        params.not_after = rcgen::date_time_ymd(2401, 1, 1);
        self.sign(&params)
    }

    /// The same, but it ends in a while.
    pub fn issue_for(&self, names: &[&str], life: Duration) -> Pair {
        let mut params = Self::params(names);
        let now = Duration::from_secs(Clock::system().now().unix_seconds());
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + now + life;
        self.sign(&params)
    }

    /// The same as public authorities make it: for servers alone, and for 80 days.
    pub fn issue_as_public(&self, names: &[&str]) -> Pair {
        let mut params = Self::params(names);
        let now = Duration::from_secs(Clock::system().now().unix_seconds());
        params.not_before = rcgen::date_time_ymd(1970, 1, 1) + now - Duration::from_hours(24);
        params.not_after = params.not_before + Duration::from_hours(80 * 24);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    /// The same with an RSA key of 2048 bits.
    pub fn issue_rsa(&self, names: &[&str]) -> Pair {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key");
        self.sign_for(&Self::params(names), &key)
    }

    fn params(names: &[&str]) -> CertificateParams {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        CertificateParams::new(names).expect("valid names")
    }

    pub(crate) fn sign(&self, params: &CertificateParams) -> Pair {
        self.sign_for(params, &KeyPair::generate().expect("a key"))
    }

    fn sign_for(&self, params: &CertificateParams, key: &KeyPair) -> Pair {
        let leaf = params.signed_by(key, &self.issuer).expect("a certificate").pem();
        Pair { certificate: format!("{leaf}{}", self.chain), key: key.serialize_pem() }
    }
}

impl Pair {
    /// Settings of a server that shows it.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        let config = server_builder().with_no_client_auth();
        Arc::new(config.with_single_cert(self.chain(), self.private_key()).expect("a pair"))
    }

    /// The same, for clients that show a certificate of `clients`.
    pub fn server_config_for(&self, clients: &CertificateAuthority) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(clients.pem()));
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let verifier = verifier.build().expect("a verifier");
        let config = server_builder().with_client_cert_verifier(verifier);
        Arc::new(config.with_single_cert(self.chain(), self.private_key()).expect("a pair"))
    }

    /// SHA-256 of its first certificate in base64url: `x5t#S256` (RFC 8705 §3.1).
    pub fn thumbprint(&self) -> String {
        use ::aws_lc_rs::digest::{SHA256, digest};
        let chain = self.chain();
        crate::keys::b64(digest(&SHA256, chain.first().expect("a certificate")))
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        certificates(&self.certificate)
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key")
    }
}

fn server_builder() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    let builder = ServerConfig::builder_with_provider(provider());
    builder.with_safe_default_protocol_versions().expect("versions")
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(|der| der.expect("a certificate")).collect()
}

/// Settings of a client.
pub(crate) fn client_config(
    trust: &Trust,
    shown: Option<&Pair>,
    protocols: &[&str],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("versions");
    let builder = match trust {
        Trust::Anybody => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Everything))
        }
        Trust::Authority(pem) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(pem));
            builder.with_root_certificates(roots)
        }
    };
    let mut config = match shown {
        Some(pair) => {
            let shown = builder.with_client_auth_cert(pair.chain(), pair.private_key());
            shown.expect("a pair")
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// Believes every certificate.
#[derive(Debug)]
struct Everything;

impl ServerCertVerifier for Everything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
