//! `connections`.

use std::num::NonZeroU32;

use ipnet::IpNet;

use crate::at::At;
use crate::compile::check::positive;
use crate::problem::{Problem, Problems};
use crate::raw::connections::{Connections, Drain, RequestBody, RequestHead};
use crate::snapshot::ConnectionTerms;
use crate::units::Size;

impl Connections {
    /// Compiles the section; trusted proxies and the IPv6 prefix come from `clients`.
    pub(super) fn compile(
        self,
        at: &At,
        trusted: Vec<IpNet>,
        ipv6_prefix: u8,
        problems: &mut Problems,
    ) -> Option<ConnectionTerms> {
        let Self {
            maximum,
            per_client,
            tls_handshake,
            request_head: RequestHead { time, size, fields, target },
            request_body: RequestBody { minimum_rate },
            write,
            idle,
            streams_per_connection,
            drain: Drain { delay, grace },
        } = self;
        let head = at.key("request_head");
        let tls_handshake = positive(tls_handshake, &at.key("tls_handshake"), problems);
        let head_time = positive(time, &head.key("time"), problems);
        let head_size = within(size, 1024, 1024 * 1024, &head.key("size"), problems);
        let target_size = within(target, 128, size.bytes(), &head.key("target"), problems);
        let write = positive(write, &at.key("write"), problems);
        let idle = positive(idle, &at.key("idle"), problems);
        Some(ConnectionTerms {
            maximum: count(maximum),
            per_client: count(per_client),
            per_client_exempt: trusted,
            ipv6_prefix,
            tls_handshake: tls_handshake?,
            head_time: head_time?,
            head_size: head_size?,
            head_fields: count(fields),
            target_size: target_size?,
            minimum_body_rate: minimum_rate.bytes(),
            write: write?,
            idle: idle?,
            streams_per_connection: streams_per_connection.get(),
            drain_delay: delay.get(),
            drain_grace: grace.get(),
        })
    }
}

fn count(number: NonZeroU32) -> usize {
    usize::try_from(number.get()).unwrap_or(usize::MAX)
}

/// A size from `least` to `most` bytes.
fn within(size: Size, least: u64, most: u64, at: &At, problems: &mut Problems) -> Option<usize> {
    if size.bytes() < least || size.bytes() > most {
        let problem = Problem::new(at.clone(), format!("{size} is out of range"));
        problems.push(problem.expected(format!("from {least} to {most} bytes")));
        return None;
    }
    usize::try_from(size.bytes()).ok()
}
