//! One case: a fresh snapshot, so that limits start empty, and the request on it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis_authn::{
    ApiKeys, DpopProofs, Issued, Issuer, KeyCache, ManageError, NewKey, NewRevocation, ReadFrom,
    Revocations, Revoked,
};
use portcullis_config::cases::{ApiKeyCase, Case, TokenCase};
use portcullis_config::snapshot::Snapshot;
use portcullis_config::{LoadOptions, Report};
use portcullis_core::{Authority, Clock, ConnMeta, Timestamp, TlsMeta};
use portcullis_policy::Access;
use portcullis_state::MemoryDurable;
use portcullis_tls::ClientMode;
use serde_json::{Map, Value};

use super::holder::Holder;
use super::mint::{self, Carried, Keys, Whose};
use crate::explain_handshake::terms;
use crate::trial::{Arrival, Trial, Tried};

/// What became of a case.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// `allow`, `deny`, `metadata`, `preflight` or `redirect`.
    pub verdict: &'static str,
    /// Status and code of a refusal.
    pub refused: Option<(u16, &'static str)>,
    /// Why it was refused.
    pub reason: String,
    /// The line that refused.
    pub rule: String,
    /// The route, once found.
    pub route: Option<String>,
    /// The policies that were true or false of it.
    pub policies: Vec<(String, bool)>,
    /// Whether it passed as a preflight that the app answers.
    pub app_preflight: bool,
}

/// A compiled file for one case, with keys that stand in for those of its issuers.
pub(super) struct Bench {
    pub(super) snapshot: Snapshot,
    clock: Clock,
    api_keys: Arc<ApiKeys>,
    /// The time as the API keys have it: they are made a little earlier.
    store_clock: Clock,
    revocations: Arc<Revocations>,
}

/// What the client of a case sends: the request, with a proof of its own each time.
struct Client {
    trial: Trial,
    token: String,
    holder: Option<Holder>,
}

impl Client {
    /// How many requests it sends so that the last is the one that counts.
    fn times(&self, repeat: u32) -> u32 {
        let replays = self.holder.as_ref().is_some_and(Holder::replays);
        repeat.saturating_add(u32::from(replays))
    }

    fn request(&self, number: u32, now: Timestamp) -> Result<Trial, String> {
        let mut trial = self.trial.clone();
        if let Some(holder) = &self.holder {
            holder.prove(&mut trial, &self.token, number, now)?;
        }
        Ok(trial)
    }
}

/// How long before a case its API keys are made, so that there is time for one to end.
const EARLIER: Duration = Duration::from_secs(2);

/// An opaque token of a case.
const OPAQUE: &str = "an-opaque-token-of-a-test";

impl Bench {
    /// Reads `config` without the files and secrets it names: none of them judges a request.
    pub(super) async fn new(
        config: &Path,
        clock: Clock,
        fetched: &HashMap<Arc<str>, KeyCache>,
    ) -> Result<Self, Report> {
        let mut options = LoadOptions::new(clock.clone());
        options.read_files = false;
        options.handover.dpop = Arc::new(DpopProofs::rehearsal(clock.clone()));
        let now = clock.now().unix_nanos();
        let earlier = now.saturating_sub(u64::try_from(EARLIER.as_nanos()).unwrap_or(u64::MAX));
        let store_clock = Clock::manual(Timestamp::from_unix_nanos(earlier));
        let api_keys = ApiKeys::new(store_clock.clone());
        options.handover.api_keys = Arc::clone(&api_keys);
        let revocations = Revocations::new(clock.clone());
        options.handover.revocations = Some(Arc::clone(&revocations));
        let snapshot = portcullis_config::load(config, &options)?.snapshot;
        for (name, keys) in &snapshot.keys {
            if let Some(fetched) = fetched.get(name) {
                keys.take_from(fetched);
            }
        }
        let durable = Arc::new(MemoryDurable::new(clock.clone()));
        api_keys.bind(Arc::clone(&durable) as _);
        revocations.bind(durable);
        // Where either fails, all that it judges is answered 503: no case passes by that.
        api_keys.refresh().await.ok();
        revocations.refresh().await.ok();
        Ok(Self { snapshot, clock, api_keys, store_clock, revocations })
    }

    /// The keys of the issuers themselves, as far as they are to be had.
    pub(super) async fn fetched(&self) -> HashMap<Arc<str>, KeyCache> {
        for keys in self.snapshot.keys.values() {
            keys.load_now().await;
        }
        self.snapshot.keys.clone()
    }

    /// Runs a case, as often as it says.
    pub(super) async fn run(&self, case: &Case, keys: &mut Keys) -> Result<Outcome, String> {
        let client = self.client(case, keys).await?;
        let listener = case.listener.as_deref();
        let arrival = client.trial.arrival(listener, case.address, &self.snapshot)?;
        if case.certificate.is_some() && !self.asks(&client.trial, &arrival.listener) {
            let (host, listener) = (&client.trial.authority, &arrival.listener);
            return Err(format!(
                "`client_certificate` has no effect: listener `{listener}` asks for none of clients of `{host}`"
            ));
        }
        let conn = match self.conn(case, &client.trial, arrival) {
            Ok(conn) => conn,
            Err(reason) => {
                return Ok(Outcome { verdict: "deny", reason, ..Outcome::default() });
            }
        };
        let mut held = Vec::new();
        let (last, now) = (client.times(case.repeat), self.clock.now());
        for number in 1..last {
            let tried = client.request(number, now)?.run(&self.snapshot, &conn).await;
            if case.at_once {
                held.push(tried);
            }
        }
        Ok(Outcome::of(&client.request(last, now)?.run(&self.snapshot, &conn).await))
    }

    async fn client(&self, case: &Case, keys: &mut Keys) -> Result<Client, String> {
        let trial = Trial::new(&case.method, &case.url)?;
        let mut client = Client { trial, token: String::new(), holder: None };
        for (name, value) in &case.headers {
            client.trial.field(name, value)?;
        }
        if let Some(token) = &case.token {
            self.add_token(token, &mut client, keys).await?;
        }
        if let Some(key) = &case.api_key {
            let secret = self.api_key(key).await?;
            client.trial.field(&self.key_field(), &secret)?;
        }
        Ok(client)
    }

    async fn add_token(
        &self,
        case: &TokenCase,
        client: &mut Client,
        keys: &mut Keys,
    ) -> Result<(), String> {
        let issuer = self.snapshot.issuers.get(case.issuer.as_str());
        let issuer = issuer.ok_or_else(|| format!("there is no issuer `{}`", case.issuer))?;
        let settings = issuer.settings();
        let holder = case.dpop.map(|dpop| Holder::new(dpop, settings, keys)).transpose()?;
        let thumbprint = holder.as_ref().and_then(Holder::thumbprint);
        let claims = mint::claims(case, settings, thumbprint.as_deref(), self.clock.now())?;
        if case.revoked {
            self.revoke(case, issuer, &claims).await?;
        }
        client.token = self.token(case, issuer, claims, keys)?;
        let scheme = if holder.is_some() { "DPoP" } else { "Bearer" };
        client.holder = holder;
        let first: Option<&ReadFrom> = settings.read_from.first();
        match mint::carried(&client.token, case.place.as_ref().or(first), scheme) {
            Carried::Field(name, value) => client.trial.field(name, &value),
            Carried::Query(pair) => {
                let sign = if client.trial.target.contains('?') { '&' } else { '?' };
                client.trial.target = format!("{}{sign}{pair}", client.trial.target);
                Ok(())
            }
        }
    }

    /// The token itself. Its issuer's keys, or the server that is asked about it, are stood in for.
    fn token(
        &self,
        case: &TokenCase,
        issuer: &Issuer,
        claims: Map<String, Value>,
        keys: &mut Keys,
    ) -> Result<String, String> {
        let settings = issuer.settings();
        if let Some(server) = self.snapshot.servers.get(&settings.name) {
            server.stand_in(mint::answer(case.introspection, claims));
            return Ok(OPAQUE.to_owned());
        }
        let alg = *settings.algorithms.first().ok_or("the issuer has no algorithm")?;
        let good = keys.of(Whose::Issuer, alg)?;
        let known = self.snapshot.keys.get(&settings.name).ok_or("the issuer has no keys")?;
        if !known.stand_in(&good) {
            return Err("the key that stands in for the issuer's is not taken".to_owned());
        }
        let key = if case.wrong_key { keys.of(Whose::Other, alg)? } else { good };
        mint::token(&claims, settings, &key)
    }

    /// By its `jti`, or else by its subject.
    async fn revoke(
        &self,
        case: &TokenCase,
        issuer: &Issuer,
        claims: &Map<String, Value>,
    ) -> Result<(), String> {
        let settings = issuer.settings();
        let revoked = match claims.get("jti").and_then(Value::as_str) {
            Some(jti) => Revoked::Jti(jti.to_owned()),
            None => Revoked::Subject(case.subject.clone()),
        };
        let new = NewRevocation { issuer: settings.issuer.to_string(), revoked, expires: None };
        let made = self.revocations.revoke(new, Some(settings)).await;
        made.map(drop).map_err(|error| error.to_string())
    }

    async fn api_key(&self, case: &ApiKeyCase) -> Result<String, String> {
        let keys = &self.api_keys;
        let made = self.made_key(case).await.map_err(|error| error.to_string())?;
        if case.revoked {
            let id = &made.view.id;
            keys.revoke(id).await.map_err(|error| error.to_string())?;
        }
        let text = made.key.expose_str().unwrap_or_default().to_owned();
        let secret = if case.wrong {
            // The secret of a second key, under the id of the first.
            let other = self.made_key(case).await.map_err(|error| error.to_string())?;
            let id = text.split_once('.').map_or("", |(id, _)| id);
            let secret = other.key.expose_str().and_then(|text| text.split_once('.'));
            format!("{id}.{}", secret.map_or("", |(_, secret)| secret))
        } else {
            text
        };
        self.store_clock.advance(EARLIER);
        Ok(secret)
    }

    async fn made_key(&self, case: &ApiKeyCase) -> Result<Issued, ManageError> {
        let ends = case.expired.then(|| self.store_clock.now().plus(EARLIER / 2));
        let (owner, scopes) = (case.owner.clone(), case.scopes.clone());
        let new = NewKey { owner, scopes, expires: ends, ..NewKey::default() };
        self.api_keys.create(new).await
    }

    /// The field of API keys, as the routes that take them read it.
    fn key_field(&self) -> String {
        let routes = self.snapshot.pipeline.routes.listed();
        let field = routes.iter().find_map(|listed| match &listed.route.access {
            Access::AnyOf(demand) => demand.api_keys.as_ref().map(|way| way.field.to_string()),
            Access::Public { .. } => None,
        });
        field.unwrap_or_else(|| "x-api-key".to_owned())
    }

    /// Whether the handshake asks for a certificate.
    fn asks(&self, trial: &Trial, listener: &str) -> bool {
        trial.https && terms(&self.snapshot, listener, &trial.authority).is_some()
    }

    /// The connection it comes on; an error where the handshake would fail.
    fn conn(&self, case: &Case, trial: &Trial, arrival: Arrival) -> Result<ConnMeta, String> {
        let Arrival { listener, peer } = arrival;
        let terms = terms(&self.snapshot, &listener, &trial.authority);
        let asked = terms.is_some() && trial.https;
        let required = terms.as_ref().is_some_and(|terms| terms.mode == ClientMode::Required);
        if asked && required && case.certificate.is_none() {
            return Err("refused in the TLS handshake: certificate_required".to_owned());
        }
        let shown = case.certificate.as_ref().filter(|_| asked);
        let tls = TlsMeta {
            server_name: Authority::parse(&trial.authority).ok().map(|a| a.host.to_string()),
            version: "TLSv1.3",
            cipher_suite: "TLS13_AES_128_GCM_SHA256",
            group: None,
            resumed: false,
            policy: terms.map(|terms| terms.policy()).unwrap_or_default(),
            client: shown.map(|case| mint::certificate(case, self.clock.now())),
        };
        Ok(ConnMeta { listener, peer, proxy: None, local: None, tls: trial.https.then_some(tls) })
    }
}

impl Outcome {
    fn of(tried: &Tried) -> Self {
        let refusal = tried.refusal();
        let policies = tried.policies.iter();
        let policies = policies.filter_map(|(name, said)| Some((name.clone(), (*said)?)));
        Self {
            verdict: tried.word().as_str(),
            refused: refusal.map(|refusal| (refusal.status(), refusal.code())),
            reason: refusal.map(|refusal| refusal.reason().into_owned()).unwrap_or_default(),
            rule: tried.rule(),
            route: tried.route().map(|route| route.name.to_string()),
            policies: policies.collect(),
            app_preflight: tried.is_app_preflight(),
        }
    }

    /// What is not as the case expects it, in words; empty where all is.
    pub(super) fn judge(&self, case: &Case) -> String {
        let expect = &case.expect;
        let code = self.refused.map_or("", |(_, code)| code);
        let line = self.rule.rsplit_once(':').map_or("", |(_, line)| line);
        let route = self.route.as_deref().unwrap_or_default();
        let differs = |what: &str, expected: Option<&str>, found: &str| {
            let expected = expected.filter(|expected| *expected != found)?;
            Some(format!("{what} is `{found}`, expected `{expected}`"))
        };
        let rule = expect.rule.as_deref();
        let rule = if rule == Some(line) { None } else { rule };
        let wrong: Vec<String> = [
            differs("verdict", Some(expect.verdict), self.verdict),
            differs("code", expect.code.as_deref(), code),
            differs("route", expect.route.as_deref(), route),
            differs("reason", expect.reason.as_deref(), &self.reason),
            differs("rule", rule, &self.rule),
        ]
        .into_iter()
        .flatten()
        .collect();
        if wrong.is_empty() || self.refused.is_none() {
            return wrong.join("; ");
        }
        format!("{} (refused: {code}, {}, by {})", wrong.join("; "), self.reason, self.rule)
    }
}
