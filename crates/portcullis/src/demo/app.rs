//! The demo app: shows what reached it, and has orders for each user.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::web::{self, Reply, Request};

/// Answers any request.
pub(super) async fn answer(request: Request) -> Reply {
    let path = request.uri().path().to_owned();
    let status = StatusCode::OK;
    if path == "/healthz" {
        return web::json(status, &json!({"status": "ok"}));
    }
    let received: Map<String, Value> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let mut body = json!({
        "app": "the demo app behind Portcullis",
        "method": request.method().as_str(),
        "path": path,
        "headers_received": received,
    });
    if let (Some(user), Some(fields)) = (owner(&path), body.as_object_mut()) {
        fields.insert("orders".to_owned(), json!([{"id": 1, "user": user, "item": "portcullis"}]));
    }
    web::json(status, &body)
}

/// `u` of `/v1/users/u/orders`.
fn owner(path: &str) -> Option<&str> {
    path.strip_prefix("/v1/users/")?.strip_suffix("/orders")
}
