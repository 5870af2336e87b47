//! A name server on UDP with a few records, which a test changes while it runs.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

type Records = Arc<Mutex<HashMap<String, (u32, Vec<IpAddr>)>>>;

/// The server. A name without a record does not exist (NXDOMAIN).
pub struct NameServer {
    address: SocketAddr,
    records: Records,
}

impl NameServer {
    /// On a free port of 127.0.0.1.
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("an address");
        let records = Records::default();
        let shared = Arc::clone(&records);
        thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((count, from)) = socket.recv_from(&mut buffer) {
                let answer = answer(&buffer[..count], &shared);
                socket.send_to(&answer, from).ok();
            }
        });
        Self { address, records }
    }

    /// Its address.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on `name` has these addresses, for `ttl` seconds.
    pub fn set(&self, name: &str, ttl: u32, addresses: &[&str]) {
        let addresses = addresses.iter().map(|one| one.parse().expect("an address")).collect();
        self.records.lock().insert(name.to_owned(), (ttl, addresses));
    }

    /// From now on there is no such name.
    pub fn remove(&self, name: &str) {
        self.records.lock().remove(name);
    }
}

/// RFC 1035 §4.1: the header, the question as it came, and the records of the type asked for.
fn answer(question: &[u8], records: &Records) -> Vec<u8> {
    let (mut name, mut at) = (Vec::new(), 12);
    while let Some(length) = question.get(at).map(|byte| usize::from(*byte)).filter(|n| *n > 0) {
        name.push(String::from_utf8_lossy(&question[at + 1..=at + length]).to_lowercase());
        at += length + 1;
    }
    let end = at + 5;
    let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
    let found = records.lock().get(&name.join(".")).cloned();
    let exists = found.is_some();
    let (ttl, addresses) = found.unwrap_or_default();
    let data = addresses.into_iter().filter_map(|address| match (kind, address) {
        (1, IpAddr::V4(four)) => Some(four.octets().to_vec()),
        (28, IpAddr::V6(six)) => Some(six.octets().to_vec()),
        _ => None,
    });
    let data: Vec<_> = data.collect();
    let mut wire = question[..2].to_vec();
    wire.extend([0x85, if exists { 0x80 } else { 0x83 }, 0, 1]);
    wire.extend(u16::try_from(data.len()).expect("few records").to_be_bytes());
    wire.extend([0; 4]);
    wire.extend(&question[12..end]);
    for one in data {
        wire.extend([0xc0, 12]);
        wire.extend(kind.to_be_bytes());
        wire.extend([0, 1]);
        wire.extend(ttl.to_be_bytes());
        wire.extend(u16::try_from(one.len()).expect("short").to_be_bytes());
        wire.extend(one);
    }
    wire
}
