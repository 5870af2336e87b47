//! Validations: what the script says, or a look at the gateway itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;

use super::Shared;
use super::book::Call;
use super::script::Validation;
use crate::authority::Trust;
use crate::{Client, Request};

/// Validates order `number` by `way`, in a thread of its own.
pub(crate) fn start(shared: &Arc<Shared>, number: usize, way: &str) {
    let (shared, way) = (Arc::clone(shared), way.to_owned());
    thread::spawn(move || {
        let (name, proof, token) = {
            let book = shared.book.lock();
            let order = &book.orders[number];
            let proof = format!("{}.{}", order.token, order.thumbprint);
            (order.name.clone(), proof, order.token.clone())
        };
        let what = shared.script.lock().validations.get(&name).cloned();
        let passed = match what.unwrap_or(Validation::Pass) {
            Validation::Pass => true,
            Validation::Fail => false,
            Validation::Never => return,
            Validation::Connect(places) => {
                places.iter().all(|place| looks_right(*place, &way, &name, &token, &proof))
            }
        };
        conclude(&shared, number, name, passed);
    });
}

fn conclude(shared: &Shared, number: usize, name: String, passed: bool) {
    let mut book = shared.book.lock();
    let Some(order) = book.orders.get_mut(number) else { return };
    if passed {
        (order.status, order.authorization) = ("ready", "valid");
        return;
    }
    (order.status, order.authorization) = ("invalid", "invalid");
    order.error = Some(json!({
        "type": "urn:ietf:params:acme:error:unauthorized",
        "detail": "the answer to the challenge was not found",
        "status": 403,
    }));
    let at = shared.clock.now();
    book.calls.push(Call { kind: "failedValidation", name, at });
}

fn looks_right(place: SocketAddr, way: &str, name: &str, token: &str, proof: &str) -> bool {
    match way {
        "http-01" => {
            let request = Request::get(format!("/.well-known/acme-challenge/{token}")).host(name);
            let Ok(mut connection) = Client::plain(place).try_connect() else { return false };
            connection.write(request.to_bytes());
            connection.read().is_ok_and(|answer| answer.status == 200 && answer.text() == proof)
        }
        "tls-alpn-01" => {
            let client = Client::tls(place, Trust::Anybody);
            let client = client.server_name(name).protocols(&["acme-tls/1"]);
            let Ok(connection) = client.try_connect() else { return false };
            let shown = connection.tls().and_then(|tls| tls.peer_certificates()?.first().cloned());
            let wanted = digest(&SHA256, proof.as_bytes());
            let wanted = wanted.as_ref();
            shown.is_some_and(|der| der.windows(wanted.len()).any(|window| window == wanted))
        }
        other => panic!("the script cannot look at {other}"),
    }
}
