//! From a compiled snapshot to what can serve: all that can fail does so here, before anything that
//! runs is touched.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use http::{HeaderMap, HeaderName};
use portcullis_authn::Revocations;
use portcullis_authn::identity::SigningSettings;
use portcullis_config::snapshot::{
    ConnectionTerms, IdentityTerms, ListenerPlan, Snapshot, TlsTerms,
};
use portcullis_core::{Clock, Secret, random};
use portcullis_edge::ConnectionSettings;
use portcullis_policy::{Handover, HeaderPolicy, IdentitySigner, Pipeline};
use portcullis_proxy::{BODY_GRACE, Pool, Recorder, Redaction, Resolver, Serving, reserved_fields};
use portcullis_state::{Durable, StateFolder};
use portcullis_tls::acme::{AcmePlan, Challenges};
use portcullis_tls::{CertificateStore, ClientTrusts, TlsAcceptor, TlsPlan};
use thiserror::Error;

use crate::admin_client::TOKEN_FILE;
use crate::runtime::Running;

/// Why a compiled file cannot serve.
#[derive(Debug, Error)]
pub(crate) enum PrepareError {
    /// Certificates.
    #[error("certificates: {0}")]
    Certificates(String),
    /// Whom clients' certificates come from.
    #[error("client certificates, {0}: {1}")]
    ClientTrust(portcullis_core::ClientPolicy, portcullis_tls::TlsError),
    /// The identity token's key.
    #[error("identity key: {0}")]
    Identity(String),
    /// The state folder.
    #[error("state folder: {0}")]
    State(#[from] portcullis_state::StateError),
    /// TLS settings of a listener.
    #[error("listener {0}: {1}")]
    Tls(Arc<str>, portcullis_tls::TlsError),
    /// An upstream.
    #[error("upstream {0}: {1}")]
    Upstream(Arc<str>, portcullis_proxy::PoolError),
    /// No randomness.
    #[error("the system gives no random bytes")]
    Random,
}

/// Ready to be swapped in.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// For the proxy.
    pub serving: Serving,
    /// For the runtime.
    pub running: Running,
    /// For the edge.
    pub connections: ConnectionSettings,
    /// Each listener, and its TLS policy.
    pub listeners: Vec<(ListenerPlan, Option<TlsAcceptor>)>,
    /// How long to drain: delay, then grace.
    pub drain: (Duration, Duration),
    /// Files whose change means a reload.
    pub files: Vec<std::path::PathBuf>,
    /// What the admin listener asks for.
    pub admin_token: Secret,
    /// What is to be ordered.
    pub acme: Option<AcmePlan>,
}

/// What a new snapshot takes over.
#[derive(Debug, Default)]
pub(crate) struct Previous<'p> {
    /// Certificates and ticket keys.
    pub certificates: Option<&'p CertificateStore>,
    /// Whom clients' certificates come from.
    pub trusts: Option<&'p ClientTrusts>,
    /// Pools whose settings did not change.
    pub pools: Option<&'p HashMap<Arc<str>, Arc<Pool>>>,
}

/// What outlives the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept<'k> {
    /// Small files.
    pub folder: &'k StateFolder,
    /// The durable store.
    pub durable: &'k Arc<dyn Durable>,
    /// What was revoked, as the compiled issuers have it.
    pub revocations: Option<&'k Arc<Revocations>>,
}

/// Prepares `snapshot`.
pub(crate) fn prepare(
    snapshot: Snapshot,
    previous: &Previous<'_>,
    kept: Kept<'_>,
    clock: &Clock,
    recorder: &Arc<Recorder>,
) -> Result<Prepared, PrepareError> {
    let certificates = open_certificates(&snapshot.tls, previous.certificates, clock)?;
    let hosts: Vec<String> = snapshot.pipeline.hosts.names().collect();
    let certificates = certificates.for_hosts(hosts.iter().map(String::as_str));
    let acme = crate::acme::plan(&snapshot.tls, kept.durable, &certificates, clock);
    let challenges = challenges(&snapshot.tls, kept.durable);
    let trusts = ClientTrusts::open(snapshot.client_terms(), previous.trusts, clock)
        .map_err(|(terms, error)| PrepareError::ClientTrust(terms.policy(), error))?;
    let listeners = acceptors(&snapshot, &certificates, challenges.as_ref(), &trusts)?;
    let pools = pools(&snapshot, previous.pools, clock)?;
    let identity = signer(&snapshot.identity, clock)?;
    let admin_token = match &snapshot.admin.token {
        Some(token) => token.clone(),
        None => made_token(kept.folder)?,
    };
    let connections = connection_settings(&snapshot.connections);
    let handover = Handover {
        limiters: snapshot.limiters,
        slots: snapshot.slots,
        penalties: snapshot.penalties,
        keys: snapshot.keys,
        servers: snapshot.servers,
        api_keys: snapshot.api_keys.keys,
        dpop: snapshot.dpop,
        revocations: kept.revocations.cloned(),
        clock: clock.clone(),
    };
    let running = Running {
        hash: snapshot.hash,
        loaded: clock.now(),
        view: snapshot.redacted,
        handover,
        issuers: snapshot.issuers,
        certificates,
        acme: snapshot.tls.acme,
        trusts,
        identity: identity.clone(),
        pools: pools.clone(),
        routes: snapshot.pipeline.routes.names().clone(),
        trials: snapshot.trials,
        admin: snapshot.admin,
        telemetry: snapshot.telemetry,
    };
    let reserved = reserved_fields(&snapshot.identity_fields, &snapshot.identity.header);
    let terms = &snapshot.connections;
    let drain = (terms.drain_delay, terms.drain_grace);
    let key_field = snapshot.api_keys.field;
    let parts = Parts { pools, identity, challenges, reserved, key_field, clock, recorder };
    let serving = serving(snapshot.pipeline, parts, &snapshot.identity, terms, &running);
    let files = snapshot.files;
    Ok(Prepared { serving, running, connections, listeners, drain, files, admin_token, acme })
}

struct Parts<'p> {
    pools: HashMap<Arc<str>, Arc<Pool>>,
    identity: Option<Arc<IdentitySigner>>,
    challenges: Option<Challenges>,
    reserved: std::collections::HashSet<Box<str>>,
    key_field: Option<HeaderName>,
    clock: &'p Clock,
    recorder: &'p Arc<Recorder>,
}

fn serving(
    pipeline: Pipeline,
    parts: Parts<'_>,
    identity: &IdentityTerms,
    connections: &ConnectionTerms,
    running: &Running,
) -> Serving {
    let telemetry = &running.telemetry;
    Serving {
        pipeline,
        challenges: parts.challenges,
        pools: parts.pools,
        identity: parts.identity,
        identity_header: identity.header.clone(),
        reserved_fields: parts.reserved,
        key_field: parts.key_field,
        redaction: Redaction::new(
            telemetry.redact_query.iter().map(String::as_str),
            telemetry.redact_headers.iter().map(String::as_str),
        ),
        idle: connections.idle,
        write: connections.write,
        minimum_body_rate: Some(connections.minimum_body_rate),
        clock: parts.clock.clone(),
        recorder: Arc::clone(parts.recorder),
    }
}

fn open_certificates(
    tls: &TlsTerms,
    previous: Option<&CertificateStore>,
    clock: &Clock,
) -> Result<CertificateStore, PrepareError> {
    CertificateStore::open(&tls.sources, previous, clock.clone()).map_err(|mistakes| {
        let texts: Vec<String> =
            mistakes.iter().map(|(origin, error)| format!("{origin}: {error}")).collect();
        PrepareError::Certificates(texts.join("; "))
    })
}

/// The names to prove, where certificates are ordered.
fn challenges(tls: &TlsTerms, durable: &Arc<dyn Durable>) -> Option<Challenges> {
    let names = &tls.sources.acme;
    (!names.is_empty()).then(|| Challenges::new(Arc::clone(durable), names))
}

fn acceptors(
    snapshot: &Snapshot,
    certificates: &CertificateStore,
    challenges: Option<&Challenges>,
    trusts: &ClientTrusts,
) -> Result<Vec<(ListenerPlan, Option<TlsAcceptor>)>, PrepareError> {
    let one = |plan: &ListenerPlan| {
        let Some(terms) = &plan.tls else { return Ok((plan.clone(), None)) };
        let tls = TlsPlan {
            certificates: certificates.clone(),
            policy: terms.policy.clone(),
            by_name: snapshot.tls.by_name.clone(),
            trusts: trusts.clone(),
            without_sni: snapshot.tls.without_sni.clone(),
            protocols: plan.protocols.clone(),
        };
        let acceptor = TlsAcceptor::new(tls);
        let acceptor =
            acceptor.map_err(|error| PrepareError::Tls(Arc::clone(&plan.name), error))?;
        Ok((plan.clone(), Some(acceptor.with_challenges(challenges.cloned()))))
    };
    snapshot.listeners.iter().map(one).collect()
}

/// A pool whose settings are as they were is kept, with all that is known of its endpoints.
fn pools(
    snapshot: &Snapshot,
    previous: Option<&HashMap<Arc<str>, Arc<Pool>>>,
    clock: &Clock,
) -> Result<HashMap<Arc<str>, Arc<Pool>>, PrepareError> {
    let mut pools = HashMap::new();
    for (name, settings) in &snapshot.upstreams {
        let kept = previous.and_then(|pools| pools.get(name));
        let kept = kept.filter(|pool| pool.settings() == settings);
        let pool = match kept {
            Some(pool) => Arc::clone(pool),
            None => Arc::new(
                Pool::new(Arc::clone(settings), clock.clone(), &Resolver::System)
                    .map_err(|error| PrepareError::Upstream(Arc::clone(name), error))?,
            ),
        };
        pools.insert(Arc::clone(name), pool);
    }
    Ok(pools)
}

fn signer(
    terms: &IdentityTerms,
    clock: &Clock,
) -> Result<Option<Arc<IdentitySigner>>, PrepareError> {
    if !terms.is_used {
        return Ok(None);
    }
    let Some(key_pem) = terms.signing_key.clone() else {
        return Err(PrepareError::Identity("there is none".to_owned()));
    };
    let settings =
        SigningSettings { issuer: terms.issuer.clone(), lifetime: terms.lifetime, key_pem };
    let signer = IdentitySigner::new(settings, clock.clone());
    signer.map(Arc::new).map(Some).map_err(|error| PrepareError::Identity(error.to_string()))
}

/// The admin token, made at first start.
fn made_token(state: &StateFolder) -> Result<Secret, PrepareError> {
    let drawn = random::bytes::<32>().ok_or(PrepareError::Random)?;
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(drawn);
    Ok(state.read_or_create(TOKEN_FILE, || text.into_bytes())?)
}

fn connection_settings(terms: &ConnectionTerms) -> ConnectionSettings {
    let mut fields = HeaderMap::new();
    HeaderPolicy::default().apply_own(&mut fields, true);
    let answer_fields = fields.into_iter().filter_map(|(name, value)| Some((name?, value)));
    ConnectionSettings {
        maximum: terms.maximum,
        per_client: terms.per_client,
        per_client_exempt: terms.per_client_exempt.clone(),
        ipv6_prefix: terms.ipv6_prefix,
        tls_handshake: terms.tls_handshake,
        head_time: terms.head_time,
        head_size: terms.head_size,
        head_fields: terms.head_fields,
        target_size: terms.target_size,
        minimum_body_rate: terms.minimum_body_rate,
        body_grace: BODY_GRACE,
        write: terms.write,
        idle: terms.idle,
        streams_per_connection: terms.streams_per_connection,
        answer_fields: answer_fields.collect(),
    }
}
