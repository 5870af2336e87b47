//! Whether a token is used by the holder it was issued to.

use std::fmt;

use portcullis_authn::Binding;
use portcullis_core::{ConnMeta, Principal};

use crate::TokenWay;
use crate::certificates::shown;

/// What a token is bound to, as far as its holder has shown to have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// The certificate of the connection.
    pub certificate: bool,
}

impl fmt::Display for Bound {
    /// Follows the name of a principal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.certificate {
            ", token bound to the certificate of the connection"
        } else {
            ""
        })
    }
}

/// Judges the bindings of a token that is good.
pub(crate) fn judge(
    way: &TokenWay,
    principal: &Principal,
    conn: &ConnMeta,
) -> Result<Bound, &'static str> {
    let binding = Binding::read(&principal.claims)?;
    if binding.key.is_some() {
        return Err("the token is bound to a key, of which no proof is asked for");
    }
    let thumbprint = shown(conn).map(|certificate| certificate.thumbprint.as_str());
    let demanded = way.issuer.settings().proof.certificate;
    Ok(Bound { certificate: binding.judge_certificate(demanded, thumbprint)? })
}
