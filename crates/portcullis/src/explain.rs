//! `portcullis explain`: the real pipeline on a made-up request, stage by stage.

use std::fmt::Write;
use std::process::ExitCode;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use portcullis_config::snapshot::{ListenerPlan, Snapshot};
use portcullis_config::{LoadOptions, Loaded};
use portcullis_core::{
    Authority, CanonicalPath, Clock, ConnMeta, Head, Refusal, Timestamp, TlsMeta,
};
use portcullis_policy::{Decision, Origin, Stage, Trace, Verdict, WouldDeny};
use portcullis_proxy::Redaction;

use crate::cli::{ExplainArgs, print_line};
use crate::explain_handshake::{Failed, Shaken, shake};

/// What each stage said.
#[derive(Debug, Default)]
struct Notes(Vec<(Stage, Origin, String)>);

impl Trace for Notes {
    fn note(&mut self, stage: Stage, origin: Origin, saw: impl FnOnce() -> String) {
        self.0.push((stage, origin, saw()));
    }
}

/// Why there is nothing to explain.
struct Unusable(String);

/// Exit codes: 0 would be forwarded, 1 would be refused, 2 the arguments or the file are wrong.
pub(crate) fn explain(args: &ExplainArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(explained(args)),
        Err(error) => Err(Unusable(error.to_string())),
    };
    match outcome {
        Ok((text, forwarded)) => {
            print_line(&text);
            ExitCode::from(u8::from(!forwarded))
        }
        Err(Unusable(reason)) => {
            print_line(&reason);
            ExitCode::from(2)
        }
    }
}

async fn explained(args: &ExplainArgs) -> Result<(String, bool), Unusable> {
    let clock = clock(args)?;
    let options = LoadOptions::new(clock.clone());
    let loaded = portcullis_config::load(&args.config, &options);
    let Loaded { snapshot, .. } = loaded.map_err(|report| Unusable(report.render_text(false)))?;
    for keys in snapshot.keys.values() {
        keys.load_now().await;
    }
    let request = MadeUp::new(args)?;
    let listener = listener(args, &snapshot, request.https);
    let file = args.certificate.as_deref();
    let shaken = match shake(file, &snapshot, &listener, &request.authority, &clock) {
        Ok(shaken) => shaken,
        Err(Failed::Handshake(reason)) => {
            return Ok((format!("refused in the TLS handshake: {reason}"), false));
        }
        Err(Failed::Unusable(reason)) => return Err(Unusable(reason)),
    };
    let conn = request.conn(args, listener, shaken);
    Ok(judged(args, &snapshot, &request, &conn).await)
}

fn clock(args: &ExplainArgs) -> Result<Clock, Unusable> {
    let Some(at) = &args.at else { return Ok(Clock::system()) };
    let at = Timestamp::parse_rfc3339(at);
    at.map(Clock::manual).ok_or_else(|| Unusable("--at takes a time as in RFC 3339".to_owned()))
}

async fn judged(
    args: &ExplainArgs,
    snapshot: &Snapshot,
    request: &MadeUp,
    conn: &ConnMeta,
) -> (String, bool) {
    let redaction = Redaction::new(
        snapshot.telemetry.redact_query.iter().map(String::as_str),
        snapshot.telemetry.redact_headers.iter().map(String::as_str),
    );
    let mut text = format!("{} {}\n", request.method, redaction.target(&args.url));
    for (name, value) in &request.headers {
        let value = redaction.header(name.as_str(), value.to_str().unwrap_or("(not text)"));
        writeln!(text, "  {name}: {value}").ok();
    }
    let clients = &snapshot.pipeline.clients;
    let client = clients.trusted_proxies.view(args.address, &request.headers);
    let https = client.https.unwrap_or(request.https);
    let head = match request.head(https) {
        Ok(head) => head,
        Err(refusal) => {
            let line = format!("head: {}", refusal.reason());
            return (
                format!("{text}\n{line}\n\n{}", verdict_line(args, &Err(refusal), None)),
                false,
            );
        }
    };
    let mut notes = Notes::default();
    let decision = snapshot.pipeline.decide(&head, conn, &client, &mut notes).await;
    let last = notes.0.len().saturating_sub(1);
    let refused = matches!(decision.verdict, Verdict::Deny(_));
    writeln!(text).ok();
    for (index, (stage, origin, saw)) in notes.0.iter().enumerate() {
        let decided = if refused && index == last { "refused" } else { "ok" };
        let place = place(args, *origin);
        writeln!(text, "{:<20} {decided:<8} {saw}  [{place}]", stage.name()).ok();
    }
    writeln!(text, "\n{}", summary(args, snapshot, &head, &decision, &redaction)).ok();
    for WouldDeny { refusal, origin } in &decision.would_deny {
        let (status, code, reason) = (refusal.status(), refusal.code(), refusal.reason());
        let place = place(args, *origin);
        writeln!(text, "only reported: {status} {code} ({reason}) [{place}]").ok();
    }
    (text.trim_end().to_owned(), !refused)
}

fn place(args: &ExplainArgs, origin: Origin) -> String {
    match origin {
        Origin(0) => "default".to_owned(),
        Origin(line) => format!("{}:{line}", args.config.display()),
    }
}

fn summary(
    args: &ExplainArgs,
    snapshot: &Snapshot,
    head: &Head<'_>,
    decision: &Decision,
    redaction: &Redaction,
) -> String {
    let route = decision.route.as_ref();
    match &decision.verdict {
        Verdict::Deny(refusal) => verdict_line(args, &Err(refusal.clone()), route),
        Verdict::Forward(grant) => {
            let forward = &grant.route().forward;
            let stripped = forward.strip_prefix.as_deref().unwrap_or_default();
            let path = head.path.as_str();
            let path = path.strip_prefix(stripped).filter(|p| !p.is_empty()).unwrap_or("/");
            let fields: Vec<&str> =
                forward.identity.headers.iter().map(|(name, _)| name.as_str()).collect();
            let told = if fields.is_empty() { "nothing".to_owned() } else { fields.join(", ") };
            let upstream = &forward.upstream.name;
            let endpoints = snapshot.upstreams.get(upstream).map_or(0, |u| u.endpoints.len());
            let line = verdict_line(args, &Ok("forwarded"), route);
            format!(
                "{line}\nto upstream {upstream} ({endpoints} endpoints) as {path}\nidentity fields: {told}"
            )
        }
        Verdict::Redirect(redirect) => {
            let location = redaction.target(redirect.location.to_str().unwrap_or_default());
            verdict_line(args, &Ok(&format!("answered with 308 to {location}")), route)
        }
        Verdict::Preflight(answer) => {
            let fields: Vec<String> = answer
                .fields
                .iter()
                .map(|(name, value)| format!("  {name}: {}", value.to_str().unwrap_or_default()))
                .collect();
            let line = verdict_line(args, &Ok("preflight answered with 204"), route);
            format!("{line}\n{}", fields.join("\n"))
        }
    }
}

/// The listener that the request is taken to come in on: the one that was named, or the first of the
/// file with TLS for https and without for http; a name that is none where there is no such.
fn listener(args: &ExplainArgs, snapshot: &Snapshot, https: bool) -> Arc<str> {
    if let Some(name) = &args.listener {
        return name.as_str().into();
    }
    let fits = |plan: &&ListenerPlan| plan.tls.is_some() == https;
    snapshot
        .listeners
        .iter()
        .find(fits)
        .map_or_else(|| "explain".into(), |plan| Arc::clone(&plan.name))
}

fn verdict_line(
    args: &ExplainArgs,
    outcome: &Result<&str, Refusal>,
    route: Option<&Arc<portcullis_policy::Route>>,
) -> String {
    let what = match outcome {
        Ok(what) => (*what).to_owned(),
        Err(refusal) => {
            format!("refused: {} {} ({})", refusal.status(), refusal.code(), refusal.reason())
        }
    };
    match route {
        Some(route) => format!("{what}, route {} [{}]", route.name, place(args, route.origin)),
        None => what,
    }
}

/// The request that the arguments describe.
struct MadeUp {
    method: Method,
    https: bool,
    authority: String,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
}

impl MadeUp {
    fn new(args: &ExplainArgs) -> Result<Self, Unusable> {
        let unusable = |text: &str| Unusable(text.to_owned());
        let method = Method::from_bytes(args.method.as_bytes());
        let method = method.map_err(|_| unusable("the method is not a token"))?;
        let (scheme, rest) = args
            .url
            .split_once("://")
            .ok_or_else(|| unusable("the URL needs https:// or http://"))?;
        let https = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(unusable("the URL needs https:// or http://")),
        };
        let split = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(split).unwrap_or((rest, ""));
        let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
        let mut headers = headers(&args.headers)?;
        if let Some(token) = token(args)? {
            let value = HeaderValue::try_from(format!("Bearer {}", token.trim()));
            let value = value.map_err(|_| unusable("the token has odd characters"))?;
            headers.insert(http::header::AUTHORIZATION, value);
        }
        Ok(Self {
            method,
            https,
            authority: authority.to_owned(),
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
            query: query.map(str::to_owned),
            headers,
        })
    }

    /// As the gateway makes it of a request of a client who came by `https`, or not.
    fn head(&self, https: bool) -> Result<Head<'_>, Refusal> {
        let malformed = |reason: String| {
            Refusal::from(portcullis_core::Denial::Malformed { reason: reason.into() })
        };
        let authority = Authority::parse(&self.authority).map_err(|e| malformed(e.to_string()))?;
        let default_port = if https { 443 } else { 80 };
        let port = authority.port.filter(|port| *port != default_port);
        let path = CanonicalPath::parse(&self.path).map_err(|e| malformed(e.to_string()))?;
        let length = self.headers.get(http::header::CONTENT_LENGTH);
        let content_length = length.and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        Ok(Head {
            method: &self.method,
            authority: Authority { port, ..authority },
            path,
            query: self.query.as_deref(),
            headers: &self.headers,
            https,
            content_length,
            has_body: content_length.is_some_and(|length| length > 0)
                || self.headers.contains_key(http::header::TRANSFER_ENCODING),
        })
    }

    fn conn(&self, args: &ExplainArgs, listener: Arc<str>, shaken: Shaken) -> ConnMeta {
        let tls = TlsMeta {
            server_name: Authority::parse(&self.authority).ok().map(|a| a.host.to_string()),
            version: "TLSv1.3",
            cipher_suite: "TLS13_AES_128_GCM_SHA256",
            group: None,
            resumed: false,
            policy: shaken.policy,
            client: shaken.client,
        };
        ConnMeta {
            listener,
            peer: Some((args.address, 0).into()),
            proxy: None,
            local: None,
            tls: self.https.then_some(tls),
        }
    }
}

fn headers(lines: &[String]) -> Result<HeaderMap, Unusable> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let parts = line.split_once(':').and_then(|(name, value)| {
            let name = HeaderName::try_from(name.trim()).ok()?;
            Some((name, HeaderValue::try_from(value.trim()).ok()?))
        });
        let Some((name, value)) = parts else {
            return Err(Unusable(format!("-H takes `name: value`, not `{line}`")));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// The token, from a file, standard input or the environment; never from an argument.
fn token(args: &ExplainArgs) -> Result<Option<String>, Unusable> {
    let Some(file) = &args.token_file else {
        return Ok(portcullis_config::environment::Environment::process().get("PORTCULLIS_TOKEN"));
    };
    let read = if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    read.map(Some).map_err(|error| Unusable(format!("{}: {error}", file.display())))
}
