//! The resources of RFC 8555 §7 and RFC 9773.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, CertificateSigningRequestParams};
use serde_json::{Value, json};

use super::book::{Account, Call, Order};
use super::jws::{Signed, decode, encode};
use super::serve::{Incoming, Outgoing};
use super::{Shared, validate};
use crate::marker;

/// Why a request is refused: status, type, detail.
type No = (u16, &'static str, String);

/// What was asked for and by whom.
struct Asked {
    kind: &'static str,
    number: Option<usize>,
    way: String,
}

pub(crate) fn answer(shared: &Arc<Shared>, incoming: &Incoming) -> Outgoing {
    let asked = asked(&incoming.path);
    let signed = Signed::parse(&incoming.body);
    let name = name_of(shared, &asked, signed.as_ref());
    {
        let mut book = shared.book.lock();
        let at = shared.clock.now();
        book.calls.push(Call { kind: asked.kind, name: name.clone(), at });
        book.agents.insert(incoming.agent.clone());
    }
    let refusal = shared.script.lock().refusal(asked.kind, &name);
    let mut outgoing = match refusal {
        Some(refusal) if refusal.kind.is_empty() => {
            let mut page = plain(refusal.status, "<html>no</html>".to_owned(), "text/html");
            page.fields.extend(refusal.retry_after.map(|value| ("retry-after", value)));
            page
        }
        Some(refusal) => {
            let mut no = problem(refusal.status, &refusal.kind, "as the script says");
            no.fields.extend(refusal.retry_after.map(|value| ("retry-after", value)));
            no
        }
        None => match serve(shared, incoming, &asked, signed.as_ref()) {
            Ok(outgoing) => outgoing,
            Err((status, kind, detail)) => problem(status, kind, &detail),
        },
    };
    if asked.kind != "directory" && asked.kind != "renewalInfo" {
        let nonce = marker("nonce");
        shared.book.lock().nonces.insert(nonce.clone());
        outgoing.fields.push(("replay-nonce", nonce));
    }
    let delay = shared.script.lock().delays.get(asked.kind).copied();
    Outgoing { delay: delay.unwrap_or_default(), ..outgoing }
}

fn asked(path: &str) -> Asked {
    let mut parts = path.trim_start_matches('/').split('/');
    let kind = match parts.next().unwrap_or_default() {
        "directory" => "directory",
        "nonce" => "newNonce",
        "new-account" => "newAccount",
        "account" => "account",
        "new-order" => "newOrder",
        "order" => "order",
        "authz" => "authz",
        "challenge" => "challenge",
        "finalize" => "finalize",
        "certificate" => "certificate",
        "renewal-info" => "renewalInfo",
        _ => "unknown",
    };
    let number = parts.next().and_then(|part| part.parse().ok());
    Asked { kind, number, way: parts.next().unwrap_or_default().to_owned() }
}

fn name_of(shared: &Shared, asked: &Asked, signed: Option<&Signed>) -> String {
    if asked.kind == "newOrder" {
        let value = signed.map(Signed::json).unwrap_or_default();
        return value["identifiers"][0]["value"].as_str().unwrap_or_default().to_owned();
    }
    let book = shared.book.lock();
    let order = asked.number.and_then(|number| book.orders.get(number));
    order.map(|order| order.name.clone()).unwrap_or_default()
}

fn serve(
    shared: &Arc<Shared>,
    incoming: &Incoming,
    asked: &Asked,
    signed: Option<&Signed>,
) -> Result<Outgoing, No> {
    match asked.kind {
        "directory" => return Ok(directory(shared)),
        "newNonce" => return Ok(plain(200, String::new(), "text/plain")),
        "renewalInfo" => return renewal_info(shared),
        _ => {}
    }
    let signed = signed.ok_or_else(|| no(400, "malformed", "no JWS"))?;
    check_nonce(shared, signed)?;
    if incoming.method != "POST" || signed.header["url"] != shared.url(&incoming.path).as_str() {
        return Err(no(400, "malformed", "another URL"));
    }
    if asked.kind == "newAccount" {
        return new_account(shared, signed);
    }
    let thumbprint = account_of(shared, signed)?;
    match asked.kind {
        "newOrder" => Ok(new_order(shared, signed, thumbprint)),
        "account" => Ok(update_account(shared, asked, signed)),
        _ => of_order(shared, asked, signed),
    }
}

fn of_order(shared: &Arc<Shared>, asked: &Asked, signed: &Signed) -> Result<Outgoing, No> {
    let mut book = shared.book.lock();
    let unknown = || no(404, "malformed", "no such resource");
    let number = asked.number.ok_or_else(unknown)?;
    let now = shared.clock.now();
    let order = book.orders.get_mut(number).ok_or_else(unknown)?;
    if order.status == "processing" && order.ready_at <= now {
        order.status = "valid";
    }
    match asked.kind {
        "order" => Ok(json_answer(200, &order.order_json(number, shared))),
        "authz" => {
            if signed.json()["status"] == "deactivated" {
                (order.authorization, order.status) = ("deactivated", "invalid");
            }
            Ok(json_answer(200, &order.authorization_json(number, shared)))
        }
        "challenge" => {
            if signed.payload.is_empty() {
                return Ok(json_answer(200, &order.challenge_json(number, &asked.way, shared)));
            }
            if order.authorization != "pending" || order.asked {
                return Err(no(400, "malformed", "the challenge is not pending"));
            }
            order.asked = true;
            let json = order.challenge_json(number, &asked.way, shared);
            validate::start(shared, number, &asked.way);
            Ok(json_answer(200, &json))
        }
        "finalize" => {
            if order.status != "ready" {
                return Err(no(403, "orderNotReady", "the order is not ready"));
            }
            finalize(shared, order, signed)?;
            Ok(json_answer(200, &order.order_json(number, shared)))
        }
        "certificate" => {
            let chain = order.chain.clone().ok_or_else(unknown)?;
            Ok(plain(200, chain, "application/pem-certificate-chain"))
        }
        _ => Err(unknown()),
    }
}

fn directory(shared: &Shared) -> Outgoing {
    let mut directory = json!({
        "newNonce": shared.url("/nonce"),
        "newAccount": shared.url("/new-account"),
        "newOrder": shared.url("/new-order"),
        "revokeCert": shared.url("/revoke"),
        "keyChange": shared.url("/key-change"),
    });
    if shared.script.lock().window.is_some() {
        directory["renewalInfo"] = shared.url("/renewal-info").into();
    }
    json_answer(200, &directory)
}

fn renewal_info(shared: &Shared) -> Result<Outgoing, No> {
    let window = shared.script.lock().window;
    let (start, end, again) = window.ok_or_else(|| no(404, "malformed", "no such resource"))?;
    let window = json!({"start": start.rfc3339(), "end": end.rfc3339()});
    let mut answer = json_answer(200, &json!({"suggestedWindow": window}));
    answer.fields.push(("retry-after", again.to_string()));
    Ok(answer)
}

fn check_nonce(shared: &Shared, signed: &Signed) -> Result<(), No> {
    let nonce = signed.header["nonce"].as_str().unwrap_or_default();
    let ours = shared.book.lock().nonces.remove(nonce);
    let mut script = shared.script.lock();
    let unlucky = script.rejected_nonces > 0;
    script.rejected_nonces = script.rejected_nonces.saturating_sub(1);
    if ours && !unlucky { Ok(()) } else { Err(no(400, "badNonce", "another nonce, please")) }
}

fn new_account(shared: &Shared, signed: &Signed) -> Result<Outgoing, No> {
    let (key, thumbprint) = signed.key().ok_or_else(|| no(400, "malformed", "no key"))?;
    if !signed.is_signed_by(&key) {
        return Err(no(400, "malformed", "a bad signature"));
    }
    let mut book = shared.book.lock();
    let known = book.accounts.iter().position(|account| account.key == key);
    let (status, number) = match known {
        Some(number) => (200, number),
        None if signed.json()["onlyReturnExisting"] == true => {
            return Err(no(400, "accountDoesNotExist", "no such account"));
        }
        None => {
            let contact = serde_json::from_value(signed.json()["contact"].clone());
            let contact = contact.unwrap_or_default();
            book.accounts.push(Account { key, thumbprint, contact });
            (201, book.accounts.len() - 1)
        }
    };
    let mut answer = json_answer(status, &json!({"status": "valid"}));
    answer.fields.push(("location", shared.url(&format!("/account/{number}"))));
    Ok(answer)
}

fn update_account(shared: &Shared, asked: &Asked, signed: &Signed) -> Outgoing {
    let contact = serde_json::from_value(signed.json()["contact"].clone());
    let mut book = shared.book.lock();
    let account = asked.number.and_then(|number| book.accounts.get_mut(number));
    if let (Some(account), Ok(contact)) = (account, contact) {
        account.contact = contact;
    }
    json_answer(200, &json!({"status": "valid"}))
}

fn account_of(shared: &Shared, signed: &Signed) -> Result<String, No> {
    let unknown = || no(400, "accountDoesNotExist", "no such account");
    let url = signed.header["kid"].as_str().unwrap_or_default();
    let number: Option<usize> = url.rsplit('/').next().and_then(|last| last.parse().ok());
    let book = shared.book.lock();
    let account = number.and_then(|number| book.accounts.get(number)).ok_or_else(unknown)?;
    if signed.is_signed_by(&account.key) {
        Ok(account.thumbprint.clone())
    } else {
        Err(no(400, "malformed", "a bad signature"))
    }
}

fn new_order(shared: &Shared, signed: &Signed, thumbprint: String) -> Outgoing {
    let payload = signed.json();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut book = shared.book.lock();
    let number = book.orders.len();
    book.orders.push(Order {
        name: text(&payload["identifiers"][0]["value"]).unwrap_or_default(),
        token: encode(marker("token-of-the-tests").as_bytes()),
        thumbprint,
        status: "pending",
        authorization: "pending",
        asked: false,
        error: None,
        chain: None,
        ready_at: shared.clock.now(),
        replaces: text(&payload["replaces"]),
    });
    let mut answer = json_answer(201, &book.orders[number].order_json(number, shared));
    answer.fields.push(("location", shared.url(&format!("/order/{number}"))));
    answer
}

fn finalize(shared: &Shared, order: &mut Order, signed: &Signed) -> Result<(), No> {
    let bad = |detail: &str| no(400, "badCSR", detail);
    let payload = signed.json();
    let csr = payload["csr"].as_str().and_then(decode).ok_or_else(|| bad("no CSR"))?;
    let csr = CertificateSigningRequestParams::from_der(&csr.into());
    let mut csr = csr.map_err(|error| bad(&error.to_string()))?;
    let names: Vec<String> = csr.params.subject_alt_names.iter().map(san).collect();
    if names != [order.name.clone()] {
        return Err(bad(&format!("for {names:?}")));
    }
    let (lifetime, processing, other) = {
        let script = shared.script.lock();
        (script.lifetime, script.processing, script.issue_for.clone())
    };
    if let Some(other) = other {
        let params = CertificateParams::new(vec![other]).expect("a valid name");
        csr.params.subject_alt_names = params.subject_alt_names;
    }
    let now = shared.clock.now();
    csr.params.not_before = date(now.unix_seconds());
    csr.params.not_after = date(now.plus(lifetime).unix_seconds());
    csr.params.use_authority_key_identifier_extension = true;
    order.chain = Some(shared.issuer.sign_request(&csr));
    order.ready_at = now.plus(processing);
    order.status = if processing == Duration::ZERO { "valid" } else { "processing" };
    Ok(())
}

fn san(name: &rcgen::SanType) -> String {
    if let rcgen::SanType::DnsName(name) = name {
        return name.as_str().to_owned();
    }
    format!("{name:?}")
}

fn date(seconds: u64) -> time::OffsetDateTime {
    let seconds = i64::try_from(seconds).expect("a time of our days");
    time::OffsetDateTime::from_unix_timestamp(seconds).expect("a time of our days")
}

fn no(status: u16, kind: &'static str, detail: &str) -> No {
    (status, kind, detail.to_owned())
}

fn problem(status: u16, kind: &str, detail: &str) -> Outgoing {
    let kind = format!("urn:ietf:params:acme:error:{kind}");
    let body = json!({"type": kind, "detail": detail, "status": status}).to_string();
    plain(status, body, "application/problem+json")
}

fn json_answer(status: u16, body: &Value) -> Outgoing {
    plain(status, body.to_string(), "application/json")
}

fn plain(status: u16, body: String, kind: &str) -> Outgoing {
    let fields = vec![("content-type", kind.to_owned())];
    Outgoing { status, fields, body, delay: Duration::ZERO }
}
