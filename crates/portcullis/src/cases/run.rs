//! One case: a fresh snapshot, so that limits start empty, and the request on it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use portcullis_authn::{DpopProofs, KeyCache, NewKey, ReadFrom};
use portcullis_config::cases::{ApiKeyCase, Case};
use portcullis_config::snapshot::Snapshot;
use portcullis_config::{LoadOptions, Report};
use portcullis_core::{Authority, Clock, ConnMeta, TlsMeta};
use portcullis_policy::{Access, Origin};
use portcullis_state::MemoryDurable;
use portcullis_tls::ClientMode;

use super::mint::{self, Carried, Keys};
use crate::explain_handshake::terms;
use crate::trial::{Trial, Tried};

/// What became of a case.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// `allow`, `deny`, `preflight` or `redirect`.
    pub verdict: &'static str,
    /// Status and code of a refusal.
    pub refused: Option<(u16, &'static str)>,
    /// Why it was refused.
    pub reason: String,
    /// The line that refused.
    pub rule: String,
    /// The route, once found.
    pub route: Option<String>,
    /// The lines that were asked, and whether each let the request pass.
    pub asked: Vec<(Origin, bool)>,
}

/// A compiled file for one case, with keys that stand in for those of its issuers.
pub(super) struct Bench {
    pub(super) snapshot: Snapshot,
    clock: Clock,
    api_keys: Arc<portcullis_authn::ApiKeys>,
}

impl Bench {
    /// Reads `config` without the files and secrets it names: none of them judges a request.
    pub(super) async fn new(
        config: &Path,
        clock: Clock,
        fetched: &HashMap<Arc<str>, KeyCache>,
    ) -> Result<Self, Report> {
        let mut options = LoadOptions::new(clock.clone());
        options.read_files = false;
        options.handover.keys.clone_from(fetched);
        options.handover.dpop = Arc::new(DpopProofs::rehearsal(clock.clone()));
        let api_keys = Arc::clone(&options.handover.api_keys);
        let snapshot = portcullis_config::load(config, &options)?.snapshot;
        api_keys.bind(Arc::new(MemoryDurable::new(clock.clone())));
        api_keys.refresh().await.ok();
        Ok(Self { snapshot, clock, api_keys })
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
        let trial = self.trial(case, keys).await?;
        let listener = trial.listener(case.listener.as_deref(), &self.snapshot);
        let conn = match self.conn(case, &trial, listener) {
            Ok(conn) => conn,
            Err(reason) => {
                return Ok(Outcome { verdict: "deny", reason, ..Outcome::default() });
            }
        };
        let mut held = Vec::new();
        for _ in 1..case.repeat {
            let tried = trial.run(&self.snapshot, &conn).await;
            if case.at_once {
                held.push(tried);
            }
        }
        Ok(Outcome::of(&trial.run(&self.snapshot, &conn).await))
    }

    async fn trial(&self, case: &Case, keys: &mut Keys) -> Result<Trial, String> {
        let mut trial = Trial::new(&case.method, &case.url)?;
        for (name, value) in &case.headers {
            trial.field(name, value)?;
        }
        self.add_token(case, &mut trial, keys)?;
        if let Some(key) = &case.api_key {
            let secret = self.api_key(key).await?;
            trial.field(&self.key_field(), &secret)?;
        }
        Ok(trial)
    }

    fn add_token(&self, case: &Case, trial: &mut Trial, keys: &mut Keys) -> Result<(), String> {
        let Some(token) = &case.token else { return Ok(()) };
        let issuer = self.snapshot.issuers.get(token.issuer.as_str());
        let issuer = issuer.ok_or_else(|| format!("there is no issuer `{}`", token.issuer))?;
        let settings = issuer.settings();
        let alg = *settings.algorithms.first().ok_or("the issuer has no algorithm")?;
        let good = keys.of(alg, false)?;
        let known = self.snapshot.keys.get(&settings.name);
        let known = known.ok_or("tokens of an issuer that is asked about them cannot be made")?;
        if !known.stand_in(&good) {
            return Err("the key that stands in for the issuer's is not taken".to_owned());
        }
        let key = if token.wrong_key { keys.of(alg, true)? } else { good };
        let text = mint::token(token, settings, &key, self.clock.now())?;
        let first: Option<&ReadFrom> = settings.read_from.first();
        match mint::carried(&text, token.place.as_ref().or(first)) {
            Carried::Field(name, value) => trial.field(name, &value),
            Carried::Query(pair) => {
                let sign = if trial.target.contains('?') { '&' } else { '?' };
                trial.target = format!("{}{sign}{pair}", trial.target);
                Ok(())
            }
        }
    }

    async fn api_key(&self, case: &ApiKeyCase) -> Result<String, String> {
        let ApiKeyCase { owner, scopes, wrong } = case.clone();
        let new = NewKey { owner, scopes, ..NewKey::default() };
        let issued = self.api_keys.create(new).await.map_err(|error| error.to_string())?;
        let text = issued.key.expose_str().unwrap_or_default().to_owned();
        if !wrong {
            return Ok(text);
        }
        // The secret of a second key, under the id of the first.
        let other = NewKey { owner: case.owner.clone(), ..NewKey::default() };
        let other = self.api_keys.create(other).await.map_err(|error| error.to_string())?;
        let id = text.split_once('.').map_or("", |(id, _)| id);
        let secret = other.key.expose_str().and_then(|text| text.split_once('.'));
        Ok(format!("{id}.{}", secret.map_or("", |(_, secret)| secret)))
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

    /// The connection it comes on; an error where the handshake would fail.
    fn conn(&self, case: &Case, trial: &Trial, listener: Arc<str>) -> Result<ConnMeta, String> {
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
        Ok(ConnMeta {
            listener,
            peer: Some((case.address, 0).into()),
            proxy: None,
            local: None,
            tls: trial.https.then_some(tls),
        })
    }
}

impl Outcome {
    fn of(tried: &Tried) -> Self {
        let refusal = tried.refusal();
        let last = tried.notes.len().saturating_sub(1);
        let asked = tried.notes.iter().enumerate();
        let asked = asked.map(|(index, note)| (note.origin, refusal.is_none() || index < last));
        Self {
            verdict: tried.word().as_str(),
            refused: refusal.map(|refusal| (refusal.status(), refusal.code())),
            reason: refusal.map(|refusal| refusal.reason().into_owned()).unwrap_or_default(),
            rule: tried.rule(),
            route: tried.route().map(|route| route.name.to_string()),
            asked: asked.collect(),
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
