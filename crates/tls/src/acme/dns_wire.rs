//! One signed question to a name server and its signed answer (RFC 1035 §4.2.2, RFC 8945).

use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType, TSigner};
use portcullis_core::{Clock, random};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one exchange may take, with the connection.
const LIMIT: Duration = Duration::from_secs(10);

/// A message for the class `IN` about `name`: a query for records of `kind`, or an update of the
/// zone `name`.
pub(super) fn message(code: OpCode, name: &Name, kind: RecordType) -> Result<Message, String> {
    let id = random::bytes::<2>().ok_or("the system gives no random bytes")?;
    let mut message = Message::new(u16::from_be_bytes(id), MessageType::Query, code);
    let mut query = Query::new();
    query.set_name(name.clone()).set_query_type(kind).set_query_class(DNSClass::IN);
    message.add_query(query);
    Ok(message)
}

/// Sends `message` to `server` over TCP, signed, and gives back the answer: it is signed with the
/// same key, in time, and for this message.
pub(super) async fn exchange(
    server: &str,
    signer: &TSigner,
    clock: &Clock,
    mut message: Message,
) -> Result<Message, String> {
    let id = message.id;
    let now = clock.now().unix_seconds();
    let verifier = message.finalize(signer, now).map_err(|error| error.to_string())?;
    let mut verifier = verifier.ok_or("the message was not signed")?;
    let question = message.to_vec().map_err(|error| error.to_string())?;
    let answer = timeout(LIMIT, carry(server, &question))
        .await
        .map_err(|_| format!("no answer within {LIMIT:?}"))?
        .map_err(|error| error.to_string())?;
    let read = Message::from_vec(&answer).map_err(|error| format!("no DNS message: {error}"))?;
    let error = read.signature().and_then(|signature| signature.data.error);
    if read.signature().is_none() || error.is_some() {
        let why = error.map_or("no signature".to_owned(), |error| format!("{error:?}"));
        let code = shown(read.response_code);
        return Err(format!("the answer is {code} with {why}: the key is not accepted"));
    }
    verifier.verify(&answer).map_err(|error| format!("the answer's signature: {error}"))?;
    if read.id != id || read.message_type != MessageType::Response {
        return Err("the answer is to another question".to_owned());
    }
    Ok(read)
}

async fn carry(server: &str, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(std::io::Error::other)?;
    let framed = [&length.to_be_bytes(), question].concat();
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// The name of a response code, as name servers log it.
#[expect(clippy::wildcard_enum_match_arm, reason = "the rest is told by its number")]
pub(super) fn shown(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        ResponseCode::NotAuth => "NOTAUTH".to_owned(),
        ResponseCode::NotZone => "NOTZONE".to_owned(),
        other => format!("RCODE {}", u16::from(other)),
    }
}
