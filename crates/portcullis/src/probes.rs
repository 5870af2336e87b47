//! The probes listener: alive, ready, metrics, and the keys of the identity token. No token.

use std::sync::Arc;

use http::{Method, StatusCode};
use prometheus::{Encoder, TextEncoder};
use serde_json::json;

use crate::certificates::View;
use crate::runtime::Runtime;
use crate::web::{self, Reply, Request};
use crate::{keys, revocations};

/// Answers one request.
pub(crate) async fn answer(runtime: Arc<Runtime>, request: Request) -> Reply {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return web::json(StatusCode::METHOD_NOT_ALLOWED, &json!({"error": "only GET"}));
    }
    match request.uri().path() {
        "/healthz" => web::json(StatusCode::OK, &json!({"status": "alive"})),
        "/readyz" => readiness(&runtime).await,
        "/metrics" => metrics(&runtime).await,
        "/.well-known/portcullis/jwks.json" => identity_keys(&runtime),
        _ => web::json(StatusCode::NOT_FOUND, &json!({"error": "not found"})),
    }
}

/// Ready means: takes traffic. An issuer that is down closes its routes, not the gateway.
async fn readiness(runtime: &Runtime) -> Reply {
    let draining = runtime.is_draining();
    let running = runtime.running();
    let (certificates, state_error) = runtime.certificates().await;
    let status = if draining { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    web::json(
        status,
        &json!({
            "ready": !draining,
            "draining": draining,
            "config": {
                "hash": running.hash,
                "loaded": running.loaded.rfc3339(),
                "last_reload_ok": runtime.last_reload_ok(),
            },
            "state": {"last_error": state_error},
            "issuers": running.issuers_json(),
            "api_keys": keys::ready_json(runtime),
            "revocations": revocations::ready_json(runtime),
            "upstreams": running.upstreams_json(),
            "certificates": certificates.iter().map(View::json).collect::<Vec<_>>(),
            "client_certificates": running.client_certificates_json(),
            "report_only": running.trials_json(runtime.clock().now()),
        }),
    )
}

async fn metrics(runtime: &Runtime) -> Reply {
    runtime.refresh_metrics().await;
    let mut text = Vec::new();
    if let Err(error) = TextEncoder::new().encode(&runtime.registry().gather(), &mut text) {
        tracing::error!(%error, "metrics could not be written");
        return web::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": "metrics"}));
    }
    web::reply(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
}

fn identity_keys(runtime: &Runtime) -> Reply {
    let running = runtime.running();
    match &running.identity {
        Some(signer) => web::reply(StatusCode::OK, "application/json", signer.jwks_json()),
        None => web::json(StatusCode::OK, &json!({"keys": []})),
    }
}
