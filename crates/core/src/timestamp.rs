//! Timestamps as record bytes hold them: RFC 3339 in UTC with six decimals.

use crate::model::{END_TIMESTAMP_MICROS, MIN_TIMESTAMP_MICROS};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const MICROS_PER_SECOND: i64 = 1_000_000;
const TEXT_BYTES: usize = "2026-01-02T03:04:05.678901Z".len();

/// The text of a time given in microseconds since the Unix epoch; `None` outside the years 1 to 9999.
pub(crate) fn to_text(micros: i64) -> Option<String> {
    if !(MIN_TIMESTAMP_MICROS..END_TIMESTAMP_MICROS).contains(&micros) {
        return None;
    }
    // Euclidean, so that a time before 1970 keeps a fraction that counts forward.
    let seconds = micros.div_euclid(MICROS_PER_SECOND);
    let fraction = u32::try_from(micros.rem_euclid(MICROS_PER_SECOND)).ok()?;
    let at = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();

    // Written by hand: the formatting machinery of the standard library takes longer than the rest of the record.
    let mut text = String::with_capacity(TEXT_BYTES);
    push_digits(&mut text, u32::try_from(year).ok()?, 1000);
    text.push('-');
    push_digits(&mut text, u8::from(month).into(), 10);
    text.push('-');
    push_digits(&mut text, day.into(), 10);
    text.push('T');
    push_digits(&mut text, hour.into(), 10);
    text.push(':');
    push_digits(&mut text, minute.into(), 10);
    text.push(':');
    push_digits(&mut text, second.into(), 10);
    text.push('.');
    push_digits(&mut text, fraction, 100_000);
    text.push('Z');
    Some(text)
}

/// Microseconds since the Unix epoch of a time in RFC 3339 form, with its offset; parts of a microsecond are rounded.
/// `None` when the text is not of that form or the time is outside the years 1 to 9999.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let micros = i64::try_from((at.unix_timestamp_nanos() + 500).div_euclid(1000)).ok()?;
    (MIN_TIMESTAMP_MICROS..END_TIMESTAMP_MICROS).contains(&micros).then_some(micros)
}

/// Appends the decimal digits of `value` from the place worth `unit` (a power of ten) down to the ones.
fn push_digits(text: &mut String, value: u32, mut unit: u32) {
    while unit > 0 {
        let digit = value / unit % 10;
        text.push(char::from_digit(digit, 10).unwrap_or('0'));
        unit /= 10;
    }
}
