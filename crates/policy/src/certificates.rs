//! Client certificates: who a connection's certificate says it is, and which are asked for.

use std::sync::Arc;

use portcullis_authn::of_certificate;
use portcullis_core::{AlternativeName, ClientCertificate, ConnMeta, Denial};

use crate::access::CertificateWay;
use crate::identify::Caller;
use crate::possession::Bound;

/// The certificate that the client of a connection showed. That it still is good was judged with the
/// host.
pub(crate) fn shown(conn: &ConnMeta) -> Option<&Arc<ClientCertificate>> {
    let client = conn.tls.as_ref()?.client.as_ref()?;
    Some(&client.certificate)
}

/// Who calls by a certificate that one of the ways takes.
pub(crate) fn identify(ways: &[CertificateWay], conn: &ConnMeta) -> Option<Caller> {
    let certificate = shown(conn)?;
    let subject = ways.iter().find_map(|way| way.subject(certificate))?;
    let principal = Arc::new(of_certificate(certificate, subject));
    Some(Caller { principal, ambient: true, bound: Bound::default() })
}

/// Asks for the certificates that are needed beside any credential.
pub(crate) fn demand(also: &[CertificateWay], conn: &ConnMeta) -> Result<(), Denial> {
    if also.is_empty() {
        return Ok(());
    }
    let certificate = shown(conn).ok_or(Denial::CertificateMissing)?;
    if also.iter().all(|way| way.subject(certificate).is_some()) {
        Ok(())
    } else {
        Err(Denial::CertificateNotAllowed)
    }
}

impl CertificateWay {
    /// Who the certificate stands for here; `None` where it has none of the names.
    fn subject(&self, certificate: &ClientCertificate) -> Option<String> {
        if self.names.is_empty() {
            return Some(certificate.identity().into_owned());
        }
        let counts = |name: &&AlternativeName| {
            self.names.contains(name)
                && (!name.is_spiffe() || certificate.spiffe_id() == Some(name))
        };
        certificate.names.iter().find(counts).map(ToString::to_string)
    }
}
