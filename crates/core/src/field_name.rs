//! Names of fields as servers in the manner of CGI read them (RFC 3875 §4.1.18): any sign in a name is
//! the same as `-`, so that `x_user` and `x.user` are `x-user` to some app.

use std::borrow::Cow;

use http::HeaderName;

/// The one name that stands for all spellings of `name`: lower case, `-` for every sign.
pub fn folded(name: &HeaderName) -> Cow<'_, str> {
    let text = name.as_str();
    let is_odd = |c: char| !c.is_ascii_alphanumeric() && c != '-';
    if text.contains(is_odd) { text.replace(is_odd, "-").into() } else { text.into() }
}

/// Whether both names are the same to such a server. Allocates nothing.
pub fn is_same(one: &HeaderName, other: &HeaderName) -> bool {
    let (one, other) = (one.as_str().as_bytes(), other.as_str().as_bytes());
    let same =
        |(a, b): (&u8, &u8)| a == b || !a.is_ascii_alphanumeric() && !b.is_ascii_alphanumeric();
    one.len() == other.len() && one.iter().zip(other).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_other_signs_are_one_name() {
        let name = |text: &str| HeaderName::try_from(text).unwrap();
        for spelling in ["x-api-key", "X_Api_Key", "x.api-key", "x!api+key"] {
            assert_eq!(folded(&name(spelling)), "x-api-key");
            assert!(is_same(&name(spelling), &name("x-api-key")), "{spelling}");
        }
        for other in ["x-api-keys", "xx-api-ke", "x-apilkey", "xapikey"] {
            assert_ne!(folded(&name(other)), "x-api-key");
            assert!(!is_same(&name(other), &name("x-api-key")), "{other}");
        }
    }
}
