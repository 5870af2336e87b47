//! Listeners, TLS, certificates, clients and connections.

use super::cases::{Case, case};

const LISTENERS: &str = "[{name: http, address: '127.0.0.1:8080', cleartext: true}]";
const CLIENTS: &str = "clients: {";

/// Listeners with TLS, and files that are not read.
const MUTUAL: &str = "[{name: https, address: '127.0.0.1:8443', tls: {client_certificates: \
                      {mode: optional, trust: {file: ca.pem}, crl: {files: [ca.crl]}}}}]\n\
                      certificates: {acme: {directory: 'https://ca.test/directory', names: [localhost]}}";
const REQUIRED: &str = "[{name: https, address: '127.0.0.1:8443', tls: {client_certificates: \
                        {mode: required, trust: {file: ca.pem}, crl: {files: [ca.crl]}}}}]\n\
                        certificates: {acme: {directory: 'https://ca.test/directory', names: [localhost]}}";
const UNLISTED: &str = "[{name: https, address: '127.0.0.1:8443', tls: {client_certificates: \
                        {mode: required, trust: {file: ca.pem}}}}]\n\
                        certificates: {acme: {directory: 'https://ca.test/directory', names: [localhost]}}";

pub(super) fn cases() -> Vec<Case> {
    [clients(), tls(), listeners(), connections()].concat()
}

fn clients() -> Vec<Case> {
    vec![
        case(
            "A002",
            "clients.trusted_proxies",
            &[(CLIENTS, "clients: {trusted_proxies: {any: true}, ")],
            &[(CLIENTS, "clients: {trusted_proxies: [10.0.0.0/8], ")],
        ),
        case(
            "A025",
            "clients.trusted_proxies[1]",
            &[(CLIENTS, "clients: {trusted_proxies: [10.0.0.0/8, 128.0.0.0/1], ")],
            &[(
                CLIENTS,
                "clients: {trusted_proxies: [104.16.0.0/13, 'fd00::/8', '2606:4700::/32'], ",
            )],
        ),
        case(
            "A026",
            "listeners[0].proxy_protocol.from[0]",
            &[("cleartext: true", "cleartext: true, proxy_protocol: {from: ['::/0']}")],
            &[("cleartext: true", "cleartext: true, proxy_protocol: {from: ['10.0.0.0/8']}")],
        ),
        case(
            "A027",
            "clients.allow[1]",
            &[(CLIENTS, "clients: {allow: [10.0.0.0/8, 0.0.0.0/0], ")],
            &[(CLIENTS, "clients: {allow: [10.0.0.0/8], ")],
        ),
        case(
            "A027",
            "routes[1].clients.allow[0]",
            &[("access: public", "access: public, clients: {allow: ['::/0']}")],
            &[("access: public", "access: public, clients: {allow: ['::1/128']}")],
        ),
        case(
            "A028",
            "clients.ipv6_prefix",
            &[(CLIENTS, "clients: {ipv6_prefix: 128, ")],
            &[(CLIENTS, "clients: {ipv6_prefix: 56, ")],
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "one list of cases")]
fn tls() -> Vec<Case> {
    vec![
        case(
            "A004",
            "certificates.self_signed[0]",
            &[(
                LISTENERS,
                "[{name: https, address: '127.0.0.1:8443'}]\ncertificates: {self_signed: [localhost]}",
            )],
            &[],
        ),
        case(
            "A005",
            "listeners[0].tls.minimum_version",
            &[
                (
                    LISTENERS,
                    "[{name: https, address: '127.0.0.1:8443', tls: {minimum_version: '1.2'}}]",
                ),
                ("hosts: [localhost]", "hosts: [api.example.com]"),
            ],
            &[
                (
                    LISTENERS,
                    "[{name: https, address: '127.0.0.1:8443', tls: {minimum_version: '1.3'}}]",
                ),
                ("hosts: [localhost]", "hosts: [api.example.com]"),
            ],
        ),
        case(
            "A005",
            "hosts[0].tls.minimum_version",
            &[
                (LISTENERS, "[{name: https, address: '127.0.0.1:8443'}]"),
                ("[localhost]", "[{name: api.example.com, tls: {minimum_version: '1.2'}}]"),
            ],
            &[],
        ),
        case(
            "A032",
            "listeners[0].tls.client_certificates.mode",
            &[(LISTENERS, MUTUAL)],
            &[(LISTENERS, MUTUAL), ("[{issuer: login}]", "[{issuer: login}, client_certificate]")],
        ),
        case(
            "A032",
            "listeners[0].tls.client_certificates.mode",
            &[(LISTENERS, MUTUAL)],
            &[(LISTENERS, REQUIRED)],
        ),
        case(
            "A033",
            "listeners[0].tls.client_certificates",
            &[(LISTENERS, UNLISTED)],
            &[(LISTENERS, REQUIRED)],
        ),
        case(
            "A035",
            "certificates.acme.directory",
            &[
                (
                    LISTENERS,
                    "[{name: https, address: '127.0.0.1:443'}]\ncertificates: {acme: \
                     {directory: 'https://acme-staging-v02.api.letsencrypt.org/directory'}}",
                ),
                ("hosts: [localhost]", "hosts: [api.example.com]"),
            ],
            &[
                (
                    LISTENERS,
                    "[{name: https, address: '127.0.0.1:443'}]\ncertificates: {acme: \
                     {directory: 'https://acme-v02.api.letsencrypt.org/directory'}}",
                ),
                ("hosts: [localhost]", "hosts: [api.example.com]"),
            ],
        ),
    ]
}

fn listeners() -> Vec<Case> {
    const HOST: (&str, &str) = ("hosts: [localhost]", "hosts: [api.example.com]");
    vec![
        case(
            "A011",
            "listeners[1].redirect_to",
            &[
                (
                    LISTENERS,
                    "[{name: https, address: '127.0.0.1:8443'}, \
                     {name: http, address: '127.0.0.1:8080', redirect_to: https}]",
                ),
                HOST,
            ],
            &[
                (
                    LISTENERS,
                    "[{name: https, address: '127.0.0.1:8443'}, {name: http, address: '127.0.0.1:8080', \
                     redirect_to: https, external_port: 443}]",
                ),
                HOST,
            ],
        ),
        case(
            "A011",
            "listeners[1].redirect_to",
            &[
                (
                    LISTENERS,
                    "[{name: https, address: '[::]:8443'}, {name: http, address: '[::]:80', redirect_to: https}]",
                ),
                HOST,
            ],
            &[
                (
                    LISTENERS,
                    "[{name: https, address: 'unix:/run/gateway.sock'}, \
                     {name: http, address: '127.0.0.1:8080', redirect_to: https}]",
                ),
                HOST,
            ],
        ),
        case(
            "A034",
            "listeners[0].cleartext",
            &[("127.0.0.1:8080", "0.0.0.0:8080")],
            &[
                ("127.0.0.1:8080", "0.0.0.0:8080"),
                (CLIENTS, "clients: {trusted_proxies: [10.0.0.0/8], "),
            ],
        ),
        case(
            "A034",
            "listeners[0].cleartext",
            &[("127.0.0.1:8080", "10.0.0.1:8080")],
            &[("127.0.0.1:8080", "unix:/run/gateway.sock")],
        ),
    ]
}

fn connections() -> Vec<Case> {
    const VERSION: &str = "version: 1\n";
    vec![
        case(
            "A047",
            "connections.per_client",
            &[(VERSION, "version: 1\nconnections: {per_client: 20000}\n")],
            &[(VERSION, "version: 1\nconnections: {per_client: 1000}\n")],
        ),
        case(
            "A047",
            "connections.maximum",
            &[(VERSION, "version: 1\nconnections: {maximum: 100}\n")],
            &[(VERSION, "version: 1\nconnections: {maximum: 1000}\n")],
        ),
        case(
            "A048",
            "connections.request_head.time",
            &[(VERSION, "version: 1\nconnections: {request_head: {time: 5m}}\n")],
            &[(
                VERSION,
                "version: 1\nconnections: {request_head: {time: 1m}, idle: 10m, write: 1m}\n",
            )],
        ),
        case(
            "A048",
            "connections.request_body.minimum_rate",
            &[(VERSION, "version: 1\nconnections: {request_body: {minimum_rate: 1B/s}}\n")],
            &[(VERSION, "version: 1\nconnections: {request_body: {minimum_rate: 100B/s}}\n")],
        ),
        case(
            "A049",
            "connections.streams_per_connection",
            &[(VERSION, "version: 1\nconnections: {streams_per_connection: 100000}\n")],
            &[(VERSION, "version: 1\nconnections: {streams_per_connection: 256}\n")],
        ),
    ]
}
