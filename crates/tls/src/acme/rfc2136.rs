//! `dns-01` by dynamic updates (RFC 2136), signed with a shared key (RFC 8945).

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm as Mac;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, TSigner};
use portcullis_core::{Clock, Secret};
use tokio::time::{sleep, timeout};

use super::dns::TxtRecord;
use super::dns_wire::{exchange, message, shown};
use super::{Challenge, SolveError, Solver};

/// How far the clocks of both sides may be apart, in seconds (RFC 8945 §10).
const FUDGE: u16 = 300;

/// How long the server may take to show what it took.
const SEEN_WITHIN: Duration = Duration::from_mins(1);

/// How long to wait between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How updates are signed (RFC 8945 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TsigAlgorithm {
    /// `hmac-sha256`.
    HmacSha256,
    /// `hmac-sha384`.
    HmacSha384,
    /// `hmac-sha512`.
    HmacSha512,
}

/// The name server that takes updates, and the key it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rfc2136Settings {
    /// `host:port`; TCP alone is spoken.
    pub server: String,
    /// The key's name, as the server has it.
    pub key_name: String,
    /// How updates are signed.
    pub algorithm: TsigAlgorithm,
    /// The key itself.
    pub secret: Secret,
    /// The zone that is updated; `None`: the server is asked which one the name is in.
    pub zone: Option<String>,
    /// How long resolvers may keep the record, in seconds.
    pub ttl: u32,
    /// How long to wait, once the server shows the record, for the zone's other servers.
    pub propagation: Duration,
}

/// Whether `text` can be the name of a zone or of a key.
pub fn is_dns_name(text: &str) -> bool {
    Name::from_ascii(text).is_ok_and(|name| !name.is_root() && name.num_labels() > 0)
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The key in `text`, which is base64 as in the configuration of a name server.
pub fn tsig_key(text: &Secret) -> Option<Secret> {
    let text = text.expose_str()?.trim();
    STANDARD.decode(text).ok().filter(|key| !key.is_empty()).map(Secret::new)
}

/// Answers `dns-01` by updates of a zone. Only the record of the challenge is added and taken
/// away: others of the same name stay.
#[derive(Clone, Debug)]
pub struct Rfc2136 {
    settings: Rfc2136Settings,
    clock: Clock,
}

impl Rfc2136 {
    /// Updates are dated by `clock`.
    pub fn new(settings: Rfc2136Settings, clock: Clock) -> Self {
        Self { settings, clock }
    }

    async fn add(&self, record: &TxtRecord) -> Result<(), String> {
        let peer = self.peer()?;
        let name = absolute(&record.name)?;
        let zone = peer.zone_of(&name).await?;
        let txt = RData::TXT(TXT::new(vec![record.value.clone()]));
        peer.update(&zone, Record::from_rdata(name.clone(), self.settings.ttl, txt)).await?;
        let seen = timeout(SEEN_WITHIN, peer.shows(&name, &record.value)).await;
        seen.map_err(|_| {
            format!("it took the record, and did not show it within {SEEN_WITHIN:?}")
        })??;
        sleep(self.settings.propagation).await;
        Ok(())
    }

    async fn delete(&self, record: &TxtRecord) -> Result<(), String> {
        let peer = self.peer()?;
        let name = absolute(&record.name)?;
        let zone = peer.zone_of(&name).await?;
        let txt = RData::TXT(TXT::new(vec![record.value.clone()]));
        let mut gone = Record::from_rdata(name, 0, txt);
        // Only the record with this value (RFC 2136 §2.5.4).
        gone.dns_class = DNSClass::NONE;
        peer.update(&zone, gone).await
    }

    fn peer(&self) -> Result<Peer<'_>, String> {
        let Rfc2136Settings { server, key_name, algorithm, secret, zone, .. } = &self.settings;
        let mac = match algorithm {
            TsigAlgorithm::HmacSha256 => Mac::HmacSha256,
            TsigAlgorithm::HmacSha384 => Mac::HmacSha384,
            TsigAlgorithm::HmacSha512 => Mac::HmacSha512,
        };
        let signer = TSigner::new(secret.expose().to_vec(), mac, absolute(key_name)?, FUDGE)
            .map_err(|error| error.to_string())?;
        Ok(Peer { server, signer, zone: zone.as_deref(), clock: &self.clock })
    }
}

#[async_trait]
impl Solver for Rfc2136 {
    async fn present(&self, challenge: &Challenge) -> Result<(), SolveError> {
        let record = TxtRecord::answering(challenge)?;
        let told = |reason| challenge.unsolved(format!("{}: {reason}", self.settings.server));
        self.add(&record).await.map_err(told)
    }

    async fn withdraw(&self, challenge: &Challenge) {
        let Ok(record) = TxtRecord::answering(challenge) else { return };
        if let Err(reason) = self.delete(&record).await {
            let server = &self.settings.server;
            tracing::warn!(
                ?challenge,
                server,
                reason,
                "the answer to a challenge was not taken away"
            );
        }
    }
}

/// The server, with all that is needed to talk to it.
struct Peer<'s> {
    server: &'s str,
    signer: TSigner,
    zone: Option<&'s str>,
    clock: &'s Clock,
}

impl Peer<'_> {
    async fn ask(&self, message: Message) -> Result<Message, String> {
        exchange(self.server, &self.signer, self.clock, message).await
    }

    /// The zone that `name` is in: the one that was set, or the one whose SOA the server has for
    /// the name or the nearest above it.
    async fn zone_of(&self, name: &Name) -> Result<Name, String> {
        if let Some(zone) = self.zone {
            let zone = absolute(zone)?;
            let within = zone.zone_of(name);
            return within.then_some(zone.clone()).ok_or(format!("{name} is not in {zone}"));
        }
        let mut above = name.clone();
        while !above.is_root() {
            let answer = self.ask(message(OpCode::Query, &above, RecordType::SOA)?).await?;
            let mut shown = answer.answers.iter().chain(&answer.authorities);
            let zone = shown.find(|record| {
                record.record_type() == RecordType::SOA
                    && record.name.zone_of(name)
                    && !record.name.is_root()
            });
            if let Some(zone) = zone {
                return Ok(zone.name.clone());
            }
            above = above.base_name();
        }
        Err(format!("it has no zone for {name}"))
    }

    async fn update(&self, zone: &Name, record: Record) -> Result<(), String> {
        let mut update = message(OpCode::Update, zone, RecordType::SOA)?;
        // The update section stands where a query's answer has the authority's (RFC 2136 §2).
        update.add_authority(record);
        let code = self.ask(update).await?.response_code;
        if code == ResponseCode::NoError {
            Ok(())
        } else {
            Err(format!("it refused the update of {zone} with {}", shown(code)))
        }
    }

    /// Ends when the server answers with the value.
    async fn shows(&self, name: &Name, value: &str) -> Result<(), String> {
        loop {
            let answer = self.ask(message(OpCode::Query, name, RecordType::TXT)?).await?;
            if answer.answers.iter().any(|record| is_txt(record, value)) {
                return Ok(());
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}

fn is_txt(record: &Record, value: &str) -> bool {
    matches!(&record.data, RData::TXT(txt) if txt.txt_data.concat() == value.as_bytes())
}

pub(super) fn absolute(name: &str) -> Result<Name, String> {
    let mut name = Name::from_ascii(name).map_err(|error| format!("{name:?}: {error}"))?;
    name.set_fqdn(true);
    Ok(name)
}
