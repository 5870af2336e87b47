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
