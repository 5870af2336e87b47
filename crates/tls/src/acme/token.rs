//! The authority's tokens, and the path that they are asked for under.

/// Longest token that is looked up, in bytes. Authorities use 22 to 64.
const LONGEST: usize = 256;

/// What stands before the token in the path of an `http-01` request (RFC 8555 §8.3).
const PREFIX: &str = "/.well-known/acme-challenge/";

/// Whether `text` has the form of a token: base64url without padding (RFC 8555 §8.3).
pub(super) fn is_token(text: &str) -> bool {
    let of_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.len() <= LONGEST && text.bytes().all(of_alphabet)
}

/// The token that `path` asks for, byte for byte as it was received: no other spelling of the path
/// is one, so that nothing needs to be decoded.
pub fn token_of(path: &str) -> Option<&str> {
    path.strip_prefix(PREFIX).filter(|token| is_token(token))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";

    #[test]
    fn only_the_exact_path_asks_for_a_token() {
        assert_eq!(token_of(&format!("{PREFIX}{TOKEN}")), Some(TOKEN));
        assert_eq!(token_of(&format!("{PREFIX}a-_Z9")), Some("a-_Z9"));
        for other in [
            String::new(),
            "/".to_owned(),
            PREFIX.to_owned(),
            format!("{PREFIX}{TOKEN}/"),
            format!("{PREFIX}/{TOKEN}"),
            format!("/{PREFIX}{TOKEN}"),
            format!("{PREFIX}../../etc/passwd"),
            format!("{PREFIX}../acme-challenge/{TOKEN}"),
            format!("{PREFIX}..%2f{TOKEN}"),
            format!("{PREFIX}%2e%2e/{TOKEN}"),
            format!("{PREFIX}{TOKEN}%00"),
            format!("{PREFIX}{TOKEN}="),
            format!("{PREFIX}{TOKEN};v=1"),
            format!("{PREFIX}{TOKEN}?x=1"),
            format!("{PREFIX}*"),
            format!("/.Well-Known/acme-challenge/{TOKEN}"),
            format!("/.well-known/acme-challenge%2f{TOKEN}"),
            format!("/x{PREFIX}{TOKEN}"),
            format!("{PREFIX}{}", "a".repeat(LONGEST + 1)),
        ] {
            assert_eq!(token_of(&other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_one_plain_segment(path in "(/\\.well-known/acme-challenge/)?.{0,300}") {
            if let Some(token) = token_of(&path) {
                prop_assert_eq!(format!("{PREFIX}{token}"), path.as_str());
                prop_assert!(token.len() <= LONGEST && !token.is_empty());
                prop_assert!(!token.contains(['/', '.', '%', '\\', '?', '#', ';', '\0', ' ']));
                prop_assert!(token.is_ascii());
            }
        }

        #[test]
        fn every_token_is_taken(token in "[A-Za-z0-9_-]{1,256}") {
            let path = format!("{PREFIX}{token}");
            prop_assert_eq!(token_of(&path), Some(token.as_str()));
        }
    }
}
