//! What policies say, what they refuse to say, and what is found wrong with them before.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use portcullis_core::forwarded::ClientView;
use portcullis_core::{
    Authority, CanonicalPath, Clock, CredentialKind, Derived, Head, Principal, Timestamp,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{Origin, PathPattern};

/// 2026-03-01, a Sunday, 07:30 in UTC and 08:30 in Berlin.
const NOW: u64 = 1_772_350_200;

fn clock() -> Clock {
    Clock::manual(Timestamp::from_unix_seconds(NOW))
}

fn compile(text: &str) -> Result<Policy, Vec<Mistake>> {
    Compiler::new(clock()).compile("rule".into(), text, Origin(7))
}

fn alice(claims: &Value) -> Principal {
    Principal {
        subject: "alice".to_owned(),
        issuer_name: "login".into(),
        issuer: "https://login.test".into(),
        scopes: vec!["orders:read".to_owned()],
        roles: vec!["clerk".to_owned(), "admin".to_owned()],
        claims: Arc::new(claims.as_object().cloned().expect("claims")),
        expires: Timestamp::from_unix_seconds(NOW + 60),
        credential: CredentialKind::Token,
        derived: Derived::default(),
    }
}

/// A request as the tests write it.
struct Ask {
    claims: Option<Value>,
    pattern: &'static str,
    target: Cow<'static, str>,
    headers: Vec<(&'static str, &'static str)>,
    length: Option<u64>,
    has_body: bool,
}

fn ask() -> Ask {
    Ask {
        claims: Some(json!({
            "sub": "alice", "tenant": "acme", "groups": ["a", "b"], "level": 3, "ratio": 0.5,
            "nested": {"deep": {"x": true}}, "nothing": null, "https://claims.test/plan": "gold",
            "big": u64::MAX,
        })),
        pattern: "/v1/users/{user_id}/{*rest}",
        target: "/v1/users/alice/orders/7?tenant=acme&n=1".into(),
        headers: vec![("x-tenant", "acme")],
        length: None,
        has_body: false,
    }
}

impl Ask {
    fn target(self, target: impl Into<Cow<'static, str>>) -> Self {
        Self { target: target.into(), ..self }
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn claims(self, claims: Value) -> Self {
        Self { claims: Some(claims), ..self }
    }

    fn anonymous(self) -> Self {
        Self { claims: None, ..self }
    }

    fn of(&self, text: &str) -> Judgement {
        let policy = compile(text).unwrap_or_else(|mistakes| panic!("{text}: {mistakes:#?}"));
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let (path, query) =
            self.target.split_once('?').map_or((&*self.target, None), |(p, q)| (p, Some(q)));
        let head = Head {
            method: &Method::PUT,
            authority: Authority::parse("API.test:8443").expect("authority"),
            path: CanonicalPath::parse(path).expect("path"),
            query,
            headers: &headers,
            https: true,
            content_length: self.length,
            has_body: self.has_body,
        };
        let client = ClientView {
            address: [203, 0, 113, 9].into(),
            by_trusted_proxy: false,
            chain: Vec::new(),
            https: None,
        };
        let principal = self.claims.as_ref().map(alice);
        let variables = PathVariables::of(&PathPattern::parse(self.pattern).expect("pattern"));
        policy.judge(Asked {
            principal: principal.as_ref(),
            head: &head,
            client: &client,
            variables: &variables,
        })
    }
}

#[track_caller]
fn holds(text: &str) {
    assert_eq!(ask().of(text), Judgement::True, "{text}");
}

#[track_caller]
fn fails(ask: &Ask, text: &str, reason: &str) {
    assert_eq!(ask.of(text), Judgement::Failed(reason.to_owned()), "{text}");
}

#[test]
fn every_variable_can_be_read() {
    for text in [
        r#"principal.subject == "alice" && principal.issuer == "login""#,
        r#"principal.iss == "https://login.test" && principal.kind == "token""#,
        r#""admin" in principal.roles && "orders:read" in principal.scopes"#,
        "principal.expires > now && principal.expires - now == duration('1m')",
        "principal != null",
        r#"claims.tenant == "acme" && claims["https://claims.test/plan"] == "gold""#,
        "claims.level == 3 && claims.level > 2.5 && claims.ratio < 1.0 && claims.level + 1 == 4",
        "claims.nested.deep.x && claims.nothing == null && claims.groups == ['a', 'b']",
        "claims.big > 9223372036854775807",
        r#"path.user_id == principal.subject && path.rest == "orders/7""#,
        r#"request.method == "PUT" && request.host == "api.test" && request.https"#,
        r#"request.path == "/v1/users/alice/orders/7" && request.content_length == 0"#,
        r#"request.query.tenant == claims.tenant && request.query["n"] == "1""#,
        r#"request.headers["x-tenant"] == claims.tenant && has(request.headers.host) == false"#,
        r#"client.address == "203.0.113.9""#,
        r#"now == timestamp("2026-03-01T07:30:00Z")"#,
        r#"now.getHours("Europe/Berlin") == 8 && now.getHours() == 7 && now.getDayOfWeek() == 0"#,
    ] {
        holds(text);
    }
}

#[test]
fn every_function_does_what_it_says() {
    for text in [
        r#"principal.subject.startsWith("al") && principal.subject.endsWith("ce")"#,
        r#"principal.subject.contains("lic") && size(principal.subject) == 5"#,
        r#"principal.subject.matches("^a[a-z]+$") && !matches(claims.tenant, "^x")"#,
        "claims.groups.size() == 2 && size(claims.nested) == 1",
        r#"string(claims.level) == "3" && int("7") == claims.level + 4 && double(claims.level) == 3.0"#,
        "claims.groups.exists(g, g == 'b') && claims.groups.all(g, g != 'c')",
        "claims.groups.exists_one(g, g == 'a') && claims.groups.filter(g, g > 'a') == ['b']",
        "claims.nested.all(key, key == 'deep') && claims.groups[1] == 'b'",
        "{'acme': true}[claims.tenant] && claims.tenant in {'acme': 1}",
        "claims.level in [1, 2, 3] && claims.level % 2 == 1 && -claims.level < 0",
        "principal.roles.exists(r, claims.groups.exists(g, r == 'admin' && g == 'a'))",
        "claims.level > 2 ? claims.tenant == 'acme' : false",
        "'tenant' in claims && 'n' in request.query && !('x-none' in request.headers)",
    ] {
        holds(text);
    }
}

#[test]
fn what_is_not_there_refuses_with_its_name() {
    let tenant = ask().claims(json!({}));
    fails(&tenant, "claims.tenant == 'acme'", "no such claim tenant");
    fails(&tenant, "claims.tenant != 'acme'", "no such claim tenant");
    fails(&tenant, "!(claims.tenant == 'acme')", "no such claim tenant");
    fails(&tenant, "claims['tenant'] == 'acme'", "no such claim tenant");
    fails(&ask(), "claims.nested.none == 1", "no such claim none");
    fails(&ask(), "request.headers['x-none'] != ''", "no such field x-none");
    fails(&ask(), "request.query.none != ''", "no such parameter none");
    fails(&ask(), "claims.groups[9] == 'a'", "no such element");
    fails(&ask(), "claims.level", "int where bool is needed");
    fails(&ask(), "claims.tenant && true", "`&&` does not go with string and bool");
    fails(&ask(), "claims.tenant < 1", "`<` does not go with string and int");
    fails(&ask(), "claims.level.startsWith('a')", "`startsWith` does not go with int and string");
    fails(
        &ask(),
        "claims.level.matches('a')",
        "`matches` was asked of something that is no string",
    );
    fails(&ask(), "int(claims.tenant) == 1", "`int` failed");
    fails(&ask(), "1 / (claims.level - 3) == 1", "division by zero");
    fails(&ask(), "claims.tenant.x == 1", "`_._` does not go with string and string");
    fails(&ask(), "claims.big + 1u > 0u", "a number is out of range");
}

#[test]
fn has_asks_without_refusing() {
    let none = ask().claims(json!({"nested": {}}));
    for (ask, expected) in [(&ask(), Judgement::True), (&none, Judgement::False)] {
        assert_eq!(ask.of("has(claims.tenant)"), expected);
        assert_eq!(ask.of("has(claims.tenant) && claims.tenant == 'acme'"), expected);
        assert_eq!(ask.of("has(claims.nested.deep)"), expected);
        assert_eq!(ask.of("'tenant' in claims"), expected);
    }
    fails(&none, "has(claims.other.deep)", "no such claim other");
    assert_eq!(none.of("!has(claims.tenant) || claims.tenant == 'x'"), Judgement::True);
}

#[test]
fn an_error_beside_what_decides_is_no_matter() {
    let none = ask().claims(json!({}));
    let missing = "claims.tenant == 'acme'";
    for text in [
        format!("{missing} || principal.subject == 'alice'"),
        format!("principal.subject == 'alice' || {missing}"),
        format!("!({missing} && principal.subject == 'bob')"),
        format!("!(principal.subject == 'bob' && {missing})"),
        format!("principal.subject == 'alice' ? true : {missing}"),
        "['x', 'alice'].exists(s, s == 'x' ? claims.none == s : s == principal.subject)".to_owned(),
    ] {
        assert_eq!(none.of(&text), Judgement::True, "{text}");
    }
    for text in [
        format!("{missing} || principal.subject == 'bob'"),
        format!("principal.subject == 'bob' || {missing}"),
        format!("{missing} && principal.subject == 'alice'"),
        format!("principal.subject == 'alice' && {missing}"),
        format!("principal.subject == 'bob' ? true : {missing}"),
        format!("({missing}) ? true : true"),
        "['x', 'y'].exists(s, s == 'x' ? claims.tenant == s : s == principal.subject)".to_owned(),
    ] {
        fails(&none, &text, "no such claim tenant");
    }
}

#[test]
fn nobody_is_null() {
    let nobody = ask().anonymous();
    for text in ["principal.subject == 'alice'", "principal.subject != 'alice'"] {
        fails(&nobody, text, "nobody is identified");
    }
    for text in ["'x' in principal.roles", "!('x' in principal.roles)", "now < principal.expires"] {
        fails(&nobody, text, "nobody is identified");
    }
    fails(&nobody, "size(claims) == 0", "nobody is identified");
    fails(&nobody, "claims.x == 1", "no such claim x");
    assert_eq!(nobody.of("has(claims.x)"), Judgement::False);
    assert_eq!(nobody.of("principal == null"), Judgement::True);
    assert_eq!(nobody.of("principal != null"), Judgement::False);
    assert_eq!(ask().of("null == principal"), Judgement::False);
    let either = "principal == null || principal.subject == path.user_id";
    assert_eq!(nobody.of(either), Judgement::True);
    assert_eq!(ask().of(either), Judgement::True);
    assert_eq!(ask().target("/v1/users/bob/x").of(either), Judgement::False);
}

#[test]
fn variables_of_the_path_are_what_an_app_decodes() {
    let owner = "path.user_id == principal.subject";
    let with = |target: &'static str| ask().target(target);
    assert_eq!(with("/v1/users/al%69ce/x").of(owner), Judgement::True);
    assert_eq!(with("/v1/users/Alice/x").of(owner), Judgement::False);
    assert_eq!(with("/v1/users/alice%20/x").of(owner), Judgement::False);
    assert_eq!(with("/v1/users/%C3%A9/x").of("path.user_id == 'é'"), Judgement::True);
    assert_eq!(with("/v1/users/a%2Fb/x").of("path.user_id == 'a/b'"), Judgement::True);
    assert_eq!(with("/v1/users/a+b/x").of("path.user_id == 'a+b'"), Judgement::True);
    assert_eq!(with("/v1/users/a/").of("path.rest == ''"), Judgement::True);
    assert_eq!(with("/v1/users/a/b/c").of("path.rest == 'b/c'"), Judgement::True);
    let parameter = "`path.user_id` has a parameter (`;`), which servers cut off or not";
    fails(&with("/v1/users/alice;v=1/x"), owner, parameter);
    fails(&with("/v1/users/alice;v=1/x"), "path.user_id != 'bob'", parameter);
    let root = Ask { pattern: "/{*rest}", ..with("/a/b") };
    assert_eq!(root.of("path.rest == 'a/b'"), Judgement::True);
}

#[test]
fn what_stands_there_twice_is_never_judged() {
    let twice = ask().target("/v1/users/a/b?tenant=acme&tenant=evil");
    let message = "`request.query.tenant` stands there twice";
    for text in [
        "request.query.tenant == 'acme'",
        "request.query.tenant != 'acme'",
        "!has(request.query.tenant)",
        "'tenant' in request.query",
    ] {
        fails(&twice, text, message);
    }
    let spelt = ask().target("/v1/users/a/b?tenant=acme&ten%61nt=evil");
    fails(&spelt, "request.query.tenant == 'acme'", message);
    let doubtful = ask().target("/v1/users/a/b?tenant=acme;tenant=evil");
    fails(&doubtful, "request.query.tenant == 'acme'", message);
    let doubtful = ask().target("/v1/users/a/b?x=1;tenant=acme");
    let message = "`request.query.tenant` depends on what `;` means";
    fails(&doubtful, "!has(request.query.tenant)", message);
    let blank = ask().target("/v1/users/a/b?tenant=a+%62");
    assert_eq!(blank.of("request.query.tenant == 'a b'"), Judgement::True);
    let bytes = ask().target("/v1/users/a/b?tenant=%FF");
    fails(&bytes, "request.query.tenant != 'a'", "`request.query.tenant` is not UTF-8");
    let fields = ask().header("x-tenant", "evil");
    let message = "the field x-tenant stands there twice";
    fails(&fields, "request.headers['x-tenant'] == 'acme'", message);
    fails(&fields, "!has(request.headers.x) && !('x-tenant' in request.headers)", message);
}

#[test]
fn a_parameter_in_another_spelling_is_never_judged() {
    let message = "`request.query.is_admin` is spelt in another way";
    for key in [
        "is_admin[]",
        "is_admin%5B%5D",
        "is_admin[0]",
        "is_admin[x][y]",
        "+is_admin",
        "%20is_admin",
        "%09is_admin",
        "is_admin+",
        "is_admin%00",
        "is_admin%00x",
        "[is_admin]",
        "]is_admin",
        "is.admin",
        "is+admin",
        "is[admin",
        "IS_ADMIN",
        "is_admin[%FF]",
    ] {
        for query in [format!("{key}=1"), format!("a=b&{key}"), format!("is_admin=x&{key}=1")] {
            let spelt = ask().target(format!("/v1/users/a/b?{query}"));
            for text in ["!has(request.query.is_admin)", "request.query.is_admin == 'x'"] {
                fails(&spelt, text, message);
            }
        }
    }
    for key in ["admin", "is_admins", "xis_admin", "is-admin", "is_admin%2B", "is", "", "[]", "%FF"]
    {
        let other = ask().target(format!("/v1/users/a/b?{key}=1"));
        assert_eq!(other.of("!has(request.query.is_admin)"), Judgement::True, "{key}");
    }
    let filter = "request.query['filter[x]'] == '1'";
    let both = ask().target("/v1/users/a/b?filter[y]=2&filter[x]=1");
    assert_eq!(both.of(filter), Judgement::True);
    let twice = ask().target("/v1/users/a/b?filter[x]=1&filter[x][]=2");
    fails(&twice, filter, "`request.query.filter[x]` is spelt in another way");
}

#[test]
fn a_field_in_another_spelling_is_never_judged() {
    for other in ["x_tenant", "x.tenant", "x~tenant"] {
        let spelt = ask().header(other, "victim");
        let message = format!("the field x-tenant stands there as {other}");
        for text in [
            "request.headers['x-tenant'] == claims.tenant",
            "request.headers['x-tenant'] != 'victim'",
            "!('x-tenant' in request.headers)",
        ] {
            fails(&spelt, text, &message);
        }
    }
    let debug = ask().header("x_debug", "1");
    let message = "the field x-debug stands there as x_debug";
    fails(&debug, "!('x-debug' in request.headers)", message);
    assert_eq!(debug.of("request.headers.x_debug == '1'"), Judgement::True);
    let tenant = "request.headers['x-tenant'] == claims.tenant";
    for other in ["xxtenant", "x-tenants", "x-tenan", "x--tenant"] {
        assert_eq!(ask().header(other, "victim").of(tenant), Judgement::True, "{other}");
    }
}

#[test]
fn the_length_of_a_body_is_known_or_refuses() {
    let small = Ask { length: Some(10), has_body: true, ..ask() };
    assert_eq!(small.of("request.content_length < 11"), Judgement::True);
    let unknown = Ask { has_body: true, ..ask() };
    fails(&unknown, "request.content_length < 11", "the length of the body is not known");
}

#[test]
fn no_token_makes_an_evaluation_long() {
    let many: Vec<u32> = (0..1001).collect();
    let long = ask().claims(json!({"sub": "alice", "l": many}));
    let message = "a list or a mapping of more than 1000 elements";
    for text in ["claims.sub == 'alice'", "claims.l != []", "has(claims.x)", "size(claims) > 0"] {
        fails(&long, text, message);
    }
    let many: Vec<u32> = (0..1000).collect();
    let some = ask().claims(json!({"l": many}));
    assert_eq!(some.of("claims.l.all(x, x >= 0)"), Judgement::True);
    let message = "more than 2000 elements";
    fails(&some, "claims.l.all(x, claims.l.exists(y, y == x))", message);
    fails(&some, "claims.l.exists(x, claims.l.all(y, y >= 0) && x == -1)", message);
    let filters = "claims.l.all(x, claims.l.filter(y, y == x) == [x])";
    fails(&some, filters, message);
    fails(&some, "claims.l.all(x, claims.l.exists_one(y, y == x))", message);
    let text = ask().claims(json!({"t": "a".repeat(2049)}));
    let message = "`matches` was asked of a text of more than 2048 bytes";
    fails(&text, "claims.t.matches('^a*$')", message);
}

#[test]
fn what_is_of_another_type_is_not_unequal() {
    let odd = ask().claims(json!({
        "null": null, "number": 5, "list": ["x"], "text": "x", "true": "true", "map": {},
    }));
    for (claim, found) in
        [("null", "null_type"), ("number", "int"), ("list", "list"), ("map", "map")]
    {
        for operator in ["!=", "=="] {
            let message = format!("`{operator}` does not go with {found} and string");
            fails(&odd, &format!("claims['{claim}'] {operator} 'x'"), &message);
            fails(&odd, &format!("!(claims['{claim}'] {operator} 'x')"), &message);
            fails(&odd, &format!("claims['{claim}'] {operator} claims.text"), &message);
        }
    }
    fails(&odd, "claims['true'] != true", "`!=` does not go with string and bool");
    fails(&odd, "principal.subject != claims.number", "`!=` does not go with string and int");
    for text in [
        "claims['null'] == null && claims.text != null && null != claims.list",
        "claims.number == 5.0 && claims.number == 5u && claims.number != 5.5",
        "claims.list != ['y'] && claims.list == ['x'] && claims.list != [5]",
        "claims.map == {} && claims.map != {'a': 1} && !(5 in claims.list) && 'x' in claims.list",
        "[5, 'x', null].exists(e, e in claims.list)",
    ] {
        assert_eq!(odd.of(text), Judgement::True, "{text}");
    }
    fails(&odd, "claims.number in claims.text", "`in` does not go with int and string");
}

#[test]
fn numbers_are_equal_to_the_last_digit() {
    let claims = r#"{"n": 9007199254740992.0, "i": 9007199254740993, "big": 18446744073709551615,
        "top": 18446744073709551616, "half": 0.5, "zero": -0.0}"#;
    let ask = ask().claims(serde_json::from_str(claims).expect("JSON"));
    for text in [
        "claims.n != 9007199254740993 && claims.n == 9007199254740992",
        "claims.i != claims.n && !(claims.i in [claims.n]) && [claims.i] != [claims.n]",
        "claims.big != claims.top && claims.big == 18446744073709551615u",
        "claims.half != 0 && claims.half == 0.5 && claims.zero == 0",
        "{'a': claims.i} != {'a': claims.n} && {'a': claims.n} == {'a': claims.n}",
    ] {
        assert_eq!(ask.of(text), Judgement::True, "{text}");
    }
}

#[test]
fn no_token_makes_comparisons_long() {
    let many: Vec<u32> = (0..1000).collect();
    let texts: Vec<String> = (0..1000).map(|n| format!("g{n}")).collect();
    let long = "a".repeat(2000);
    let claims = json!({"a": many, "b": many, "t": texts, "long": long, "none": [-1]});
    let ask = ask().claims(claims);
    let message = "more than 20000 comparisons";
    for text in [
        "claims.a.exists(x, -1 in claims.b)",
        "claims.a.all(x, x in claims.b)",
        "claims.t.all(x, x + '' in claims.t)",
        "claims.a.all(x, claims.a == claims.b)",
        "claims.a.exists(x, {'a': claims.a} != {'a': claims.b})",
        "claims.t.exists(x, claims.long.contains(x))",
        "claims.t.exists(x, claims.long.matches('^b*$'))",
        "claims.a.exists(x, size([claims.a]) == 5)",
        "claims.a.exists(x, size({'a': claims.a}) == 5)",
    ] {
        fails(&ask, text, message);
    }
    // What decides decides, as everywhere.
    let decided = "claims.a.exists(x, [claims.a] == [claims.b] && x < 0)";
    assert_eq!(ask.of(decided), Judgement::False);
    for text in [
        "claims.t.exists(x, x in ['g7', 'g999'])",
        "claims.a == claims.b && 999 in claims.a && 'g999' in claims.t",
        "claims.t.filter(x, x == 'g5') == ['g5'] && claims.t.exists(x, x.matches('^g77$'))",
        "principal.roles.all(r, claims.t.exists(g, g.contains('9')) && r in principal.roles)",
    ] {
        assert_eq!(ask.of(text), Judgement::True, "{text}");
    }
}

/// What is wrong with `text`, with the part that it is about.
fn mistakes(text: &str) -> Vec<(String, String)> {
    let mistakes = compile(text).expect_err(text);
    mistakes.into_iter().map(|one| (text[one.at].to_owned(), one.message)).collect()
}

#[track_caller]
fn wrong(text: &str, part: &str, message: &str) {
    assert_eq!(mistakes(text), [(part.to_owned(), message.to_owned())], "{text}");
}

#[test]
fn syntax_errors_have_their_place() {
    wrong("principal.subject = 'a'", "=", "`= ` cannot be read");
    wrong("(now > now", "", "`)` is missing");
    wrong("now > ", "", "the expression ends too early");
    wrong("'é' == 'é' now", "n", "`now` cannot stand here");
    wrong("", "", "the expression is empty");
    wrong("claims.?x == 1", ".", "unsupported syntax '.?'");
    let long = format!("now > now || '{}' == ''", "x".repeat(2048));
    assert_eq!(mistakes(&long)[0].1, "the expression is longer than 2048 bytes");
}

#[test]
fn unknown_names_are_found() {
    wrong("principle.subject == 'a'", "principle", "there is no variable `principle`");
    wrong("user == 'a'", "user", "there is no variable `user`");
    wrong("principal.name == 'a'", ".", "`principal` has no field `name`");
    wrong("request.body == 'a'", ".", "`request` has no field `body`");
    wrong("client.country == 'DE'", ".", "`client` has no field `country`");
    wrong("principal.subject.lower() == 'a'", "(", "there is no function `lower`");
    wrong("'é' == principle.x", "principle", "there is no variable `principle`");
    let found = compile("principal.subjct == 'a'").expect_err("a mistake");
    assert_eq!(found[0].known.as_ref().expect("names").0, "subjct");
    wrong("path == 'x'", "path", "`path` is not a value: name a variable of the path");
    wrong(
        "principal == 'x'",
        "==",
        "`principal` can only be compared with null: name one of its fields",
    );
    wrong("'x' in principal", "principal", "`principal` is not a value: name one of its fields");
    wrong("request.headers == {}", ".", "`request.headers` is not a value");
    wrong("has(principal.subject)", "(", "`principal.subject` is always there");
    wrong("has(path.x)", "(", "the variables of the path are always there");
}

#[test]
fn types_that_never_fit_are_found() {
    wrong("principal.subject == 1", "==", "a string and an int are never equal");
    wrong("'admin' == principal.roles", "==", "a string and a list are never equal");
    wrong("'a' in principal.subject", "in", "`in` looks into a list or a map, not a string");
    wrong(
        "1 in principal.roles",
        "in",
        "an int is never in a list of which an element is a string",
    );
    wrong("principal.roles == [1]", "==", "a list and a list are never equal");
    wrong("principal.subject", ".", "a policy is true or false, this is a string");
    wrong("now", "now", "a policy is true or false, this is a timestamp");
    wrong("principal.subject && request.https", "&&", "`&&` does not go with a string and a bool");
    wrong("!principal.subject", "!", "`!` does not go with a string");
    wrong("now > 5", ">", "`>` does not go with a timestamp and an int");
    wrong("principal.roles > principal.scopes", ">", "`>` does not go with a list and a list");
    wrong("principal.subject + 1 == 'a'", "+", "`+` does not go with a string and an int");
    wrong(
        "claims.a + claims.b == 1",
        "+",
        "`+` does not go with a value of any type and a value of any type",
    );
    wrong("principal.kind == 'key'", "'key'", "`principal.kind` is never `key`");
    wrong("principal.roles['a'] == 'b'", "'a'", "the index is an int, not a string");
    wrong("principal.subject.x == 'b'", ".", "a string has no field `x`");
    wrong("principal.subject[0] == 'b'", "[", "a string has no elements");
    wrong("principal.roles.all(r, r)", "r", "the condition of a macro is a string, not a bool");
    wrong("principal.subject.all(r, true)", ".", "a string has no elements");
    wrong("request.https ? 'a' : 'b'", "?", "a policy is true or false, this is a string");
    wrong("true || 1 == 1", "||", "the policy reads nothing of the request: it is always the same");
}

#[test]
fn calls_that_never_fit_are_found() {
    wrong("principal.subject.startsWith()", "(", "`startsWith` takes other arguments");
    wrong("principal.subject.startsWith(1)", "1", "`startsWith` does not go with an int");
    wrong("principal.roles.startsWith('a')", "(", "`startsWith` does not go with a list");
    wrong("startsWith(principal.subject, 'a')", "(", "`startsWith` is called on a value");
    wrong("principal.subject.string() == 'a'", "(", "`string` is not called on a value");
    wrong("size(now) == 1", "now", "`size` does not go with a timestamp");
    wrong("now.getHours('Europe/Berln') > 1", "'Europe/Berln'", "there is no such time zone");
    wrong(
        "now > timestamp('tomorrow')",
        "'tomorrow'",
        "this is no time, such as `2026-01-31T00:00:00Z`",
    );
    wrong("now - now > duration('1 day')", "'1 day'", "this is no duration, such as `1h30m`");
    wrong("principal.subject.matches(claims.re)", ".", "the pattern of `matches` is not a literal");
    wrong("principal.subject.matches('(a')", "'(a'", "not a regular expression: unclosed group");
    let large = "principal.subject.matches('((a{100}){100}){100}')";
    assert_eq!(mistakes(large)[0].1, "the pattern is too large");
    wrong("principal.roles.map(r, r) == []", "(", "`map` is not in policies");
    wrong("principal.roles.all(r)", "(", "`all` takes other arguments");
    wrong("principal.roles.all(now, now == 'a')", "(", "`now` is a variable already");
    wrong("principal.subject == b'a'", "b'a'", "there are no bytes in policies");
    wrong("claims.x == Thing{a: 1}", "{", "there are no messages in policies");
}

#[test]
fn credentials_and_hearsay_are_not_for_policies() {
    for name in [
        "authorization",
        "cookie",
        "x-forwarded-for",
        "x_forwarded_for",
        "forwarded",
        "dpop",
        "proxy.authorization",
        "x-portcullis-identity",
    ] {
        let message = format!("no policy reads the field `{name}`");
        wrong(&format!("request.headers['{name}'] == 'x'"), "[", &message);
        wrong(&format!("'{name}' in request.headers"), "in", &message);
    }
    let message = "`X-Tenant`: names of fields are in lower case here";
    wrong("request.headers['X-Tenant'] == 'x'", "[", message);
    wrong("request.headers[claims.x] == 'x'", ".", "the name in `request.headers[…]` is a literal");
}

#[test]
fn nothing_large_or_deep_is_taken() {
    let deep = format!("{}now > now{}", "(".repeat(200), ")".repeat(200));
    assert!(compile(&deep).is_err());
    let chain = format!("claims{} == 1", ".a".repeat(900));
    assert!(mistakes(&chain).iter().any(|(_, text)| text == "the expression is too large"));
    let sum = format!("claims.a == 1{}", "+1".repeat(900));
    assert!(mistakes(&sum).iter().any(|(_, text)| text == "the expression is too large"));
    let list = format!("claims.a in [{}1]", "1,".repeat(900));
    assert_eq!(mistakes(&list).len(), 1);
    let nested = "claims.a.all(x, claims.b.all(y, claims.c.all(z, true)))";
    wrong(nested, "(", "more than 2 macros within each other");
}

#[test]
fn many_mistakes_show_at_once() {
    let found = mistakes("principle.x == 1 && principal.subject == 1 && nope(now)");
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn fields_and_parameters_that_a_policy_reads_are_told() {
    let text = "request.headers['x-api-key'] == 'a' || 'x-b' in request.headers || \
                request.query.token == 'a' || has(request.query.other)";
    let policy = compile(text).expect("a policy");
    for (name, reads) in [("x-api-key", true), ("x_b", true), ("x-c", false), ("token", false)] {
        assert_eq!(policy.reads_header(&HeaderName::from_static(name)), reads, "{name}");
    }
    for (name, reads) in [("token", true), ("Other", true), ("x-b", false)] {
        assert_eq!(policy.reads_parameter(name), reads, "{name}");
    }
}

#[test]
fn the_variables_of_the_path_that_a_policy_reads_are_told() {
    let policy = compile("path.a == path.b || principal == null").expect("a policy");
    assert_eq!(policy.path_variables().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((policy.name(), policy.origin()), ("rule", Origin(7)));
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "principal",
        ".subject",
        "claims",
        ".a",
        "path",
        ".user_id",
        "request",
        ".headers",
        "['x']",
        "now",
        "==",
        "!=",
        "&&",
        "||",
        "!",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "?",
        "'a'",
        "1",
        "1u",
        "1.5",
        "null",
        "true",
        " in ",
        "+",
        "-",
        "*",
        "/",
        "%",
        "<",
        ">=",
        ".all(x, x == 1)",
        ".exists(x, true)",
        ".filter(y, y)",
        ".map(z, z)",
        "has(",
        "size(",
        ".matches('a')",
        "é",
        ".getHours('UTC')",
        "\"",
        "'",
        "\\",
        "b'x'",
        "@1",
        "`a`",
        ".?a",
        "\n",
        "timestamp('x')",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever stands in the file, it is a policy or it has mistakes that point into it; and whatever
    /// is a policy can be asked.
    #[test]
    fn nothing_panics(text in prop_oneof![pieces(), any::<String>()]) {
        match compile(&text) {
            Ok(_) => drop(ask().of(&text)),
            Err(mistakes) => {
                prop_assert!(!mistakes.is_empty());
                for mistake in mistakes {
                    prop_assert!(text.get(mistake.at.clone()).is_some(), "{mistake:?}");
                    prop_assert_ne!(mistake.message, "the expression cannot be read");
                }
            }
        }
    }
}
