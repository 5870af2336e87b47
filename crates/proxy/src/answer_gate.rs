//! What an upstream may answer. An answer that two readers could read differently is not passed on.
//!
//! pingora's parser accepts more than RFC 9112 does: lengths said twice, codings that end in
//! `chunked`. Control characters in values it refuses; folded lines it makes one, as RFC 9112 §5.2
//! wants of a proxy. It drops a `Content-Length` beside a `Transfer-Encoding` before this sees the
//! head; the answer is then passed on in the coding alone, so that no reader has a choice.

use http::{HeaderMap, StatusCode, Version, header};
use pingora::http::ResponseHeader;

/// Interim answers (1xx) to one request.
const MOST_INTERIM: u32 = 16;
/// Fields of one answer.
const MOST_FIELDS: usize = 200;
/// Names and values of one answer's fields together, in bytes.
const LARGEST_HEAD: usize = 64 * 1024;

/// What is wrong with the head of an answer; `interim` counts the 1xx before it, `asked_to_switch`
/// whether the request asked for another protocol.
pub(crate) fn judge(
    answer: &ResponseHeader,
    interim: u32,
    asked_to_switch: bool,
) -> Result<(), &'static str> {
    let status = answer.status;
    if !(100..=599).contains(&status.as_u16()) {
        return Err("a status outside of 100 to 599");
    }
    if status == StatusCode::SWITCHING_PROTOCOLS && !asked_to_switch {
        return Err("a switch of protocols that nobody asked for");
    }
    if status == StatusCode::SWITCHING_PROTOCOLS && answer.version != Version::HTTP_11 {
        return Err("a switch of protocols in a version that has none");
    }
    if status.is_informational() && interim >= MOST_INTERIM {
        return Err("too many interim answers");
    }
    judge_fields(&answer.headers)?;
    judge_framing(&answer.headers, answer.version, status)
}

fn judge_fields(fields: &HeaderMap) -> Result<(), &'static str> {
    if fields.len() > MOST_FIELDS {
        return Err("too many fields");
    }
    let sizes = fields.iter().map(|(name, value)| name.as_str().len() + value.len());
    if sizes.sum::<usize>() > LARGEST_HEAD {
        return Err("fields too large");
    }
    Ok(())
}

fn judge_framing(
    fields: &HeaderMap,
    version: Version,
    status: StatusCode,
) -> Result<(), &'static str> {
    let mut codings = fields.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if version != Version::HTTP_11 {
            return Err("a transfer coding in a version that has none");
        }
        if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err("a transfer coding other than chunked");
        }
        if is_bodiless(status) {
            return Err("a transfer coding where no body can be");
        }
    }
    let mut lengths = fields.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(()) };
    let length = length.as_bytes();
    let digits = !length.is_empty() && length.len() < 20 && length.iter().all(u8::is_ascii_digit);
    if lengths.next().is_some() || !digits {
        return Err("a content length that is not one number");
    }
    if is_bodiless(status) && length.iter().any(|digit| *digit != b'0') {
        return Err("a content length where no body can be");
    }
    Ok(())
}

/// RFC 9110 §8.6. A 304 may say the length that a 200 would have.
fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational() || status == StatusCode::NO_CONTENT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, fields: &[(&'static str, &[u8])]) -> ResponseHeader {
        let mut answer = ResponseHeader::build(status, None).unwrap();
        for (name, value) in fields {
            // As pingora does: bytes as they came, unchecked.
            let value = pingora::http::header_value_from_raw(bytes::Bytes::copy_from_slice(value));
            answer.append_header(*name, value).unwrap();
        }
        answer
    }

    #[track_caller]
    fn refused(status: u16, fields: &[(&'static str, &[u8])], why: &str) {
        let found = judge(&answer(status, fields), 0, false);
        assert!(found.is_err_and(|reason| reason.contains(why)), "{status} {fields:?}: {found:?}");
    }

    #[track_caller]
    fn passed(status: u16, fields: &[(&'static str, &[u8])]) {
        assert_eq!(judge(&answer(status, fields), 0, false), Ok(()), "{status} {fields:?}");
    }

    #[test]
    fn framing_has_one_reading() {
        passed(200, &[("content-length", b"5")]);
        passed(200, &[("transfer-encoding", b"Chunked")]);
        passed(200, &[]);
        passed(204, &[("content-length", b"0")]);
        passed(304, &[("content-length", b"5")]);
        for odd in [&b"5, 5"[..], b"+5", b"-5", b"0x5", b"", b"5 ", b"99999999999999999999"] {
            refused(200, &[("content-length", odd)], "length");
        }
        refused(200, &[("content-length", b"5"), ("content-length", b"5")], "length");
        refused(204, &[("content-length", b"5")], "length where");
        refused(103, &[("content-length", b"5")], "length where");
        for odd in [&b"gzip, chunked"[..], b"chunked, chunked", b"identity", b"xchunked", b""] {
            refused(200, &[("transfer-encoding", odd)], "coding other");
        }
        let twice: &[(_, &[u8])] =
            &[("transfer-encoding", b"chunked"), ("transfer-encoding", b"chunked")];
        refused(200, twice, "coding other");
        refused(204, &[("transfer-encoding", b"chunked")], "coding where");
        for version in [Version::HTTP_10, Version::HTTP_2] {
            let mut old = answer(200, &[("transfer-encoding", b"chunked")]);
            old.set_version(version);
            assert!(judge(&old, 0, false).is_err());
        }
    }

    #[test]
    fn values_hold_no_line_breaks() {
        // A folded line has become one by now (RFC 9112 §5.2).
        passed(200, &[("x-folded", b"a\r\n b")]);
        assert_eq!(answer(200, &[("x", b"a\r\n b: c")]).headers["x"], "a b: c");
        passed(200, &[("x-fine", b"a\tb \xe4")]);
    }

    #[test]
    fn counts_and_sizes_are_bounded() {
        let mut many = answer(200, &[]);
        (0..=MOST_FIELDS).for_each(|_| assert!(many.append_header("x-a", "b").is_ok()));
        assert_eq!(judge(&many, 0, false), Err("too many fields"));
        refused(200, &[("x-large", &vec![b'a'; LARGEST_HEAD])], "too large");
        assert_eq!(judge(&answer(103, &[]), MOST_INTERIM - 1, false), Ok(()));
        assert_eq!(judge(&answer(103, &[]), MOST_INTERIM, false), Err("too many interim answers"));
        assert_eq!(judge(&answer(200, &[]), MOST_INTERIM, false), Ok(()));
    }

    #[test]
    fn statuses_are_of_http() {
        for odd in [600, 999] {
            refused(odd, &[], "status");
        }
        refused(101, &[], "switch");
        assert_eq!(judge(&answer(101, &[]), 0, true), Ok(()));
        let mut old = answer(101, &[]);
        old.set_version(Version::HTTP_10);
        assert!(judge(&old, 0, true).is_err());
    }
}
