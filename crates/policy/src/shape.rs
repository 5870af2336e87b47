//! What a request may look like on its route, before it is asked who sent it.

use http::header;
use portcullis_core::forwarded::ClientView;
use portcullis_core::{Denial, Head, Refusal};

use crate::report::{active, refuse, told};
use crate::{BodyRules, Route, Stage, Trace, WouldDeny, saw};

/// The route's own rule on addresses.
pub(crate) fn admit_route_client<T: Trace>(
    route: &Route,
    client: &ClientView,
    trace: &mut T,
) -> Result<(), Refusal> {
    let Some(rules) = &route.clients else { return Ok(()) };
    if rules.admits(client.address) {
        return Ok(());
    }
    trace.note(Stage::Client, rules.origin, || format!("{} on this route", client.address));
    Err(Denial::ClientNotAllowed.into())
}

/// The route's clients, the declared length and the media type of the body.
pub(crate) fn admit_shape<T: Trace>(
    route: &Route,
    head: &Head<'_>,
    client: &ClientView,
    trace: &mut T,
    would_deny: &mut Vec<WouldDeny>,
) -> Result<(), Refusal> {
    admit_route_client(route, client, trace)?;
    let body = &route.body;
    let seen = || saw::body(head.content_length, head.has_body, body.maximum);
    let too_large = head.content_length.is_some_and(|length| length > body.maximum);
    let wrong_type = head.has_body && !is_taken(body, head);
    if !too_large && !wrong_type {
        trace.note(Stage::Shape, body.origin, seen);
        return Ok(());
    }
    let report = active(body.report_only.as_ref());
    trace.note(Stage::Shape, body.origin, || told(seen(), report));
    if too_large {
        let denial = Denial::BodyTooLarge { maximum: body.maximum };
        refuse(denial, body.origin, report, would_deny)?;
    }
    if wrong_type {
        refuse(Denial::MediaTypeNotAllowed, body.origin, report, would_deny)?;
    }
    Ok(())
}

/// Whether the body is of one of the types that are taken.
fn is_taken(body: &BodyRules, head: &Head<'_>) -> bool {
    if body.types.is_empty() {
        return true;
    }
    let mut values = head.headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let text = value.to_str().unwrap_or_default();
    body.types.iter().any(|media| media.accepts(text))
}
