//! The handshake of a request that `explain` makes up: which certificate is asked of the client, and
//! what becomes of the one it shows.

use std::path::Path;

use portcullis_config::snapshot::Snapshot;
use portcullis_core::{Authority, ClientPolicy, Clock, Host, ShownCertificate};
use portcullis_tls::{
    ClientMode, ClientTerms, ClientTrust, HandshakePolicy, NameTable, read_certificates,
};

/// What the handshake settled.
#[derive(Debug, Default)]
pub(crate) struct Shaken {
    /// Which certificates were asked for.
    pub policy: ClientPolicy,
    /// The one that was shown.
    pub client: Option<ShownCertificate>,
}

/// Why there is no request.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The handshake fails.
    Handshake(String),
    /// The arguments are wrong.
    Unusable(String),
}

/// Runs the handshake for `authority` on a listener of `snapshot`, with the certificate in `file`.
pub(crate) fn shake(
    file: Option<&Path>,
    snapshot: &Snapshot,
    listener: &str,
    authority: &str,
    clock: &Clock,
) -> Result<Shaken, Failed> {
    let sent = match file {
        Some(file) => {
            read_certificates(file).map_err(|error| Failed::Unusable(error.to_string()))?
        }
        None => Vec::new(),
    };
    let Some(terms) = terms(snapshot, listener, authority) else { return Ok(Shaken::default()) };
    let policy = terms.policy();
    if sent.is_empty() {
        return match terms.mode {
            ClientMode::Optional => Ok(Shaken { policy, client: None }),
            ClientMode::Required => Err(Failed::Handshake("certificate_required".to_owned())),
        };
    }
    let trust = ClientTrust::open(terms, clock.clone());
    let trust = trust.map_err(|error| Failed::Unusable(error.to_string()))?;
    let client = trust.verify(&sent).map_err(Failed::Handshake)?;
    Ok(Shaken { policy, client: Some(client) })
}

/// Which certificates are asked for; `None` asks for none.
pub(crate) fn terms(snapshot: &Snapshot, listener: &str, authority: &str) -> Option<ClientTerms> {
    let plan = snapshot.listeners.iter().find(|plan| *plan.name == *listener)?;
    let policy: &HandshakePolicy = &plan.tls.as_ref()?.policy;
    let name = match Authority::parse(authority).ok()?.host {
        Host::Name(name) => Some(name.to_string()),
        Host::V4(_) | Host::V6(_) => snapshot.tls.without_sni.clone(),
    };
    let mut names = NameTable::default();
    for (name, own) in &snapshot.tls.by_name {
        names.insert(name, own);
    }
    let own = name.and_then(|name| names.find(&name).copied());
    own.map_or_else(|| policy.clone(), |own| own.over(policy)).clients
}
