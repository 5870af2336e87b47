//! `issuers`.

use std::sync::Arc;

use portcullis_authn::{
    Alg, AuthnError, ClaimPaths, IntrospectionServer, IntrospectionSettings, Issuer,
    IssuerSettings, KeyCache, KeySource, ReadFrom, Refresh,
};
use url::Url;

use crate::at::At;
use crate::compile::Context;
use crate::compile::check::{self, non_empty, positive, texts};
use crate::problem::{Problem, Problems};
use crate::raw::issuers as raw;
use crate::read::Items;

/// An issuer with what outlives a reload: its keys, or the server that is asked.
#[derive(Clone, Debug)]
pub(super) struct IssuerTerms {
    pub(super) issuer: Arc<Issuer>,
    pub(super) keys: Option<KeyCache>,
    pub(super) server: Option<IntrospectionServer>,
    /// Whether its tokens can have roles at all.
    pub(super) has_roles: bool,
}

impl raw::Issuer {
    /// Compiles one issuer.
    pub(super) fn compile(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<(Arc<str>, IssuerTerms)> {
        let (settings, introspection) = self.settings(at, context, problems)?;
        let name = Arc::clone(&settings.name);
        let terms = match introspection {
            Some(introspection) => opaque(settings, introspection, context),
            None => signed(settings, context),
        };
        match terms {
            Ok(terms) => Some((name, terms)),
            Err(error) => {
                problems.push(Problem::new(at.clone(), error.to_string()));
                None
            }
        }
    }

    fn settings(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<(IssuerSettings, Option<IntrospectionSettings>)> {
        let Self {
            name,
            issuer,
            audience,
            audience_claim,
            algorithms,
            keys,
            keys_refresh,
            trust,
            token_types,
            leeway,
            maximum_lifetime,
            required_claims,
            read_token_from,
            claims,
            proof,
            introspection,
        } = self;
        let name = check::name(name, at, problems).and_then(|name| own_name(name, at, problems));
        let issuer = problems.required(at, "issuer", issuer);
        let audience = problems.required(at, "audience", audience);
        let audience = audience.and_then(|list| texts(list, &at.key("audience"), problems));
        let algorithms = compile_algorithms(algorithms, &at.key("algorithms"), problems);
        let keys = match introspection {
            Some(_) => Some(KeySource::None),
            None => keys.compile(issuer.as_deref(), at, context, problems),
        };
        let refresh = keys_refresh.compile(&at.key("keys_refresh"), problems);
        let trust_pem = trust_of(trust, keys.as_ref(), &at.key("trust"), context, problems);
        let token_types = texts(token_types, &at.key("token_types"), problems);
        let life_at = at.key("maximum_lifetime");
        let maximum_lifetime =
            said(maximum_lifetime.map(|life| positive(life, &life_at, problems)));
        let required_claims = texts(required_claims, &at.key("required_claims"), problems);
        let read_from = places(read_token_from, &at.key("read_token_from"), problems);
        let claims = claims.compile(&at.key("claims"), problems);
        let proof = proof.compile(read_from.as_deref(), at, problems);
        let server = introspection
            .map(|server| server.compile(at, trust_pem.clone().flatten(), context, problems));
        let settings = IssuerSettings {
            name: name?,
            issuer: Arc::from(issuer?),
            audience: audience?,
            audience_claim,
            algorithms: algorithms?,
            keys: keys?,
            refresh: refresh?,
            trust_pem: trust_pem?,
            token_types: token_types?,
            leeway: leeway.get(),
            maximum_lifetime: maximum_lifetime?,
            required_claims: required_claims?,
            read_from: read_from?,
            claims: claims?,
            proof: proof?,
        };
        Some((settings, said(server)?))
    }
}

/// The name, unless policies and logs know another kind of caller by it.
fn own_name(name: Arc<str>, at: &At, problems: &mut Problems) -> Option<Arc<str>> {
    if [portcullis_authn::API_KEY, portcullis_authn::CLIENT_CERTIFICATE].contains(&&*name) {
        let message = format!("`{name}` is the issuer of callers of another kind");
        problems.push(Problem::new(at.key("name"), message).help("give the issuer another name"));
        return None;
    }
    Some(name)
}

/// What was compiled of something that may be left out; the outer `None` is a mistake.
#[expect(clippy::option_option, reason = "a mistake and nothing said are two things")]
fn said<T>(compiled: Option<Option<T>>) -> Option<Option<T>> {
    match compiled {
        Some(Some(value)) => Some(Some(value)),
        Some(None) => None,
        None => Some(None),
    }
}

fn signed(settings: IssuerSettings, context: &Context<'_>) -> Result<IssuerTerms, AuthnError> {
    let handover = &context.options.handover;
    let clock = &handover.clock;
    let keys = match handover.keys.get(&settings.name) {
        Some(before) if before.same_source(&settings) => before.clone(),
        Some(before) => before.renewed(&settings, clock.clone())?,
        None => KeyCache::new(&settings, clock.clone())?,
    };
    let has_roles = settings.claims.roles.is_some();
    let issuer = Issuer::new(settings, keys.clone(), clock.clone());
    let issuer = Arc::new(issuer.with_revocations(handover.revocations.clone()));
    Ok(IssuerTerms { issuer, keys: Some(keys), server: None, has_roles })
}

fn opaque(
    settings: IssuerSettings,
    server: IntrospectionSettings,
    context: &Context<'_>,
) -> Result<IssuerTerms, AuthnError> {
    let handover = &context.options.handover;
    let clock = &handover.clock;
    let server = match handover.servers.get(&settings.name) {
        Some(before) if before.is_same(&settings, &server) => before.clone(),
        Some(before) => before.renewed(&settings, server, clock.clone())?,
        None => IntrospectionServer::new(&settings, server, clock.clone())?,
    };
    let has_roles = settings.claims.roles.is_some();
    let issuer = Issuer::opaque(settings, server.clone(), clock.clone());
    let issuer = Arc::new(issuer.with_revocations(handover.revocations.clone()));
    Ok(IssuerTerms { issuer, keys: None, server: Some(server), has_roles })
}

fn compile_algorithms(
    raw: Items<raw::Algorithm>,
    at: &At,
    problems: &mut Problems,
) -> Option<Vec<Alg>> {
    let alg = |algorithm: &raw::Algorithm| match algorithm {
        raw::Algorithm::EdDsa => Alg::EdDsa,
        raw::Algorithm::Es256 => Alg::Es256,
        raw::Algorithm::Es384 => Alg::Es384,
        raw::Algorithm::Ps256 => Alg::Ps256,
        raw::Algorithm::Rs256 => Alg::Rs256,
    };
    Some(non_empty(raw, at, problems)?.iter().map(alg).collect())
}

impl raw::Keys {
    fn compile(
        self,
        issuer: Option<&str>,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<KeySource> {
        let keys = at.key("keys");
        match self {
            Self::Discover => {
                let help = "say where the keys are: `keys: {url: …}` or `keys: {file: …}`";
                fetchable(issuer?, &at.key("issuer"), Some(help), problems)?;
                Some(KeySource::Discover)
            }
            Self::File(text) => {
                let at = keys.key("file");
                let path = context.path(&at, &text, problems)?;
                let bytes = context.read(&at, &path, problems);
                if bytes.is_some_and(|bytes| !is_key_set(&bytes)) {
                    let message = format!("`{}` is not a JWK set", path.display());
                    let problem = Problem::new(at, message);
                    problems.push(problem.expected("JSON with a list `keys` (RFC 7517 §5)"));
                    return None;
                }
                Some(KeySource::File(path))
            }
            Self::Url(text) => {
                fetchable(&text, &keys.key("url"), None, problems).map(KeySource::Url)
            }
        }
    }
}

fn is_key_set(content: &[u8]) -> bool {
    let set: Option<serde_json::Value> = serde_json::from_slice(content).ok();
    set.is_some_and(|set| set.get("keys").is_some_and(serde_json::Value::is_array))
}

/// A URL that keys may be fetched from, and tokens introspected at: https, or http on loopback alone.
pub(super) fn fetchable(
    text: &str,
    at: &At,
    help: Option<&str>,
    problems: &mut Problems,
) -> Option<Url> {
    let mut refuse = |message: String| {
        let problem = Problem::new(at.clone(), message)
            .expected("an https:// URL; http:// on loopback alone");
        problems.push(match help {
            Some(help) => problem.help(help),
            None => problem,
        });
    };
    let Ok(url) = Url::parse(text) else {
        refuse(format!("nothing can be asked of `{text}`: it is not a URL"));
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        refuse("a URL with user and password is not accepted".to_owned());
        return None;
    }
    match url.scheme() {
        "https" => Some(url),
        "http" if is_loopback(&url) => Some(url),
        "http" => {
            refuse(format!("what `{text}` answers could be replaced on the way"));
            None
        }
        _ => {
            refuse(format!("nothing can be asked of `{text}`"));
            None
        }
    }
}

/// Whether the host of `url` is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl raw::KeysRefresh {
    fn compile(self, at: &At, problems: &mut Problems) -> Option<Refresh> {
        let Self { every, unknown_kid, usable_without_issuer } = self;
        let every = positive(every, &at.key("every"), problems);
        let unknown_kid = positive(unknown_kid, &at.key("unknown_kid"), problems);
        let usable = usable_without_issuer.get();
        Some(Refresh { every: every?, unknown_kid: unknown_kid?, usable_without_issuer: usable })
    }
}

/// The outer `None` is a mistake, the inner one no trust of its own.
#[expect(clippy::option_option, reason = "a mistake and nothing said are two things")]
fn trust_of(
    trust: Option<raw::TrustFile>,
    keys: Option<&KeySource>,
    at: &At,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<Option<Vec<u8>>> {
    let Some(trust) = trust else { return Some(None) };
    if matches!(keys, Some(KeySource::File(_))) {
        let problem = Problem::new(at.clone(), "this has no effect: nothing is fetched");
        problems.push(problem.on_key().help("the keys of this issuer come from a file"));
        return None;
    }
    trust.read(at, context, problems)
}

impl raw::TrustFile {
    /// The certificates of the file, PEM; nothing where files are not read.
    #[expect(clippy::option_option, reason = "a mistake and nothing read are two things")]
    pub(super) fn read(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<Option<Vec<u8>>> {
        let file = problems.required(at, "file", self.file)?;
        let at = at.key("file");
        let path = context.path(&at, &file, problems)?;
        if !context.reads_files() {
            return Some(None);
        }
        let pem = context.read(&at, &path, problems)?;
        check_certificates(&pem, &at, problems)?;
        Some(Some(pem))
    }
}

/// The certificates of a PEM file, at least one.
pub(super) fn check_certificates(
    pem: &[u8],
    at: &At,
    problems: &mut Problems,
) -> Option<Vec<Vec<u8>>> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let ders: Vec<Vec<u8>> =
        all.unwrap_or_default().iter().map(|der| der.as_ref().to_vec()).collect();
    if ders.is_empty() {
        let problem = Problem::new(at.clone(), "there is no certificate in this file");
        problems.push(problem.expected("certificates in PEM"));
        return None;
    }
    if !ders.iter().all(|der| portcullis_tls::is_certificate(der)) {
        let problem = Problem::new(at.clone(), "a certificate of this file cannot be read");
        problems.push(problem.expected("certificates in PEM"));
        return None;
    }
    Some(ders)
}

fn places(raw: Items<raw::TokenPlace>, at: &At, problems: &mut Problems) -> Option<Vec<ReadFrom>> {
    let mut places = Vec::new();
    let mut sound = true;
    for (at, place) in non_empty(raw, at, problems)?.into_at(at) {
        let (place, name) = match place {
            raw::TokenPlace::Authorization => (ReadFrom::Authorization, None),
            raw::TokenPlace::Cookie(name) => (ReadFrom::Cookie(name.clone()), Some(name)),
            raw::TokenPlace::Query(name) => (ReadFrom::Query(name.clone()), Some(name)),
        };
        let token = |name: &String| !name.is_empty() && name.bytes().all(is_token);
        if name.as_ref().is_some_and(|name| !token(name)) {
            let problem = Problem::new(at, "this is no name of a cookie or parameter");
            problems.push(problem.expected("letters, digits and -_.~"));
            sound = false;
        } else if places.contains(&place) {
            problems.push(Problem::new(at, "this place stands here twice"));
            sound = false;
        } else {
            places.push(place);
        }
    }
    sound.then_some(places)
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

impl raw::Claims {
    fn compile(self, at: &At, problems: &mut Problems) -> Option<ClaimPaths> {
        let Self { subject, scopes, roles } = self;
        let subject = texts(subject, &at.key("subject"), problems);
        let scopes = match scopes {
            Some(path) => texts(path, &at.key("scopes"), problems).map(|path| vec![path]),
            None => Some(ClaimPaths::default().scopes),
        };
        let roles = match roles {
            Some(path) => texts(path, &at.key("roles"), problems).map(Some),
            None => Some(None),
        };
        Some(ClaimPaths { subject: subject?, scopes: scopes?, roles: roles? })
    }
}
