//! From a client's certificate, verified in the handshake, to a principal.

use std::sync::Arc;

use portcullis_core::{ClientCertificate, CredentialKind, Derived, Principal};

/// Name of the issuer of all such principals, as `access` and the logs have it.
pub const CLIENT_CERTIFICATE: &str = "client_certificate";

/// Whom `certificate` stands for, known as `subject`. It has neither scopes nor roles.
pub fn of_certificate(certificate: &ClientCertificate, subject: String) -> Principal {
    Principal {
        subject,
        issuer_name: Arc::from(CLIENT_CERTIFICATE),
        issuer: Arc::clone(&certificate.issuer),
        scopes: Vec::new(),
        roles: Vec::new(),
        claims: Arc::clone(&certificate.claims),
        expires: certificate.not_after,
        credential: CredentialKind::Certificate,
        derived: Derived::default(),
    }
}
