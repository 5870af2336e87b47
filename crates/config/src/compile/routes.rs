//! `routes`.

use std::sync::Arc;

use http::{HeaderName, Method};
use portcullis_policy::table::PathPattern;
use portcullis_policy::{
    Access, ClientRules, CorsPolicy, Forward, HeaderPolicy, PathVariables, Route, RouteCors,
    RouteTable, RouteTableBuilder, Scheme, TableError, UpgradeToken,
};

use crate::at::At;
use crate::compile::access_certificates::check_certificates;
use crate::compile::check::{self, non_empty, own_or_default};
use crate::compile::forward::Around;
use crate::compile::hosts::Hosts;
use crate::compile::methods::method;
use crate::compile::names::Named;
use crate::compile::proof::exposing_nonce;
use crate::compile::route_limits::{self, Listed, RouteLimits};
use crate::compile::sections::Sections;
use crate::compile::{Context, policies, request};
use crate::problem::{Problem, Problems};
use crate::raw::defaults::Defaults;
use crate::raw::routes as raw;
use crate::read::Items;

/// Everything a route may name or inherit.
pub(super) struct Known<'a> {
    pub(super) hosts: &'a Hosts,
    pub(super) sections: &'a Sections,
    pub(super) defaults: &'a Defaults,
    pub(super) default_headers: &'a HeaderPolicy,
    pub(super) identity_header: &'a HeaderName,
}

/// Compiles all routes into a table, and tells them one by one as well.
pub(super) fn compile(
    raw: Option<Items<raw::Route>>,
    known: &Known<'_>,
    context: &Context<'_>,
    problems: &mut Problems,
) -> Option<(RouteTable, Vec<Arc<Route>>)> {
    let root = At::root();
    let at = root.key("routes");
    let raw = problems.required(&root, "routes", raw)?;
    let raw = non_empty(raw, &at, problems)?;
    let mut builder = RouteTableBuilder::new(known.hosts.len());
    let mut routes = Vec::new();
    let mut names: Vec<Arc<str>> = Vec::new();
    for (at, route) in raw.into_at(&at) {
        let Some(compiled) = route.compile(&at, known, context, problems) else { continue };
        check_certificates(&compiled.route, &compiled.hosts, known.hosts, &at, context, problems);
        let Compiled { route, pattern, hosts } = compiled;
        let route = Arc::new(known.sections.reports.on_trial(route));
        if names.contains(&route.name) {
            let message = format!("there are two routes with the name `{}`", route.name);
            let problem = Problem::new(at.key("name"), message);
            problems.push(problem.help("give each its own name"));
        }
        names.push(Arc::clone(&route.name));
        for host in hosts {
            if let Err(error) = builder.add(host, &pattern, &route) {
                problems.push(conflict(&error, &at));
                break;
            }
        }
        routes.push(route);
    }
    Some((builder.finish(), routes))
}

fn conflict(error: &TableError, at: &At) -> Problem {
    Problem::new(at.key("path"), error.to_string())
        .help("take the method, the host or the path out of one of the two")
}

struct Compiled {
    route: Route,
    pattern: PathPattern,
    hosts: Vec<usize>,
}

/// A route's own place and that of `defaults`.
struct Places<'a> {
    own: &'a At,
    default: At,
}

impl Places<'_> {
    /// What counts of a key, with its place.
    fn pick<T>(&self, key: &str, own: Option<T>, default: Option<T>) -> Option<(At, T)> {
        own_or_default(own, self.own.key(key), default, self.default.key(key))
    }
}

impl raw::Route {
    fn compile(
        self,
        at: &At,
        known: &Known<'_>,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<Compiled> {
        let Self {
            name,
            hosts,
            path,
            methods,
            encoded_slash,
            access,
            clients,
            limits,
            cors,
            upgrade,
            request,
            timeouts,
            response_headers,
            forward,
        } = self;
        let defaults = known.defaults.clone();
        let places = Places { own: at, default: At::root().key("defaults") };
        let name = check::name(name, at, problems);
        let hosts =
            compile_hosts(places.pick("hosts", hosts, defaults.hosts), known.hosts, problems);
        let (path, pattern) = pattern(path, at, problems);
        let methods = compile_methods(places.pick("methods", methods, defaults.methods), problems);
        let demand = Demand {
            access,
            clients: places.pick("clients", clients, defaults.clients),
            limits: places.pick("limits", limits, defaults.limits),
            cors: places.pick("cors", cors, defaults.cors),
        };
        let upgrade = compile_upgrade(places.pick("upgrade", upgrade, defaults.upgrade), problems);
        let (from, public) = (&places.default, demand.is_public());
        let demand = demand.compile(at, pattern.as_ref(), known, context, problems);
        let body = request::body(request, at, defaults.request, from, context, problems);
        let timeouts = request::timeouts(timeouts, at, defaults.timeouts, from, problems);
        let headers =
            response_headers.compile(&at.key("response_headers"), known.default_headers, problems);
        let around = Around { pattern: pattern.as_ref(), path: &path, public, known };
        let forward = problems.required(at, "forward", forward).and_then(|forward| {
            forward.compile(&at.key("forward"), defaults.forward, &around, problems)
        });
        let (demand, forward) = (demand?, forward?);
        let route = Route {
            name: name?,
            origin: context.origin(at),
            methods: methods?,
            encoded_slash: encoded_slash.or(defaults.encoded_slash).unwrap_or(false),
            access: demand.access,
            clients: demand.clients,
            address_limits: demand.limits.by_address,
            penalty: demand.limits.penalty,
            principal_limits: demand.limits.by_principal,
            concurrent_limits: demand.limits.concurrent,
            upgrade: can_upgrade(upgrade?, &forward, at, problems)?,
            cors: demand.cors,
            body: body?,
            timeouts: timeouts?,
            response_headers: Arc::new(headers?),
            forward,
        };
        Some(Compiled { route, pattern: pattern?, hosts: hosts? })
    }
}

/// What a route demands of who calls.
struct Demand {
    access: Option<crate::raw::access::Access>,
    clients: Option<(At, crate::raw::clients::ClientRules)>,
    limits: Option<(At, Items<String>)>,
    cors: Option<(At, String)>,
}

struct DemandTerms {
    access: Access,
    clients: Option<ClientRules>,
    limits: RouteLimits,
    cors: RouteCors,
}

impl Demand {
    const fn is_public(&self) -> bool {
        matches!(self.access, Some(crate::raw::access::Access::Public))
    }

    /// `pattern` is the path, where it is sound.
    fn compile(
        self,
        at: &At,
        pattern: Option<&PathPattern>,
        known: &Known<'_>,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<DemandTerms> {
        let variables = pattern.map(PathVariables::of).map(Arc::new);
        let public = self.is_public();
        let Self { access, clients, limits, cors } = self;
        let sections = known.sections;
        let access = problems.required(at, "access", access);
        let access_at = at.key("access");
        let access = access.and_then(|mut raw| {
            let policies_at = access_at.key("policies");
            let policies = raw.take_policies().map(|names| {
                policies::of_route(names, &policies_at, sections, variables.as_ref(), problems)
            });
            let mut access = raw.compile(&access_at, sections, context, problems)?;
            if let (Access::AnyOf(demand), Some(policies)) = (&mut access, policies) {
                demand.policies = policies?;
            }
            Some(access)
        });
        let clients = match clients {
            Some((at, rules)) => rules.compile(&at, context, problems).map(Some),
            None => Some(None),
        };
        let limits = match limits {
            Some((list_at, list)) => {
                // Where `access` is wrong, that is said already.
                let guessable = access.as_ref().is_none_or(Access::has_guessable) && !public;
                let listed = Listed { route: at, at: list_at, public, guessable };
                route_limits::compile(list, &listed, &sections.limits, problems)
            }
            None => Some(RouteLimits::default()),
        };
        let cors = compile_cors(cors, &sections.cors, problems);
        let access = access?;
        let cors = exposing_nonce(cors?, &access);
        Some(DemandTerms { access, clients: clients?, limits: limits?, cors })
    }
}

/// Positions in the allow-list.
fn compile_hosts(
    said: Option<(At, Items<String>)>,
    hosts: &Hosts,
    problems: &mut Problems,
) -> Option<Vec<usize>> {
    let Some((at, said)) = said else { return Some((0..hosts.len()).collect()) };
    let mut all = Vec::new();
    let mut sound = !problems.touch(&at);
    for (at, name) in non_empty(said, &at, problems)?.into_at(&at) {
        match hosts.find(&name, &at, problems) {
            Some(found) if found.iter().any(|index| all.contains(index)) => {
                problems.push(Problem::new(at, format!("the host `{name}` stands here twice")));
                sound = false;
            }
            Some(found) => all.extend(found),
            None => sound = false,
        }
    }
    sound.then_some(all)
}

/// The path as it is written, and what it means.
fn pattern(
    path: Option<String>,
    at: &At,
    problems: &mut Problems,
) -> (String, Option<PathPattern>) {
    let Some(text) = problems.required(at, "path", path) else { return (String::new(), None) };
    let error = match PathPattern::parse(&text) {
        Ok(pattern) => return (text, Some(pattern)),
        Err(error) => error,
    };
    let problem = Problem::new(at.key("path"), error.to_string());
    problems.push(match text.strip_prefix('/') {
        None => problem.help(format!("did you mean `/{text}`?")),
        Some(_) if text.ends_with("/*") => {
            let base = text.trim_end_matches('*');
            problem.help(format!("did you mean `{base}{{*rest}}`?"))
        }
        Some(_) => problem.expected("`/x`, `/x/{name}` or `/x/{*rest}`"),
    });
    (text, None)
}

fn compile_methods(
    said: Option<(At, Items<String>)>,
    problems: &mut Problems,
) -> Option<Vec<Method>> {
    let mut methods = Vec::new();
    let Some((at, said)) = said else {
        methods.extend([Method::GET, Method::HEAD, Method::POST, Method::PUT]);
        methods.extend([Method::PATCH, Method::DELETE]);
        return Some(methods);
    };
    let mut sound = !problems.touch(&at);
    for (at, text) in non_empty(said, &at, problems)?.into_at(&at) {
        match method(&text, &at, problems) {
            Some(method) if methods.contains(&method) && method != Method::HEAD => {
                problems.push(Problem::new(at, format!("`{method}` stands here twice")));
                sound = false;
            }
            Some(Method::GET) => methods.extend([Method::GET, Method::HEAD]),
            Some(method) => methods.push(method),
            None => sound = false,
        }
    }
    methods.dedup();
    sound.then_some(methods)
}

/// What a connection may be turned into.
fn compile_upgrade(
    said: Option<(At, Items<raw::Upgrade>)>,
    problems: &mut Problems,
) -> Option<Vec<UpgradeToken>> {
    let Some((at, said)) = said else { return Some(Vec::new()) };
    let mut tokens = Vec::new();
    let mut sound = !problems.touch(&at);
    for (at, raw::Upgrade::WebSocket) in non_empty(said, &at, problems)?.into_at(&at) {
        if tokens.contains(&UpgradeToken::WebSocket) {
            problems.push(Problem::new(at, "`websocket` stands here twice"));
            sound = false;
        }
        tokens.push(UpgradeToken::WebSocket);
    }
    sound.then_some(tokens)
}

/// HTTP/2 has no upgrade (RFC 9113 §8.6), so that an app that speaks it alone cannot be asked for one.
fn can_upgrade(
    tokens: Vec<UpgradeToken>,
    forward: &Forward,
    at: &At,
    problems: &mut Problems,
) -> Option<Vec<UpgradeToken>> {
    let is_h2c = forward.upstream.endpoints.iter().any(|one| one.scheme == Scheme::H2c);
    if is_h2c && !tokens.is_empty() {
        let message = "the upstream has an h2c endpoint, which knows no upgrade";
        let problem = Problem::new(at.key("upgrade"), message);
        problems.push(problem.help("give the route an upstream of http or https endpoints"));
        return None;
    }
    Some(tokens)
}

/// Who answers other origins: `app`, or a policy by name.
pub(super) fn compile_cors(
    said: Option<(At, String)>,
    policies: &Named<Arc<CorsPolicy>>,
    problems: &mut Problems,
) -> Option<RouteCors> {
    match said {
        None => Some(RouteCors::Off),
        Some((_, name)) if name == "app" => Some(RouteCors::App),
        Some((at, name)) => {
            let policy = policies.find(&name, &at, problems)?;
            Some(RouteCors::Policy(Arc::clone(policy)))
        }
    }
}
