//! `listeners`: where requests come in.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::raw::client_certificates::ClientCertificates;
use crate::raw::network::Network;
use crate::read::Items;

/// One address that takes connections.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "address"]))]
pub struct Listener {
    /// Its name, for the log and the metrics.
    #[schemars(required)]
    pub name: Option<String>,
    /// Address and port, such as `"[::]:443"` (IPv6 and IPv4) or `127.0.0.1:8080`; port 0 takes a
    /// free one. Or `unix:` and the path of a socket.
    #[schemars(required)]
    pub address: Option<String>,
    /// Protocols spoken: offered in the TLS handshake, in cleartext recognised by how a client begins.
    /// Default: `[h2, http/1.1]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocols: Option<Items<Protocol>>,
    /// How TLS is spoken. Default: TLS 1.3 alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
    /// `true`: no TLS, said in words. Default: `false`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cleartext: bool,
    /// Name of the listener with TLS that clients are sent to: nothing is served here. GET and HEAD
    /// without credentials are answered 308, anything else 403 `tls-required`. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_to: Option<String>,
    /// `redirect`: serves what a trusted proxy says came by https, and does with everything else what
    /// `redirect_to` does. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarded_http: Option<ForwardedHttp>,
    /// The port that clients reach https on: the one they are sent to. Default: 443.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_port: Option<NonZeroU16>,
    /// Balancers that announce their clients by the PROXY protocol, version 1 or 2: from them it is
    /// required, from others never read. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocol>,
}

/// What is done with requests that came to a trusted proxy by http.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", expecting = "`redirect`")]
pub enum ForwardedHttp {
    /// They are sent to https.
    Redirect,
}

/// The PROXY protocol of a listener.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["from"]))]
pub struct ProxyProtocol {
    /// Networks of the balancers.
    #[schemars(required)]
    pub from: Option<Items<Network>>,
}

/// A protocol of a listener.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(expecting = "`h2` or `http/1.1`")]
pub enum Protocol {
    /// HTTP/2.
    #[serde(rename = "h2")]
    H2,
    /// HTTP/1.1.
    #[serde(rename = "http/1.1")]
    Http11,
}

/// TLS of a listener.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenerTls {
    /// The lowest version taken: `"1.3"` or `"1.2"`. Default: `"1.3"`.
    pub minimum_version: TlsVersion,
    /// Which certificates are asked of clients. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificates: Option<ClientCertificates>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(expecting = "`\"1.3\"` or `\"1.2\"`, in quotes")]
pub enum TlsVersion {
    /// TLS 1.2, with forward secrecy and authenticated encryption alone.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[default]
    #[serde(rename = "1.3")]
    Tls13,
}
