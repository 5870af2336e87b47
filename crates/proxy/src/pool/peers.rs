//! From a target to pingora's peer: what is spoken, to whom, and for how long is waited.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use pingora::protocols::ALPN;
use pingora::upstreams::peer::{H1UpgradePolicy, HttpPeer, HttpUpstreamRequestPolicy};
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use portcullis_policy::{Endpoint, Place, Scheme, UpstreamSettings};

use crate::pool::PoolError;
use crate::pool::member::Target;

/// Requests at once on one HTTP/2 connection to an app.
const STREAMS: usize = 100;

/// What all peers of a pool share.
pub(crate) struct Peers {
    settings: Arc<UpstreamSettings>,
    trust: Option<Arc<[WrappedX509]>>,
    client: Option<Arc<CertKey>>,
    group: u64,
}

impl Peers {
    pub(crate) fn new(settings: Arc<UpstreamSettings>) -> Result<Self, PoolError> {
        let tls = settings.tls.as_ref();
        let trust = tls.and_then(|tls| tls.trust.as_ref()).map(|ders| wrap(ders)).transpose()?;
        let client = tls.and_then(|tls| tls.client_certificate.as_ref()).map(|pair| {
            sound(&pair.chain)?;
            Ok(Arc::new(CertKey::new(pair.chain.to_vec(), pair.key.expose().to_vec())))
        });
        let client = client.transpose()?;
        Ok(Self { group: group(&settings), trust, client, settings })
    }

    /// The peer of one attempt. `is_call`: a gRPC call, which needs HTTP/2. `apart`: a number that
    /// keeps it from connections that stood unused; 0 where those may be taken.
    pub(crate) fn peer(
        &self,
        target: &Target,
        endpoint: &Endpoint,
        read: Duration,
        is_call: bool,
        apart: u64,
    ) -> Result<HttpPeer, String> {
        let https = endpoint.is_https();
        let name = self.server_name(endpoint).to_owned();
        let mut peer = match target {
            Target::Tcp(address) => HttpPeer::new(address, https, name),
            Target::Unix(path) => HttpPeer::new_uds(path, https, name)
                .map_err(|error| error.etype().as_str().to_owned())?,
        };
        let timeouts = &self.settings.timeouts;
        peer.group_key = self.group ^ apart;
        peer.client_cert_key.clone_from(&self.client);
        let options = &mut peer.options;
        options.alpn = alpn(endpoint.scheme, is_call);
        options.max_h2_streams = STREAMS;
        options.ca.clone_from(&self.trust);
        options.connection_timeout = Some(timeouts.connect);
        options.total_connection_timeout = Some(timeouts.connect);
        options.read_timeout = Some(read);
        options.write_timeout = Some(timeouts.write);
        options.idle_timeout = Some(timeouts.idle);
        options.http_upstream_request_policy = upstream_request_policy();
        Ok(peer)
    }

    /// Never empty: pingora's rustls connector checks no certificate for an empty name.
    fn server_name<'p>(&'p self, endpoint: &'p Endpoint) -> &'p str {
        let said = self.settings.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        match (said, &endpoint.place) {
            (Some(name), _) => name,
            (None, Place::Tcp { host, .. }) => host,
            (None, Place::Unix(_)) => "localhost",
        }
    }
}

/// Over TLS only gRPC gets HTTP/2: it needs it, and for all else HTTP/1.1 has time-outs for each
/// read, where pingora's HTTP/2 has one for the whole way to the head of an answer.
fn alpn(scheme: Scheme, is_call: bool) -> ALPN {
    match scheme {
        Scheme::H2c => ALPN::H2,
        Scheme::Https if is_call => ALPN::H2,
        Scheme::Http | Scheme::Https => ALPN::H1,
    }
}

/// Hop-by-hop fields go, no upgrade passes.
fn upstream_request_policy() -> HttpUpstreamRequestPolicy {
    HttpUpstreamRequestPolicy {
        h1_upgrade: H1UpgradePolicy::Deny,
        ..HttpUpstreamRequestPolicy::default()
    }
}

fn wrap(ders: &[Vec<u8>]) -> Result<Arc<[WrappedX509]>, PoolError> {
    sound(ders)?;
    Ok(ders.iter().map(|der| WrappedX509::new(der.clone(), parse_x509)).collect())
}

/// The configuration has parsed them; only an empty one would make pingora panic here.
fn sound(ders: &[Vec<u8>]) -> Result<(), PoolError> {
    let is_sound = |der: &Vec<u8>| rustls_pki_types::CertificateDer::from(der.as_slice()).len() > 1;
    if ders.is_empty() || !ders.iter().all(is_sound) {
        return Err(PoolError::Trust);
    }
    Ok(())
}

/// Connections are reused only within one upstream and one set of TLS settings.
fn group(settings: &UpstreamSettings) -> u64 {
    let mut hasher = DefaultHasher::new();
    settings.name.hash(&mut hasher);
    if let Some(tls) = &settings.tls {
        tls.trust.hash(&mut hasher);
        tls.server_name.hash(&mut hasher);
        if let Some(pair) = &tls.client_certificate {
            // pingora tells client certificates apart by their serial number alone.
            pair.chain.hash(&mut hasher);
            pair.key.expose().hash(&mut hasher);
        }
    }
    hasher.finish()
}
