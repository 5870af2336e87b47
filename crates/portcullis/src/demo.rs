//! `portcullis demo`: the example file with a demo app and a demo issuer inside the process.
//!
//! Keys are made anew at each start and nothing listens beyond loopback.

mod app;
mod issuer;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::run::{self, Failure, Options};
use crate::web::{Place, Server};

/// The example file, as it stands in the repository.
pub(crate) const EXAMPLE: &str = include_str!("../../../gateway.example.yaml");

const ISSUER: SocketAddr =
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 8081));
const APP: SocketAddr =
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 8082));

/// Serves the demo until it is stopped.
pub(crate) async fn run() -> Result<(), Failure> {
    let issuer = issuer::DemoIssuer::new("http://127.0.0.1:8081", "demo-api");
    let issuer_server = bind(ISSUER, "demo issuer").await?;
    let app_server = bind(APP, "demo app").await?;
    let lines = curl_lines(&issuer)?;
    tokio::spawn(issuer_server.serve(issuer.handler()));
    tokio::spawn(app_server.serve(app::answer));
    let folder = run::state_folder()?.join("demo");
    let file =
        write_example(&folder).map_err(|error| Failure::start(format!("demo folder: {error}")))?;
    let options = Options { file, upgrade: false, on_ready: Some(Box::new(move || print(&lines))) };
    run::serve(options).await
}

async fn bind(address: SocketAddr, what: &str) -> Result<Server, Failure> {
    let bound = Server::bind(&Place::Tcp(address)).await;
    bound.map_err(|error| Failure::start(format!("{what} cannot listen on {address}: {error}")))
}

/// The example goes to a folder of its own, so that the demo neither reads nor writes anything else.
fn write_example(folder: &std::path::Path) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let file = folder.join("gateway.example.yaml");
    std::fs::write(&file, EXAMPLE)?;
    Ok(file)
}

/// Lines that work as printed, with fresh tokens: a 200, a 308, a 401, a 403, a 421 and a 429 among them.
fn curl_lines(issuer: &issuer::DemoIssuer) -> Result<String, Failure> {
    let token = |subject: &str, scope: &str, roles: &[&str]| {
        issuer.token(subject, scope, roles).map_err(|error| Failure::start(error.to_string()))
    };
    let alice = token("alice", "orders:read", &["clerk"])?;
    let carol = token("carol", "orders:read", &["admin"])?;
    let noscope = token("bob", "profile", &[])?;
    let base = "https://localhost:8443";
    Ok(format!(
        "\nPortcullis is up, with a demo app behind it. Try, in another terminal:\n\n\
         # 200: a public route; the app shows what reached it\n\
         curl -sk {base}/public/hello\n\n\
         # 401: no token\n\
         curl -ski {base}/v1/users/alice/orders\n\n\
         # 200: alice's token, valid for an hour\n\
         ALICE={alice}\n\
         curl -sk -H \"authorization: Bearer $ALICE\" {base}/v1/users/alice/orders\n\n\
         # 403: a token without the scope orders:read\n\
         BOB={noscope}\n\
         curl -ski -H \"authorization: Bearer $BOB\" {base}/v1/users/bob/orders\n\n\
         # 403: these orders are not alice's; 200: carol is an admin\n\
         curl -ski -H \"authorization: Bearer $ALICE\" {base}/v1/users/bob/orders\n\
         CAROL={carol}\n\
         curl -sk -H \"authorization: Bearer $CAROL\" {base}/v1/users/bob/orders\n\n\
         # 403: alice is no admin; 200: carol is\n\
         curl -ski -H \"authorization: Bearer $ALICE\" {base}/admin/report\n\
         curl -sk -H \"authorization: Bearer $CAROL\" {base}/admin/report\n\n\
         # 421: a host that is not on the list\n\
         curl -ski -H \"host: evil.example\" {base}/public/hello\n\n\
         # 308: http is sent to https\n\
         curl -si http://localhost:8088/public/hello\n\n\
         # 429: the fourth request is one too many\n\
         for i in 1 2 3 4; do curl -sk -o /dev/null -w '%{{http_code}}\\n' {base}/limited; done\n\n\
         # What the gateway counted\n\
         curl -s http://127.0.0.1:9902/metrics | grep ^gateway_requests_total\n\n\
         Ctrl-C stops it.\n\n"
    ))
}

fn print(lines: &str) {
    std::io::stderr().lock().write_all(lines.as_bytes()).ok();
}
