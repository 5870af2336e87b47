//! Five thousand clients that trickle, and everybody else served: `make soak`.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use portcullis_testkit::{Client, Request, marker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::world::{BASE, HOSTS, UPSTREAMS, World};

const TRICKLERS: usize = 5_000;
const ADDRESSES: usize = 64;
const PROBES: usize = 200;

/// For a head, in the configuration below.
const HEAD_TIME: Duration = Duration::from_secs(10);

const CONFIG: &str = "
connections: {request_head: {time: 10s}, per_client: 128}
routes: [{name: all, path: '/{*rest}', access: public, forward: {upstream: u}}]
";

/// What came of all tricklers.
#[derive(Debug, Default)]
struct Outcome {
    connected: AtomicUsize,
    answered: AtomicUsize,
    cut: AtomicUsize,
    slowest: parking_lot::Mutex<Duration>,
}

fn source(number: usize) -> IpAddr {
    let last = u8::try_from(number % ADDRESSES).unwrap() + 1;
    IpAddr::V4(Ipv4Addr::new(127, 9, 9, last))
}

/// Sends the start of a head, then a byte a second until the connection is cut.
#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
async fn trickle(number: usize, to: SocketAddr, outcome: Arc<Outcome>) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(source(number), 0))?;
    let mut stream = socket.connect(to).await?;
    outcome.connected.fetch_add(1, Ordering::Relaxed);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: api.test\r\nX: ").await?;
    let started = Instant::now();
    let mut answer = Vec::new();
    let mut every = tokio::time::interval(Duration::from_secs(1));
    loop {
        let mut part = [0; 512];
        tokio::select! {
            read = stream.read(&mut part) => match read {
                Ok(0) | Err(_) => break,
                Ok(count) => answer.extend_from_slice(&part[..count]),
            },
            _ = every.tick() => drop(stream.write_all(b"x").await),
        }
    }
    outcome.cut.fetch_add(1, Ordering::Relaxed);
    if answer.starts_with(b"HTTP/1.1 408 ") {
        outcome.answered.fetch_add(1, Ordering::Relaxed);
    }
    let mut slowest = outcome.slowest.lock();
    *slowest = (*slowest).max(started.elapsed());
    Ok(())
}

fn resident(world: &World) -> u64 {
    let path = format!("/proc/{}/status", world.gateway.process().id());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Time to an answer on a connection of its own, in order of length.
#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn probe(client: &Client) -> Vec<Duration> {
    let mut times: Vec<Duration> = (0..PROBES)
        .map(|_| {
            let started = Instant::now();
            client.send(&Request::get(format!("/{}", marker("probe")))).expect(200);
            std::thread::sleep(Duration::from_millis(25));
            started.elapsed().saturating_sub(Duration::from_millis(25))
        })
        .collect();
    times.sort_unstable();
    times
}

#[test]
#[ignore = "a quarter of a minute with both cores busy: run by make soak"]
fn tricklers_are_cut_and_others_are_served() {
    let world = World::start(&[BASE, HOSTS, UPSTREAMS, CONFIG]);
    let address = world.gateway.address("plain");
    probe(&world.plain());
    let before = resident(&world);
    let outcome = Arc::new(Outcome::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let clients: Vec<_> = (0..TRICKLERS)
        .map(|number| runtime.spawn(trickle(number, address, Arc::clone(&outcome))))
        .collect();
    let open = || world.gateway.metric(&["gateway_connections{", "plain"]);
    portcullis_testkit::until(HEAD_TIME, "all tricklers are connected", || {
        (outcome.connected.load(Ordering::Relaxed) == TRICKLERS).then_some(())
    });
    let at_once = open();
    let times = probe(&world.plain());
    let peak = resident(&world);
    for client in clients {
        runtime.block_on(client).unwrap().unwrap();
    }
    let cut = world.gateway.metric(&["gateway_denials_total", "request-timeout"]);
    let slowest = *outcome.slowest.lock();
    let mut report = std::io::stderr().lock();
    writeln!(
        report,
        "{TRICKLERS} tricklers from {ADDRESSES} addresses, {at_once} open at once, {cut} reached the \
         head gate and were cut, the last after {slowest:?}; {PROBES} probes: median {:?}, 99th {:?}, \
         slowest {:?}; memory {before} MiB, then {peak} MiB",
        times[PROBES / 2],
        times[PROBES * 99 / 100],
        times[PROBES - 1],
    )
    .unwrap();
    assert_eq!(outcome.cut.load(Ordering::Relaxed), TRICKLERS);
    assert_eq!(outcome.answered.load(Ordering::Relaxed), TRICKLERS, "each is told why");
    assert_eq!(cut, i64::try_from(TRICKLERS).unwrap());
    assert!(at_once > i64::try_from(TRICKLERS / 2).unwrap(), "{at_once}");
    assert!(slowest < HEAD_TIME * 2, "{slowest:?}");
    assert!(peak.saturating_sub(before) < 100, "{before} MiB, then {peak} MiB");
}
