//! The payloads of frames, each by itself.

use super::frame::{self, Head, flag};
use super::{Ended, code};

pub(super) const fn protocol_error() -> Ended {
    Ended::Protocol(code::PROTOCOL_ERROR)
}

pub(super) fn has_length(head: Head, length: usize) -> Result<(), Ended> {
    if head.length == length { Ok(()) } else { Err(Ended::Protocol(code::FRAME_SIZE_ERROR)) }
}

/// The field block in a HEADERS payload, without padding and priority.
pub(super) fn fragment(head: Head, payload: &[u8]) -> Result<&[u8], Ended> {
    let mut rest = payload;
    let mut padding = 0;
    if head.has(flag::PADDED) {
        let (length, behind) = rest.split_first().ok_or_else(too_short)?;
        (padding, rest) = (usize::from(*length), behind);
    }
    if head.has(flag::PRIORITY) {
        judge_priority(head.stream, rest, rest.len() >= 5)?;
        rest = rest.get(5..).unwrap_or_default();
    }
    let length = rest.len().checked_sub(padding).ok_or_else(protocol_error)?;
    Ok(rest.get(..length).unwrap_or_default())
}

const fn too_short() -> Ended {
    Ended::Protocol(code::FRAME_SIZE_ERROR)
}

/// A stream cannot wait for itself (RFC 7540 §5.3.1). Else nobody cares.
pub(super) fn judge_priority(stream: u32, payload: &[u8], has_length: bool) -> Result<(), Ended> {
    let parent = frame::number(payload).filter(|_| has_length).ok_or_else(too_short)?;
    if parent & 0x7fff_ffff == stream { Err(protocol_error()) } else { Ok(()) }
}

/// RFC 9113 §6.5.
pub(super) fn judge_settings(head: Head, payload: &[u8]) -> Result<(), Ended> {
    const ENABLE_PUSH: u16 = 0x2;
    const INITIAL_WINDOW_SIZE: u16 = 0x4;
    const MAX_FRAME_SIZE: u16 = 0x5;
    if !head.length.is_multiple_of(6) || (head.has(flag::ACK) && head.length != 0) {
        return Err(too_short());
    }
    for setting in payload.chunks_exact(6) {
        let id = setting.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
        let value = setting.get(2..).and_then(frame::number).unwrap_or_default();
        match id {
            ENABLE_PUSH if value > 1 => return Err(protocol_error()),
            INITIAL_WINDOW_SIZE if value > 0x7fff_ffff => {
                return Err(Ended::Protocol(code::FLOW_CONTROL_ERROR));
            }
            MAX_FRAME_SIZE if !(16_384..=16_777_215).contains(&value) => {
                return Err(protocol_error());
            }
            _ => {}
        }
    }
    Ok(())
}
