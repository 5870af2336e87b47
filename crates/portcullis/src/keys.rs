//! API keys in a running process: the store is looked at, the admin listener makes, rotates and revokes
//! them, uses are written down now and then.

mod asked;
pub(crate) mod command;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use portcullis_authn::{ApiKeys, ManageError};
use portcullis_proxy::LogSink;
use portcullis_proxy::metrics::KeyMetrics;
use portcullis_state::{Durable, DurableError};
use serde_json::{Value, json};

use crate::admin::{AdminError, Answer, Call};
use crate::runtime::Runtime;
use asked::{Asked, Done};

/// Time between two times that uses are written down.
const FLUSH: Duration = Duration::from_secs(5);

/// Time between two times that keys are forgotten that are long over.
const FORGET: Duration = Duration::from_hours(6);

/// Names the store of the process, and looks at it from now on. Requests that come before the first good
/// look are answered 503.
pub(crate) async fn start(keys: &Arc<ApiKeys>, durable: &Arc<dyn Durable>) {
    keys.bind(Arc::clone(durable));
    if let Err(error) = keys.refresh().await {
        tracing::error!(%error, "API keys cannot be read");
    }
    tokio::spawn(keys.keep_fresh());
    tokio::spawn(write_down(Arc::clone(keys)));
    tokio::spawn(forget(Arc::clone(keys)));
}

async fn write_down(keys: Arc<ApiKeys>) {
    let mut failing = false;
    loop {
        tokio::time::sleep(FLUSH).await;
        note_flush(&keys.flush().await, &mut failing);
    }
}

async fn forget(keys: Arc<ApiKeys>) {
    loop {
        if let Err(error) = keys.forget_ended().await {
            tracing::warn!(%error, "API keys that are long over cannot be forgotten");
        }
        tokio::time::sleep(FORGET).await;
    }
}

/// The last uses, at the end of the process.
pub(crate) async fn stop(keys: &ApiKeys) {
    note_flush(&keys.flush().await, &mut false);
}

fn note_flush(done: &Result<(), DurableError>, failing: &mut bool) {
    if let Err(error) = done
        && !*failing
    {
        tracing::warn!(%error, "uses of API keys cannot be written down");
    }
    *failing = done.is_err();
}

/// `GET /keys`, `POST /keys`, `POST /keys/{id}` and `DELETE /keys/{id}`.
pub(crate) async fn answer(method: &Method, call: Call<'_>) -> Answer {
    let asked = Asked::read(method, call.id, call.body, call.runtime.clock().now())?;
    let Done { status, value, event } =
        asked.carry_out(&call.runtime.api_keys()).await.map_err(|error| refusal(&error))?;
    if let Some(event) = event {
        let line = event.line(call.runtime.clock().now());
        tracing::info!(event = event.name, id = event.id, owner = event.owner);
        call.runtime.logs().audit(line);
    }
    Ok((status, value))
}

/// What the admin listener says of it.
fn refusal(error: &ManageError) -> AdminError {
    let (status, code) = match error {
        ManageError::Invalid(_) => (StatusCode::BAD_REQUEST, "request-invalid"),
        ManageError::Unknown(_) => (StatusCode::NOT_FOUND, "not-found"),
        ManageError::Busy(_) => (StatusCode::CONFLICT, "busy"),
        ManageError::Durable(_) | ManageError::Random | ManageError::Unreadable(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "state-unavailable")
        }
    };
    AdminError::new(status, code).telling(error.to_string())
}

/// For `/metrics`.
pub(crate) fn show(keys: &ApiKeys, metrics: &KeyMetrics) {
    let numbers = keys.numbers();
    let states = [
        ("live", numbers.map(|numbers| numbers.live)),
        ("expired", numbers.map(|numbers| numbers.expired)),
        ("revoked", numbers.map(|numbers| numbers.revoked)),
    ];
    metrics.show(states, keys.total_uses());
}

/// For `/readyz`.
pub(crate) fn ready_json(runtime: &Runtime) -> Value {
    match runtime.api_keys().numbers() {
        None => json!({"known": false}),
        Some(numbers) => json!({
            "known": true,
            "live": numbers.live,
            "expired": numbers.expired,
            "revoked": numbers.revoked,
        }),
    }
}
