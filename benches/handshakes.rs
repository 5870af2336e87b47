//! What a TLS 1.3 handshake costs the server, full and resumed, beside pingora's own listener: CPU
//! time of the whole server process for a connection that shakes hands, gets its tickets and closes.
//!
//! The servers are processes of their own, asked in turn by one client, so that what slows the
//! machine slows all of them. Elapsed time is not looked at: the client's work would be in it.

use std::error::Error;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::Server;
use pingora::upstreams::peer::HttpPeer;
use portcullis_testkit::{CertificateAuthority, Gateway, Launch};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

type Outcome<T> = Result<T, Box<dyn Error>>;

const CONFIG: &str = r#"
version: 1
listeners: [{name: https, address: "127.0.0.1:0"}]
hosts: [api.test]
certificates: {files: [{certificate: "@DIR@/tls.crt", key: {file: "@DIR@/tls.key"}}]}
admin: {address: "127.0.0.1:0", probes: "127.0.0.1:0"}
upstreams: [{name: u, endpoints: ["http://127.0.0.1:9"]}]
routes: [{name: all, path: "/{*rest}", access: public, forward: {upstream: u}}]
"#;

/// Tells this program to be one of the servers.
const SERVE: &str = "--serve-pingora";

const ROUNDS: usize = 9;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, provider, address, certificate, key] = arguments.as_slice()
        && mode == SERVE
    {
        return serve_pingora(provider, address, certificate, key);
    }
    // Without `--bench`, as under `cargo test`, it is but shown that it works.
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let (rounds, count) = if is_bench { (ROUNDS, 300) } else { (1, 2) };
    compare(rounds, count)
}

/// A server to be measured.
struct Measured {
    name: &'static str,
    process: u32,
    address: SocketAddr,
    has_hybrid: bool,
}

fn compare(rounds: usize, count: u32) -> Outcome<()> {
    let authority = CertificateAuthority::new();
    let pair = authority.issue(&["api.test"]);
    let gateway =
        Launch::new(env!("CARGO_BIN_EXE_portcullis"), env!("CARGO_TARGET_TMPDIR"), CONFIG)
            .file("tls.crt", &pair.certificate)
            .file("tls.key", &pair.key)
            .start();
    let folder = gateway.launch().folder().to_owned();
    let same = Bare::start("aws-lc-rs", &folder)?;
    let stock = Bare::start("ring", &folder)?;
    let servers = [
        ours(&gateway),
        Measured { name: "pingora, aws-lc-rs", has_hybrid: true, ..same.server() },
        Measured { name: "pingora, ring", has_hybrid: false, ..stock.server() },
    ];
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "CPU time of the server for a TLS 1.3 handshake, ECDSA P-256, {rounds} rounds of {count}"
    )?;
    for group in [kx_group::X25519MLKEM768, kx_group::X25519] {
        for resumed in [false, true] {
            let client = Client::new(authority.pem(), group, resumed)?;
            let kind = if resumed { "resumed" } else { "full" };
            writeln!(out, "{:?}, {kind}", group.name())?;
            let servers = servers.iter().filter(|server| server.speaks(group)).collect::<Vec<_>>();
            rows(&mut out, &client, &servers, rounds, count)?;
        }
    }
    Ok(())
}

/// Asks `servers` in turn, and writes a line for each.
fn rows(
    out: &mut impl Write,
    client: &Client,
    servers: &[&Measured],
    rounds: usize,
    count: u32,
) -> Outcome<()> {
    let mut taken: Vec<Vec<f64>> = servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (server, taken) in servers.iter().zip(&mut taken) {
            taken.push(client.measure(server, count)?);
        }
    }
    let ours = taken.first().map_or(1.0, |taken| median(taken));
    for (server, taken) in servers.iter().zip(&taken) {
        let (name, each) = (server.name, median(taken));
        let (per_second, ratio) = (1e6 / each, each / ours);
        writeln!(
            out,
            "  {name:<19} {each:>6.0} µs, {per_second:>5.0}/s of one core, {ratio:.2} of ours"
        )?;
    }
    Ok(())
}

impl Measured {
    fn speaks(&self, group: &dyn SupportedKxGroup) -> bool {
        self.has_hybrid || group.name() != kx_group::X25519MLKEM768.name()
    }
}

fn ours(gateway: &Gateway) -> Measured {
    Measured {
        name: "portcullis",
        process: gateway.process().id(),
        address: gateway.address("https"),
        has_hybrid: true,
    }
}

fn median(taken: &[f64]) -> f64 {
    let mut sorted = taken.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// One client, which offers one group.
struct Client {
    config: Arc<ClientConfig>,
    kind: HandshakeKind,
}

impl Client {
    fn new(authority: &str, group: &'static dyn SupportedKxGroup, resumed: bool) -> Outcome<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
        let provider = CryptoProvider { kx_groups: vec![group], ..default_provider() };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let kind = if resumed { HandshakeKind::Resumed } else { HandshakeKind::Full };
        if !resumed {
            config.resumption = Resumption::disabled();
        }
        Ok(Self { config: Arc::new(config), kind })
    }

    /// Microseconds of CPU for each of `count` handshakes.
    fn measure(&self, server: &Measured, count: u32) -> Outcome<f64> {
        // One that is not counted: the ticket of the first that is.
        self.shake(server.address)?;
        let before = cpu(server.process)?;
        for _ in 0..count {
            let kind = self.shake(server.address)?;
            if kind != Some(self.kind) {
                return Err(format!("{}: a handshake was {kind:?}", server.name).into());
            }
        }
        // The last connection is taken down.
        std::thread::sleep(Duration::from_millis(20));
        let taken = cpu(server.process)?.saturating_sub(before);
        Ok(taken.as_secs_f64() * 1e6 / f64::from(count))
    }

    fn shake(&self, address: SocketAddr) -> Outcome<Option<HandshakeKind>> {
        let name = ServerName::try_from("api.test")?;
        let mut connection = ClientConnection::new(Arc::clone(&self.config), name)?;
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        let kind = connection.handshake_kind();
        while connection.tls13_tickets_received() == 0 {
            if connection.read_tls(&mut socket)? == 0 {
                return Err("closed before a ticket came".into());
            }
            connection.process_new_packets()?;
        }
        connection.send_close_notify();
        connection.complete_io(&mut socket).ok();
        Ok(kind)
    }
}

/// What all threads of a process took, by the scheduler's own count (`proc_pid_schedstat`).
fn cpu(process: u32) -> Outcome<Duration> {
    let mut nanos: u64 = 0;
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        nanos += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// pingora's listener in a process of its own.
struct Bare {
    child: Child,
    address: SocketAddr,
}

impl Bare {
    fn start(provider: &str, folder: &Path) -> Outcome<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let files: Vec<PathBuf> = ["tls.crt", "tls.key"].iter().map(|n| folder.join(n)).collect();
        let child = Command::new(std::env::current_exe()?)
            .args([SERVE, provider, &address.to_string()])
            .args(&files)
            .spawn()?;
        let bare = Self { child, address };
        for _ in 0..500 {
            if TcpStream::connect(address).is_ok() {
                return Ok(bare);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err("pingora does not listen".into())
    }

    fn server(&self) -> Measured {
        Measured { name: "", process: self.child.id(), address: self.address, has_hybrid: false }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Answers nothing: only the handshake is asked for.
struct Nothing;

#[async_trait]
impl ProxyHttp for Nothing {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora::Result<Box<HttpPeer>> {
        pingora::Error::e_explain(pingora::ErrorType::InternalError, "nothing is here")
    }
}

fn serve_pingora(provider: &str, address: &str, certificate: &str, key: &str) -> Outcome<()> {
    // Left alone, pingora takes ring.
    if provider == "aws-lc-rs" {
        default_provider().install_default().map_err(|_| "there is a provider")?;
    }
    let mut server = Server::new(None)?;
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Nothing);
    service.add_tls(address, certificate, key)?;
    server.add_service(service);
    server.run_forever()
}
