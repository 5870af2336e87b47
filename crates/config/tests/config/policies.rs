//! `policies`: what is found wrong beside the expressions themselves.

use portcullis_config::{Environment, LoadOptions, check_text};

use crate::options;

const SOUND: &str = "version: 1
listeners: [{name: app, address: '127.0.0.1:8443', cleartext: true}]
hosts: [api.test]
issuers: [{name: login, issuer: 'https://login.test', audience: [orders]}]
policies:
  own: 'claims.tenant == path.tenant'
upstreams: [{name: app, endpoints: ['http://127.0.0.1:8000']}]
routes:
- name: orders
  path: /v1/{tenant}
  access: {any_of: [{issuer: login}], policies: [own]}
  forward: {upstream: app}
";

/// What is wrong with the sound file where the policy is `text`.
fn mistakes(text: &str, options: &LoadOptions) -> Vec<(String, String)> {
    let file = SOUND.replace("'claims.tenant == path.tenant'", text);
    let entries = match check_text("x", &file, options) {
        Ok(_) => Vec::new(),
        Err(report) => report.entries(),
    };
    entries.into_iter().map(|entry| (entry.path, entry.message)).collect()
}

#[test]
fn no_value_of_the_environment_is_read_as_a_rule() {
    let owner = r#"x" || "a" == "a"#;
    let options = LoadOptions {
        environment: Environment::fixed([("OWNER", owner), ("RULE", "true")]),
        ..options()
    };
    let message = "a policy takes no value of the environment";
    for text in [
        "'principal.subject == \"${OWNER}\"'",
        "'principal.subject == \"${UNSET:-x}\"'",
        "${RULE}",
        "'${RULE} || now > now'",
    ] {
        let expected = [("policies.own".to_owned(), message.to_owned())];
        assert_eq!(mistakes(text, &options), expected, "{text}");
    }
    for text in ["'claims.a.matches(\"^a$$\")'", "'claims.a == \"$${OWNER}\"'"] {
        assert_eq!(mistakes(text, &options), [], "{text}");
    }
}

#[test]
fn what_clients_can_forge_and_what_is_secret_is_not_for_policies() {
    let file = SOUND
        .replace("[{issuer: login}]", "[{issuer: login}, api_key]")
        .replace(
            "audience: [orders]",
            "audience: [orders], read_token_from: [authorization, {query: at}]",
        )
        .replace("{upstream: app}\n", "{upstream: app, identity: {headers: {x-user: subject}}}\n")
        .replace(
            "issuers:",
            "identity: {header: X-Own}\napi_keys: {header: X-Partner-Key}\nissuers:",
        );
    for (text, what) in [
        ("request.headers['x-user'] == 'ann'", "field `x-user`"),
        ("'x_user' in request.headers", "field `x-user`"),
        ("request.headers['x-own'] != ''", "field `x-own`"),
        ("request.headers['x-partner-key'] == 'k'", "field `x-partner-key`"),
        ("request.query.at == 'token'", "parameter `at`"),
        ("!has(request.query.at)", "parameter `at`"),
    ] {
        let file = file.replace("'claims.tenant == path.tenant'", &format!("\"{text}\""));
        let report = check_text("x", &file, &options()).expect_err(text);
        let found: Vec<(String, String)> =
            report.entries().into_iter().map(|entry| (entry.path, entry.message)).collect();
        let expected = ("policies.own".to_owned(), format!("no policy reads the {what}"));
        assert_eq!(found, [expected], "{text}");
    }
    for text in ["request.headers['x-users'] == 'ann'", "has(request.query.att)"] {
        let file = file.replace("'claims.tenant == path.tenant'", &format!("\"{text}\""));
        let loaded = check_text("x", &file, &options());
        assert!(loaded.is_ok(), "{text}: {loaded:?}");
    }
}
