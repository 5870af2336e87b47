//! `hosts`: the allow-list.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::raw::client_certificates::ClientCertificates;
use crate::raw::listeners::TlsVersion;

/// One entry of the allow-list.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(expecting = "a host name, or {name: …, tls: …}")]
pub enum HostEntry {
    /// A name, `*.` and a name, or an address; with or without a port.
    #[serde(rename = "<string>")]
    #[schemars(untagged)]
    Name(String),
    /// A name with TLS settings of its own.
    #[serde(rename = "<mapping>")]
    #[schemars(untagged)]
    WithTls(HostDetail),
}

/// A host with TLS settings of its own.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name"]))]
pub struct HostDetail {
    /// The name, as in the short form.
    #[schemars(required)]
    pub name: Option<String>,
    /// TLS where it differs from the listener's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<HostTls>,
}

/// TLS settings of one host.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostTls {
    /// The lowest version taken for this name. Default: the listener's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_version: Option<TlsVersion>,
    /// Which certificates are asked of clients for this name. Default: those of the listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificates: Option<ClientCertificates>,
}
