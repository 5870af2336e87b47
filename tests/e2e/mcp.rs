//! A client of the Model Context Protocol that knows nothing but the URL: the challenge leads it to the
//! metadata, those to the authorization server, and that to a token for this very resource.

use std::time::Duration;

use portcullis_testkit::{CertificateAuthority, Process, free_address, tools, until};

use crate::oidc::Provider;
use crate::world::launch;

const CONFIG: &str = r#"
version: 1
listeners: [{name: plain, address: "@GATEWAY@", cleartext: true}]
hosts: ["127.0.0.1"]
admin: {address: "127.0.0.1:0", probes: "127.0.0.1:0", token: {file: "@DIR@/admin-token"}}
issuers:
  - {name: provider, issuer: "@PROVIDER@", audience: ["http://@GATEWAY@/mcp"], token_types: [at+jwt]}
upstreams: [{name: tools, endpoints: ["http://127.0.0.1:@PORT@"]}]
routes:
  - {name: tools, path: /mcp, methods: [GET, POST, DELETE], access: {any_of: [{issuer: provider, scopes: [tools]}]}, forward: {upstream: tools}}
"#;

#[test]
fn an_mcp_client_finds_its_token_by_the_challenge_and_calls_a_tool() {
    let (Some(provider), Some(python)) = (Provider::start(), tools::python()) else { return };
    let folder = tools::workspace().join("tests/e2e/parties");
    let party = |arguments: &[&str]| {
        let all = [&["mcp_party.py"], arguments].concat();
        Process::start(&python, &all, &folder, &[])
    };
    let server = party(&["serve"]);
    let port = until(Duration::from_mins(1), "the MCP server is up", || {
        assert!(server.exit_code().is_none(), "{}", server.stderr().join("\n"));
        server.stdout().iter().find_map(|line| line.strip_prefix("port ").map(str::to_owned))
    });
    let address = free_address().to_string();
    let text = CONFIG
        .replace("@GATEWAY@", &address)
        .replace("@PROVIDER@", &provider.url)
        .replace("@PORT@", &port);
    let _gateway = launch(&text, &CertificateAuthority::new()).start();
    let client = party(&["call", &format!("http://{address}/mcp")]);
    let code = client.wait(Duration::from_mins(1));
    let (told, errors) = (client.stdout(), client.stderr().join("\n"));
    assert_eq!(code, 0, "{told:?}\n{errors}");
    assert!(told.iter().any(|line| line == "answer 42"), "{told:?}");
    let steps =
        ["POST /mcp 401", "GET /.well-known/oauth-protected-resource/mcp 200", "POST /token 200"];
    let mut seen = told.iter();
    for step in steps {
        assert!(seen.any(|line| line == step), "{step} is missing in {told:?}");
    }
}
