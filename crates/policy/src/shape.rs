//! What a request may look like on its route, before it is asked who sent it.

use http::header;
use portcullis_core::forwarded::ClientView;
use portcullis_core::{Denial, Head, Refusal};

use crate::{Route, Stage, Trace, saw};

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
) -> Result<(), Refusal> {
    admit_route_client(route, client, trace)?;
    let body = &route.body;
    trace.note(Stage::Shape, body.origin, || {
        saw::body(head.content_length, head.has_body, body.maximum)
    });
    if head.content_length.is_some_and(|length| length > body.maximum) {
        return Err(Denial::BodyTooLarge { maximum: body.maximum }.into());
    }
    if head.has_body && !body.types.is_empty() {
        let mut values = head.headers.get_all(header::CONTENT_TYPE).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Denial::MediaTypeNotAllowed.into());
        };
        let text = value.to_str().unwrap_or_default();
        if !body.types.iter().any(|media| media.accepts(text)) {
            return Err(Denial::MediaTypeNotAllowed.into());
        }
    }
    Ok(())
}
