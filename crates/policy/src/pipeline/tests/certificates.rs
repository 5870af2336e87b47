//! Client certificates in the pipeline: whose connection carries requests for which host, and who comes
//! in by what it shows.

use std::borrow::Cow;

use portcullis_core::{AlternativeName, ClientCertificate, ClientPolicy, ShownCertificate, Vouch};

use super::*;
use crate::access::CertificateWay;
use crate::hosts::HostClients;

#[derive(Debug)]
struct Says(Result<(), &'static str>);

impl Vouch for Says {
    fn judge(&self, _: &ClientCertificate) -> Result<(), Cow<'static, str>> {
        self.0.map_err(Cow::Borrowed)
    }
}

fn shown(names: &[&str], good: Result<(), &'static str>) -> ShownCertificate {
    let certificate = ClientCertificate {
        leaf: vec![1],
        chain: Vec::new(),
        subject: "CN=me".to_owned(),
        issuer: "CN=ca".into(),
        names: names.iter().map(|name| AlternativeName::parse(name).unwrap()).collect(),
        thumbprint: "thumb".to_owned(),
        claims: Arc::default(),
        not_before: portcullis_core::Timestamp::from_unix_seconds(0),
        not_after: portcullis_core::Timestamp::from_unix_seconds(10),
    };
    ShownCertificate { certificate: Arc::new(certificate), vouch: Arc::new(Says(good)) }
}

fn way(names: &[&str]) -> CertificateWay {
    let names = names.iter().map(|name| AlternativeName::parse(name).unwrap()).collect();
    CertificateWay { names, origin: Origin(30) }
}

fn access(certificates: Vec<CertificateWay>, also: Vec<CertificateWay>, anonymous: bool) -> Access {
    let (ways, roles) = (Vec::new(), Vec::new());
    Access::AnyOf(Demand {
        tokens: ways,
        certificates,
        also,
        anonymous,
        roles,
        origin: Origin(19),
        ..Demand::default()
    })
}

/// A connection on `listener` that was asked for what `policy` says.
fn conn(listener: &str, policy: Option<&str>, client: Option<ShownCertificate>) -> ConnMeta {
    let tls = policy.map(|policy| TlsMeta {
        server_name: Some("api.test".to_owned()),
        version: "TLSv1.3",
        cipher_suite: "",
        group: None,
        resumed: false,
        policy: if policy.is_empty() { ClientPolicy::NONE } else { ClientPolicy::asking(policy) },
        client,
    });
    ConnMeta { listener: listener.into(), peer: None, proxy: None, local: None, tls }
}

async fn judged(rules: &Pipeline, host: &str, path: &str, conn: &ConnMeta) -> Decision {
    let headers = http::HeaderMap::new();
    let head = Head {
        method: &http::Method::GET,
        authority: portcullis_core::Authority::parse(host).unwrap(),
        path: CanonicalPath::parse(path).unwrap(),
        query: None,
        headers: &headers,
        https: conn.tls.is_some(),
        content_length: None,
        has_body: false,
    };
    let client = rules.clients.trusted_proxies.view([203, 0, 113, 9].into(), &headers);
    rules.decide(&head, conn, &client, &mut NoTrace).await
}

#[tokio::test]
async fn a_host_is_served_on_connections_of_its_own_policy() {
    let mut rules = pipeline(vec![("/{*rest}", route("all", &["GET"], public()))]);
    let entry = |pattern: &str, clients| HostEntry {
        pattern: HostPattern::parse(pattern).unwrap(),
        tls12: false,
        clients,
        origin: Origin(1),
    };
    let own = |policy: &str, required| {
        Some(HostClients { policy: ClientPolicy::asking(policy), required })
    };
    rules.hosts = HostAllowList::new(
        [
            entry("api.test", None),
            entry("strict.test", own("strict", true)),
            entry("loose.test", own("loose", false)),
            entry("free.test", Some(HostClients::default())),
        ],
        [("https".into(), ClientPolicy::asking("listener")), ("open".into(), ClientPolicy::NONE)],
    );
    let hosts = ["api.test", "strict.test", "loose.test", "free.test"];
    for (listener, policy, served) in [
        ("https", Some("listener"), [true, false, false, false]),
        ("https", Some("strict"), [false, true, false, false]),
        ("https", Some("loose"), [false, false, true, false]),
        ("https", Some(""), [false, false, false, true]),
        ("open", Some(""), [true, false, false, true]),
        ("open", Some("listener"), [false; 4]),
        ("gone", Some(""), [true, false, false, true]),
        ("plain", None, [true, false, true, true]),
    ] {
        for (host, served) in hosts.into_iter().zip(served) {
            let conn = conn(listener, policy, None);
            let decision = judged(&rules, host, "/x", &conn).await;
            // Routes are for the first two hosts alone: what is a 404 came by the hosts.
            let refused = status(&decision) == (421, "host-not-allowed");
            assert_ne!(refused, served, "{host} on {listener} {policy:?}");
        }
    }
    // A redirect hands nothing on, and leads to where certificates are asked for.
    check(&judged(&rules, "strict.test", "/x", &conn("http", None, None)).await, 308, "");
}

#[tokio::test]
async fn a_certificate_is_somebody_while_it_is_good() {
    let rules = pipeline(vec![
        ("/named", route("named", &["GET"], access(vec![way(&["spiffe://x/a"])], vec![], false))),
        ("/any", route("any", &["GET"], access(vec![way(&[])], vec![], false))),
        ("/guest", route("guest", &["GET"], access(vec![way(&["spiffe://x/a"])], vec![], true))),
        ("/open", route("open", &["GET"], public())),
    ]);
    let on = |client| conn("https", Some(""), client);
    let at = async |path: &str, client| judged(&rules, "api.test", path, &on(client)).await;
    let (me, other) = (&["spiffe://x/a"][..], &["spiffe://x/b"][..]);
    for (path, names, expected, code, subject) in [
        ("/named", Some(me), 200, "", Some("spiffe://x/a")),
        ("/named", Some(other), 403, "client-certificate-not-allowed", None),
        (
            "/named",
            Some(&["spiffe://x/a", "spiffe://x/b"][..]),
            403,
            "client-certificate-not-allowed",
            None,
        ),
        ("/named", None, 403, "client-certificate-missing", None),
        ("/any", Some(other), 200, "", Some("spiffe://x/b")),
        ("/any", Some(&[][..]), 200, "", Some("CN=me")),
        ("/any", None, 403, "client-certificate-missing", None),
        ("/guest", Some(me), 200, "", Some("spiffe://x/a")),
        ("/guest", Some(other), 403, "client-certificate-not-allowed", None),
        ("/guest", None, 200, "", None),
        ("/open", Some(other), 200, "", None),
    ] {
        let decision = at(path, names.map(|names| shown(names, Ok(())))).await;
        check(&decision, expected, code);
        let principal = decision.principal.as_ref();
        assert_eq!(principal.map(|principal| principal.subject.as_str()), subject, "{path}");
    }
    for path in ["/named", "/any", "/guest", "/open"] {
        let stale = shown(me, Err("it was revoked"));
        check(&at(path, Some(stale)).await, 421, "client-certificate-invalid");
    }
}

#[tokio::test]
async fn what_is_asked_for_on_top_is_asked_of_everybody() {
    let also = |names: &[&[&str]]| access(vec![], names.iter().map(|n| way(n)).collect(), true);
    let rules = pipeline(vec![
        ("/any", route("any", &["GET"], also(&[&[]]))),
        ("/both", route("both", &["GET"], also(&[&["spiffe://x/a"], &["b.test"]]))),
    ]);
    for (path, names, expected, code) in [
        ("/any", Some(&["spiffe://x/z"][..]), 200, ""),
        ("/any", None, 403, "client-certificate-missing"),
        ("/both", Some(&["spiffe://x/a", "b.test"][..]), 200, ""),
        ("/both", Some(&["spiffe://x/a"][..]), 403, "client-certificate-not-allowed"),
        ("/both", Some(&["b.test"][..]), 403, "client-certificate-not-allowed"),
    ] {
        let conn = conn("https", Some(""), names.map(|names| shown(names, Ok(()))));
        check(&judged(&rules, "api.test", path, &conn).await, expected, code);
    }
}
