//! The whole file, section by section, into one snapshot.

use std::sync::Arc;

use portcullis_authn::{IntrospectionServer, KeyCache};
use portcullis_limit::Quota;
use portcullis_policy::{
    Clients, CorsPolicy, FloodGuard, HeaderPolicy, HostAllowList, Pipeline, RouteTable, Transport,
};

use crate::at::At;
use crate::compile::clients::ClientTerms;
use crate::compile::edge::{Edge, EdgeTerms};
use crate::compile::issuers::IssuerTerms;
use crate::compile::limits::limiter;
use crate::compile::operators::{OperatorTerms, Operators};
use crate::compile::sections::{Declared, Sections};
use crate::compile::served::{Served, ServedTerms};
use crate::compile::{Context, listeners, redirects};
use crate::problem::{Problem, Problems};
use crate::raw::File;
use crate::snapshot::{ListenerPlan, Snapshot};

/// The version of the language that this program reads.
const VERSION: u32 = 1;

/// What is kept of the file for the operators.
pub(crate) struct Shown {
    /// SHA-256 of the file, in hex.
    pub(crate) hash: String,
    /// What is running, without secrets.
    pub(crate) redacted: serde_json::Value,
}

impl File {
    /// Compiles everything. `None` where a mistake was noted.
    pub(crate) fn compile(
        self,
        context: &Context<'_>,
        shown: Shown,
        problems: &mut Problems,
    ) -> Option<Snapshot> {
        let Self {
            version,
            listeners,
            connections,
            hosts,
            certificates,
            clients,
            state,
            defaults,
            issuers,
            api_keys,
            policies,
            limits,
            upstreams,
            cors,
            identity,
            routes,
            report_only,
            admin,
            telemetry,
        } = self;
        check_version(version, problems);
        let listeners = listeners::compile(listeners, context, problems);
        let edge = Edge { connections, hosts, certificates, clients };
        let edge = edge.compile(listeners.as_deref(), context, problems);
        let declared =
            Declared { issuers, api_keys, policies, limits, cors, upstreams, report_only };
        let sections = declared.compile(context, problems);
        let plans = listeners.as_deref().unwrap_or_default();
        let operators = Operators { state, admin, telemetry }.compile(plans, context, problems);
        let served = Served { defaults, identity, routes };
        let served = served.compile(&edge.hosts, &sections, context, problems)?;
        Parts { listeners: listeners?, edge, sections, operators, served }.snapshot(context, shown)
    }
}

/// The sections, compiled one by one.
struct Parts {
    listeners: Vec<ListenerPlan>,
    edge: EdgeTerms,
    sections: Sections,
    operators: OperatorTerms,
    served: ServedTerms,
}

impl Parts {
    /// What holds across sections. `None` where a mistake was noted.
    fn snapshot(self, context: &Context<'_>, shown: Shown) -> Option<Snapshot> {
        let Self { listeners, edge, sections, operators, served } = self;
        let EdgeTerms { hosts, tls, clients, connections } = edge;
        let ClientTerms { clients, flood } = clients?;
        let flood = flood.map(|quota| flood_guard(quota, context));
        let (limiters, slots) = (sections.limiters(flood.as_ref()), sections.slots());
        let penalties = sections.penalties();
        let issuers = sections.issuers.into_compiled();
        let transport = redirects::transport(&listeners, &issuers, served.api_keys.field.as_ref());
        let telemetry = operators.telemetry?.with_key_field(served.api_keys.field.as_ref());
        let telemetry = telemetry.with_tokens_of(issuers.values().map(|one| &one.issuer));
        let defaults = (served.default_cors, served.default_headers);
        let (clients, hosts) = ((clients, flood), hosts.allow_list(&listeners));
        let pipeline = pipeline(clients, hosts, transport, defaults, served.table, context);
        Some(Snapshot {
            pipeline,
            listeners,
            tls: tls?,
            connections: connections?,
            keys: issuers.iter().filter_map(keys_of).collect(),
            servers: issuers.iter().filter_map(server_of).collect(),
            dpop: Arc::clone(&context.options.handover.dpop),
            issuers: issuers.into_iter().map(|(name, terms)| (name, terms.issuer)).collect(),
            limiters,
            slots,
            trials: sections.reports.trials,
            penalties,
            upstreams: sections.upstreams.into_compiled(),
            state: operators.state?,
            identity: served.identity,
            admin: operators.admin?,
            telemetry,
            identity_fields: served.identity_fields,
            api_keys: served.api_keys,
            files: context.files(),
            hash: shown.hash,
            redacted: shown.redacted,
        })
    }
}

fn pipeline(
    (clients, flood): (Clients, Option<FloodGuard>),
    hosts: HostAllowList,
    transport: Transport,
    (default_cors, default_headers): (Option<Arc<CorsPolicy>>, Arc<HeaderPolicy>),
    routes: RouteTable,
    context: &Context<'_>,
) -> Pipeline {
    let lines = context.lines();
    Pipeline { clients, flood, hosts, transport, default_cors, default_headers, routes, lines }
}

fn keys_of((name, terms): (&Arc<str>, &IssuerTerms)) -> Option<(Arc<str>, KeyCache)> {
    Some((Arc::clone(name), terms.keys.clone()?))
}

fn server_of((name, terms): (&Arc<str>, &IssuerTerms)) -> Option<(Arc<str>, IntrospectionServer)> {
    Some((Arc::clone(name), terms.server.clone()?))
}

fn flood_guard(quota: Quota, context: &Context<'_>) -> FloodGuard {
    let origin = context.origin(&At::root().key("clients").key("limit"));
    FloodGuard { limiter: limiter(quota, context), origin }
}

/// What is asked of the file as a whole.
fn check_version(version: Option<u32>, problems: &mut Problems) {
    let at = At::root();
    if let Some(version) = problems.required(&at, "version", version)
        && version != VERSION
    {
        let message = format!("version {version} of the language is not known");
        problems.push(Problem::new(at.key("version"), message).expected(format!("`{VERSION}`")));
    }
}
