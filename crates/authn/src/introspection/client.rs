//! How the gateway says who it is: Basic, in the body, or by a signed assertion.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jwt_simple::claims::{Audiences, JWTClaims, NoCustomClaims};
use jwt_simple::prelude::UnixTimeStamp;
use portcullis_core::{Secret, Timestamp, random};
use url::form_urlencoded;

use super::settings::{AssertionKey, ClientAuthentication, IntrospectionSettings};
use crate::fetch::Form;

/// `client_assertion_type` of RFC 7523 §2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion is good.
const ASSERTION_LIFE: Duration = Duration::from_mins(1);

/// The request for `token` to the server of `issuer`, with the client's authentication. `None` where
/// it cannot be signed.
pub(super) fn request(
    settings: &IntrospectionSettings,
    issuer: &str,
    token: &str,
    now: Timestamp,
) -> Option<Form> {
    let id = &settings.client_id;
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair("token", token).append_pair("token_type_hint", "access_token");
    let mut authorization = None;
    match &settings.authentication {
        ClientAuthentication::Basic(secret) => authorization = Some(basic(id, secret)),
        ClientAuthentication::Post(secret) => {
            body.append_pair("client_id", id).append_pair("client_secret", secret.expose_str()?);
        }
        ClientAuthentication::PrivateKeyJwt(key) => {
            body.append_pair("client_id", id)
                .append_pair("client_assertion_type", ASSERTION_TYPE)
                .append_pair("client_assertion", &assertion(key, id, issuer, now)?);
        }
    }
    Some(Form { authorization, body: Secret::new(body.finish()) })
}

/// Both parts are form-encoded before they are put together (RFC 6749 §2.3.1): a colon in the id
/// would else end it.
fn basic(id: &str, secret: &Secret) -> Secret {
    let encoded = |part: &[u8]| form_urlencoded::byte_serialize(part).collect::<String>();
    let pair = format!("{}:{}", encoded(id.as_bytes()), encoded(secret.expose()));
    Secret::new(format!("Basic {}", STANDARD.encode(pair)))
}

/// Issuer and subject are the client, the audience is the authorization server (RFC 7523 §3).
fn assertion(key: &AssertionKey, id: &str, issuer: &str, now: Timestamp) -> Option<String> {
    let unique = URL_SAFE_NO_PAD.encode(random::bytes::<16>()?);
    let at = |time: Timestamp| Some(UnixTimeStamp::from_secs(time.unix_seconds()));
    key.sign(JWTClaims {
        issued_at: at(now),
        expires_at: at(now.plus(ASSERTION_LIFE)),
        invalid_before: None,
        issuer: Some(id.to_owned()),
        subject: Some(id.to_owned()),
        audiences: Some(Audiences::AsString(issuer.to_owned())),
        jwt_id: Some(unique),
        nonce: None,
        custom: NoCustomClaims {},
    })
}
