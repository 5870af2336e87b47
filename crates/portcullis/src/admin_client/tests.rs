//! Who is asked, and who is not taken for a gateway.

use std::net::SocketAddr;

use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::web::{self, Place, Server};

const TOKEN: &str = "a-token-of-the-tests";

fn client(address: ListenAddress, folder: &Path) -> AdminClient {
    let probes = SocketAddr::from(([127, 0, 0, 1], 0));
    let terms = AdminTerms { address, token: Some(Secret::new(TOKEN)), probes };
    AdminClient::new(&terms, folder)
}

/// A server that says what it was asked, with these words about itself.
async fn echo(place: &Place, server: Option<&'static str>) -> ListenAddress {
    let bound = Server::bind(place).await.unwrap();
    let address = match place {
        Place::Tcp(_) => ListenAddress::Tcp(bound.address().parse().unwrap()),
        Place::Unix(path) => ListenAddress::Unix(path.clone()),
    };
    tokio::spawn(bound.serve(move |request: web::Request| async move {
        let field = |name| request.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
        let (host, bearer) = (field("host"), field("authorization"));
        let (kind, asked) = (field("content-type"), request.uri().to_string());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        let all = json!([host, bearer, kind, asked, body]);
        let mut reply = web::json(StatusCode::CREATED, &all);
        if let Some(server) = server {
            reply.headers_mut().insert(header::SERVER, server.parse().unwrap());
        }
        reply
    }));
    address
}

fn loopback() -> Place {
    Place::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))
}

#[tokio::test]
async fn a_gateway_is_asked_on_tcp_and_on_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = Place::Unix(folder.path().join("admin.sock"));
    let bearer = format!("Bearer {TOKEN}");
    for place in [loopback(), socket] {
        let address = echo(&place, Some("portcullis")).await;
        let host = match &address {
            ListenAddress::Tcp(address) => address.to_string(),
            ListenAddress::Unix(_) => "localhost".to_owned(),
        };
        let client = client(address, folder.path());
        let asked = client.ask(Method::POST, "/keys?a=b", Some(&json!({"x": 1}))).await.unwrap();
        let all = json!([host, bearer, "application/json", "/keys?a=b", "{\"x\":1}"]);
        assert_eq!(asked, Reached::Answer(StatusCode::CREATED, all));
        let asked = client.ask(Method::GET, "/keys", None).await.unwrap();
        let all = json!([host, bearer, null, "/keys", ""]);
        assert_eq!(asked, Reached::Answer(StatusCode::CREATED, all));
    }
}

#[tokio::test]
async fn nobody_there_is_told_from_a_stranger() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    let nowhere = [
        ListenAddress::Tcp(free),
        ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))),
        ListenAddress::Unix(folder.path().join("none.sock")),
    ];
    for address in nowhere {
        let asked = client(address, folder.path()).ask(Method::GET, "/keys", None).await.unwrap();
        assert_eq!(asked, Reached::NobodyThere);
    }
    for server in [None, Some("nginx")] {
        let client = client(echo(&loopback(), server).await, folder.path());
        let error = client.ask(Method::GET, "/keys", None).await.unwrap_err();
        assert!(matches!(error, AdminClientError::Stranger { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_kept_token_is_used_and_a_missing_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let address = echo(&loopback(), Some("portcullis")).await;
    let client = AdminClient { address, token: None, folder: path.clone() };
    let error = client.ask(Method::GET, "/keys", None).await.unwrap_err();
    assert!(matches!(error, AdminClientError::NoToken(_)), "{error}");
    let state = StateFolder::open(path).unwrap();
    state.read_or_create(TOKEN_FILE, || b"kept".to_vec()).unwrap();
    let Reached::Answer(_, all) = client.ask(Method::GET, "/keys", None).await.unwrap() else {
        panic!("nobody there");
    };
    assert_eq!(all[1], "Bearer kept");
}
