//! A whole number with a unit behind it.

use crate::read::Complaint;

/// Splits `30s` into 30 and `s`. The number has digits alone, without a leading zero.
pub(super) fn with_unit(text: &str, what: &str) -> Result<(u64, String), Complaint> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let complaint = || Complaint::new(format!("`{text}` is not {what}"));
    if number.is_empty() {
        return Err(complaint());
    }
    if number.len() > 1 && number.starts_with('0') {
        return Err(complaint().help("write the number without leading zeros"));
    }
    let number = number.parse().map_err(|_| complaint().help("the number is too large"))?;
    Ok((number, unit.to_owned()))
}
