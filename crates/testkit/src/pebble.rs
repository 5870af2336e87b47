//! Pebble, Let's Encrypt's small ACME server for tests, with the name server of its test suite.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::authority::Trust;
use crate::poll::until;
use crate::ports::free_address;
use crate::{CertificateAuthority, Client, Process, Request, Scratch, tools};

/// Longest wait for its start.
const START: Duration = Duration::from_secs(30);

/// How Pebble is to behave.
#[derive(Clone, Debug)]
pub struct PebbleOptions {
    /// Where tls-alpn-01 is tried, of whatever address the name has.
    pub tls: SocketAddr,
    /// Where http-01 is tried.
    pub http: SocketAddr,
    /// Nonces that are refused, of a hundred.
    pub rejected_nonces: u8,
    /// Whether it sleeps up to so many seconds before it validates.
    pub sleep: Option<u8>,
    /// How long its certificates are good for, in seconds.
    pub validity: Option<u64>,
    /// The key id and the key (base64url) of the one external account; without it none is asked for.
    pub external_account: Option<(String, String)>,
    /// The name server that dns-01 is tried at; without it, its own.
    pub name_server: Option<SocketAddr>,
}

impl PebbleOptions {
    /// Validates at these ports of 127.0.0.1, quickly; refuses as many nonces as it does by itself.
    pub const fn at(tls: SocketAddr, http: SocketAddr) -> Self {
        Self {
            tls,
            http,
            rejected_nonces: 5,
            sleep: None,
            validity: None,
            external_account: None,
            name_server: None,
        }
    }
}

/// A running Pebble. It forgets everything when it ends.
#[derive(Debug)]
pub struct Pebble {
    api: SocketAddr,
    management: SocketAddr,
    names: SocketAddr,
    dns: SocketAddr,
    authority: CertificateAuthority,
    server: Process,
    _name_server: Process,
    scratch: Scratch,
}

impl Pebble {
    /// Starts it, or a skip where it is not installed. `root` is a folder for scratch files.
    #[track_caller]
    pub fn start(root: &str, options: &PebbleOptions) -> Option<Self> {
        let (pebble, name_server) =
            (tools::program("pebble")?, tools::program("pebble-challtestsrv")?);
        let scratch = Scratch::new(root.as_ref());
        let authority = CertificateAuthority::new();
        let pair = authority.issue(&["localhost", "127.0.0.1"]);
        scratch.write("server.pem", &pair.certificate);
        scratch.write("server.key", &pair.key);
        let (api, management, names, dns) =
            (free_address(), free_address(), free_address(), free_address());
        scratch.write("pebble.json", config(options, api, management).to_string());
        let name_server = start_name_server(&name_server, &scratch, dns, names);
        let asked = options.name_server.unwrap_or(dns);
        let arguments = ["-config", "pebble.json", "-strict", "-dnsserver", &asked.to_string()]
            .map(str::to_owned);
        let server = Process::start(&pebble, &arguments, scratch.path(), &environment(options));
        let pebble = Self {
            api,
            management,
            names,
            dns,
            authority,
            server,
            _name_server: name_server,
            scratch,
        };
        pebble.await_start();
        Some(pebble)
    }

    #[track_caller]
    fn await_start(&self) {
        until(START, "pebble listens", || {
            assert!(self.server.exit_code().is_none(), "{:?}", self.server.stderr());
            let addresses = [self.api, self.management, self.names];
            addresses.iter().all(|one| std::net::TcpStream::connect(one).is_ok()).then_some(())
        });
    }

    /// The directory's URL.
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.api.port())
    }

    /// Whom to trust for the directory's HTTPS, PEM.
    pub fn trust_pem(&self) -> &str {
        self.authority.pem()
    }

    /// The same as a file.
    pub fn trust_file(&self) -> PathBuf {
        self.scratch.write("trust.pem", self.trust_pem())
    }

    /// Whom a client trusts that is to verify its certificates.
    #[track_caller]
    pub fn trust(&self) -> Trust {
        let client = Client::tls(self.management, self.authority.trust()).server_name("localhost");
        let root = client.send(&Request::get("/roots/0").host("localhost")).expect(200).text();
        Trust::Authority(root)
    }

    /// Its name server, over UDP and TCP: every name is 127.0.0.1 unless told otherwise.
    pub const fn dns(&self) -> SocketAddr {
        self.dns
    }

    /// Where its name server is told what to answer, over HTTP.
    pub const fn names(&self) -> SocketAddr {
        self.names
    }

    /// From now on `name` has this address alone.
    #[track_caller]
    pub fn resolve(&self, name: &str, address: &str) {
        self.tell("/add-a", &json!({"host": format!("{name}."), "addresses": [address]}));
    }

    /// From now on `name` has the address of every name.
    #[track_caller]
    pub fn unresolve(&self, name: &str) {
        self.tell("/clear-a", &json!({"host": format!("{name}.")}));
    }

    /// Tells the name server something.
    #[track_caller]
    pub fn tell(&self, path: &str, what: &serde_json::Value) {
        let request = Request::new("POST", path).host("localhost").body(what.to_string());
        Client::plain(self.names).send(&request).expect(200);
    }

    /// What it wrote so far.
    pub fn log(&self) -> Vec<String> {
        let mut lines = self.server.stdout();
        lines.extend(self.server.stderr());
        lines
    }
}

fn config(options: &PebbleOptions, api: SocketAddr, management: SocketAddr) -> serde_json::Value {
    let mut pebble = json!({
        "listenAddress": api.to_string(),
        "managementListenAddress": management.to_string(),
        "certificate": "server.pem",
        "privateKey": "server.key",
        "httpPort": options.http.port(),
        "tlsPort": options.tls.port(),
        "ocspResponderURL": "",
        "externalAccountBindingRequired": options.external_account.is_some(),
    });
    if let Some((id, key)) = &options.external_account {
        pebble["externalAccountMACKeys"] = json!({id: key});
    }
    if let Some(seconds) = options.validity {
        pebble["certificateValidityPeriod"] = json!(seconds);
    }
    json!({"pebble": pebble})
}

fn environment(options: &PebbleOptions) -> Vec<(String, String)> {
    let mut pairs = vec![
        ("PEBBLE_WFE_NONCEREJECT", options.rejected_nonces.to_string()),
        ("PEBBLE_AUTHZREUSE", "0".to_owned()),
    ];
    match options.sleep {
        None => pairs.push(("PEBBLE_VA_NOSLEEP", "1".to_owned())),
        Some(seconds) => pairs.push(("PEBBLE_VA_SLEEPTIME", seconds.to_string())),
    }
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn start_name_server(
    program: &std::path::Path,
    scratch: &Scratch,
    dns: SocketAddr,
    management: SocketAddr,
) -> Process {
    let arguments = [
        "-dns01",
        &dns.to_string(),
        "-defaultIPv4",
        "127.0.0.1",
        "-defaultIPv6",
        "",
        "-http01",
        "",
        "-https01",
        "",
        "-tlsalpn01",
        "",
        "-management",
        &management.to_string(),
    ]
    .map(str::to_owned);
    Process::start(program, &arguments, scratch.path(), &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pebble_starts_and_tells_its_root() {
        let places = (free_address(), free_address());
        let root = std::env::temp_dir();
        let options = PebbleOptions::at(places.0, places.1);
        let Some(pebble) = Pebble::start(&root.to_string_lossy(), &options) else { return };
        let api = Client::tls(pebble.api, pebble.authority.trust()).server_name("localhost");
        let directory = api.send(&Request::get("/dir").host("localhost")).expect(200).json();
        assert!(directory["newOrder"].is_string(), "{directory}");
        assert!(matches!(pebble.trust(), Trust::Authority(pem) if pem.contains("BEGIN")));
        pebble.resolve("bad.test", "127.0.0.2");
        pebble.unresolve("bad.test");
    }
}
