//! `GET /decisions` of the admin listener: the latest verdicts, and which of them are asked for.

use http::StatusCode;
use portcullis_proxy::{Decisions, Wanted};
use serde_json::json;

use crate::admin::{AdminError, Answer};

/// Decisions given where no `limit` is said, and at most.
const LIMIT: (usize, usize) = (100, 1000);

/// Answers for a query. What is not understood is refused: an operator who mistypes a filter must not
/// read its absence as "there were none".
pub(crate) fn answer(decisions: &Decisions, query: &str) -> Answer {
    let (limit, wanted) = read(query).map_err(AdminError::bad)?;
    Ok((StatusCode::OK, json!({"decisions": decisions.latest(limit, &wanted)})))
}

fn read(query: &str) -> Result<(usize, Wanted), String> {
    let (mut limit, mut wanted) = (LIMIT.0, Wanted::default());
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let text = Some(value.clone().into_owned());
        match &*name {
            "code" => wanted.code = text,
            "limit" => limit = number(&name, &value)?,
            "refused" => wanted.refused = Some(yes_or_no(&name, &value)?),
            "request_id" => wanted.request_id = text,
            "route" => wanted.route = text,
            "would_deny" => wanted.would_deny = Some(yes_or_no(&name, &value)?),
            "status" => wanted.status = Some(number(&name, &value)?),
            _ => return Err(format!("there is no filter {name:.40}")),
        }
    }
    Ok((limit.min(LIMIT.1), wanted))
}

fn number<N: std::str::FromStr>(name: &str, text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{name} is a number"))
}

fn yes_or_no(name: &str, text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("{name} is true or false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_and_nothing_else() {
        let (limit, wanted) =
            read("limit=5000&code=scope-missing&status=403&refused=true").unwrap();
        assert_eq!(limit, LIMIT.1);
        assert_eq!(wanted.code.as_deref(), Some("scope-missing"));
        assert_eq!((wanted.status, wanted.refused, wanted.route), (Some(403), Some(true), None));
        let (limit, wanted) = read("request_id=a%2Db&route=a+b").unwrap();
        assert_eq!(limit, LIMIT.0);
        assert_eq!(wanted.request_id.as_deref(), Some("a-b"));
        assert_eq!(wanted.route.as_deref(), Some("a b"));
        for wrong in ["limit=many", "status=4xx", "refused=1", "codes=x"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
