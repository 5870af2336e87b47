//! The list of sockets, and the conversation of two processes in one.

use super::*;

fn label(slot: Slot, address: &str) -> Label {
    Label { slot, address: address.to_owned() }
}

fn listener(name: &str) -> Slot {
    Slot::Listener(Arc::from(name))
}

#[test]
fn a_list_is_read_as_it_was_written() {
    let labels = [
        label(listener("https"), "[::]:443"),
        label(listener("admin"), "unix:/run/with space/a.sock"),
        label(Slot::Admin, "127.0.0.1:9901"),
        label(Slot::Probes, "127.0.0.1:0"),
    ];
    let list = write_list(labels.iter()).unwrap();
    assert_eq!(
        list,
        "listener https [::]:443\nlistener admin unix:/run/with space/a.sock\n\
         admin 127.0.0.1:9901\nprobes 127.0.0.1:0\n\n"
    );
    assert_eq!(read_list(&list).unwrap(), labels);
    assert_eq!(read_list(&write_list([].iter()).unwrap()).unwrap(), []);
}

#[test]
fn what_would_be_read_otherwise_is_not_written() {
    for bad in [
        label(Slot::Admin, "unix:/a\nprobes 127.0.0.1:1"),
        label(listener("two words"), "127.0.0.1:1"),
        label(Slot::Probes, ""),
        label(listener("long"), &"x".repeat(LIST)),
    ] {
        assert_eq!(write_list([&bad].into_iter()), None, "{bad:?}");
    }
}

#[test]
fn other_lists_are_refused() {
    for bad in ["", "admin\n\n", "admin \n\n", "listener a\n\n", "other a b\n\n", "admin 1:1"] {
        assert_eq!(read_list(bad), None, "{bad:?}");
    }
}

#[test]
fn only_the_same_user_and_root_are_answered() {
    for (peer, own, trusted) in
        [(7, 7, true), (0, 7, true), (0, 0, true), (8, 7, false), (7, 0, false)]
    {
        assert_eq!(is_trusted(peer, own), trusted, "{peer} {own}");
    }
}

/// A process that goes on until it is told to drain: how often it gave its sockets.
async fn live(mut door: Door, socket: std::net::TcpListener) -> usize {
    let mut given = 0;
    loop {
        match door.asked().await {
            Ask::Sockets(give) => {
                let mut sockets = Sockets::default();
                let socket = socket.as_fd().try_clone_to_owned().unwrap();
                sockets.add(listener("main"), &"127.0.0.1:0", socket);
                given += 1;
                give.send(sockets).ok();
            }
            Ask::Drain(agree) => {
                agree.send(()).unwrap();
                door.finish().await;
                return given;
            }
        }
    }
}

#[tokio::test]
async fn a_socket_changes_hands_once_the_successor_serves() {
    let folder = tempfile::tempdir().unwrap();
    assert!(ask(folder.path()).await.unwrap().is_none(), "nobody is there");
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let door = Door::open(folder.path(), false).await.unwrap();
    let mode = folder.path().join(FILE).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let running = tokio::spawn(live(door, socket));

    // One that starts without asking leaves the door to it; one that gives up changes nothing.
    let other = Door::open(folder.path(), false).await.unwrap_err();
    assert_eq!(other.kind(), io::ErrorKind::AddrInUse);
    drop(ask(folder.path()).await.unwrap().unwrap());
    let mut rude = UnixStream::connect(folder.path().join(FILE)).await.unwrap();
    rude.write_all(b"drainers\n").await.unwrap();
    drop(rude);

    let (predecessor, mut sockets) = ask(folder.path()).await.unwrap().unwrap();
    assert!(sockets.take(&listener("other"), &"127.0.0.1:0").is_none());
    assert!(sockets.take(&listener("main"), &"127.0.0.1:1").is_none());
    let socket = sockets.take(&listener("main"), &"127.0.0.1:0").unwrap();
    assert!(sockets.take(&listener("main"), &"127.0.0.1:0").is_none());
    assert_eq!(std::net::TcpListener::from(socket).local_addr().unwrap(), address);
    assert!(!running.is_finished());
    predecessor.replace().await.unwrap();
    assert!(running.await.unwrap() >= 2);
    assert!(ask(folder.path()).await.unwrap().is_none(), "its door is closed");
}

#[tokio::test]
async fn whoever_gives_nonsense_is_no_predecessor() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join(FILE)).unwrap();
    let answer = tokio::spawn(async move {
        for text in ["admin 127.0.0.1:1\n\n", "nonsense\n\n", ""] {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
        }
    });
    // A line without a socket, no line, nothing at all.
    assert!(matches!(ask(folder.path()).await, Err(HandoverError::List)));
    assert!(matches!(ask(folder.path()).await, Err(HandoverError::List)));
    assert!(matches!(ask(folder.path()).await, Err(HandoverError::Io(_))));
    answer.await.unwrap();
}
