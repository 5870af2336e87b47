//! What of the rules the cases test: each route with a request that passes and each denial that it can
//! give, each policy true and false.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_authn::ReadFrom;
use portcullis_config::snapshot::Snapshot;
use portcullis_policy::{Access, Demand, Listed, Origin, Pipeline, Route};
use serde_json::{Value, json};

use super::run::Outcome;

/// What stands for a request that passes, among the codes of denials.
const ALLOW: &str = "allow";

/// Of one configuration.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    routes: Vec<Row>,
    policies: Vec<Row>,
}

/// One route or policy: what can come of it, and what was tested.
#[derive(Debug)]
struct Row {
    name: String,
    origin: Origin,
    possible: BTreeSet<&'static str>,
    tested: BTreeSet<&'static str>,
}

impl Row {
    fn missing(&self) -> Vec<&'static str> {
        self.possible.difference(&self.tested).copied().collect()
    }

    fn json(&self) -> Value {
        json!({"name": self.name, "line": self.origin.0, "possible": self.possible,
            "missing": self.missing()})
    }
}

impl Coverage {
    /// What there is to test.
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let listed = snapshot.pipeline.routes.listed();
        let mut policies = BTreeMap::new();
        for Listed { route, .. } in &listed {
            let Access::AnyOf(demand) = &route.access else { continue };
            for used in &demand.policies {
                policies.insert(used.policy.name().to_owned(), used.policy.origin());
            }
        }
        let row = |name, origin, possible| Row { name, origin, possible, tested: BTreeSet::new() };
        let routes = listed.into_iter().map(|listed| {
            let (name, origin) = (listed.route.name.to_string(), listed.route.origin);
            row(name, origin, possible(&listed, &snapshot.pipeline))
        });
        let both = BTreeSet::from(["true", "false"]);
        let policies =
            policies.into_iter().map(|(name, origin)| row(name, origin, both.clone())).collect();
        Self { routes: routes.collect(), policies }
    }

    /// Counts what a case showed that was as expected.
    pub(super) fn note(&mut self, outcome: &Outcome) {
        let come = match (outcome.verdict, outcome.refused) {
            // What the rules of a route say of its requests, it does not show.
            (ALLOW, _) if outcome.app_preflight => return,
            (ALLOW, _) => ALLOW,
            (_, Some((_, code))) => code,
            (_, None) => return,
        };
        let named = |row: &&mut Row| Some(row.name.as_str()) == outcome.route.as_deref();
        if let Some(row) = self.routes.iter_mut().find(named) {
            row.tested.insert(come);
        }
        for (name, was) in &outcome.policies {
            if let Some(row) = self.policies.iter_mut().find(|row| row.name == *name) {
                row.tested.insert(said(*was));
            }
        }
    }

    /// How many outcomes are tested, of how many.
    pub(super) fn count(&self) -> (usize, usize) {
        let rows = || self.routes.iter().chain(&self.policies);
        let of: usize = rows().map(|row| row.possible.len()).sum();
        let missing: usize = rows().map(|row| row.missing().len()).sum();
        (of - missing, of)
    }

    /// The table for people.
    pub(super) fn text(&self) -> String {
        let mut lines = vec![];
        for (title, rows) in [("ROUTE", &self.routes), ("POLICY", &self.policies)] {
            if rows.is_empty() {
                continue;
            }
            lines.push(format!("{title:<24} {:>9}  NOT TESTED", "TESTED"));
            lines.extend(rows.iter().map(|row| {
                let missing = row.missing();
                let tested = row.possible.len() - missing.len();
                let count = format!("{tested} of {}", row.possible.len());
                let text = format!("{:<24} {count:>9}  {}", row.name, missing.join(", "));
                text.trim_end().to_owned()
            }));
        }
        lines.join("\n")
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let (tested, of) = self.count();
        let list = |rows: &[Row]| rows.iter().map(Row::json).collect::<Vec<_>>();
        json!({
            "tested": tested, "of": of,
            "routes": list(&self.routes), "policies": list(&self.policies),
        })
    }
}

const fn said(was: bool) -> &'static str {
    if was { "true" } else { "false" }
}

/// What can come of requests for a route: a pass, and the codes by which it can refuse. What is refused
/// before a route is found, or whatever the route, is not counted.
fn possible(listed: &Listed<'_>, pipeline: &Pipeline) -> BTreeSet<&'static str> {
    let Route { clients, address_limits, principal_limits, concurrent_limits, penalty, .. } =
        &**listed.route;
    let body = &listed.route.body;
    let mut codes = BTreeSet::from([ALLOW, "body-too-large"]);
    let mut can = |code: &'static str, does: bool| {
        if does {
            codes.insert(code);
        }
    };
    can("method-not-allowed", listed.speaks_for_path);
    can("client-not-allowed", clients.is_some());
    can("rate-limited", !address_limits.is_empty() || !principal_limits.is_empty());
    can("too-many-failures", penalty.is_some());
    can("concurrency-limited", !concurrent_limits.is_empty());
    can("media-type-not-allowed", !body.types.is_empty());
    if let Access::AnyOf(demand) = &listed.route.access {
        identify(demand, &mut can);
        // Without a certificate there is no request where the handshake asks for one.
        let asked = |host: &usize| pipeline.hosts.requires_certificate(*host);
        let beside = !demand.also.is_empty() || only_certificates(demand);
        can("client-certificate-missing", beside && !listed.hosts.iter().all(asked));
        permit(demand, &mut can);
        let in_cookie = |place: &ReadFrom| matches!(place, ReadFrom::Cookie(_));
        let ambient = places(demand).any(in_cookie) || !demand.certificates.is_empty();
        can("origin-not-allowed", ambient && !listed.route.upgrade.is_empty());
    }
    codes
}

fn places(demand: &Demand) -> impl Iterator<Item = &ReadFrom> {
    demand.tokens.iter().flat_map(|way| &way.issuer.settings().read_from)
}

fn only_certificates(demand: &Demand) -> bool {
    demand.tokens.is_empty() && demand.api_keys.is_none() && !demand.anonymous
}

fn identify(demand: &Demand, can: &mut impl FnMut(&'static str, bool)) {
    let explicit = !demand.tokens.is_empty() || demand.api_keys.is_some();
    can("credential-invalid", explicit);
    can("credential-missing", explicit && !demand.anonymous);
    let named = |ways: &[portcullis_policy::CertificateWay]| {
        !ways.is_empty() && ways.iter().all(|way| !way.names.is_empty())
    };
    let not_allowed = (!explicit || demand.anonymous) && named(&demand.certificates);
    let also = demand.also.iter().any(|way| !way.names.is_empty());
    can("client-certificate-not-allowed", not_allowed || also);
    let mut kinds: BTreeSet<String> = places(demand)
        .filter(|p| !matches!(p, ReadFrom::Cookie(_)))
        .map(|p| format!("{p:?}"))
        .collect();
    if demand.api_keys.is_some() {
        kinds.insert("api key".to_owned());
    }
    can("ambiguous-credentials", kinds.len() > 1);
}

fn permit(demand: &Demand, can: &mut impl FnMut(&'static str, bool)) {
    let of_tokens = demand.tokens.iter().any(|way| !way.scopes.is_empty());
    let of_keys = demand.api_keys.as_ref().is_some_and(|way| !way.scopes.is_empty());
    can("scope-missing", of_tokens || of_keys);
    can("role-missing", !demand.roles.is_empty());
    can("policy-denied", !demand.policies.is_empty());
}
