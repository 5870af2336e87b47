//! Asks endpoints whether they are well: a `GET` on a connection of its own, over the same TLS.

use std::sync::Arc;
use std::time::Duration;

use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;
use portcullis_policy::HealthCheck;

use crate::pool::member::Member;
use crate::pool::peers::Peers;

/// Counts checks in a row. The first check decides alone: nothing is known before it.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    seen: bool,
    good: u32,
    bad: u32,
}

impl Row {
    /// What the check changes: `Some(well)` where the endpoint is to be taken or left out.
    fn note(&mut self, good: bool, terms: &HealthCheck) -> Option<bool> {
        let first = !std::mem::replace(&mut self.seen, true);
        if good {
            (self.good, self.bad) = (self.good.saturating_add(1), 0);
        } else {
            (self.good, self.bad) = (0, self.bad.saturating_add(1));
        }
        let is_due = first
            || self.good >= terms.healthy_after && good
            || self.bad >= terms.unhealthy_after && !good;
        is_due.then_some(good)
    }
}

/// Checks one endpoint, as long as the task lives.
pub(crate) async fn keep(member: Arc<Member>, peers: Arc<Peers>, terms: HealthCheck) {
    let connector: Connector = Connector::new(None);
    let mut row = Row::default();
    let mut turn = 0_usize;
    loop {
        let checked =
            tokio::time::timeout(terms.timeout, check(&connector, &member, &peers, &terms, turn));
        let result = checked.await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        if let Some(well) = row.note(result.is_ok(), &terms) {
            if member.is_well() != well {
                let reason = result.err().unwrap_or_default();
                tracing::warn!(endpoint = %member.label, well, reason, "health of an endpoint changed");
            }
            member.set_well(well);
        }
        turn = turn.wrapping_add(1);
        tokio::time::sleep(terms.every).await;
    }
}

async fn check(
    connector: &Connector,
    member: &Member,
    peers: &Peers,
    terms: &HealthCheck,
    turn: usize,
) -> Result<(), String> {
    let text = |error: Box<pingora::Error>| error.etype().as_str().to_owned();
    let target = member.target(turn, &[], terms.timeout).await?;
    let peer = peers.peer(&target, &member.endpoint, terms.timeout, false, 0)?;
    let request = request(member, terms).map_err(text)?;
    // The session is dropped with its connection: a check proves that a new one can be had.
    let (session, _) = connector.get_http_session(&peer).await.map_err(text)?;
    let status = ask(session, request, terms.timeout).await.map_err(text)?;
    if terms.expect.contains(&status) { Ok(()) } else { Err(format!("status {status}")) }
}

fn request(member: &Member, terms: &HealthCheck) -> pingora::Result<Box<RequestHeader>> {
    let mut request = RequestHeader::build("GET", terms.path.as_bytes(), None)?;
    let host = terms.host.as_ref().map_or_else(|| member.endpoint.authority(), ToString::to_string);
    request.insert_header(http::header::HOST, host)?;
    request.insert_header(http::header::USER_AGENT, "portcullis-health")?;
    Ok(Box::new(request))
}

async fn ask(
    session: HttpSession<()>,
    mut request: Box<RequestHeader>,
    patience: Duration,
) -> pingora::Result<u16> {
    let status = match session {
        HttpSession::H1(mut h1) => {
            request.insert_header(http::header::CONNECTION, "close")?;
            h1.read_timeout = Some(patience);
            h1.write_timeout = Some(patience);
            h1.write_request_header(request).await?;
            loop {
                h1.read_response().await?;
                match h1.get_status() {
                    Some(status) if status.is_informational() => {}
                    status => break status,
                }
            }
        }
        HttpSession::H2(mut h2) => {
            h2.write_request_header(request, true)?;
            h2.read_response_header().await?;
            h2.response_header().map(|answer| answer.status)
        }
        HttpSession::Custom(()) => None,
    };
    Ok(status.map_or(0, |status| status.as_u16()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_check_decides_then_rows_do() {
        let terms = HealthCheck {
            path: "/".into(),
            host: None,
            expect: vec![200],
            every: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            unhealthy_after: 2,
            healthy_after: 2,
        };
        let mut row = Row::default();
        assert_eq!(row.note(false, &terms), Some(false));
        assert_eq!(row.note(true, &terms), None);
        assert_eq!(row.note(false, &terms), None);
        assert_eq!((row.note(true, &terms), row.note(true, &terms)), (None, Some(true)));
        assert_eq!((row.note(false, &terms), row.note(false, &terms)), (None, Some(false)));
    }
}
