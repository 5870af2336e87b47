//! The gateway between an upstream and an issuer: what nearly every test starts from.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use portcullis_testkit::{
    CertificateAuthority, Client, Gateway, Issuer, Launch, Request, Upstream, marker,
};

/// Two listeners, certificates of the tests' authority, free ports everywhere.
pub(crate) const BASE: &str = r#"
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
"#;

/// The hosts of nearly every test.
pub(crate) const HOSTS: &str = "hosts: [api.test, app.test]\n";

/// The one upstream.
pub(crate) const UPSTREAMS: &str = "upstreams: [{name: u, endpoints: [\"@UPSTREAM@\"]}]\n";

/// The one issuer, its keys at a URL.
pub(crate) const ISSUERS: &str = r#"
issuers:
  - name: corporate
    issuer: https://idp.test/r1
    audience: [api]
    algorithms: [RS256, ES256, EdDSA]
    keys: {url: "@JWKS@"}
    claims: {roles: [roles]}
"#;

/// What the admin listener asks for.
pub(crate) const ADMIN_TOKEN: &str = "an-admin-token-of-the-tests";

/// A gateway with everything around it.
pub(crate) struct World {
    pub(crate) upstream: Upstream,
    pub(crate) issuer: Issuer,
    pub(crate) authority: CertificateAuthority,
    pub(crate) gateway: Gateway,
}

impl World {
    /// Starts a gateway on the parts of a file. `@UPSTREAM@`, `@JWKS@` and `@ISSUER@` stand for
    /// the addresses of the parties.
    #[track_caller]
    pub(crate) fn start(parts: &[&str]) -> Self {
        Self::with_issuer(Issuer::start(), parts)
    }

    /// The same with an issuer that was prepared.
    #[track_caller]
    pub(crate) fn with_issuer(issuer: Issuer, parts: &[&str]) -> Self {
        let upstream = Upstream::start();
        let text = parts.concat();
        let text = text
            .replace("@UPSTREAM@", &upstream.url())
            .replace("@JWKS@", &issuer.jwks_url())
            .replace("@ISSUER@", issuer.name());
        let authority = CertificateAuthority::new();
        let gateway = launch(&text, &authority).start();
        Self { upstream, issuer, authority, gateway }
    }

    /// A client of the cleartext listener.
    pub(crate) fn plain(&self) -> Client {
        self.gateway.plain("plain")
    }

    /// A client of the TLS listener that verifies the certificate.
    pub(crate) fn https(&self) -> Client {
        self.gateway.https(self.authority.trust())
    }

    /// Sends a request over cleartext that carries a marker, and tells the marker.
    #[track_caller]
    pub(crate) fn marked(&self, request: Request) -> (portcullis_testkit::Answer, String) {
        let mark = marker("m");
        let answer = self.plain().send(&request.field("x-marker", &mark));
        (answer, mark)
    }

    /// Sends a request that must be forwarded, and returns what the upstream saw.
    #[track_caller]
    pub(crate) fn forwarded(&self, request: Request) -> portcullis_testkit::Seen {
        let (answer, mark) = self.marked(request);
        answer.expect(200);
        self.upstream.only(&mark)
    }

    /// Sends a request that must be refused, and asserts that the upstream saw nothing of it.
    #[track_caller]
    pub(crate) fn refused(
        &self,
        request: Request,
        status: u16,
        code: &str,
    ) -> portcullis_testkit::Answer {
        let (answer, mark) = self.marked(request);
        answer.expect_refusal(status, code);
        self.upstream.saw_nothing_of(&mark);
        answer
    }
}

/// A gateway to be started on `config`, with the certificate and the admin token that [`BASE`]
/// names.
pub(crate) fn launch(config: &str, authority: &CertificateAuthority) -> Launch {
    let names = ["api.test", "app.test", "old.test", "*.app.test", "ui.test"];
    let pair = authority.issue(&names);
    bare(config)
        .file("tls.crt", &pair.certificate)
        .file("tls.key", &pair.key)
        .file("admin-token", ADMIN_TOKEN)
}

/// A gateway to be started on `config` alone.
pub(crate) fn bare(config: &str) -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_portcullis"), env!("CARGO_TARGET_TMPDIR"), config)
}

/// An app that treats each connection in its own way.
pub(crate) fn raw_app(serve: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, serve) = (stream.unwrap(), Arc::clone(&serve));
            std::thread::spawn(move || serve(&mut stream));
        }
    });
    address
}
