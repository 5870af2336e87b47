//! Free ports, for programs that must be told theirs.

use std::net::{SocketAddr, TcpListener};

/// An address of 127.0.0.1 with a port that is free now. Another program may take it before the one
/// it is meant for does; that fails the test loudly, and is rare.
pub fn free_address() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("an address")
}
