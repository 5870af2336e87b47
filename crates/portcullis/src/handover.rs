//! `run --upgrade`: the listening sockets go from the running process to its successor, over a unix
//! socket in the state folder.
//!
//! The running process answers a connection with one line for each socket, an empty line, and the
//! sockets themselves. Its successor says `serving` once it accepts on them; the running process
//! says `draining`, accepts no more and ends when its connections have. A successor that closes
//! before that changes nothing.

use std::fs::Permissions;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The socket's name in the state folder.
pub(crate) const FILE: &str = "upgrade.sock";

/// Most sockets that change hands.
const SOCKETS: usize = 64;
/// Longest list of them.
const LIST: usize = 32 << 10;
/// How long a successor may take from the sockets to `serving`.
const SUCCESSOR: Duration = Duration::from_mins(1);
/// How long a step takes that needs nothing but the other process.
const STEP: Duration = Duration::from_secs(10);

const SERVING: &[u8] = b"serving\n";
const DRAINING: &[u8] = b"draining\n";

/// Why the running process was not replaced. It goes on.
#[derive(Debug, Error)]
pub(crate) enum HandoverError {
    /// It is there and does not answer.
    #[error("the running process cannot be asked for its sockets: {0}")]
    Io(#[from] io::Error),
    /// It takes too long.
    #[error("the running process does not answer")]
    Late,
    /// Its answer is none.
    #[error("the running process gives no list of sockets")]
    List,
}

/// What a socket is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The client listener of this name.
    Listener(Arc<str>),
    /// The admin listener.
    Admin,
    /// The probes.
    Probes,
}

/// A socket's use and its address as the file has it, so that port 0 is found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub slot: Slot,
    pub address: String,
}

impl Label {
    fn line(&self) -> String {
        match &self.slot {
            Slot::Listener(name) => format!("listener {name} {}\n", self.address),
            Slot::Admin => format!("admin {}\n", self.address),
            Slot::Probes => format!("probes {}\n", self.address),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ')?;
        let (slot, address) = match kind {
            "listener" => {
                let (name, address) = rest.split_once(' ')?;
                (Slot::Listener(Arc::from(name)), address)
            }
            "admin" => (Slot::Admin, rest),
            "probes" => (Slot::Probes, rest),
            _ => return None,
        };
        (!address.is_empty()).then(|| Self { slot, address: address.to_owned() })
    }
}

/// The list as it goes over the socket; `None` if a line would not be read as it was meant.
fn write_list<'l>(labels: impl Iterator<Item = &'l Label>) -> Option<String> {
    let mut list = String::new();
    for label in labels {
        let line = label.line();
        let read = line.strip_suffix('\n').filter(|line| !line.contains('\n'));
        if read.and_then(Label::parse).as_ref() != Some(label) {
            return None;
        }
        list += &line;
    }
    list.push('\n');
    (list.len() <= LIST).then_some(list)
}

fn read_list(list: &str) -> Option<Vec<Label>> {
    let lines = list.strip_suffix('\n')?;
    lines.split_terminator('\n').map(Label::parse).collect()
}

/// Listening sockets and what they are for.
#[derive(Debug, Default)]
pub(crate) struct Sockets(Vec<(Label, OwnedFd)>);

impl Sockets {
    /// One more.
    pub(crate) fn add(&mut self, slot: Slot, address: &impl ToString, socket: OwnedFd) {
        self.0.push((Label { slot, address: address.to_string() }, socket));
    }

    /// The one of this use and address; each is given once.
    pub(crate) fn take(&mut self, slot: &Slot, address: &impl ToString) -> Option<OwnedFd> {
        let address = address.to_string();
        let fits = |(label, _): &(Label, OwnedFd)| label.slot == *slot && label.address == address;
        let place = self.0.iter().position(fits)?;
        Some(self.0.swap_remove(place).1)
    }
}

/// What the running process is asked through its socket.
#[derive(Debug)]
pub(crate) enum Ask {
    /// For its listening sockets.
    Sockets(oneshot::Sender<Sockets>),
    /// To drain: the successor serves. Answered when that is certain.
    Drain(oneshot::Sender<()>),
}

/// The socket in the state folder. Dropped, nobody answers there.
#[derive(Debug)]
pub(crate) struct Door {
    asks: mpsc::Receiver<Ask>,
    task: JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Door {
    /// Listens in `folder`. The socket of a process that answers is left to it, unless this one is
    /// its successor.
    pub(crate) async fn open(folder: &Path, is_successor: bool) -> io::Result<Self> {
        let path = folder.join(FILE);
        if !is_successor && UnixStream::connect(&path).await.is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        // Made beside it and moved: at no time is there no socket, or one that is open to others.
        let fresh = folder.join(format!("{FILE}.{}", std::process::id()));
        std::fs::remove_file(&fresh).ok();
        let listener = UnixListener::bind(&fresh)?;
        std::fs::set_permissions(&fresh, Permissions::from_mode(0o600))?;
        std::fs::rename(&fresh, &path)?;
        let (ask, asks) = mpsc::channel(1);
        Ok(Self { asks, task: tokio::spawn(serve(listener, ask)) })
    }

    /// The next question; never, once there can be none.
    pub(crate) async fn asked(&mut self) -> Ask {
        match self.asks.recv().await {
            Some(ask) => ask,
            None => std::future::pending().await,
        }
    }

    /// Ends when the successor knows that this process drains.
    pub(crate) async fn finish(mut self) {
        timeout(STEP, &mut self.task).await.ok();
    }
}

/// One successor after another, until one serves.
async fn serve(listener: UnixListener, ask: mpsc::Sender<Ask>) {
    loop {
        let accepted = listener.accept().await;
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let given = if may_ask(&stream) {
            give(stream, &ask).await
        } else {
            Err(io::Error::other("another user asked for the sockets"))
        };
        match given {
            Ok(true) => return,
            Ok(false) => note("the successor went away"),
            Err(error) => note(&error.to_string()),
        }
    }
}

fn note(reason: &str) {
    tracing::warn!(reason, "no hand-over, this process goes on");
}

fn may_ask(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| is_trusted(peer.uid(), own))
}

/// Whether whoever connected is us, or root.
const fn is_trusted(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

/// Gives the sockets and waits for the successor; whether it serves.
async fn give(mut stream: UnixStream, ask: &mpsc::Sender<Ask>) -> io::Result<bool> {
    let (give, given) = oneshot::channel();
    ask.send(Ask::Sockets(give)).await.map_err(io::Error::other)?;
    let sockets = given.await.map_err(io::Error::other)?;
    send(&mut stream, &sockets).await?;
    drop(sockets);
    let mut word = [0; SERVING.len()];
    match timeout(SUCCESSOR, stream.read_exact(&mut word)).await {
        Ok(Ok(_)) if word == SERVING => {}
        Ok(Err(error)) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
        Ok(_) | Err(_) => return Ok(false),
    }
    let (agree, agreed) = oneshot::channel();
    ask.send(Ask::Drain(agree)).await.map_err(io::Error::other)?;
    agreed.await.map_err(io::Error::other)?;
    // Whatever becomes of this word: there is no way back.
    stream.write_all(DRAINING).await.ok();
    Ok(true)
}

async fn send(stream: &mut UnixStream, sockets: &Sockets) -> io::Result<()> {
    let list = write_list(sockets.0.iter().map(|(label, _)| label));
    let list = list.filter(|_| sockets.0.len() <= SOCKETS);
    let list = list.ok_or_else(|| io::Error::other("these sockets cannot be listed"))?;
    let descriptors: Vec<BorrowedFd<'_>> = sockets.0.iter().map(|(_, fd)| fd.as_fd()).collect();
    let sent = stream
        .async_io(Interest::WRITABLE, || send_once(stream.as_fd(), list.as_bytes(), &descriptors));
    let sent = timeout(STEP, sent).await??;
    let rest = list.as_bytes().get(sent..).unwrap_or_default();
    timeout(STEP, stream.write_all(rest)).await?
}

fn send_once(to: BorrowedFd<'_>, bytes: &[u8], sockets: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(io::Error::other("too many sockets"));
    }
    Ok(sendmsg(to, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?)
}

/// The process that is to be replaced.
#[derive(Debug)]
pub(crate) struct Predecessor(UnixStream);

/// Asks the process that serves in `folder` for its sockets; `None` where there is none.
pub(crate) async fn ask(folder: &Path) -> Result<Option<(Predecessor, Sockets)>, HandoverError> {
    let stream = match UnixStream::connect(folder.join(FILE)).await {
        Ok(stream) => stream,
        Err(error) if is_nobody(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (list, sockets) =
        timeout(STEP, receive(&stream)).await.map_err(|_| HandoverError::Late)??;
    let labels = std::str::from_utf8(&list).ok().and_then(read_list);
    let labels = labels.filter(|labels| labels.len() == sockets.len());
    let labels = labels.ok_or(HandoverError::List)?;
    let sockets = Sockets(labels.into_iter().zip(sockets).collect());
    Ok(Some((Predecessor(stream), sockets)))
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

impl Predecessor {
    /// Tells it that this process serves; it drains from here on.
    pub(crate) async fn replace(mut self) -> Result<(), HandoverError> {
        let mut word = [0; DRAINING.len()];
        let exchange = async {
            self.0.write_all(SERVING).await?;
            self.0.read_exact(&mut word).await
        };
        timeout(STEP, exchange).await.map_err(|_| HandoverError::Late)??;
        if word == DRAINING { Ok(()) } else { Err(HandoverError::List) }
    }
}

/// The list to its empty line, and the descriptors that came with it.
async fn receive(stream: &UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let (mut list, mut sockets) = (Vec::new(), Vec::new());
    loop {
        let (bytes, mut more) =
            stream.async_io(Interest::READABLE, || receive_once(stream.as_fd())).await?;
        if bytes.is_empty() || list.len() + bytes.len() > LIST {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        list.extend_from_slice(&bytes);
        sockets.append(&mut more);
        if list == b"\n" || list.ends_with(b"\n\n") {
            return Ok((list, sockets));
        }
    }
}

fn receive_once(from: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = vec![0; LIST];
    let mut into = [IoSliceMut::new(&mut bytes)];
    let received = recvmsg(from, &mut into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut sockets = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = message {
            sockets.extend(more);
        }
    }
    bytes.truncate(received.bytes);
    Ok((bytes, sockets))
}

#[cfg(test)]
#[path = "handover_tests.rs"]
mod tests;
