//! BIND's `named`: a real name server that takes signed updates.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::poll::until;
use crate::ports::free_address;
use crate::{Process, Scratch, tools};

/// Longest wait for its start.
const START: Duration = Duration::from_secs(30);

/// The name of the key that may update its zones.
pub const KEY_NAME: &str = "acme-update";

/// A running `named`, the primary of a few zones in which every name is 127.0.0.1. It recurses for
/// nobody.
#[derive(Debug)]
pub struct Named {
    address: SocketAddr,
    server: Process,
    secret: String,
    _scratch: Scratch,
}

impl Named {
    /// Starts it with `zones`, or a skip where it is not installed. Whoever has the key, of
    /// `algorithm` (`hmac-sha256`, …), may update them. `root` is a folder for scratch files.
    #[track_caller]
    pub fn start(root: &str, zones: &[&str], algorithm: &str) -> Option<Self> {
        let program = tools::program("named")?;
        let scratch = Scratch::new(root.as_ref());
        let address = free_address();
        // Base64 of a text that is as long as the longest digest.
        let secret = "cG9ydGN1bGxpcy10ZXN0cy11cGRhdGUta2V5LW9mLXNpeHR5LWZvdXItYnl0ZXMtMDEyMzQ1Njc4OTAxMjM0NTY=";
        for zone in zones {
            scratch.write(&format!("{zone}.zone"), zone_file(zone));
        }
        scratch.write("named.conf", config(&scratch, address, zones, algorithm, secret));
        let arguments = ["-g", "-4", "-n", "1", "-c", "named.conf"];
        let server = Process::start(&program, &arguments, scratch.path(), &[]);
        let named = Self { address, server, secret: secret.to_owned(), _scratch: scratch };
        until(START, "named answers", || {
            assert!(named.server.exit_code().is_none(), "{:?}", named.server.stderr());
            let zone = zones.first().expect("a zone");
            named.query(zone, SOA).filter(|records| !records.is_empty())
        });
        Some(named)
    }

    /// Where it answers, over UDP and TCP.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key's secret, in base64 as its configuration has it.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The TXT records of a name, sorted; none where there is no such name.
    #[track_caller]
    pub fn txt(&self, name: &str) -> Vec<String> {
        let records = self.query(name, TXT).expect("named answers");
        let one = |data: &Vec<u8>| String::from_utf8_lossy(data.get(1..).unwrap_or(&[])).into();
        let mut texts: Vec<String> = records.iter().map(one).collect();
        texts.sort();
        texts
    }

    /// What it wrote so far.
    pub fn log(&self) -> Vec<String> {
        self.server.stderr()
    }

    /// The data of the records of the answer section.
    fn query(&self, name: &str, kind: u16) -> Option<Vec<Vec<u8>>> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(START)).ok()?;
        let mut question = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            question.push(u8::try_from(label.len()).expect("a label"));
            question.extend_from_slice(label.as_bytes());
        }
        question.push(0);
        question.extend_from_slice(&[kind.to_be_bytes(), [0, 1]].concat());
        let length = u16::try_from(question.len()).expect("short");
        stream.write_all(&[&length.to_be_bytes(), &question[..]].concat()).ok()?;
        let mut length_bytes = [0; 2];
        stream.read_exact(&mut length_bytes).ok()?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length_bytes))];
        stream.read_exact(&mut answer).ok()?;
        let count = u16::from_be_bytes([answer[6], answer[7]]);
        let mut at = question.len();
        let mut records = Vec::new();
        for _ in 0..count {
            // The name is a pointer to the question's: two bytes, then type, class and TTL.
            assert_eq!(answer[at] & 0xc0, 0xc0, "{answer:?}");
            let length = usize::from(u16::from_be_bytes([answer[at + 10], answer[at + 11]]));
            records.push(answer[at + 12..at + 12 + length].to_vec());
            at += 12 + length;
        }
        Some(records)
    }
}

const SOA: u16 = 6;
const TXT: u16 = 16;

fn zone_file(zone: &str) -> String {
    format!(
        "$TTL 60\n\
         {zone}. SOA ns.{zone}. host.{zone}. 1 3600 600 86400 1\n\
         {zone}. NS ns.{zone}.\n\
         {zone}. A 127.0.0.1\n\
         *.{zone}. A 127.0.0.1\n"
    )
}

fn config(
    scratch: &Scratch,
    address: SocketAddr,
    zones: &[&str],
    algorithm: &str,
    secret: &str,
) -> String {
    let folder = scratch.path().display();
    let port = address.port();
    let zones: Vec<String> = zones
        .iter()
        .map(|zone| {
            format!(
                "zone \"{zone}\" {{ type primary; file \"{folder}/{zone}.zone\"; \
                 allow-update {{ key {KEY_NAME}; }}; }};\n"
            )
        })
        .collect();
    let zones = zones.concat();
    format!(
        "options {{\n\
           directory \"{folder}\"; pid-file \"{folder}/named.pid\";\n\
           session-keyfile \"{folder}/session.key\"; managed-keys-directory \"{folder}\";\n\
           listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
           recursion no; dnssec-validation no; notify no; minimal-responses no;\n\
         }};\n\
         controls {{ }};\n\
         key \"{KEY_NAME}\" {{ algorithm {algorithm}; secret \"{secret}\"; }};\n\
         {zones}"
    )
}
