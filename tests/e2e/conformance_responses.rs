//! One request gets one answer, whatever the app says: bad framing, surplus bytes, answers nobody
//! asked for. A client never sees two answers for one request, nor bytes of another's.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use portcullis_testkit::conformance::answers::{self, Answers};
use portcullis_testkit::{CertificateAuthority, Gateway, Launch, Request, marker};

const BAD: &str = include_str!("../../crates/testkit/src/conformance/bad_answers.json");

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
hosts: [api.test]
upstreams: [{name: u, endpoints: ["http://@ORIGIN@"]}]
routes: [{name: all, path: "/{*rest}", access: public, forward: {upstream: u}}]
"#;

type Script = Arc<BTreeMap<String, Vec<u8>>>;

/// Name of an answer, and its bytes.
fn script() -> Script {
    let texts: BTreeMap<String, String> = serde_json::from_str(BAD).expect("JSON");
    let latin1 = |text: String| text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    Arc::new(texts.into_iter().map(|(name, text)| (name, latin1(text))).collect())
}

/// An app that answers `/bad/NAME` with the bytes of that name, everything else well, and keeps its
/// connections for a moment after it has said something bad.
fn origin(script: Script) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let script = Arc::clone(&script);
            thread::spawn(move || converse(stream, &script));
        }
    });
    address
}

fn converse(mut stream: TcpStream, script: &Script) -> Option<()> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        while !bytes.windows(4).any(|w| w == b"\r\n\r\n") {
            let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
            bytes.extend_from_slice(&buffer[..count]);
        }
        let head = String::from_utf8_lossy(&bytes).into_owned();
        bytes.clear();
        let target = head.split(' ').nth(1)?.to_owned();
        let name = target.strip_prefix("/bad/").and_then(|rest| rest.split('/').next());
        if let Some(answer) = name.and_then(|name| script.get(name)) {
            stream.write_all(answer).ok()?;
            stream.set_read_timeout(Some(Duration::from_millis(300))).ok()?;
        } else {
            let body = format!("seen {target}");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).ok()?;
        }
    }
}

fn start(origin: SocketAddr) -> (Gateway, CertificateAuthority) {
    let authority = CertificateAuthority::new();
    let pair = authority.issue(&["api.test"]);
    let config = CONFIG.replace("@ORIGIN@", &origin.to_string());
    let program = env!("CARGO_BIN_EXE_portcullis");
    let gateway = Launch::new(program, env!("CARGO_TARGET_TMPDIR"), &config)
        .file("tls.crt", &pair.certificate)
        .file("tls.key", &pair.key)
        .file("admin-token", "an-admin-token-of-the-tests")
        .start();
    (gateway, authority)
}

/// What is wrong with what the client got for a bad answer and for the canary pipelined behind it.
fn fault(said: &Answers, canary: &str, ended: bool) -> Option<String> {
    let whole = format!("seen /{canary}");
    let is_canary = |index: usize| {
        let answer = &said.finals[index];
        answer.status == 200 && answer.body == whole.as_bytes()
    };
    let cookies = said.finals.iter().flat_map(|answer| &answer.fields);
    if let Some(why) = said.malformed {
        return Some(why.to_owned());
    }
    if cookies.into_iter().any(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
        return Some("a field was split".to_owned());
    }
    if said.interim > 100 {
        return Some(format!("{} interim answers", said.interim));
    }
    match said.finals.len() {
        0 | 1 if ended => None,
        2 if is_canary(1) && said.rest.is_empty() => None,
        _ => Some(format!("{:?}", said.finals)),
    }
}

/// A bare LF in a field of an app's answer: the engine takes it for the end of a line, as RFC 9112
/// §2.2 lets it, and nothing behind the engine can tell. It is the app's own field that is split.
const NOT_SEEN: &str = "split-lf";

#[test]
fn a_client_gets_one_answer_for_one_request() {
    let script = script();
    assert!(script.len() > 50);
    let (gateway, authority) = start(origin(Arc::clone(&script)));
    let names: Vec<&String> = script.keys().collect();
    let mut faults = Vec::new();
    std::thread::scope(|scope| {
        let gateway = &gateway;
        let some = names.chunks(names.len().div_ceil(8));
        let workers: Vec<_> =
            some.map(|names| scope.spawn(move || try_http1(gateway, names))).collect();
        faults.extend(workers.into_iter().flat_map(|worker| worker.join().expect("a result")));
    });
    let https = gateway.https(authority.trust());
    for name in &names {
        let canary = marker("canary");
        let pair = [Request::get(format!("/bad/{name}")), Request::get(format!("/{canary}"))];
        // A stream that is reset is an answer too; then the connection has no second one here.
        let Ok(said) = https.try_http2(&pair) else { continue };
        if said.len() != 2 || said[1].body != format!("seen /{canary}").as_bytes() {
            faults.push(format!("HTTP/2 {name}: {said:?}"));
        }
        if said[0].field("set-cookie").is_some() {
            faults.push(format!("HTTP/2 {name}: a field was split"));
        }
    }
    faults.retain(|fault| !fault.contains(&format!(" {NOT_SEEN}: ")));
    assert!(faults.is_empty(), "{} faults: {faults:#?}", faults.len());
}

/// Over HTTP/1.1: the bad answer and a canary pipelined behind it, then other clients.
fn try_http1(gateway: &Gateway, names: &[&String]) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, method) in names.iter().flat_map(|name| [(name, "GET"), (name, "HEAD")]) {
        let canary = marker("canary");
        let mut connection = gateway.plain("plain").connect();
        connection.write(format!(
            "{method} /bad/{name} HTTP/1.1\r\nHost: api.test\r\n\r\n\
             GET /{canary} HTTP/1.1\r\nHost: api.test\r\n\r\n"
        ));
        let heads = [method == "HEAD", false];
        let whole = format!("seen /{canary}");
        let (bytes, ended) = connection.gather(Duration::from_secs(2), |bytes| {
            let said = answers::read(bytes, &heads, false);
            said.finals.len() > 1 && bytes.ends_with(whole.as_bytes())
        });
        let said = answers::read(&bytes, &heads, ended);
        if let Some(what) = fault(&said, &canary, ended) {
            faults.push(format!("{method} {name}: {what}"));
        }
        // Whoever comes next, on whichever pooled connection, gets an answer of its own.
        for _ in 0..2 {
            let canary = marker("canary");
            let answer = gateway.plain("plain").send(&Request::get(format!("/{canary}")));
            if answer.body != format!("seen /{canary}").as_bytes() {
                faults.push(format!("{method} {name}: the next client got {}", answer.text()));
            }
        }
    }
    faults
}
