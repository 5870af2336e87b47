//! Clients: where to connect, from which address, under which name.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

use crate::answer::Answer;
use crate::authority::{Pair, Trust, client_config};
use crate::connection::{Connection, Transport};
use crate::request::Request;

static TLS12_ALONE: [&rustls::SupportedProtocolVersion; 1] = [&rustls::version::TLS12];

/// A way to reach one listener. Cheap to change and to copy.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Tls>,
    from: IpAddr,
}

#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(crate) trust: Trust,
    pub(crate) name: String,
    pub(crate) protocols: Vec<&'static str>,
    pub(crate) versions: &'static [&'static rustls::SupportedProtocolVersion],
    pub(crate) shown: Option<Pair>,
    kept: Option<Arc<OnceLock<Arc<ClientConfig>>>>,
}

impl Tls {
    /// The settings of the next connection. Where sessions are kept, those of the first hold for
    /// all.
    pub(crate) fn config(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        let make = || client_config(&self.trust, self.shown.as_ref(), protocols, self.versions);
        match &self.kept {
            Some(kept) => Arc::clone(kept.get_or_init(make)),
            None => make(),
        }
    }
}

impl Client {
    /// Speaks cleartext to `address`.
    pub const fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None, from: IpAddr::V4(Ipv4Addr::LOCALHOST) }
    }

    /// Speaks TLS to `address`, asks for the name `api.test` and offers HTTP/1.1.
    pub fn tls(address: SocketAddr, trust: Trust) -> Self {
        let tls = Tls {
            trust,
            name: "api.test".to_owned(),
            protocols: vec!["http/1.1"],
            versions: rustls::ALL_VERSIONS,
            shown: None,
            kept: None,
        };
        Self { address, tls: Some(tls), from: IpAddr::V4(Ipv4Addr::LOCALHOST) }
    }

    /// Asks for another server name; an IP address sends none.
    #[must_use]
    pub fn server_name(mut self, name: &str) -> Self {
        if let Some(tls) = &mut self.tls {
            name.clone_into(&mut tls.name);
        }
        self
    }

    /// Offers these protocols in ALPN.
    #[must_use]
    pub fn protocols(mut self, protocols: &[&'static str]) -> Self {
        if let Some(tls) = &mut self.tls {
            tls.protocols = protocols.to_vec();
        }
        self
    }

    /// Connects to another address, with all else as it is.
    #[must_use]
    pub const fn at(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Shows a certificate, where it is asked for one.
    #[must_use]
    pub fn certificate(mut self, pair: &Pair) -> Self {
        if let Some(tls) = &mut self.tls {
            tls.shown = Some(pair.clone());
        }
        self
    }

    /// Keeps its sessions, so that a later connection resumes one.
    #[must_use]
    pub fn keeping_sessions(mut self) -> Self {
        if let Some(tls) = &mut self.tls {
            tls.kept = Some(Arc::default());
        }
        self
    }

    /// Speaks TLS 1.2 and nothing newer.
    #[must_use]
    pub fn only_tls12(mut self) -> Self {
        if let Some(tls) = &mut self.tls {
            tls.versions = &TLS12_ALONE;
        }
        self
    }

    /// Connects from another address of this machine (all of 127.0.0.0/8 are).
    #[must_use]
    pub fn from(mut self, address: &str) -> Self {
        self.from = address.parse().expect("an address");
        self
    }

    /// Opens a connection, handshake included.
    pub fn try_connect(&self) -> io::Result<Connection> {
        Connection::new(self.try_transport()?)
    }

    pub(crate) fn try_transport(&self) -> io::Result<Transport> {
        let stream = self.socket()?;
        let Some(tls) = &self.tls else {
            return Ok(Transport::Plain(stream));
        };
        let config = tls.config(&tls.protocols);
        Ok(Transport::Tls(Box::new(handshake(config, &tls.name, stream)?)))
    }

    /// Opens a connection that must come about.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        self.try_connect().expect("the connection comes about")
    }

    /// Sends a request on a connection of its own.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Answer {
        self.connect().send(request)
    }

    /// Sends bytes on a connection of their own and reads one answer.
    #[track_caller]
    pub fn raw(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut connection = self.connect();
        connection.write(bytes);
        connection.read().expect("an answer comes")
    }

    /// The same for a `HEAD`, whose answer has no content.
    #[track_caller]
    pub fn raw_head(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut connection = self.connect();
        connection.write(bytes);
        connection.read_head().expect("an answer comes")
    }

    /// A TCP connection from the wanted address.
    pub(crate) fn socket(&self) -> io::Result<TcpStream> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.bind(SocketAddr::new(self.from, 0))?;
            socket.connect(self.address).await?.into_std()
        })?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(stream)
    }
}

fn handshake(
    config: Arc<ClientConfig>,
    name: &str,
    mut stream: TcpStream,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let mut session = ClientConnection::new(config, name).map_err(io::Error::other)?;
    while session.is_handshaking() {
        session.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(session, stream))
}
