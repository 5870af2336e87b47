//! Files of cases: what is read, and what is refused where.

use super::*;

fn read_cases(text: &str) -> Result<CasesFile, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.tests.yaml");
    std::fs::write(&path, text).unwrap();
    load(&path, None).map_err(|report| {
        let entries = report.entries().into_iter();
        entries.map(|e| format!("{}:{} {}: {}", e.line, e.column, e.path, e.message)).collect()
    })
}

#[test]
fn a_case_is_read_whole() {
    let file = read_cases(
        r#"
cases:
  - name: one
    request:
      method: POST
      url: https://api.test/x
      headers: {accept: text/plain, x-a: [b, c]}
      address: 192.0.2.7
      time: 2026-11-25T12:00:00Z
      body: {length: 2KiB, type: application/json}
    credential:
      token:
        issuer: main
        scopes: [a, b]
        claims: {level: 3, tenant: {id: "7"}, flags: [true, null], exp: 1e3}
        in: {cookie: session}
      client_certificate: {san: ["spiffe://example.org/a"]}
    repeat: 3
    expect: {code: scope-missing, route: x, rule: 7}
  - {name: two, request: {url: "http://api.test/"}, expect: redirect}
"#,
    )
    .unwrap();
    assert!(file.config.ends_with("gateway.yaml"), "{:?}", file.config);
    let [one, two] = &file.cases[..] else { panic!("{:?}", file.cases) };
    assert_eq!((one.line, &*one.method, one.repeat), (3, "POST", 3));
    let fields: Vec<String> = one.headers.iter().map(|(n, v)| format!("{n}: {v}")).collect();
    assert_eq!(
        fields,
        [
            "accept: text/plain",
            "x-a: b",
            "x-a: c",
            "content-length: 2048",
            "content-type: application/json"
        ]
    );
    let token = one.token.as_ref().unwrap();
    assert_eq!(token.scopes, ["a", "b"]);
    assert_eq!(token.place, Some(ReadFrom::Cookie("session".to_owned())));
    let claims = serde_json::json!({
        "level": 3, "tenant": {"id": "7"}, "flags": [true, null], "exp": 1e3,
    });
    assert_eq!(Value::Object(token.claims.clone()), claims);
    assert_eq!((one.expect.verdict, one.expect.code.as_deref()), ("deny", Some("scope-missing")));
    assert_eq!(one.expect.rule.as_deref(), Some("7"));
    assert_eq!((two.expect.verdict, &*two.method), ("redirect", "GET"));
    assert_eq!(one.address, Some(IpAddr::from([192, 0, 2, 7])));
    assert_eq!(two.address, None);
}

#[test]
fn every_mistake_has_its_place() {
    let mistakes = read_cases(
        "cases:\n  - {name: a, request: {url: x, adress: y}, expect: alow}\n  \
         - {name: a, request: {}, expect: {code: scope-mising}}\n  \
         - {name: b, request: {url: x, address: here, time: noon}, expect: {verdict: allow, code: malformed-request}}\n  \
         - {name: c, request: {url: x}, credential: {token: {claims: [1]}}, expect: allow}\n  \
         - {name: d, request: {url: x}, repeat: 10001, expect: {rule: -1}}\n  \
         - {name: e, request: {url: x}, expect: {rule: [1]}}\n",
    )
    .unwrap_err();
    for expected in [
        "2:33 cases[0].request.adress: unknown key `adress`",
        "2:53 cases[0].expect: `alow` is not known here",
        "3:12 cases[1].name: there is another case `a`",
        "cases[1].request: `url` is missing",
        "cases[1].expect.code: there is no code `scope-mising`",
        "cases[4].repeat: found 10001",
        "cases[4].expect.rule: this is no place of a rule",
        "cases[5].expect.rule: this is no place of a rule",
        "cases[2].request.address: found `here`",
        "cases[2].request.time: `noon` is no time",
        "cases[2].expect.verdict: only a `deny` has a code, a reason or a rule",
        "cases[3].credential.token: `issuer` is missing",
        "cases[3].credential.token.claims: claims are a mapping",
    ] {
        assert!(mistakes.iter().any(|m| m.contains(expected)), "{expected}: {mistakes:#?}");
    }
    assert_eq!(read_cases("").unwrap_err().len(), 1);
    assert_eq!(read_cases("cases: []").unwrap_err().len(), 1);
}

#[test]
fn the_configuration_is_the_one_of_the_name_or_the_one_that_is_said() {
    let at = |text: &str| config_of(Path::new(text));
    assert_eq!(at("a/gateway.tests.yaml"), Path::new("a/gateway.yaml"));
    let said =
        read_cases("config: other.yaml\ncases: [{name: a, request: {url: x}, expect: allow}]");
    assert!(said.unwrap().config.ends_with("other.yaml"));
}
