//! Issuers, tokens, CORS, limits, upstreams, identity, state and the listeners for operators.

use super::cases::{Case, case};

pub(super) fn cases() -> Vec<Case> {
    [issuers(), possession(), tokens(), cors(), limits(), upstreams(), identity(), state()].concat()
}

const LIFE: &str = "maximum_lifetime: 1h";
const VERSION: &str = "version: 1\n";

#[expect(clippy::too_many_lines, reason = "one list of cases")]
fn issuers() -> Vec<Case> {
    vec![
        case(
            "A001",
            "issuers[0].issuer",
            &[("'https://login.test'", "'http://[::1]:9000'")],
            &[("'https://login.test'", "'https://login.localhost.example'")],
        ),
        case(
            "A001",
            "issuers[0].keys.url",
            &[(LIFE, "maximum_lifetime: 1h, keys: {url: 'http://localhost:9000/jwks'}")],
            &[(LIFE, "maximum_lifetime: 1h, keys: {url: 'https://keys.test/jwks'}")],
        ),
        case("A012", "issuers[0]", &[(", maximum_lifetime: 1h", "")], &[]),
        case(
            "A013",
            "issuers[0].maximum_lifetime",
            &[(LIFE, "maximum_lifetime: 25h")],
            &[(LIFE, "maximum_lifetime: 24h")],
        ),
        case(
            "A014",
            "issuers[0].leeway",
            &[(LIFE, "maximum_lifetime: 1h, leeway: 121s")],
            &[(LIFE, "maximum_lifetime: 1h, leeway: 2m")],
        ),
        case(
            "A015",
            "issuers[0].required_claims",
            &[(LIFE, "maximum_lifetime: 1h, required_claims: [tenant]")],
            &[(LIFE, "maximum_lifetime: 1h, required_claims: [tenant, sub]")],
        ),
        case(
            "A015",
            "issuers[0].claims.subject",
            &[(LIFE, "maximum_lifetime: 1h, claims: {subject: [user, id]}")],
            &[(
                LIFE,
                "maximum_lifetime: 1h, claims: {subject: [user, id]}, required_claims: [user]",
            )],
        ),
        case(
            "A016",
            "issuers[0].claims.subject",
            &[(LIFE, "maximum_lifetime: 1h, claims: {subject: [email]}, required_claims: [email]")],
            &[(LIFE, "maximum_lifetime: 1h, claims: {subject: [oid]}, required_claims: [oid]")],
        ),
        case(
            "A017",
            "issuers[0].audience[1]",
            &[("[orders]", "[orders, account]")],
            &[("[orders]", "[orders, accounts]")],
        ),
        case(
            "A017",
            "issuers[0].audience[0]",
            &[("[orders]", "['https://login.test/userinfo']")],
            &[("[orders]", "['https://login.test/orders']")],
        ),
        case(
            "A018",
            "issuers[0].token_types[1]",
            &[(LIFE, "maximum_lifetime: 1h, token_types: [at+jwt, logout+jwt]")],
            &[(LIFE, "maximum_lifetime: 1h, token_types: [at+jwt, JWT, orders+jwt]")],
        ),
        case(
            "A019",
            "issuers[0].keys_refresh.usable_without_issuer",
            &[(LIFE, "maximum_lifetime: 1h, keys_refresh: {usable_without_issuer: 30d}")],
            &[(
                LIFE,
                "maximum_lifetime: 1h, keys_refresh: {usable_without_issuer: 7d, every: 24h}",
            )],
        ),
        case(
            "A019",
            "issuers[0].keys_refresh.every",
            &[(LIFE, "maximum_lifetime: 1h, keys_refresh: {every: 25h}")],
            &[],
        ),
    ]
}

fn possession() -> Vec<Case> {
    vec![
        case(
            "A071",
            "issuers[0].proof.dpop",
            &[(LIFE, "maximum_lifetime: 1h, proof: {dpop: optional}")],
            &[(LIFE, "maximum_lifetime: 1h, proof: {dpop: required}")],
        ),
        case(
            "A071",
            "issuers[0].proof.dpop",
            &[(LIFE, "maximum_lifetime: 1h, proof: {dpop: optional, nonce: required}")],
            &[],
        ),
    ]
}

fn tokens() -> Vec<Case> {
    const COOKIE: (&str, &str) =
        (LIFE, "maximum_lifetime: 1h, read_token_from: [authorization, {cookie: __Host-t}]");
    vec![
        case(
            "A006",
            "issuers[0].read_token_from[1]",
            &[(LIFE, "maximum_lifetime: 1h, read_token_from: [authorization, {query: token}]")],
            &[COOKIE],
        ),
        case(
            "A020",
            "issuers[0].read_token_from[0]",
            &[
                (LIFE, "maximum_lifetime: 1h, read_token_from: [{cookie: session}]"),
                ("path: '/{*rest}', ", "path: '/{*rest}', methods: [GET], "),
            ],
            &[COOKIE],
        ),
        case(
            "A021",
            "routes[0].access",
            &[COOKIE],
            &[COOKIE, ("cors: web,", "cors: web, request: {body: {types: [application/json]}},")],
        ),
        case(
            "A021",
            "routes[0].access",
            &[COOKIE, ("cors: web,", "cors: web, request: {body: {types: ['text/*']}},")],
            &[COOKIE, ("path: '/{*rest}', ", "path: '/{*rest}', methods: [GET, PUT], ")],
        ),
    ]
}

fn cors() -> Vec<Case> {
    const ORIGINS: &str = "['https://ui.test']";
    vec![
        case("A008", "cors[0].origins", &[(ORIGINS, "['*']")], &[]),
        case("A008", "cors[0].origins", &[(ORIGINS, "['null']")], &[]),
        case(
            "A022",
            "cors[0].origins[1]",
            &[(ORIGINS, "['https://ui.test', 'http://ui.test']")],
            &[(ORIGINS, "['http://localhost:3000', 'http://127.0.0.1:3000', 'http://[::1]:3000']")],
        ),
        case(
            "A023",
            "cors[0].origins[0]",
            &[(ORIGINS, "['https://*.ui.test'], credentials: true")],
            &[(ORIGINS, "['https://*.ui.test']")],
        ),
        case(
            "A024",
            "cors[0].origins[0]",
            &[(ORIGINS, "['null'], credentials: true")],
            &[(ORIGINS, "['null']")],
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "one list of cases")]
fn limits() -> Vec<Case> {
    const FLOOD: &str = "clients: {limit: {rate: 5/s}}\n";
    const ADDRESS: &str =
        "limits: [{name: one, key: address, rate: 5/s}]\ndefaults: {limits: [one]}\n";
    const BOTH: &str =
        "limits: [{name: one, key: address, rate: 5/s}, {name: two, key: address, rate: 5/s}]\n";
    const PUBLIC: (&str, &str) = ("access: public,", "access: public, limits: [two],");
    const OTHER: (&str, &str) = ("cors: web,", "cors: web, limits: [one],");
    // On trial a limit holds nobody yet.
    const ONE_ON_TRIAL: &str = "version: 1\nreport_only: [{limits: [one], until: 2097-01-01}]\n";
    const TWO_ON_TRIAL: &str = "version: 1\nreport_only: [{limits: [two], until: 2097-01-01}]\n";
    const OVER: &str = "version: 1\nreport_only: [{limits: [one, two], until: 2001-01-01}]\n";
    vec![
        case(
            "A009",
            "routes[1].access",
            &[
                (FLOOD, "limits: [{name: one, key: address, rate: 5/s}]\n"),
                ("cors: web,", "cors: web, limits: [one],"),
            ],
            &[(FLOOD, ADDRESS)],
        ),
        case(
            "A029",
            "routes[0].access",
            &[
                (
                    FLOOD,
                    "limits: [{name: one, key: principal, rate: 5/s}, {name: two, key: address, rate: 5/s}]\n",
                ),
                ("cors: web,", "cors: web, limits: [one],"),
                ("access: public,", "access: public, limits: [two],"),
            ],
            &[(FLOOD, ADDRESS)],
        ),
        case(
            "A029",
            "routes[0].access",
            &[(FLOOD, BOTH), (VERSION, ONE_ON_TRIAL), PUBLIC, OTHER],
            &[(FLOOD, BOTH), (VERSION, OVER), PUBLIC, OTHER],
        ),
        case(
            "A009",
            "routes[1].access",
            &[(FLOOD, BOTH), (VERSION, TWO_ON_TRIAL), PUBLIC, OTHER],
            &[(FLOOD, BOTH), (VERSION, OVER), PUBLIC, OTHER],
        ),
        case(
            "A072",
            "report_only[0].until",
            &[(VERSION, "version: 1\nreport_only: [{requests: [app], until: 2020-01-31}]\n")],
            &[(VERSION, "version: 1\nreport_only: [{requests: [app], until: 2120-01-31}]\n")],
        ),
        case(
            "A030",
            "limits[0].key",
            &[
                (VERSION, "version: 1\nlimits: [{name: one, key: {claim: [jti]}, rate: 5/s}]\n"),
                ("cors: web,", "cors: web, limits: [one],"),
            ],
            &[
                (VERSION, "version: 1\nlimits: [{name: one, key: {claim: [tenant]}, rate: 5/s}]\n"),
                ("cors: web,", "cors: web, limits: [one],"),
            ],
        ),
        case(
            "A031",
            "limits[0].rate",
            &[
                (VERSION, "version: 1\nlimits: [{name: one, key: address, rate: 60000/min}]\n"),
                ("cors: web,", "cors: web, limits: [one],"),
            ],
            &[
                (VERSION, "version: 1\nlimits: [{name: one, key: address, rate: 6000/min}]\n"),
                ("cors: web,", "cors: web, limits: [one],"),
            ],
        ),
        case(
            "A031",
            "limits[0].burst",
            &[
                (
                    VERSION,
                    "version: 1\nlimits: [{name: one, key: principal, rate: 5/s, burst: 10000}]\n",
                ),
                ("cors: web,", "cors: web, limits: [one],"),
            ],
            &[
                (
                    VERSION,
                    "version: 1\nlimits: [{name: one, key: principal, rate: 5/s, burst: 500}]\n",
                ),
                ("cors: web,", "cors: web, limits: [one],"),
            ],
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "one list of cases")]
fn upstreams() -> Vec<Case> {
    const ENDPOINTS: &str = "endpoints: ['http://127.0.0.1:8000']";
    const NETWORK: (&str, &str) = (ENDPOINTS, "endpoints: ['http://10.0.0.5:8000']");
    vec![
        case(
            "A010",
            "upstreams[0].tls",
            &[(ENDPOINTS, "endpoints: ['http://127.0.0.1:8000'], tls: {server_name: app.test}")],
            &[(ENDPOINTS, "endpoints: ['https://127.0.0.1:8000'], tls: {server_name: app.test}")],
        ),
        case(
            "A050",
            "upstreams[0].endpoints[1]",
            &[(ENDPOINTS, "endpoints: ['http://10.0.0.5:8000', 'http://203.0.113.5:8000']")],
            &[(
                ENDPOINTS,
                "endpoints: ['http://10.0.0.5:8000', 'https://203.0.113.5:8000', 'http://[fd00::5]']",
            )],
        ),
        case(
            "A051",
            "upstreams[0].endpoints[0]",
            &[(ENDPOINTS, "endpoints: ['h2c://orders.example.com:8000']")],
            &[(
                ENDPOINTS,
                "endpoints: ['http://orders:8000', 'http://orders.shop.svc.cluster.local:8000']",
            )],
        ),
        case(
            "A052",
            "routes[0].forward.identity.token",
            &[
                NETWORK,
                (
                    "cors: web, forward: {upstream: app}",
                    "cors: web, forward: {upstream: app, identity: {token: original}}",
                ),
            ],
            &[(
                "cors: web, forward: {upstream: app}",
                "cors: web, forward: {upstream: app, identity: {token: original}}",
            )],
        ),
        case(
            "A053",
            "routes[0].forward.identity.headers",
            &[
                NETWORK,
                (
                    "cors: web, forward: {upstream: app}",
                    "cors: web, forward: {upstream: app, identity: {headers: {x-user: subject}}}",
                ),
            ],
            &[
                NETWORK,
                (
                    "cors: web, forward: {upstream: app}",
                    "cors: web, forward: {upstream: app, identity: {headers: {x-user: subject}, token: signed}}",
                ),
            ],
        ),
        case(
            "A054",
            "upstreams[0].retries",
            &[(ENDPOINTS, "endpoints: ['http://127.0.0.1:8000'], retries: 5")],
            &[(ENDPOINTS, "endpoints: ['http://127.0.0.1:8000'], retries: 3")],
        ),
        case(
            "A055",
            "upstreams[0].endpoints[0]",
            &[(ENDPOINTS, "endpoints: ['http://169.254.169.254']")],
            &[(ENDPOINTS, "endpoints: ['http://169.254.1.1']")],
        ),
        case(
            "A056",
            "upstreams[0].endpoints[0]",
            &[(ENDPOINTS, "endpoints: ['http://localhost:9902']")],
            &[(ENDPOINTS, "endpoints: ['http://10.0.0.5:9902']")],
        ),
        case(
            "A056",
            "upstreams[0].endpoints[0]",
            &[
                (ENDPOINTS, "endpoints: ['unix:/run/admin.sock']"),
                (VERSION, "version: 1\nadmin: {address: 'unix:/run/admin.sock'}\n"),
            ],
            &[
                (ENDPOINTS, "endpoints: ['unix:/run/app.sock']"),
                (VERSION, "version: 1\nadmin: {address: 'unix:/run/admin.sock'}\n"),
            ],
        ),
    ]
}

fn identity() -> Vec<Case> {
    const SIGNED: (&str, &str) = (
        "cors: web, forward: {upstream: app}",
        "cors: web, forward: {upstream: app, identity: {token: signed}}",
    );
    vec![
        case(
            "A067",
            "identity.lifetime",
            &[SIGNED, (VERSION, "version: 1\nidentity: {lifetime: 1h}\n")],
            &[SIGNED, (VERSION, "version: 1\nidentity: {lifetime: 10m}\n")],
        ),
        case(
            "A068",
            "defaults.forward.identity.audience",
            &[
                (
                    VERSION,
                    "version: 1\ndefaults: {forward: {identity: {token: signed, audience: apps}}}\n",
                ),
                (
                    "upstreams: [",
                    "upstreams: [{name: other, endpoints: ['http://127.0.0.1:8001']}, ",
                ),
                (
                    "access: public, forward: {upstream: app}",
                    "access: public, forward: {upstream: other}",
                ),
            ],
            &[
                (VERSION, "version: 1\ndefaults: {forward: {identity: {token: signed}}}\n"),
                (
                    "upstreams: [",
                    "upstreams: [{name: other, endpoints: ['http://127.0.0.1:8001']}, ",
                ),
                (
                    "access: public, forward: {upstream: app}",
                    "access: public, forward: {upstream: other}",
                ),
            ],
        ),
    ]
}

fn state() -> Vec<Case> {
    vec![
        case(
            "A007",
            "admin.address",
            &[(VERSION, "version: 1\nadmin: {address: '0.0.0.0:9901'}\n")],
            &[(VERSION, "version: 1\nadmin: {address: '[::1]:9901'}\n")],
        ),
        case(
            "A063",
            "admin.probes",
            &[(VERSION, "version: 1\nadmin: {probes: '0.0.0.0:9902'}\n")],
            &[(VERSION, "version: 1\nadmin: {probes: '127.0.0.2:9902'}\n")],
        ),
        case(
            "A064",
            "admin.token",
            &[(VERSION, "version: 1\nadmin: {token: {env: TOKEN}}\n")],
            &[(VERSION, "version: 1\nadmin: {token: {file: admin-token}}\n")],
        ),
        case("A064", "admin.token", &[(VERSION, "version: 1\nadmin: {token: '${TOKEN}'}\n")], &[]),
        case(
            "A065",
            "state.encryption_key",
            &[(
                VERSION,
                "version: 1\nstate: {durable: 'sqlite:/data/state.db', encryption_key: {file: /data/state-key}}\n",
            )],
            &[(
                VERSION,
                "version: 1\nstate: {durable: 'sqlite:/data/state.db', encryption_key: {file: /run/secrets/state-key}}\n",
            )],
        ),
        case(
            "A066",
            "state.durable",
            &[(VERSION, "version: 1\nstate: {durable: 'sqlite:/tmp/gateway/state.db'}\n")],
            &[(VERSION, "version: 1\nstate: {durable: 'sqlite:/var/lib/portcullis/state.db'}\n")],
        ),
        case(
            "A066",
            "telemetry.audit_log.to",
            &[(VERSION, "version: 1\ntelemetry: {audit_log: {to: /var/tmp/audit.jsonl}}\n")],
            &[(VERSION, "version: 1\ntelemetry: {audit_log: {to: /var/log/audit.jsonl}}\n")],
        ),
    ]
}
