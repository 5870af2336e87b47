//! Requests of our own, in combinations: the kinds that public collections are thin on.

use super::case::Case;

/// The collection's name.
const SET: &str = "generated";

/// A field line that the request needs, and what follows the head.
const HOST: &str = "Host: localhost\r\n";

/// All of them.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |kind: &str, raw: Vec<u8>| {
        let id = format!("generated/{kind}#{}", cases.len());
        cases.push(Case::new(SET, id, raw));
    };
    chunks(&mut add);
    trailers(&mut add);
    lengths(&mut add);
    codings(&mut add);
    framing_pairs(&mut add);
    lines(&mut add);
    hosts(&mut add);
    targets(&mut add);
    request_lines(&mut add);
    fields(&mut add);
    pipelines(&mut add);
    cases
}

type Add<'a> = &'a mut dyn FnMut(&str, Vec<u8>);

fn post(fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let head = format!("POST /gen HTTP/1.1\r\n{HOST}{fields}\r\n");
    [head.as_bytes(), body.as_ref()].concat()
}

fn chunked(body: impl AsRef<[u8]>) -> Vec<u8> {
    post("Transfer-Encoding: chunked\r\n", body)
}

/// Every byte, where it changes what a line is.
fn all_bytes() -> impl Iterator<Item = u8> {
    (0..=0x20).chain([b'"', b';', b'=', b'\\', b',', 0x7f, 0x80, 0x85, 0xa0, 0xff])
}

fn chunks(add: Add<'_>) {
    for size in [
        "3",
        "03",
        "0000000003",
        "00000000000000003",
        "3 ",
        " 3",
        "3\t",
        "+3",
        "-3",
        "0x3",
        "3h",
        "3.0",
        "3_",
        "",
        "x",
        "0b11",
        "\u{b}3",
        "3\u{c}",
        "3\u{0}",
        "3,3",
        "3 3",
        "100000003",
        "10000000000000003",
        "FFFFFFFFFFFFFFFD",
        "fffffffffffffff3",
        "8000000000000003",
        "3\r",
        "\r3",
        "3;",
        "3; ",
        "3 ;a",
        "3;a ",
        "3; a",
        "3;a=",
        "3;a=b",
        "3;a= b",
        "3;a =b",
        "3;a=\"b\"",
        "3;a=\"b",
        "3;a=\"b\\",
        "3;a=\"b\\\"",
        "3;a=\"\\\"\"",
        "3;a=\"b\"c",
        "3;a;b;c",
        "3;;a",
        "3;=b",
        "3;a b",
        "3;a==b",
        "3;a=b=c",
        "3;a=b;c",
        "3;\"a\"",
        "3;a=\"b;c\"",
        "3;a=\"b\rc\"",
        "3;a=\"b\nc\"",
        "3;a\n",
        "3;\n",
        "3;a\rb",
        "3;a\r",
        "3;a=\u{80}",
        "3;a=\"\u{e9}\"",
        "3;a\0",
        "3;a=\"\r\n\"",
        "3;\r\nabc\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        for end in ["\r\n", "\n", "\r", "\r\r\n", "\n\r\n", " \r\n"] {
            add("chunk-size", chunked(format!("{size}{end}abc\r\n0\r\n\r\n")));
        }
        add("last-chunk", chunked(format!("3\r\nabc\r\n{}\r\n\r\n", size.replace('3', "0"))));
    }
    for end in ["\n", "\r", "", "\r\r\n", "\n\n", "X\r\n", " \r\n", "\0\r\n", "\r\n\r\n", "XX"] {
        add("chunk-end", chunked(format!("3\r\nabc{end}0\r\n\r\n")));
        add("chunk-end", chunked(format!("3\r\nabc\r\n0{end}\r\n")));
        add("body-end", chunked(format!("3\r\nabc\r\n0\r\n{end}")));
    }
    for byte in all_bytes() {
        for at in ["3@", "@3", "3;@", "3;a@", "3;a=@", "3;a=\"@\"", "3;a=b@"] {
            let (before, after) = at.split_once('@').unwrap_or_default();
            let body =
                [before.as_bytes(), &[byte], after.as_bytes(), b"\r\nabc\r\n0\r\n\r\n"].concat();
            add("chunk-byte", chunked(body));
        }
    }
    for length in [100, 255, 256, 257, 1_000, 20_000] {
        add("chunk-extension", chunked(format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(length))));
        add("chunk-extension", chunked(format!("3{}\r\nabc\r\n0\r\n\r\n", ";a".repeat(length))));
    }
}

fn trailers(add: Add<'_>) {
    for trailer in [
        "X: y",
        "X:",
        "X : y",
        " X: y",
        "X",
        ": y",
        "X: y\r\n z",
        "X: \u{1}",
        "X: y\rz",
        "X: y\nz: a",
        "X\0: y",
        "Content-Length: 3",
        "content-length: 0",
        "Transfer-Encoding: chunked",
        "transfer-encoding: x",
        "Host: evil.test",
        "Authorization: Bearer x",
        "Cookie: a=b",
        "X-Forwarded-For: 1.2.3.4",
        "Connection: close",
        "Trailer: X",
        "GET /evil HTTP/1.1",
        "GET /evil HTTP/1.1\r\nHost: localhost",
        "X: y\r\nX: z",
        "Upgrade: h2c",
        "X_Y: z",
        "Content_Length: 3",
        "Expect: 100-continue",
        "Content-Encoding: gzip",
        "Set-Cookie: a=b",
        "TE: trailers",
        "X: \u{e9}",
    ] {
        for (fields, end) in [
            ("", "\r\n\r\n"),
            ("Trailer: X\r\n", "\r\n\r\n"),
            ("", "\n\n"),
            ("", "\r\n\n"),
            ("", "\n\r\n"),
        ] {
            let fields = format!("{fields}Transfer-Encoding: chunked\r\n");
            add("trailer", post(&fields, format!("3\r\nabc\r\n0\r\n{trailer}{end}")));
        }
    }
    for count in [50, 101, 1_000, 3_000] {
        add("trailers", chunked(format!("0\r\n{}\r\n", "x: y\r\n".repeat(count))));
    }
}

fn lengths(add: Add<'_>) {
    for value in [
        "3",
        "03",
        "003",
        "+3",
        "-3",
        "-0",
        "3.0",
        "3e0",
        "0x3",
        "3 3",
        "3,3",
        "3, 3",
        "3;3",
        "3 ;",
        "\"3\"",
        "",
        " ",
        "3\t",
        "\u{b}3",
        "3\u{c}",
        "\u{a0}3",
        "3\u{a0}",
        "3_0",
        "1_",
        "٣",
        "³",
        "four",
        "3\0",
        "\03",
        "3\r",
        "3\n",
        "3\r\n 0",
        "3,",
        ",3",
        ",",
        "0,3",
        "3,0",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551619",
        "36893488147419103235",
        "99999999999999999999999999",
        "4294967299",
        "00000000000000000000000000000003",
        "3 \t",
        "3;a=b",
        "3#",
        "NaN",
        "true",
    ] {
        for method in ["POST", "GET", "DELETE", "HEAD", "OPTIONS"] {
            let raw = format!("{method} /gen HTTP/1.1\r\n{HOST}Content-Length: {value}\r\n\r\nabc");
            add("length", raw.into_bytes());
        }
    }
    for (first, second) in [
        ("3", "3"),
        ("3", "0"),
        ("0", "3"),
        ("3", ""),
        ("", "3"),
        ("3", "03"),
        ("3", "x"),
        ("+3", "3"),
    ] {
        for name in [
            "Content-Length",
            "content-length",
            "CONTENT-LENGTH",
            "Content_Length",
            "Content-Length ",
            " Content-Length",
            "Content-Length\t",
            "Content-Length\0",
            "\u{b}Content-Length",
            "Content--Length",
            "Content Length",
            "Content-Lengt\u{200b}h",
        ] {
            add(
                "two-lengths",
                post(&format!("Content-Length: {first}\r\n{name}: {second}\r\n"), "abc"),
            );
            add(
                "two-lengths",
                post(&format!("{name}: {second}\r\nContent-Length: {first}\r\n"), "abc"),
            );
        }
    }
}

const CODINGS: [&str; 44] = [
    "chunked",
    "Chunked",
    "CHUNKED",
    "chunked ",
    " chunked",
    "\tchunked",
    "chunked\t",
    "\u{b}chunked",
    "chunked\u{c}",
    "chunked,",
    ",chunked",
    ", chunked",
    "chunked,,",
    "chunked, ",
    "chunked;",
    "chunked;a=b",
    "chunked ;a",
    "\"chunked\"",
    "'chunked'",
    "chunked, chunked",
    "chunked,identity",
    "identity",
    "identity, chunked",
    "gzip",
    "gzip, chunked",
    "chunked, gzip",
    "xchunked",
    "chunkedx",
    "chunk",
    "chunked\0",
    "\0chunked",
    "chunked\r",
    "chunked\n",
    "chunked\r\n ",
    "\r\n chunked",
    "",
    "x",
    "x, chunked",
    "deflate,chunked",
    "chunked chunked",
    "chun\u{212a}ed",
    "\u{a0}chunked",
    "chunked\u{a0}",
    "none",
];

fn codings(add: Add<'_>) {
    for coding in CODINGS {
        for version in ["1.1", "1.0"] {
            let raw = format!(
                "POST /gen HTTP/{version}\r\n{HOST}Transfer-Encoding: {coding}\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            );
            add("coding", raw.into_bytes());
        }
        let raw =
            format!("GET /gen HTTP/1.1\r\n{HOST}Transfer-Encoding: {coding}\r\n\r\n0\r\n\r\n");
        add("coding", raw.into_bytes());
    }
    for name in [
        "Transfer_Encoding",
        "Transfer-Encoding ",
        "Transfer-Encoding\t",
        " Transfer-Encoding",
        "\tTransfer-Encoding",
        "Transfer-Encoding\0",
        "Transfer\u{b}-Encoding",
        "Transfer-Encoding\u{a0}",
        "TRANSFER-ENCODING",
        "transfer-encoding",
        "Transfer--Encoding",
        "Transfer Encoding",
        "Transfer-Encoding:",
        "X\nTransfer-Encoding",
        "X\rTransfer-Encoding",
        "X: y\nTransfer-Encoding",
        "X: y\rTransfer-Encoding",
        ":Transfer-Encoding",
        "(Transfer-Encoding)",
        "\"Transfer-Encoding\"",
        "Tran\u{17f}fer-Encoding",
        "Transfer\u{2010}Encoding",
        "Transfer.Encoding",
        "Transfer/Encoding",
    ] {
        add("coding-name", post(&format!("{name}: chunked\r\n"), "3\r\nabc\r\n0\r\n\r\n"));
        add(
            "coding-name",
            post(&format!("{name}: chunked\r\nContent-Length: 3\r\n"), "0\r\n\r\nX"),
        );
        add(
            "coding-name",
            post(&format!("Content-Length: 3\r\n{name}: chunked\r\n"), "0\r\n\r\nX"),
        );
        add(
            "coding-name",
            post(&format!("Transfer-Encoding: chunked\r\n{name}: identity\r\n"), "0\r\n\r\n"),
        );
    }
}

fn framing_pairs(add: Add<'_>) {
    for coding in CODINGS {
        for length in ["0", "3", "5", "6"] {
            add(
                "both",
                post(
                    &format!("Content-Length: {length}\r\nTransfer-Encoding: {coding}\r\n"),
                    "0\r\n\r\nG",
                ),
            );
            add(
                "both",
                post(
                    &format!("Transfer-Encoding: {coding}\r\nContent-Length: {length}\r\n"),
                    "0\r\n\r\nG",
                ),
            );
        }
        add(
            "two-codings",
            post(
                &format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: {coding}\r\n"),
                "0\r\n\r\n",
            ),
        );
        add(
            "two-codings",
            post(
                &format!("Transfer-Encoding: {coding}\r\nTransfer-Encoding: chunked\r\n"),
                "0\r\n\r\n",
            ),
        );
    }
}

fn lines(add: Add<'_>) {
    for byte in all_bytes() {
        for shape in [
            "G@ET /gen HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET@/gen HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET /g@n HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET /gen@HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET /gen HTTP@/1.1\r\nHost: localhost\r\n\r\n",
            "GET /gen HTTP/1.1@\r\nHost: localhost\r\n\r\n",
            "GET /gen HTTP/1.1\r\n@Host: localhost\r\n\r\n",
            "GET /gen HTTP/1.1\r\nHost@: localhost\r\n\r\n",
            "GET /gen HTTP/1.1\r\nHost:@localhost\r\n\r\n",
            "GET /gen HTTP/1.1\r\nHost: localhost@\r\n\r\n",
            "GET /gen HTTP/1.1\r\nHost: local@host\r\n\r\n",
            "GET /gen HTTP/1.1\r\nHost: localhost\r\nX@Y: z\r\n\r\n",
            "GET /gen HTTP/1.1\r\nHost: localhost\r\nX: y@z\r\n\r\n",
            "GET /gen HTTP/1.1\r\nHost: localhost\r\n@\r\n\r\n",
            "@GET /gen HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET @/gen HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET /gen HTTP/1.1\r\nHost: localhost\r\nCookie: a@b\r\n\r\n",
            "GET /gen?a@b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ] {
            let (before, after) = shape.split_once('@').unwrap_or_default();
            add("byte", [before.as_bytes(), &[byte], after.as_bytes()].concat());
        }
    }
    for end in ["\n", "\r", "\r\r\n", "\n\r", "\u{85}", "\r\n\r", " \r\n"] {
        add("line-end", format!("GET /gen HTTP/1.1{end}Host: localhost\r\n\r\n").into_bytes());
        add("line-end", format!("GET /gen HTTP/1.1\r\nHost: localhost{end}\r\n").into_bytes());
        add(
            "line-end",
            format!("GET /gen HTTP/1.1\r\nHost: localhost\r\nX: y{end}Z: w\r\n\r\n").into_bytes(),
        );
        add("line-end", format!("GET /gen HTTP/1.1\r\nHost: localhost\r\n{end}").into_bytes());
    }
    for start in ["\r\n", "\n", "\r", "\r\n\r\n", " ", "\t", "\0", "\u{feff}"] {
        add(
            "line-start",
            format!("{start}GET /gen HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes(),
        );
        add(
            "fold",
            format!("GET /gen HTTP/1.1\r\nHost: localhost\r\nX: y\r\n{start}z\r\n\r\n")
                .into_bytes(),
        );
        add("fold", format!("GET /gen HTTP/1.1\r\n{start}Host: localhost\r\n\r\n").into_bytes());
        add("fold", format!("GET /gen HTTP/1.1\r\nHost:\r\n{start}localhost\r\n\r\n").into_bytes());
    }
}

fn hosts(add: Add<'_>) {
    for host in [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "localhost:80",
        "localhost:",
        "localhost:0",
        "localhost:65536",
        "localhost:080",
        "localhost:8 0",
        "localhost:-1",
        "localhost:80:80",
        ":80",
        "",
        " ",
        "a@localhost",
        "localhost@a",
        "a:b@localhost",
        "localhost/",
        "localhost/x",
        "localhost?x",
        "localhost#x",
        "http://localhost",
        "//localhost",
        "localhost, evil.test",
        "localhost evil.test",
        "evil.test, localhost",
        "localhost;a",
        "localhost\\evil",
        "%6cocalhost",
        "localhost%00",
        "localhost%2f",
        "[::1]",
        "[::1]:80",
        "[::1",
        "::1",
        "[::1%25eth0]",
        "[v1.x]",
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "localhost\u{a0}",
        "l\u{f6}calhost",
        "xn--lcalhost-n4a",
        "\"localhost\"",
        "<localhost>",
        "(localhost)",
        "*",
        "*.localhost",
        "a..b",
        ".localhost",
        "-localhost",
        "local_host",
        "localhost\t",
        "localhost|x",
        "localhost^",
        "localhost`",
        "{localhost}",
        "localhost'",
        "localhost=",
        "localhost!",
        "localhost~",
        "localhost$",
        "localhost&",
        "localhost+",
        "unix:/x",
        "localhost:http",
        "localhost:８０",
    ] {
        add("host", format!("GET /gen HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes());
        add("host", format!("GET /gen HTTP/1.0\r\nHost: {host}\r\n\r\n").into_bytes());
        add(
            "absolute",
            format!("GET http://{host}/gen HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(),
        );
        add("absolute", format!("GET http://{host}/gen HTTP/1.1\r\n{HOST}\r\n").into_bytes());
        add(
            "absolute",
            format!("GET http://localhost/gen HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(),
        );
        add("two-hosts", format!("GET /gen HTTP/1.1\r\n{HOST}Host: {host}\r\n\r\n").into_bytes());
        add(
            "two-hosts",
            format!("GET /gen HTTP/1.1\r\nHost: {host}\r\nhost: localhost\r\n\r\n").into_bytes(),
        );
    }
    for fields in [
        "",
        "host:localhost\r\n",
        "HOST: localhost\r\n",
        "Host : localhost\r\n",
        " Host: localhost\r\n",
        "Host: localhost\r\nHost : a\r\n",
        "Host: localhost\r\n Host: a\r\n",
        "X: y\r\n Host: localhost\r\n",
        "Ho_st: localhost\r\n",
    ] {
        for version in ["1.1", "1.0"] {
            add("host-field", format!("GET /gen HTTP/{version}\r\n{fields}\r\n").into_bytes());
        }
    }
}

fn targets(add: Add<'_>) {
    for target in [
        "/",
        "//",
        "//evil.test",
        "///",
        "/a//b",
        "/./a",
        "/a/../b",
        "/../../etc/passwd",
        "/a/..",
        "/a/.",
        "/..;/a",
        "/a;b=c/d",
        "/%2e%2e/a",
        "/%2E/a",
        "/%252e/a",
        "/a%2fb",
        "/a%5cb",
        "/a\\b",
        "/%00",
        "/a%00b",
        "/%0d%0aX:y",
        "/%zz",
        "/%",
        "/%1",
        "/%u002f",
        "/%c0%af",
        "/\u{e9}",
        "/a b",
        "/a\tb",
        "/#x",
        "/a#b",
        "/?#",
        "/?",
        "/??",
        "/?a=b?c",
        "/?a=%0d%0a",
        "/a?b#c",
        "/|",
        "/{a}",
        "/[a]",
        "/^",
        "/`",
        "/\"a\"",
        "/<a>",
        "/a|b?c|d",
        "/?{}[]|^`\\\"<>",
        "*",
        "/*",
        "x",
        "gen",
        "?a",
        "#a",
        "",
        ".",
        "..",
        "../a",
        "localhost",
        "localhost:80",
        "@localhost/",
        ":80/",
        "http:/gen",
        "http:gen",
        "http:///gen",
        "http://",
        "http://localhost",
        "http://localhost/",
        "http://localhost?x",
        "http://localhost?x/y",
        "http://localhost#x",
        "http://localhost/#x",
        "HTTP://localhost/gen",
        "hTTp://LOCALHOST/gen",
        "https://localhost/gen",
        "ftp://localhost/gen",
        "ws://localhost/gen",
        "file:///etc/passwd",
        "javascript:x",
        "http://localhost:80/gen",
        "http://localhost:/gen",
        "http://localhost:99999/gen",
        "http://a@localhost/gen",
        "http://a:b@localhost/gen",
        "http://localhost@evil.test/gen",
        "http://localhost\\@evil.test/",
        "http://evil.test/gen",
        "http://localhost//gen",
        "http://localhost/../gen",
        "http://[::1]/gen",
        "http://localhost/a b",
        "http:// localhost/",
        "http://localhost /",
        "//localhost/gen",
        "http:\\\\localhost\\gen",
        "urn:a:b",
        "data:,x",
        "/http://evil.test/",
        "/gen HTTP/1.1",
        "/gen%20HTTP/1.1",
        "/gen\u{b}x",
        "/gen\u{a0}x",
    ] {
        for method in ["GET", "OPTIONS", "POST", "CONNECT"] {
            add("target", format!("{method} {target} HTTP/1.1\r\n{HOST}\r\n").into_bytes());
        }
        add("target", format!("GET {target} HTTP/1.0\r\n{HOST}\r\n").into_bytes());
    }
    for length in [1_000, 8_000, 8_192, 9_000, 40_000] {
        add(
            "target-size",
            format!("GET /{} HTTP/1.1\r\n{HOST}\r\n", "a".repeat(length)).into_bytes(),
        );
        add(
            "target-size",
            format!("GET http://localhost/{} HTTP/1.1\r\n{HOST}\r\n", "a".repeat(length))
                .into_bytes(),
        );
    }
}

fn request_lines(add: Add<'_>) {
    for version in [
        "HTTP/1.1",
        "HTTP/1.0",
        "HTTP/0.9",
        "HTTP/1.2",
        "HTTP/1.9",
        "HTTP/2.0",
        "HTTP/2",
        "HTTP/3",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/1.1.1",
        "HTTP/11.1",
        "HTTP/1.10",
        "HTTP/01.1",
        "HTTP/1.01",
        "HTTP/1,1",
        "HTTP/1.1x",
        "HTTP/-1.1",
        "HTTP /1.1",
        "HTTP/ 1.1",
        "HTTP/1 .1",
        "http/1.1",
        "Http/1.1",
        "HTTPS/1.1",
        "ICY/1.1",
        "RTSP/1.0",
        "HTTP/A.B",
        "HTTP/1.\u{661}",
        "HTTP\\1.1",
        "HTTP/1.1 HTTP/1.1",
        "",
        "HTTP",
        "1.1",
        "SIP/2.0",
    ] {
        add("version", format!("GET /gen {version}\r\n{HOST}\r\n").into_bytes());
        add(
            "version",
            format!("POST /gen {version}\r\n{HOST}Content-Length: 3\r\n\r\nabc").into_bytes(),
        );
        add(
            "version",
            format!("POST /gen {version}\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
                .into_bytes(),
        );
    }
    for method in [
        "GET",
        "get",
        "Get",
        "gET",
        "HEAD",
        "POST",
        "PUT",
        "DELETE",
        "OPTIONS",
        "PATCH",
        "TRACE",
        "CONNECT",
        "PRI",
        "PROPFIND",
        "M-SEARCH",
        "SOURCE",
        "QUERY",
        "FOO",
        "G",
        "GETGET",
        "GET;",
        "GET,",
        "GET/",
        "(GET)",
        "\"GET\"",
        "GET:",
        "G-T",
        "G_T",
        "G.T",
        "!#$%&'*+-.^_`|~",
        "1",
        "\u{e9}",
        "GET\0",
        "GET\u{b}",
        "",
        "TRACK",
        "DEBUG",
        "PURGE",
        "VERY-LONG-METHOD-NAME-OF-MORE-THAN-THIRTY-TWO-BYTES",
        "GET?",
        "HTTP/1.1",
        "GET\t",
        "*",
        "-",
    ] {
        add("method", format!("{method} /gen HTTP/1.1\r\n{HOST}\r\n").into_bytes());
        add(
            "method",
            format!("{method} /gen HTTP/1.1\r\n{HOST}Content-Length: 3\r\n\r\nabc").into_bytes(),
        );
        add("method", format!("{method} /gen HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n").into_bytes());
        add("method", format!("{method} /gen HTTP/1.0\r\n{HOST}\r\n").into_bytes());
    }
    for line in [
        "GET",
        "GET ",
        "GET /gen",
        "GET /gen ",
        "/gen HTTP/1.1",
        " /gen HTTP/1.1",
        "GET /gen  HTTP/1.1",
        "GET  /gen HTTP/1.1",
        "GET /gen HTTP/1.1 ",
        "GET /gen HTTP/1.1 x",
        "GET\t/gen\tHTTP/1.1",
        "GET /gen\tHTTP/1.1",
        "GET\u{a0}/gen HTTP/1.1",
        "GET /gen?HTTP/1.1",
        "GET /a /b HTTP/1.1",
        "GET: /gen HTTP/1.1",
        "HTTP/1.1 200 OK",
        "PRI * HTTP/2.0",
    ] {
        add("request-line", format!("{line}\r\n{HOST}\r\n").into_bytes());
        add("request-line", format!("{line}\r\n\r\n").into_bytes());
    }
}

fn fields(add: Add<'_>) {
    for name in [
        "X-Plain",
        "x",
        "X_Y",
        "X.Y",
        "X Y",
        "X:Y",
        "X(Y)",
        "X/Y",
        "X@Y",
        "X[Y]",
        "X{Y}",
        "X\\Y",
        "X\"Y\"",
        "X,Y",
        "X;Y",
        "X=Y",
        "X?Y",
        "X<Y>",
        "",
        "X\u{e9}",
        "!#$%&'*+-.^_`|~1",
        "X\t",
        "X\0",
        "1",
        "-",
        "_",
        ":path",
        ":authority",
        "Host_",
        "Content-Length-",
        "Proxy",
        "Http",
        "Status",
    ] {
        for value in ["", "y", "\u{1}", "\u{7f}", "\u{e9}", "y\0z", "y\u{b}z", "y\u{8}"] {
            add(
                "field",
                format!("GET /gen HTTP/1.1\r\n{HOST}{name}: {value}\r\n\r\n").into_bytes(),
            );
        }
    }
    for nominated in [
        "close",
        "keep-alive",
        "Host",
        "host",
        "Content-Length",
        "content_length",
        "Transfer-Encoding",
        "TE",
        "Authorization",
        "Cookie",
        "X-Forwarded-For",
        "Forwarded",
        "Connection",
        "Upgrade",
        "close, Host",
        "a, Content-Length",
        "Content-Length,Transfer-Encoding",
        "x y",
        "\"Host\"",
        "Host;q=1",
        ",",
        "",
        "close\0",
        "close\u{b}",
        "Expect",
        "Trailer",
        "Via",
        "X-Request-Id",
        "Date",
        "Cache-Control",
        "Max-Forwards",
    ] {
        add(
            "connection",
            post(&format!("Connection: {nominated}\r\nContent-Length: 3\r\n"), "abc"),
        );
        add(
            "connection",
            post(
                &format!("Connection: {nominated}\r\nTransfer-Encoding: chunked\r\n"),
                "3\r\nabc\r\n0\r\n\r\n",
            ),
        );
        add(
            "connection",
            post(
                &format!("Content-Length: 3\r\nKeep-Alive: x\r\nProxy-Connection: {nominated}\r\n"),
                "abc",
            ),
        );
        add(
            "connection",
            post(
                &format!("Connection: close\r\nConnection: {nominated}\r\nContent-Length: 3\r\n"),
                "abc",
            ),
        );
    }
    for expect in [
        "100-continue",
        "100-Continue",
        "100-continue, 100-continue",
        "x",
        "",
        "100-continue;a=b",
        "200-ok",
        "100-continue\r\nExpect: 100-continue",
        " 100-continue",
        "\"100-continue\"",
    ] {
        add("expect", post(&format!("Expect: {expect}\r\nContent-Length: 3\r\n"), "abc"));
        add(
            "expect",
            post(
                &format!("Expect: {expect}\r\nTransfer-Encoding: chunked\r\n"),
                "3\r\nabc\r\n0\r\n\r\n",
            ),
        );
        add("expect", format!("GET /gen HTTP/1.1\r\n{HOST}Expect: {expect}\r\n\r\n").into_bytes());
        add(
            "expect",
            format!("POST /gen HTTP/1.0\r\n{HOST}Expect: {expect}\r\nContent-Length: 3\r\n\r\nabc")
                .into_bytes(),
        );
    }
    for upgrade in ["websocket", "h2c", "HTTP/2.0", "TLS/1.0", "websocket, h2c", "", "x"] {
        for connection in ["Upgrade", "upgrade, HTTP2-Settings", "close", "Upgrade, close"] {
            let fields = format!("Connection: {connection}\r\nUpgrade: {upgrade}\r\n");
            add(
                "upgrade",
                format!(
                    "GET /gen HTTP/1.1\r\n{HOST}{fields}HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
                )
                .into_bytes(),
            );
            add("upgrade", post(&format!("{fields}Content-Length: 3\r\n"), "abc"));
            add(
                "upgrade",
                post(
                    &format!(
                        "{fields}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nTransfer-Encoding: chunked\r\n"
                    ),
                    "3\r\nabc\r\n0\r\n\r\n",
                ),
            );
            let more = format!(
                "{fields}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            );
            add(
                "upgrade",
                format!("GET /gen HTTP/1.1\r\n{HOST}{more}\r\nGET /behind HTTP/1.1\r\n{HOST}\r\n")
                    .into_bytes(),
            );
        }
    }
    for te in ["trailers", "chunked", "trailers, deflate;q=0.5", "", "identity"] {
        add(
            "te",
            format!("GET /gen HTTP/1.1\r\n{HOST}TE: {te}\r\nConnection: TE\r\n\r\n").into_bytes(),
        );
    }
    for count in [90, 101, 300, 2_000] {
        add(
            "field-count",
            format!("GET /gen HTTP/1.1\r\n{HOST}{}\r\n", "x: y\r\n".repeat(count)).into_bytes(),
        );
        add(
            "field-size",
            format!("GET /gen HTTP/1.1\r\n{HOST}x: {}\r\n\r\n", "y".repeat(count * 20))
                .into_bytes(),
        );
    }
}

fn pipelines(add: Add<'_>) {
    let get = format!("GET /second HTTP/1.1\r\n{HOST}\r\n");
    let firsts = [
        format!("GET /gen HTTP/1.1\r\n{HOST}\r\n"),
        format!("HEAD /gen HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET /gen HTTP/1.0\r\n{HOST}\r\n"),
        format!("GET /gen HTTP/1.0\r\n{HOST}Connection: keep-alive\r\n\r\n"),
        format!("GET /gen HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n"),
        format!("GET /gen HTTP/1.1\r\n{HOST}Content-Length: 0\r\n\r\n"),
        format!("GET /gen HTTP/1.1\r\n{HOST}Content-Length: 3\r\n\r\nabc"),
        format!("POST /gen HTTP/1.1\r\n{HOST}\r\n"),
        format!("POST /gen HTTP/1.1\r\n{HOST}Content-Length: 3\r\n\r\nabc"),
        format!("POST /gen HTTP/1.1\r\n{HOST}Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc"),
        format!("POST /gen HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!(
            "POST /gen HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0\r\nX: y\r\n\r\n"
        ),
        format!(
            "DELETE /gen HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        ),
        format!("OPTIONS /gen HTTP/1.1\r\n{HOST}Content-Length: 3\r\n\r\nabc"),
    ];
    for first in &firsts {
        for between in ["", "\r\n", "\n", "\r\n\r\n", " ", "\0", "X", "abc\r\n"] {
            add("pair", format!("{first}{between}{get}").into_bytes());
        }
        for second in &firsts {
            add("pair", format!("{first}{}", second.replace("/gen", "/second")).into_bytes());
        }
        add("pair", format!("{first}GET /cut HTTP/1.1\r\nHost: local").into_bytes());
        add("pair", first.repeat(5).into_bytes());
    }
}
