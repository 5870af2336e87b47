//! `certificates.acme`: who is asked, for which names, and what cannot be.

use portcullis_config::{LoadOptions, Loaded, check_text};
use portcullis_tls::acme::{ChallengeType, DEFAULT_DIRECTORY};

use crate::options;

const REST: &str = "version: 1
upstreams: [{name: app, endpoints: ['http://127.0.0.1:8000']}]
routes: [{name: app, path: '/{*rest}', access: public, forward: {upstream: app}}]
";

const TLS_ALONE: &str = "listeners: [{name: https, address: '127.0.0.1:8443'}]\n";

fn text(hosts: &str, more: &str) -> String {
    format!("{REST}hosts: {hosts}\n{more}")
}

#[track_caller]
fn taken(hosts: &str, more: &str) -> Loaded {
    let text = text(hosts, more);
    check_text("x", &text, &options()).unwrap_or_else(|report| panic!("{text}\n{report}"))
}

#[track_caller]
fn refused(hosts: &str, more: &str) -> Vec<String> {
    let text = text(hosts, more);
    let report = check_text("x", &text, &options()).expect_err(&text);
    report.entries().iter().map(|entry| format!("{}: {}", entry.path, entry.message)).collect()
}

/// What is said of a section, for one host.
#[track_caller]
fn mistakes(acme: &str) -> Vec<String> {
    refused("[a.example.com]", &format!("{TLS_ALONE}certificates: {{acme: {acme}}}\n"))
}

#[test]
fn without_a_word_every_exact_name_is_ordered() {
    let tls = taken("[b.example.com, a.example.com:8443, 10.0.0.1]", "").snapshot.tls;
    assert_eq!(tls.sources.acme, ["a.example.com", "b.example.com"]);
    let acme = tls.acme.expect("orders");
    assert_eq!(acme.directory, DEFAULT_DIRECTORY);
    assert_eq!(acme.challenge, ChallengeType::TlsAlpn01);
    assert!(acme.contact.is_empty() && acme.trust_pem.is_none());
}

#[test]
fn without_tls_or_with_other_certificates_none_is_ordered() {
    let cleartext = "listeners: [{name: http, address: '127.0.0.1:8080', cleartext: true}]\n";
    let tls = taken("[a.example.com]", cleartext).snapshot.tls;
    assert!(tls.acme.is_none() && tls.sources.acme.is_empty());
    let tls = taken("[a.test]", "certificates: {self_signed: [a.test]}\n").snapshot.tls;
    assert!(tls.acme.is_none() && tls.sources.acme.is_empty());
}

#[test]
fn names_that_have_another_certificate_or_cannot_get_a_public_one_are_left_out() {
    let more = "certificates: {acme: {}, self_signed: [x.test]}\n";
    let tls = taken("[a.example.com, x.test]", more).snapshot.tls;
    assert_eq!(tls.sources.acme, ["a.example.com"]);
    let said = refused("[a.example.com, y.test]", TLS_ALONE);
    assert_eq!(said, ["hosts[1]: no certificate is given for `y.test`"]);
    let private =
        format!("{TLS_ALONE}certificates: {{acme: {{directory: 'https://ca.test/d'}}}}\n");
    assert_eq!(taken("[y.test]", &private).snapshot.tls.sources.acme, ["y.test"]);
}

#[test]
fn names_are_names_of_hosts() {
    let acme = |names: &str| format!("{TLS_ALONE}certificates: {{acme: {{names: {names}}}}}\n");
    let hosts = "[a.example.com, b.example.com]";
    let tls = taken(hosts, &acme("[A.example.com, b.example.com]")).snapshot.tls;
    assert_eq!(tls.sources.acme, ["a.example.com", "b.example.com"]);
    let said = refused(hosts, &acme("[a.example.com, b.example.com, c.example.com]"));
    assert_eq!(said, ["certificates.acme.names[2]: `c.example.com` is no name of `hosts`"]);
    let said = refused(hosts, &acme("[a.example.com, b.example.com, a.example.com]"));
    assert_eq!(said, ["certificates.acme.names[2]: `a.example.com` stands here twice"]);
    assert_eq!(refused(hosts, &acme("['a.example.com:443']")).len(), 1);
    assert_eq!(refused(hosts, &acme("[10.0.0.1]")).len(), 1);
    assert_eq!(refused(hosts, &acme("[]")).len(), 1);
}

#[test]
fn no_public_authority_is_asked_for_a_name_of_ones_own() {
    for name in ["a.test", "localhost", "api"] {
        let hosts = format!("[a.example.com, {name}]");
        let names = format!("certificates: {{acme: {{names: [a.example.com, {name}]}}}}\n");
        let said = refused(&hosts, &format!("{TLS_ALONE}{names}"));
        let expected =
            format!("certificates.acme.names[1]: `{name}` can only be a name of your own");
        assert_eq!(said[0], expected);
        let own = "directory: 'https://ca.internal/d'";
        let names = format!("certificates: {{acme: {{{own}, names: [a.example.com, {name}]}}}}\n");
        let tls = taken(&hosts, &format!("{TLS_ALONE}{names}")).snapshot.tls;
        assert!(tls.sources.acme.iter().any(|ordered| ordered == name), "{name}");
    }
}

#[test]
fn a_directory_is_asked_over_https_alone() {
    for url in [
        "http://ca.example.com/d",
        "http://127.0.0.1.example.com/d",
        "ftp://x/d",
        "ca.example.com",
        "",
    ] {
        let said = mistakes(&format!("{{directory: '{url}'}}"));
        assert!(said[0].starts_with("certificates.acme.directory: "), "{url}: {said:?}");
    }
    let near = "certificates: {acme: {directory: 'http://127.0.0.1:14000/dir'}}\n";
    assert!(taken("[a.example.com]", &format!("{TLS_ALONE}{near}")).snapshot.tls.acme.is_some());
    for url in ["https://user@ca.example.com/d", "https://ca.example.com/d#x"] {
        assert_eq!(mistakes(&format!("{{directory: '{url}'}}")).len(), 1, "{url}");
    }
}

#[test]
fn ways_that_cannot_be_gone_are_refused() {
    let said = mistakes("{challenge: http-01}");
    assert!(said[0].contains("needs a listener without TLS"), "{said:?}");
    let said = mistakes("{challenge: dns-01}");
    assert!(said[0].contains("needs a way to set TXT records"), "{said:?}");
    let wildcard = format!("{TLS_ALONE}certificates: {{acme: {{names: ['*.example.com']}}}}\n");
    let said = refused("['*.example.com']", &wildcard);
    assert!(said[0].contains("which only `dns-01` can prove"), "{said:?}");
    let both = "{name: https, address: '127.0.0.1:8443'}, \
                {name: http, address: '127.0.0.1:8080', cleartext: true}";
    let more = format!("listeners: [{both}]\ncertificates: {{acme: {{challenge: http-01}}}}\n");
    let acme = taken("[a.example.com]", &more).snapshot.tls.acme.expect("orders");
    assert_eq!(acme.challenge, ChallengeType::Http01);
}

#[test]
fn contacts_are_single_mail_addresses() {
    let more = format!(
        "{TLS_ALONE}certificates: {{acme: {{contact: [ops@example.com, 'mailto:b@example.com']}}}}\n"
    );
    let acme = taken("[a.example.com]", &more).snapshot.tls.acme.expect("orders");
    assert_eq!(acme.contact, ["mailto:ops@example.com", "mailto:b@example.com"]);
    for contact in ["ops", "a@b, c@d", "a@b?subject=x", "@b", "a@", "a b@c", "https://x/y"] {
        let said = mistakes(&format!("{{contact: ['{contact}']}}"));
        assert!(said[0].contains("is not a mail address"), "{contact}: {said:?}");
    }
}

#[test]
fn an_external_account_has_an_id_and_a_key_that_is_shown_to_nobody() {
    let account = |hmac: &str| format!("{{external_account: {{key_id: k, hmac: {hmac}}}}}");
    let options = |key: &str| {
        let environment = portcullis_config::Environment::fixed([("HMAC", key)]);
        LoadOptions { environment, ..options() }
    };
    let acme = account("{env: HMAC}");
    let whole = text("[a.example.com]", &format!("{TLS_ALONE}certificates: {{acme: {acme}}}\n"));
    let snapshot = check_text("x", &whole, &options("c2VjcmV0")).expect("no mistake").snapshot;
    let external = snapshot.tls.acme.and_then(|acme| acme.external_account).expect("one");
    assert_eq!((external.key_id.as_str(), external.hmac.expose()), ("k", &b"secret"[..]));
    assert!(!snapshot.redacted.to_string().contains("c2VjcmV0"));
    for key in ["c2Vjc mV0", "c2V+", "="] {
        let report = check_text("x", &whole, &options(key)).expect_err(key);
        assert_eq!(report.entries().len(), 1, "{report}");
    }
    assert_eq!(mistakes("{external_account: {key_id: k}}").len(), 1);
    let without = LoadOptions { read_files: false, ..options("x") };
    assert!(check_text("x", &whole, &without).is_ok());
}

#[test]
fn acme_without_tls_has_no_effect_and_is_said_so() {
    let cleartext = "listeners: [{name: http, address: '127.0.0.1:8080', cleartext: true}]\n";
    let said = refused("[a.example.com]", &format!("{cleartext}certificates: {{acme: {{}}}}\n"));
    assert_eq!(said, ["certificates.acme: this has no effect: no listener speaks TLS"]);
}
