//! The gateway under test, with one process for each lane.

use super::lane::Lane;
use super::origin::Origin;
use crate::{CertificateAuthority, Client, Gateway, Launch};

/// Everything is forwarded that gets past the gate: one host, every path, every method, no login.
const CONFIG: &str = r#"
version: 1
listeners:
  - {name: https, address: "127.0.0.1:0"}
  - {name: plain, address: "127.0.0.1:0", cleartext: true}
certificates:
  files: [{certificate: "@DIR@/tls.crt", key: {file: "@DIR@/tls.key"}}]
admin:
  address: "127.0.0.1:0"
  probes: "127.0.0.1:0"
  token: {file: "@DIR@/admin-token"}
hosts: [localhost, api.test]
upstreams: [{name: u, endpoints: ["http://@ORIGIN@"]}]
routes:
  - name: all
    path: "/{*rest}"
    methods: [GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS]
    access: public
    request: {body: {maximum: 64MiB}}
    forward: {upstream: u}
"#;

/// Lanes over cleartext and over TLS, of the same gateways.
#[derive(Debug)]
pub struct Lanes {
    /// Over cleartext.
    pub plain: Vec<Lane>,
    /// Over TLS.
    pub tls: Vec<Lane>,
}

/// Starts `count` gateways for cleartext and as many for TLS, each with an origin of its own.
pub fn lanes(program: &str, root: &std::path::Path, count: usize) -> (Vec<Gateway>, Lanes) {
    let authority = CertificateAuthority::new();
    let mut gateways = Vec::new();
    let mut lanes = Lanes { plain: Vec::new(), tls: Vec::new() };
    for number in 0..count * 2 {
        let origin = Origin::start();
        let gateway = start(program, root, &authority, &origin);
        let plain = Client::plain(gateway.address("plain"));
        if number % 2 == 0 {
            lanes.plain.push(Lane { client: plain, origin });
        } else {
            let client = gateway.https(authority.trust()).server_name("localhost");
            lanes.tls.push(Lane { client, origin });
        }
        gateways.push(gateway);
    }
    (gateways, lanes)
}

fn start(
    program: &str,
    root: &std::path::Path,
    authority: &CertificateAuthority,
    origin: &Origin,
) -> Gateway {
    let pair = authority.issue(&["localhost", "api.test"]);
    let config = CONFIG.replace("@ORIGIN@", &origin.address().to_string());
    Launch::new(program, &root.to_string_lossy(), &config)
        .file("tls.crt", &pair.certificate)
        .file("tls.key", &pair.key)
        .file("admin-token", "an-admin-token-of-the-tests")
        .start()
}
