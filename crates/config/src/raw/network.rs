//! Networks, as `10.0.0.0/8` or a single address.

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::read::{Complaint, FromText, text};

/// A network; a single address is a network of one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network(pub IpNet);

impl FromText for Network {
    const EXPECTED: &'static str = "a network such as 10.0.0.0/8 or 2001:db8::/32, or an address";

    fn from_text(text: &str) -> Result<Self, Complaint> {
        let complaint = || Complaint::new(format!("`{text}` is not a network"));
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        // The standard parser, unlike that of networks, refuses octets with leading zeros.
        let address: std::net::IpAddr = address.parse().map_err(|_| complaint())?;
        let network = match prefix {
            Some(prefix) => prefix.parse().ok().and_then(|bits| IpNet::new(address, bits).ok()),
            None => Some(IpNet::from(address)),
        };
        let network = network.ok_or_else(complaint)?;
        if network.network() != network.addr() {
            return Err(Complaint::new(format!("`{text}` has bits behind its prefix"))
                .help(format!("did you mean `{}`?", network.trunc())));
        }
        Ok(Self(network))
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)
    }
}

impl JsonSchema for Network {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A network such as 10.0.0.0/8 or 2001:db8::/32, or a single address.",
            "pattern": r"^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$|\$\{",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_single_addresses() {
        for (text, expected) in
            [("10.0.0.0/8", "10.0.0.0/8"), ("::1", "::1/128"), ("0.0.0.0/0", "0.0.0.0/0")]
        {
            let network = Network::from_text(text).unwrap();
            assert_eq!(network.0.to_string(), expected);
        }
        for text in ["10.0.0.1/8", "10.0.0/8", "10.0.0.0/33", "", "localhost", "010.0.0.0/8"] {
            assert!(Network::from_text(text).is_err(), "{text}");
        }
    }
}
