//! The whole policy as one function, read top to bottom: [`Pipeline::decide`].

use std::sync::Arc;

use http::{Method, header};
use portcullis_core::forwarded::ClientView;
use portcullis_core::{ClientKey, ConnMeta, Denial, Head, Host, Principal, Refusal};
use portcullis_limit::Outcome;

use crate::caller::identify_caller;
use crate::cors::is_preflight;
use crate::counting::{
    Tally, admit_address_limits, admit_concurrent_limits, admit_principal_limits, left,
};
use crate::permit::permit;
use crate::policies::admit_policies;
use crate::shape::{admit_route_client, admit_shape};
use crate::table::Found;
use crate::transport::Arrival;
use crate::upgrade::admit_upgrade;
use crate::{
    AllowedHost, Bound, Clients, CorsPolicy, Decision, FloodGuard, Grant, HeaderPolicy,
    HostAllowList, Lines, Origin, PreflightAnswer, Route, RouteCors, RouteTable, Stage, Trace,
    Transport, UpgradeToken, Verdict, resource_metadata, saw,
};

/// Everything that judges a request; immutable, one per snapshot.
#[derive(Debug)]
pub struct Pipeline {
    /// Who may come at all.
    pub clients: Clients,
    /// The flood guard, where there is one.
    pub flood: Option<FloodGuard>,
    /// The host allow-list.
    pub hosts: HostAllowList,
    /// What each listener does with cleartext.
    pub transport: Transport,
    /// Who answers other origins before a route was found.
    pub default_cors: Option<Arc<CorsPolicy>>,
    /// Security headers of answers given before a route was found.
    pub default_headers: Arc<HeaderPolicy>,
    /// The routes.
    pub routes: RouteTable,
    /// Where all this stands.
    pub lines: Lines,
}

/// What was learnt on the way, whatever the verdict.
#[derive(Default)]
struct Known {
    route: Option<Arc<Route>>,
    cors: Option<Arc<CorsPolicy>>,
    principal: Option<Arc<Principal>>,
    bound: Bound,
    tally: Tally,
}

enum Routed {
    Answer(Verdict),
    Route(Arc<Route>),
}

impl Pipeline {
    /// Judges one request. Every stage that cannot decide answers with a fault, never a pass.
    pub async fn decide<T: Trace>(
        &self,
        head: &Head<'_>,
        conn: &ConnMeta,
        client: &ClientView,
        trace: &mut T,
    ) -> Decision {
        let mut known = Known::default();
        let walk = self.walk(head, conn, client, trace, &mut known).await;
        let verdict = walk.unwrap_or_else(|mut refusal| {
            if let Some(route) = &known.route {
                self.routes.resources().name_in(&mut refusal, route, head);
            }
            Verdict::Deny(refusal)
        });
        let Known { route, cors, principal, bound, tally } = known;
        let Tally { standings, would_deny } = tally;
        Decision { verdict, route, cors, principal, bound, standings, would_deny }
    }

    async fn walk<T: Trace>(
        &self,
        head: &Head<'_>,
        conn: &ConnMeta,
        client: &ClientView,
        trace: &mut T,
        known: &mut Known,
    ) -> Result<Verdict, Refusal> {
        self.admit_client(client, trace)?;
        let key = self.key_of(client);
        self.admit_flood(&key, trace)?;
        let arrival = self.transport.arrival(conn, client);
        let host = self.admit_host(head, conn, arrival, trace)?;
        known.cors.clone_from(&self.default_cors);
        if let Some(redirect) = self.transport.admit(head, conn, arrival, trace)? {
            return Ok(Verdict::Redirect(redirect));
        }
        if let Some(verdict) = self.tell_metadata(host, head, (client, &key), trace, known)? {
            return Ok(verdict);
        }
        let route = match self.admit_route(host, head, client, trace, known)? {
            Routed::Answer(verdict) => return Ok(verdict),
            Routed::Route(route) => route,
        };
        let tally = &mut known.tally;
        admit_shape(&route, head, client, trace, &mut tally.would_deny)?;
        admit_address_limits(&route, &key, trace, tally)?;
        let caller =
            identify_caller(&route, head, (conn, client), (&key, &mut tally.would_deny), trace)
                .await?;
        let ambient = caller.as_ref().is_some_and(|caller| caller.ambient);
        let principal = caller.as_ref().map(|caller| Arc::clone(&caller.principal));
        known.bound = caller.as_ref().map(|caller| caller.bound.clone()).unwrap_or_default();
        known.principal.clone_from(&principal);
        admit_principal_limits(&route, principal.as_deref(), trace, tally)?;
        permit(&route, caller.as_ref(), conn, trace)?;
        admit_policies(&route, principal.as_deref(), head, client, trace, tally)?;
        let upgrade = judge_upgrade(&route, head, ambient, trace)?;
        let slots = admit_concurrent_limits(&route, &key, principal.as_deref(), trace, tally)?;
        Ok(Verdict::Forward(Grant::new(route, principal, upgrade, slots)))
    }

    /// The stages that ask nothing of a request: also for one whose head cannot be read, so that
    /// neither a denied client nor a flood of nonsense gets by them.
    pub fn admit_unread<T: Trace>(
        &self,
        client: &ClientView,
        trace: &mut T,
    ) -> Result<(), Refusal> {
        self.admit_client(client, trace)?;
        self.admit_flood(&self.key_of(client), trace)
    }

    fn key_of(&self, client: &ClientView) -> [u8; 16] {
        ClientKey::new(client.address, self.clients.ipv6_prefix).to_bytes()
    }

    fn admit_client<T: Trace>(&self, client: &ClientView, trace: &mut T) -> Result<(), Refusal> {
        let rules = &self.clients.rules;
        trace.note(Stage::Client, rules.origin, || saw::client(client.address, &client.chain));
        if rules.admits(client.address) { Ok(()) } else { Err(Denial::ClientNotAllowed.into()) }
    }

    fn admit_flood<T: Trace>(&self, key: &[u8], trace: &mut T) -> Result<(), Refusal> {
        let Some(guard) = &self.flood else { return Ok(()) };
        match guard.limiter.admit(key) {
            Outcome::Admitted(standing) => {
                trace.note(Stage::FloodGuard, guard.origin, || left(&standing));
                Ok(())
            }
            Outcome::Refused { retry_after } => {
                trace.note(Stage::FloodGuard, guard.origin, || "used up".to_owned());
                let limit = guard.limiter.quota().name.to_string();
                Err(Denial::RateLimited { limit, retry_after }.into())
            }
        }
    }

    fn admit_host<T: Trace>(
        &self,
        head: &Head<'_>,
        conn: &ConnMeta,
        arrival: Arrival,
        trace: &mut T,
    ) -> Result<AllowedHost, Refusal> {
        let (authority, default_port) = arrival.authority(head);
        let listed = self.hosts.admit(&authority, default_port);
        let origin = listed.map_or(self.lines.hosts, AllowedHost::origin);
        let admitted = listed.filter(|host| {
            fits_connection(*host, &head.authority.host, conn) && self.fits_clients(*host, conn)
        });
        trace.note(Stage::Host, origin, || head.authority.to_string());
        let host = admitted.ok_or(Denial::HostNotAllowed)?;
        // A certificate that was good in the handshake need not be so for ever.
        if let Some(shown) = conn.tls.as_ref().and_then(|tls| tls.client.as_ref()) {
            shown.judge().map_err(|reason| Denial::CertificateInvalid { reason })?;
        }
        Ok(host)
    }

    /// Whether the connection was asked for the certificates that the host asks for. A listener that
    /// redirects hands nothing on, and sends clients where they are asked.
    fn fits_clients(&self, host: AllowedHost, conn: &ConnMeta) -> bool {
        self.transport.is_redirect(&conn.listener) || self.hosts.fits(host, conn)
    }

    /// What a resource's metadata say (RFC 9728), where they are asked for and no route of the file is
    /// at their very place. Any page may read them: they are for clients that have no token yet.
    fn tell_metadata<T: Trace>(
        &self,
        host: AllowedHost,
        head: &Head<'_>,
        (client, key): (&ClientView, &[u8]),
        trace: &mut T,
        known: &mut Known,
    ) -> Result<Option<Verdict>, Refusal> {
        let path = head.path.as_str();
        let Some(found) = self.routes.resources().find(host, path) else { return Ok(None) };
        if self.routes.is_said(host, path) {
            return Ok(None);
        }
        known.cors = None;
        trace.note(Stage::Route, found.route.origin, || format!("metadata of {path}"));
        admit_route_client(found.route, client, trace)?;
        admit_address_limits(found.route, key, trace, &mut known.tally)?;
        if is_preflight(head.method, head.headers) {
            let fields = resource_metadata::preflight_fields();
            return Ok(Some(Verdict::Preflight(PreflightAnswer { fields })));
        }
        if !resource_metadata::is_read(head.method) {
            let allow = vec![Method::GET, Method::HEAD];
            return Err(Denial::MethodNotAllowed { allow }.into());
        }
        Ok(Some(Verdict::Metadata(found.document(head).to_string())))
    }

    fn admit_route<T: Trace>(
        &self,
        host: AllowedHost,
        head: &Head<'_>,
        client: &ClientView,
        trace: &mut T,
        known: &mut Known,
    ) -> Result<Routed, Refusal> {
        if is_preflight(head.method, head.headers)
            && let Some(verdict) = self.answer_preflight(host, head, client, trace, known)?
        {
            return Ok(Routed::Answer(verdict));
        }
        let path = head.path.as_str();
        let route = match self.routes.find(host, path, head.method) {
            Found::Route(route) => Arc::clone(route),
            Found::OtherMethods(route, allow) => {
                trace.note(Stage::Route, route.origin, || saw::other_methods(path));
                known.note_route(route);
                return Err(Denial::MethodNotAllowed { allow }.into());
            }
            Found::Nothing => {
                trace.note(Stage::Route, self.lines.routes, || saw::no_route(path));
                return Err(Denial::RouteNotFound.into());
            }
        };
        trace.note(Stage::Route, route.origin, || saw::route(path, &route));
        known.note_route(&route);
        self.check_path_means_one_thing(host, head, &route)?;
        Ok(Routed::Route(route))
    }

    /// Servers disagree on `%2F` and on `;`: a path that some would read as another is refused,
    /// unless the route opted in or both readings are the same route.
    fn check_path_means_one_thing(
        &self,
        host: AllowedHost,
        head: &Head<'_>,
        route: &Arc<Route>,
    ) -> Result<(), Refusal> {
        if head.path.has_encoded_slash() && !route.encoded_slash {
            let reason = "encoded slash or double encoding in the path".into();
            return Err(Denial::Malformed { reason }.into());
        }
        let Some(bare) = head.path.without_parameters() else { return Ok(()) };
        match self.routes.find(host, &bare, head.method) {
            Found::Route(other) if Arc::ptr_eq(other, route) => Ok(()),
            Found::Route(_) | Found::OtherMethods(..) | Found::Nothing => {
                let reason = "path parameters (;) that would change the route".into();
                Err(Denial::Malformed { reason }.into())
            }
        }
    }

    /// `None`: the route has no CORS, so that the preflight is an ordinary OPTIONS.
    fn answer_preflight<T: Trace>(
        &self,
        host: AllowedHost,
        head: &Head<'_>,
        client: &ClientView,
        trace: &mut T,
        known: &mut Known,
    ) -> Result<Option<Verdict>, Refusal> {
        let requested = head
            .headers
            .get(header::ACCESS_CONTROL_REQUEST_METHOD)
            .and_then(|value| Method::from_bytes(value.as_bytes()).ok());
        let Some(requested) = requested else {
            trace.note(Stage::Cors, Origin::default(), || "preflight for no method".to_owned());
            let reason = "Access-Control-Request-Method is no method".into();
            return Err(Denial::Malformed { reason }.into());
        };
        let path = head.path.as_str();
        let Some(route) = self.routes.find_for_preflight(host, path, &requested) else {
            return Ok(None);
        };
        let route = Arc::clone(route);
        known.note_route(&route);
        trace.note(Stage::Cors, route.origin, || format!("preflight for {requested} {path}"));
        self.check_preflight_path(host, head, &route, &requested)?;
        Ok(match &route.cors {
            RouteCors::App => {
                // It reaches the app, so that the route's own client rules hold for it too.
                admit_route_client(&route, client, trace)?;
                Some(Verdict::Forward(Grant::for_app_preflight(route)))
            }
            RouteCors::Off => None,
            RouteCors::Policy(policy) => {
                let fields = policy.preflight_fields(head.headers);
                Some(Verdict::Preflight(PreflightAnswer { fields }))
            }
        })
    }

    fn check_preflight_path(
        &self,
        host: AllowedHost,
        head: &Head<'_>,
        route: &Arc<Route>,
        requested: &Method,
    ) -> Result<(), Refusal> {
        let asked = Head { method: requested, ..head.clone() };
        match self.routes.find(host, head.path.as_str(), requested) {
            Found::Route(_) => self.check_path_means_one_thing(host, &asked, route),
            Found::OtherMethods(..) | Found::Nothing => Ok(()),
        }
    }
}

impl Known {
    fn note_route(&mut self, route: &Arc<Route>) {
        self.route = Some(Arc::clone(route));
        self.cors = match &route.cors {
            RouteCors::Policy(policy) => Some(Arc::clone(policy)),
            RouteCors::App | RouteCors::Off => None,
        };
    }
}

/// A TLS 1.2 connection serves a host only if the host's entry allows 1.2, or the handshake asked
/// for that very name: no host is reached under the weaker policy of another.
fn fits_connection(host: AllowedHost, name: &Host, conn: &ConnMeta) -> bool {
    let Some(tls) = &conn.tls else { return true };
    if tls.version != "TLSv1.2" || host.allows_tls12() {
        return true;
    }
    matches!((name, &tls.server_name), (Host::Name(name), Some(asked)) if **name == **asked)
}

fn judge_upgrade<T: Trace>(
    route: &Route,
    head: &Head<'_>,
    ambient: bool,
    trace: &mut T,
) -> Result<Option<UpgradeToken>, Refusal> {
    if route.upgrade.is_empty() {
        return Ok(None);
    }
    let judged = admit_upgrade(route, head, ambient);
    trace.note(Stage::Upgrade, route.origin, || match &judged {
        Ok(Some(token)) => token.as_str().to_owned(),
        Ok(None) => "none".to_owned(),
        Err(denial) => denial.reason().into_owned(),
    });
    Ok(judged?)
}

#[cfg(test)]
mod tests;
