//! Media types a route takes, compared by type and subtype (RFC 9110 §8.3.1).

/// `type/subtype` in lower case, or `type/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType(Box<str>);

impl MediaType {
    /// Parses an entry of the file. `None` if it is not `type/subtype` or `type/*`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, subtype) = text.split_once('/')?;
        let is_token = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
        };
        (is_token(kind) && (subtype == "*" || is_token(subtype)))
            .then(|| Self(text.to_ascii_lowercase().into_boxed_str()))
    }

    /// Whether the value of a `Content-Type` field is of this type, whatever its parameters. Any
    /// `charset` but UTF-8 is refused for JSON, which has no other (RFC 8259 §8.1).
    pub fn accepts(&self, content_type: &str) -> bool {
        let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        let essence = essence.trim();
        let same = match self.0.strip_suffix('*') {
            Some(kind) => essence.get(..kind.len()).is_some_and(|e| e.eq_ignore_ascii_case(kind)),
            None => essence.eq_ignore_ascii_case(&self.0),
        };
        same && (!is_json(essence) || parameters.split(';').all(is_utf8_or_no_charset))
    }

    /// The type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_json(essence: &str) -> bool {
    let essence = essence.to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

fn is_utf8_or_no_charset(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return true };
    let value = value.trim().trim_matches('"');
    !name.trim().eq_ignore_ascii_case("charset") || value.eq_ignore_ascii_case("utf-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(entry: &str, content_type: &str, expected: bool) {
        assert_eq!(
            MediaType::parse(entry).unwrap().accepts(content_type),
            expected,
            "{content_type}"
        );
    }

    #[test]
    fn types_compare_without_parameters() {
        check("application/json", "application/json", true);
        check("application/json", "Application/JSON; charset=UTF-8", true);
        check("application/json", "application/json; charset=utf-7", false);
        check("application/json", "application/jsonx", false);
        check("application/json", "text/plain", false);
        check("application/json", "", false);
        check("image/*", "image/png", true);
        check("image/*", "imagex/png", false);
        check("text/plain", "text/plain; charset=latin1", true);
    }

    #[test]
    fn entries_are_checked() {
        for bad in ["json", "a/", "/b", "a/b/c", "a b/c", "*/*", "a/b;c=d"] {
            assert_eq!(MediaType::parse(bad), None, "{bad}");
        }
    }
}
