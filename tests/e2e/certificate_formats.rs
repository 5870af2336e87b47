//! Which files make a pair, as OpenSSL writes them, and which are refused by name.

use std::path::Path;
use std::time::Duration;

use portcullis_testkit::process::run;
use portcullis_testkit::{Launch, tools};

use crate::world::bare;

const CONFIG: &str = r#"
version: 1
listeners: [{name: https, address: "127.0.0.1:0"}]
certificates:
  files: [{certificate: tls.crt, key: {file: tls.key}}]
hosts: [api.test]
upstreams: [{name: u, endpoints: ["http://127.0.0.1:9"]}]
routes: [{name: x, path: /x, access: public, forward: {upstream: u}}]
"#;

/// Runs lines of shell in the folder of the files.
#[track_caller]
fn shell(folder: &Path, lines: &str) {
    let done = run(Path::new("sh"), &["-ec", lines], folder, &[], "", Duration::from_mins(1));
    assert_eq!(done.code, 0, "{lines}: {}", done.stderr);
}

/// What `check` says of the files that `lines` make; `None` where OpenSSL is missing.
fn judged(lines: &str) -> Option<(i32, String)> {
    tools::program("openssl")?;
    let launch: Launch = bare(CONFIG);
    let functions = r#"
        signed() { openssl req -x509 -key tls.key -out tls.crt -days 30 -subj /CN=api.test \
                     -addext subjectAltName=DNS:api.test "$@"; }
        ec() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:$1 -out tls.key; }
        rsa() { openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:$1 -out tls.key; }
    "#;
    shell(launch.folder(), &format!("{functions}\n{lines}"));
    let done = launch.command(&["check"]);
    Some((done.code, done.stdout + &done.stderr))
}

#[track_caller]
fn taken(lines: &str) {
    let Some((code, said)) = judged(lines) else { return };
    assert_eq!(code, 0, "{lines}: {said}");
}

#[track_caller]
fn refused(lines: &str, part: &str) {
    let Some((code, said)) = judged(lines) else { return };
    assert_eq!(code, 1, "{lines}: {said}");
    assert!(said.contains(part), "{lines}: {said}");
    assert!(said.contains("gateway.yaml:5"), "{lines}: {said}");
}

#[test]
fn keys_are_taken_in_every_form() {
    taken("ec P-256; signed");
    taken("ec P-384; signed");
    taken("ec P-521; signed");
    taken("openssl genpkey -algorithm ED25519 -out tls.key; signed");
    taken("rsa 2048; signed");
    // PKCS #1 and SEC 1, the latter with its parameters before it.
    taken("rsa 2048; signed; openssl rsa -in tls.key -traditional -out k; mv k tls.key");
    taken("openssl ecparam -name prime256v1 -genkey -out tls.key; signed");
    taken("openssl ecparam -name prime256v1 -genkey -noout -out tls.key; signed");
}

#[test]
fn files_may_have_more_in_them() {
    taken("ec P-256; signed; openssl x509 -in tls.crt -text -out c; mv c tls.crt");
    taken("ec P-256; signed; sed -i 's/$/\\r/' tls.crt tls.key");
    taken("ec P-256; signed; printf '\\357\\273\\277' | cat - tls.crt > c; mv c tls.crt");
    // One file for both, as HAProxy has it.
    taken("ec P-256; signed; cat tls.key tls.crt > both; cp both tls.key; mv both tls.crt");
    taken("ec P-256; signed; cat tls.crt tls.key > both; cp both tls.key; mv both tls.crt");
    // A chain with its root.
    taken(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=root; \
         ec P-256; signed -CA ca.crt -CAkey ca.key; cat ca.crt >> tls.crt",
    );
}

#[test]
fn keys_that_cannot_be_used_are_named() {
    let passphrase = "protected by a passphrase";
    refused(
        "ec P-256; signed; openssl pkey -in tls.key -aes256 -passout pass:x -out k; mv k tls.key",
        passphrase,
    );
    refused(
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out tls.key; signed; \
         openssl ec -in tls.key -aes256 -passout pass:x -out k; mv k tls.key",
        passphrase,
    );
    refused("ec secp256k1; signed", "private key");
    refused("ec P-256; signed; openssl pkey -in tls.key -outform DER -out k; mv k tls.key", "PEM");
    refused(
        "ec P-256; signed; openssl x509 -in tls.crt -outform DER -out c; mv c tls.crt",
        "certificate",
    );
    refused("ec P-256; signed; mv tls.crt c; mv tls.key tls.crt; mv c tls.key", "certificate");
    // The authority before the leaf.
    refused(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=root \
           -addext subjectAltName=DNS:ca.test; \
         ec P-256; signed -CA ca.crt -CAkey ca.key; cat ca.crt tls.crt > c; mv c tls.crt",
        "does not belong to the first certificate",
    );
    refused("rm -f tls.key tls.crt; mkfifo tls.crt; ec P-256", "not a regular file");
    refused("ec P-256; signed; : > tls.key", "private key");
}

#[test]
fn what_is_too_weak_is_refused() {
    refused("rsa 1024; signed", "1024 bits");
    refused("rsa 2048; signed -sha1", "SHA-1");
    refused("rsa 2048; signed -md5", "MD5");
    refused("ec P-256; signed -sha1", "SHA-1");
    let intermediate = |how: &str| {
        format!(
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout r.key -out r.crt -subj /CN=root; \
             openssl req -x509 -newkey rsa:2048 -nodes -keyout i.key -out i.crt -subj /CN=middle \
               -CA r.crt -CAkey r.key {how}; \
             ec P-256; signed -CA i.crt -CAkey i.key; cat i.crt >> tls.crt"
        )
    };
    taken(&intermediate(""));
    refused(&intermediate("-sha1"), "middle");
    // Nobody checks how a root is signed by itself.
    taken(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=root -sha1; \
         ec P-256; signed -CA ca.crt -CAkey ca.key; cat ca.crt >> tls.crt",
    );
}

#[test]
fn what_is_not_for_servers_or_names_is_refused() {
    taken("ec P-256; signed -addext extendedKeyUsage=serverAuth,clientAuth");
    taken("ec P-256; signed -addext extendedKeyUsage=anyExtendedKeyUsage");
    refused("ec P-256; signed -addext extendedKeyUsage=clientAuth", "not for servers");
    refused(
        "ec P-256; openssl req -x509 -key tls.key -out tls.crt -days 30 -subj /CN=api.test",
        "no DNS name",
    );
    refused(
        "ec P-256; openssl req -x509 -key tls.key -out tls.crt -days 30 -subj /CN=api.test \
           -addext subjectAltName=email:a@api.test",
        "no DNS name",
    );
}
