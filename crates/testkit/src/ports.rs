//! Free ports, for programs that must be told theirs.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports below those that Linux draws from by itself (`ip_local_port_range` begins at 32768): nobody
/// gets one of them by chance between now and when it is used.
const FIRST: u32 = 20_000;

/// How many there are.
const COUNT: u32 = 12_000;

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// An address of 127.0.0.1 with a port that is free now, and that no other caller of this process
/// gets.
pub fn free_address() -> SocketAddr {
    // Where another process of the kind runs, it begins elsewhere.
    let begin = std::process::id().wrapping_mul(769);
    for _ in 0..COUNT {
        let next = begin.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + next % COUNT).expect("a port");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port is free")
}
