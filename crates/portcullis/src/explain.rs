//! `portcullis explain`: the real pipeline on a made-up request, stage by stage.

mod render;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use portcullis_authn::{DpopProofs, Revocations, dpop};
use portcullis_config::{LoadOptions, Loaded, Snapshot};
use portcullis_core::{Authority, Clock, ConnMeta, Timestamp, TlsMeta};

use crate::cli::{ExplainArgs, ExplainFormat, print_line};
use crate::explain_handshake::{Failed, Shaken, shake};
use crate::store;
use crate::trial::{Arrival, Trial, Word};

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
    let mut options = LoadOptions::new(clock.clone());
    options.handover.dpop = Arc::new(DpopProofs::rehearsal(clock.clone()));
    let revocations = Revocations::new(clock.clone());
    options.handover.revocations = Some(Arc::clone(&revocations));
    let loaded = portcullis_config::load(&args.config, &options);
    let Loaded { snapshot, .. } = loaded.map_err(|report| Unusable(report.render_text(false)))?;
    for keys in snapshot.keys.values() {
        keys.load_now().await;
    }
    read_store(&snapshot, &revocations, &clock).await?;
    let trial = trial(args, &snapshot)?;
    let arrival = trial.arrival(args.listener.as_deref(), args.address, &snapshot);
    let arrival = arrival.map_err(Unusable)?;
    let file = args.certificate.as_deref();
    let shaken = match shake(file, &snapshot, &arrival.listener, &trial.authority, &clock) {
        Ok(shaken) => shaken,
        Err(Failed::Handshake(reason)) => {
            return Ok((render::no_handshake(args.format, &reason), false));
        }
        Err(Failed::Unusable(reason)) => return Err(Unusable(reason)),
    };
    let conn = conn(&trial, arrival, shaken);
    let tried = trial.run(&snapshot, &conn).await;
    let explanation = render::Explanation::new(&args.url, &trial, &tried, &snapshot);
    let text = match args.format {
        ExplainFormat::Json => explanation.json(),
        ExplainFormat::Text => explanation.text(),
    };
    Ok((text, tried.word() != Word::Deny))
}

fn clock(args: &ExplainArgs) -> Result<Clock, Unusable> {
    let Some(at) = &args.at else { return Ok(Clock::system()) };
    let at = Timestamp::parse_rfc3339(at);
    at.map(Clock::manual).ok_or_else(|| Unusable("--at takes a time as in RFC 3339".to_owned()))
}

fn trial(args: &ExplainArgs, snapshot: &Snapshot) -> Result<Trial, Unusable> {
    let mut trial = Trial::new(&args.method, &args.url).map_err(Unusable)?;
    for line in &args.headers {
        let Some((name, value)) = line.split_once(':') else {
            return Err(Unusable(format!("-H takes `name: value`, not `{line}`")));
        };
        trial.field(name.trim(), value.trim()).map_err(Unusable)?;
    }
    if let Some(token) = secret(args.token_file.as_deref(), "PORTCULLIS_TOKEN")? {
        let has_proof = trial.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(dpop::FIELD));
        let scheme = if has_proof { "DPoP" } else { "Bearer" };
        let value = format!("{scheme} {}", token.trim());
        trial.field("authorization", &value).map_err(Unusable)?;
    }
    let key = secret(args.api_key_file.as_deref(), "PORTCULLIS_API_KEY")?;
    match (key, &snapshot.api_keys.field) {
        (Some(key), Some(field)) => {
            let odd = |_| Unusable("the key has odd characters".to_owned());
            trial.field(field.as_str(), key.trim()).map_err(odd)?;
        }
        (Some(_), None) if args.api_key_file.is_some() => {
            return Err(Unusable("no route of the file takes API keys".to_owned()));
        }
        _ => {}
    }
    Ok(trial)
}

fn conn(trial: &Trial, arrival: Arrival, shaken: Shaken) -> ConnMeta {
    let Arrival { listener, peer } = arrival;
    let tls = TlsMeta {
        server_name: Authority::parse(&trial.authority).ok().map(|a| a.host.to_string()),
        version: "TLSv1.3",
        cipher_suite: "TLS13_AES_128_GCM_SHA256",
        group: None,
        resumed: false,
        policy: shaken.policy,
        client: shaken.client,
    };
    ConnMeta { listener, peer, proxy: None, local: None, tls: trial.https.then_some(tls) }
}

/// API keys and revocations are those of the store that the file names, where they judge anything.
async fn read_store(
    snapshot: &Snapshot,
    revocations: &Revocations,
    clock: &Clock,
) -> Result<(), Unusable> {
    if snapshot.api_keys.field.is_none() && snapshot.issuers.is_empty() {
        return Ok(());
    }
    let folder = crate::run::state_folder().map_err(|failure| Unusable(failure.text))?;
    let (terms, now) = (snapshot.state.clone(), clock.clone());
    let opened =
        tokio::task::spawn_blocking(move || store::look_or_empty(&terms, &folder, now)).await;
    let unusable = |error: &dyn std::fmt::Display| Unusable(error.to_string());
    let durable = opened.map_err(|error| unusable(&error))?.map_err(|error| unusable(&error))?;
    snapshot.api_keys.keys.bind(Arc::clone(&durable));
    revocations.bind(durable);
    snapshot.api_keys.keys.refresh().await.map_err(|error| unusable(&error))?;
    revocations.refresh().await.map_err(|error| unusable(&error))
}

/// A token or a key, from a file, standard input or the environment; never from an argument.
fn secret(file: Option<&Path>, variable: &str) -> Result<Option<String>, Unusable> {
    let Some(file) = file else {
        return Ok(portcullis_config::environment::Environment::process().get(variable));
    };
    let read = if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    read.map(Some).map_err(|error| Unusable(format!("{}: {error}", file.display())))
}
