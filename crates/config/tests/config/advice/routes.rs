//! What routes ask for, which paths they open, and what they let through.

use super::cases::{Case, case};

pub(super) fn cases() -> Vec<Case> {
    [access(), objects(), paths(), requests(), headers()].concat()
}

const HEALTH: &str = "path: /healthz, methods: [GET], access: public";
const READ: &str = "- {name: read, path: /read, methods: [GET], access: {any_of: [{issuer: login, \
                    scopes: [r]}]}, forward: {upstream: app}}\n- {name: health";

fn access() -> Vec<Case> {
    vec![
        case(
            "A003",
            "routes[1].access",
            &[("methods: [GET]", "methods: [GET, POST]")],
            &[("methods: [GET]", "methods: [GET, OPTIONS]")],
        ),
        case(
            "A039",
            "routes[0].access",
            &[("- {name: health", READ)],
            &[
                ("- {name: health", READ),
                ("path: '/{*rest}', ", "path: '/{*rest}', methods: [GET], "),
            ],
        ),
        case(
            "A039",
            "routes[0].access",
            &[("- {name: health", READ)],
            &[("- {name: health", READ), ("[{issuer: login}]", "[{issuer: login, scopes: [w]}]")],
        ),
        case(
            "A041",
            "routes[0].access",
            &[
                ("path: '/{*rest}'", "path: '/x/{*rest}'"),
                ("[{issuer: login}]", "[{issuer: login}, anonymous]"),
            ],
            &[
                ("path: '/{*rest}'", "path: '/x/{*rest}', methods: [GET]"),
                ("[{issuer: login}]", "[{issuer: login}, anonymous]"),
            ],
        ),
    ]
}

fn objects() -> Vec<Case> {
    const USER: (&str, &str) = ("path: '/{*rest}'", "path: '/users/{user_id}/orders'");
    const POLICY: (&str, &str) =
        ("version: 1\n", "version: 1\npolicies: {owner: 'principal.subject == path.user_id'}\n");
    const ON_TRIAL: (&str, &str) = (
        "version: 1\n",
        "version: 1\npolicies: {owner: 'principal.subject == path.user_id'}\n\
         report_only: [{policies: [owner], until: 2097-01-01}]\n",
    );
    const OVER: (&str, &str) = (
        "version: 1\n",
        "version: 1\npolicies: {owner: 'principal.subject == path.user_id'}\n\
         report_only: [{policies: [owner], until: 2001-01-01}]\n",
    );
    const KEYS: (&str, &str) = ("[{issuer: login}]", "[{issuer: login}, api_key]");
    vec![
        case(
            "A069",
            "routes[0].access",
            &[USER],
            &[USER, POLICY, ("[{issuer: login}]", "[{issuer: login}], policies: [owner]")],
        ),
        // On trial it refuses nobody yet.
        case(
            "A069",
            "routes[0].access",
            &[USER, ON_TRIAL, ("[{issuer: login}]", "[{issuer: login}], policies: [owner]")],
            &[USER, OVER, ("[{issuer: login}]", "[{issuer: login}], policies: [owner]")],
        ),
        case(
            "A069",
            "routes[0].access",
            &[("path: '/{*rest}'", "path: '/{tenant}/orders'")],
            &[("path: '/{*rest}'", "path: '/orders/{order_id}/{*rest}'")],
        ),
        case(
            "A070",
            "routes[0].access",
            &[KEYS],
            &[KEYS, ("path: '/{*rest}', ", "path: '/{*rest}', methods: [GET], ")],
        ),
        case(
            "A070",
            "routes[0].access",
            &[KEYS],
            &[("[{issuer: login}]", "[{issuer: login}, {api_key: {scopes: [w]}}]")],
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "one list of cases")]
fn paths() -> Vec<Case> {
    vec![
        case(
            "A036",
            "routes[1].path",
            &[("/healthz", "/actuator/env")],
            &[
                ("/healthz", "/actuator/env"),
                ("access: public", "access: public, clients: {allow: [10.0.0.0/8]}"),
            ],
        ),
        case(
            "A036",
            "routes[1].path",
            &[("/healthz", "'/v1/Admin/{*rest}'")],
            &[("/healthz", "/administrate")],
        ),
        case(
            "A037",
            "routes[1].path",
            &[("/healthz", "/openapi.json")],
            &[("/healthz", "/openapis")],
        ),
        case(
            "A038",
            "routes[1].path",
            &[("path: '/{*rest}'", "path: '/v1/{*rest}'"), ("/healthz", "'/{*rest}'")],
            &[("path: '/{*rest}'", "path: '/v1/{*rest}'"), ("/healthz", "'/static/{*rest}'")],
        ),
        case(
            "A040",
            "routes[0].path",
            &[("path: '/{*rest}'", "path: '/admin/{*rest}'")],
            &[
                ("path: '/{*rest}'", "path: '/admin/{*rest}'"),
                ("[{issuer: login}]", "[{issuer: login, scopes: [admin]}]"),
            ],
        ),
        case(
            "A042",
            "routes[1].forward.strip_prefix",
            &[(HEALTH, "path: '/open/{*rest}', methods: [GET], access: public"), OPEN],
            &[
                (HEALTH, "path: '/open/{*rest}', methods: [GET], access: public"),
                ("forward: {upstream: app}}\n- ", "forward: {upstream: other}}\n- "),
                (
                    "upstreams: [",
                    "upstreams: [{name: other, endpoints: ['http://127.0.0.1:8001']}, ",
                ),
                OPEN,
            ],
        ),
        case(
            "A042",
            "routes[1].forward.strip_prefix",
            &[
                ("path: '/{*rest}'", "path: '/users/{id}'"),
                (HEALTH, "path: '/open/users/{name}', methods: [GET], access: public"),
                OPEN,
            ],
            &[
                ("path: '/{*rest}'", "path: '/users/{id}'"),
                (HEALTH, "path: '/open/news/{name}', methods: [GET], access: public"),
                OPEN,
            ],
        ),
        case(
            "A043",
            "routes[1].encoded_slash",
            &[("access: public", "access: public, encoded_slash: true")],
            &[("cors: web", "cors: web, encoded_slash: true")],
        ),
    ]
}

const OPEN: (&str, &str) = (
    "access: public, forward: {upstream: app}",
    "access: public, forward: {upstream: app, strip_prefix: /open}",
);

fn requests() -> Vec<Case> {
    const LIMIT: (&str, &str) =
        ("version: 1\n", "version: 1\nlimits: [{name: rate, key: principal, rate: 5/s}]\n");
    const SLOTS: (&str, &str) =
        ("version: 1\n", "version: 1\nlimits: [{name: rate, key: principal, concurrent: 5}]\n");
    const UPGRADE: (&str, &str) =
        ("cors: web,", "cors: web, upgrade: [websocket], limits: [rate],");
    vec![
        case(
            "A044",
            "routes[0].request.body.maximum",
            &[("cors: web,", "cors: web, request: {body: {maximum: 1GiB}},")],
            &[("cors: web,", "cors: web, request: {body: {maximum: 100MiB}},")],
        ),
        case(
            "A044",
            "defaults.request.body.maximum",
            &[("version: 1\n", "version: 1\ndefaults: {request: {body: {maximum: 200MiB}}}\n")],
            &[],
        ),
        case(
            "A045",
            "routes[0].timeouts.total",
            &[("cors: web,", "cors: web, timeouts: {total: 2h},")],
            &[("cors: web,", "cors: web, timeouts: {total: 1h},")],
        ),
        case("A046", "routes[0].upgrade", &[LIMIT, UPGRADE], &[SLOTS, UPGRADE]),
    ]
}

#[expect(clippy::too_many_lines, reason = "one list of cases")]
fn headers() -> Vec<Case> {
    const TLS: (&str, &str) = ("hosts: [localhost]\n", "hosts: [api.example.com]\n");
    const LISTENER: (&str, &str) = (
        "{name: http, address: '127.0.0.1:8080', cleartext: true}",
        "{name: https, address: '[::]:443'}",
    );
    vec![
        case(
            "A057",
            "routes[0].response_headers.strict_transport_security",
            &[
                TLS,
                LISTENER,
                (
                    "cors: web,",
                    "cors: web, response_headers: {strict_transport_security: max-age=3600},",
                ),
            ],
            &[
                TLS,
                LISTENER,
                (
                    "cors: web,",
                    "cors: web, response_headers: {strict_transport_security: {include_subdomains: true}},",
                ),
            ],
        ),
        case(
            "A057",
            "defaults.response_headers.strict_transport_security",
            &[
                TLS,
                LISTENER,
                (
                    "version: 1\n",
                    "version: 1\ndefaults: {response_headers: {strict_transport_security: remove}}\n",
                ),
            ],
            &[(
                "version: 1\n",
                "version: 1\ndefaults: {response_headers: {strict_transport_security: remove}}\n",
            )],
        ),
        case(
            "A058",
            "routes[0].response_headers.content_type_options",
            &[("cors: web,", "cors: web, response_headers: {content_type_options: keep},")],
            &[("cors: web,", "cors: web, response_headers: {content_type_options: nosniff},")],
        ),
        case(
            "A059",
            "routes[0].response_headers.frame_options",
            &[(
                "cors: web,",
                "cors: web, response_headers: {frame_options: remove, content_security_policy: keep},",
            )],
            &[("cors: web,", "cors: web, response_headers: {frame_options: remove},")],
        ),
        case(
            "A060",
            "routes[0].response_headers.content_security_policy",
            &[(
                "cors: web,",
                "cors: web, response_headers: {content_security_policy: \"script-src 'self' 'unsafe-inline'\"},",
            )],
            &[(
                "cors: web,",
                "cors: web, response_headers: {content_security_policy: \"default-src 'self'\"},",
            )],
        ),
        case(
            "A061",
            "routes[0].response_headers.server",
            &[("cors: web,", "cors: web, response_headers: {server: keep},")],
            &[("cors: web,", "cors: web, response_headers: {server: gateway},")],
        ),
        case(
            "A062",
            "routes[0].response_headers.referrer_policy",
            &[("cors: web,", "cors: web, response_headers: {referrer_policy: unsafe-url},")],
            &[("cors: web,", "cors: web, response_headers: {referrer_policy: strict-origin},")],
        ),
    ]
}
