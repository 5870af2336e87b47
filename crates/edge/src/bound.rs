//! Sockets to listen on, bound first, so that an address that is taken is an error at start.

use std::fs::{self, Permissions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpSocket, UnixListener};

use crate::socket::Socket;

/// Connections the system may hold before they are accepted.
const BACKLOG: u32 = 1024;

/// Who may connect to a unix socket: its owner and the owner's group.
const MODE: u32 = 0o660;

/// An address that is ours; connections wait in the system's queue until it is served.
#[derive(Debug)]
pub struct BoundListener {
    pub(crate) kind: Kind,
}

/// The two kinds.
#[derive(Debug)]
pub(crate) enum Kind {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, SocketFile),
}

/// The file of a unix socket.
#[derive(Clone, Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: Option<u64>,
}

impl BoundListener {
    /// Binds `address`; port 0 takes a free one. `[::]` takes IPv4 too, and falls back to
    /// `0.0.0.0` where the system has no IPv6. Needs a tokio runtime.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = match listen(address) {
            Err(error) if is_without_ipv6(&error) && address.ip().is_unspecified() => {
                listen(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()))?
            }
            other => other?,
        };
        let local = socket.local_addr()?;
        Ok(Self { kind: Kind::Tcp(socket, local) })
    }

    /// Makes the socket `path`, for its owner and group. The file that a process left which is no
    /// longer there is replaced; one that somebody answers on, or that is no socket, is an error.
    /// Needs a tokio runtime.
    pub fn bind_unix(path: &Path) -> io::Result<Self> {
        remove_stale(path)?;
        let socket = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(MODE))?;
        Ok(Self { kind: Kind::Unix(socket, SocketFile::new(path)) })
    }

    /// Takes over the TCP socket that another process listens on. Needs a tokio runtime.
    pub fn adopt(socket: OwnedFd) -> io::Result<Self> {
        let socket = std::net::TcpListener::from(socket);
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        Ok(Self { kind: Kind::Tcp(TcpListener::from_std(socket)?, local) })
    }

    /// Takes over the unix socket `path` that another process listens on. Needs a tokio runtime.
    pub fn adopt_unix(socket: OwnedFd, path: &Path) -> io::Result<Self> {
        let socket = std::os::unix::net::UnixListener::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Self { kind: Kind::Unix(UnixListener::from_std(socket)?, SocketFile::new(path)) })
    }

    /// The address, with the port that was taken; `None` for a unix socket.
    pub const fn local_addr(&self) -> Option<SocketAddr> {
        self.kind.local_addr()
    }

    /// The address as the file writes it.
    pub fn shown(&self) -> String {
        self.kind.shown()
    }
}

impl Kind {
    pub(crate) const fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, local) => Some(*local),
            Self::Unix(..) => None,
        }
    }

    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Tcp(_, local) => local.to_string(),
            Self::Unix(_, file) => format!("unix:{}", file.path.display()),
        }
    }

    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(socket, _) => socket.as_fd().try_clone_to_owned(),
            Self::Unix(socket, _) => socket.as_fd().try_clone_to_owned(),
        }
    }

    /// The next connection, and its peer where that has an address.
    pub(crate) async fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match self {
            Self::Tcp(socket, _) => {
                socket.accept().await.map(|(io, peer)| (Socket::Tcp(io), Some(peer)))
            }
            Self::Unix(socket, _) => socket.accept().await.map(|(io, _)| (Socket::Unix(io), None)),
        }
    }

    /// Takes the file of a unix socket away, if it is still that of this one.
    pub(crate) fn remove_file(&self) {
        let Self::Unix(_, file) = self else { return };
        if inode(&file.path) == file.inode {
            fs::remove_file(&file.path).ok();
        }
    }
}

impl SocketFile {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), inode: inode(path) }
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().map(|file| file.ino())
}

fn remove_stale(path: &Path) -> io::Result<()> {
    let file = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !file.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file, no socket"));
    }
    match StdUnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// `EAFNOSUPPORT` or `EADDRNOTAVAIL`: IPv6 is not built in, or switched off.
fn is_without_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.raw_os_error() == Some(EAFNOSUPPORT) || error.kind() == io::ErrorKind::AddrNotAvailable
}
