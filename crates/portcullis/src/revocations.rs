//! Revocations in a running process: the store is looked at, the admin listener makes them and takes
//! them back, what is over is swept.

pub(crate) mod command;
mod wanted;

use std::sync::{Arc, Weak};
use std::time::Duration;

use http::StatusCode;
use portcullis_authn::{Revocation, Revocations, Revoked};
use portcullis_core::Timestamp;
use portcullis_proxy::LogSink as _;
use portcullis_state::DurableError;
use serde_json::{Value, json};

use crate::admin::{AdminError, Answer, Call};
use crate::runtime::Runtime;
use wanted::Wanted;

/// Time between two times that what is over is forgotten.
const SWEEP: Duration = Duration::from_mins(1);

/// Names the store of the process, and looks at it from now on. Requests with tokens that come before
/// the first good look are answered 503.
pub(crate) async fn start(runtime: &Arc<Runtime>) {
    let Some(revocations) = runtime.revocations() else { return };
    revocations.bind(Arc::clone(runtime.durable()));
    if let Err(error) = revocations.refresh().await {
        tracing::error!(%error, "revocations cannot be read");
    }
    tokio::spawn(revocations.keep_fresh());
    tokio::spawn(sweep(revocations, Arc::downgrade(runtime)));
}

async fn sweep(revocations: Arc<Revocations>, runtime: Weak<Runtime>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(runtime) = runtime.upgrade() else { return };
        let issuers = &runtime.running().issuers;
        let leeway = issuers.values().map(|issuer| issuer.settings().leeway).max();
        if let Err(error) = revocations.sweep(leeway.unwrap_or_default()).await {
            tracing::debug!(%error, "revocations that are over cannot be removed");
        }
    }
}

/// `POST /revocations`.
pub(crate) async fn make(call: Call<'_>) -> Answer {
    let revocations = handle(call.runtime)?;
    let wanted = Wanted::read(call.body)?;
    let running = call.runtime.running();
    let revocation = wanted.make(&revocations, &running.issuers, call.runtime.clock()).await?;
    note(call.runtime, "tokens-revoked", &revocation);
    Ok((StatusCode::CREATED, view(&revocation)))
}

/// `GET /revocations`.
pub(crate) async fn list(call: Call<'_>) -> Answer {
    let all = handle(call.runtime)?.list().await.map_err(|error| unavailable(&error))?;
    Ok((StatusCode::OK, json!({"revocations": all.iter().map(view).collect::<Vec<_>>()})))
}

/// `DELETE /revocations/{id}`.
pub(crate) async fn restore(call: Call<'_>) -> Answer {
    let restored = handle(call.runtime)?.restore(call.id).await;
    match restored.map_err(|error| unavailable(&error))? {
        Some(revocation) => {
            note(call.runtime, "tokens-restored", &revocation);
            Ok((StatusCode::OK, view(&revocation)))
        }
        None => Err(unknown(call.id)),
    }
}

fn handle(runtime: &Runtime) -> Result<Arc<Revocations>, AdminError> {
    let none = || AdminError::new(StatusCode::SERVICE_UNAVAILABLE, "state-unavailable");
    runtime.revocations().ok_or_else(none)
}

fn unavailable(error: &DurableError) -> AdminError {
    let code = "state-unavailable";
    AdminError::new(StatusCode::SERVICE_UNAVAILABLE, code).telling(error.to_string())
}

fn unknown(id: &str) -> AdminError {
    let told = format!("there is no revocation {id}");
    AdminError::new(StatusCode::NOT_FOUND, "not-found").telling(told)
}

/// A line of the audit log: who may read it may know whose tokens these were.
fn note(runtime: &Runtime, event: &str, revocation: &Revocation) {
    let mut line = view(revocation);
    if let Some(fields) = line.as_object_mut() {
        fields.insert("event".to_owned(), event.into());
        fields.insert("time".to_owned(), runtime.clock().now().rfc3339().into());
    }
    tracing::info!(event, id = revocation.id, issuer = revocation.issuer);
    runtime.logs().audit(line.to_string());
}

/// A revocation for programs; `expires` is null where it is kept until it is taken back.
fn view(revocation: &Revocation) -> Value {
    let (name, what) = match &revocation.revoked {
        Revoked::Jti(jti) => ("jti", jti.clone()),
        Revoked::Subject(subject) => ("subject", subject.clone()),
        Revoked::IssuedBefore(time) => ("issued_before", time.rfc3339()),
    };
    json!({
        "id": revocation.id,
        "issuer": revocation.issuer,
        name: what,
        "created": revocation.created.rfc3339(),
        "expires": revocation.term.until.map(Timestamp::rfc3339),
    })
}

/// For `/readyz`.
pub(crate) fn ready_json(runtime: &Runtime) -> Value {
    let count = runtime.revocations().and_then(|revocations| revocations.count());
    json!({"known": count.is_some(), "count": count})
}
