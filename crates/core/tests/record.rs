//! Record bytes and entries: golden vectors, and RFC 8785 as others understand it.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::char::range;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fmt::Write;
use trustlog_core::merkle;
use trustlog_core::model::{END_TIMESTAMP_MICROS, MIN_TIMESTAMP_MICROS};
use trustlog_core::record::{Record, RecordError, entry};
use trustlog_core::timestamp::parse_rfc3339;

// The expected bytes and digests come from Python's json (sort_keys, ensure_ascii=False) and hashlib.

const FULL: Record<'_> = Record {
    op_id: "op-0001",
    op_actor: "alice@example.org",
    doid: "21.T11998/0001.abc",
    producer_id: "producer-7",
    request_body_hash: Some("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
    response_body_hash: Some("60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"),
    op_source: "registry",
    op_code: 200,
    do_prefix: "21.T11998",
    do_repository: "repo-eu-1",
    client_ip: Some("192.0.2.17"),
    server_ip: Some("2001:db8::1"),
    timestamp_micros: 1_767_323_045_678_901,
};

const NULLS: Record<'_> = Record {
    op_id: "op-0002",
    op_code: i32::MIN,
    request_body_hash: None,
    response_body_hash: None,
    client_ip: None,
    server_ip: None,
    timestamp_micros: -1,
    ..FULL
};

const ESCAPES: Record<'_> = Record {
    op_id: "\u{8}\t\n\u{c}\r\u{1}\u{1f}\u{7f}",
    op_actor: "\"\\/<>&'",
    doid: "中文/对象",
    producer_id: "e\u{301} é ß",
    op_source: "😀\u{10ffff}",
    op_code: 0,
    do_prefix: "中文",
    do_repository: "\u{2028}\u{2029}\u{feff}\u{fffd}",
    timestamp_micros: 253_402_300_799_999_999,
    ..NULLS
};

fn check(record: &Record<'_>, salt: &[u8], bytes: &str, entry_hex: &str, leaf_hex: &str) {
    let found = record.record_bytes().unwrap();
    assert_eq!(std::str::from_utf8(&found).unwrap(), bytes);
    let entry = entry(salt, &found);
    assert_eq!(hex(&entry), entry_hex);
    assert_eq!(hex(&merkle::leaf_hash(&entry)), leaf_hex);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
fn golden_all_fields() {
    let salt: Vec<u8> = (0..16).collect();
    check(
        &FULL,
        &salt,
        concat!(
            r#"{"client_ip":"192.0.2.17","do_prefix":"21.T11998","do_repository":"repo-eu-1","#,
            r#""doid":"21.T11998/0001.abc","op_actor":"alice@example.org","op_code":200,"op_id":"op-0001","#,
            r#""op_source":"registry","producer_id":"producer-7","#,
            r#""request_body_hash":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","#,
            r#""response_body_hash":"60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752","#,
            r#""server_ip":"2001:db8::1","timestamp":"2026-01-02T03:04:05.678901Z","v":1}"#,
        ),
        "0d547497e9979790451cf7780cc6611e43664cc647ea6956cbf3f80962838de5",
        "1ba5687b62f67a2596b16abf512dde577d8831687672c34665642ebec546cffc",
    );
}

#[test]
fn golden_nulls_left_out() {
    check(
        &NULLS,
        &[],
        concat!(
            r#"{"do_prefix":"21.T11998","do_repository":"repo-eu-1","doid":"21.T11998/0001.abc","#,
            r#""op_actor":"alice@example.org","op_code":-2147483648,"op_id":"op-0002","op_source":"registry","#,
            r#""producer_id":"producer-7","timestamp":"1969-12-31T23:59:59.999999Z","v":1}"#,
        ),
        "ecabdefa6439683171e88b9a8e9ca4198065eebe193b8cebe92dbaa132218176",
        "a0ee61e49342ad8377ebdbec8f0d042d6a9e02e84df292078c4db2d1c5de960a",
    );
}

#[test]
fn golden_escapes_and_non_ascii() {
    check(
        &ESCAPES,
        &[0xff; 16],
        concat!(
            r#"{"do_prefix":"中文","do_repository":""#,
            "\u{2028}\u{2029}\u{feff}\u{fffd}",
            r#"","doid":"中文/对象","op_actor":"\"\\/<>&'","op_code":0,"#,
            r#""op_id":"\b\t\n\f\r\u0001\u001f"#,
            "\u{7f}",
            r#"","op_source":"😀"#,
            "\u{10ffff}",
            r#"","producer_id":"e"#,
            "\u{301}",
            r#" é ß","timestamp":"9999-12-31T23:59:59.999999Z","v":1}"#,
        ),
        "e5238e1d542a52026f179f00252bdd02957c2f99fd3cb51ab9d65f642cd6ca0a",
        "93c09ea7756645f1ad56f5d404cde183671f01f1b0033bf6ceba610d4ae3b580",
    );
}

#[test]
fn timestamps_have_six_decimals_and_the_right_date() {
    for (micros, text) in [
        (MIN_TIMESTAMP_MICROS, "0001-01-01T00:00:00.000000Z"),
        (-2_203_891_200_000_000, "1900-03-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (0, "1970-01-01T00:00:00.000000Z"),
        (951_825_600_000_001, "2000-02-29T12:00:00.000001Z"),
        (END_TIMESTAMP_MICROS - 1, "9999-12-31T23:59:59.999999Z"),
    ] {
        assert_eq!(value(&at(micros))["timestamp"], text);
    }
}

#[test]
fn timestamps_outside_the_range_are_refused() {
    for micros in [i64::MIN, MIN_TIMESTAMP_MICROS - 1, END_TIMESTAMP_MICROS, i64::MAX] {
        match at(micros).record_bytes() {
            Err(RecordError::Timestamp(found)) => assert_eq!(found, micros),
            other => panic!("{micros}: {other:?}"),
        }
    }
}

#[test]
fn timestamps_are_read_with_any_offset_and_any_number_of_decimals() {
    for (text, micros) in [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("1970-01-01T02:30:00.5+02:30", Some(500_000)),
        ("1969-12-31T23:59:59.9999995Z", Some(0)),
        ("1969-12-31T23:59:59.999999499Z", Some(-1)),
        ("0001-01-01T00:00:00+00:01", None),
        ("9999-12-31T23:59:59.9999999Z", None),
        ("0000-12-31T23:59:00-00:01", Some(MIN_TIMESTAMP_MICROS)),
        ("1970-01-01", None),
        ("1970-01-01T00:00:00", None),
        ("1970-02-30T00:00:00Z", None),
        ("", None),
    ] {
        assert_eq!(parse_rfc3339(text), micros, "{text}");
    }
}

fn at(timestamp_micros: i64) -> Record<'static> {
    Record { timestamp_micros, ..FULL }
}

fn value(record: &Record<'_>) -> Value {
    serde_json::from_slice(&record.record_bytes().unwrap()).unwrap()
}

/// RFC 8785 §3.2.2.2, written from its text.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for char in text.chars() {
        match char {
            '\u{8}' => quoted.push_str("\\b"),
            '\u{9}' => quoted.push_str("\\t"),
            '\u{a}' => quoted.push_str("\\n"),
            '\u{c}' => quoted.push_str("\\f"),
            '\u{d}' => quoted.push_str("\\r"),
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            '\0'..='\u{1f}' => write!(quoted, "\\u{:04x}", u32::from(char)).unwrap(),
            _ => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

/// Any Unicode text, with every range that escaping could get wrong well represented.
fn text() -> impl Strategy<Value = String> {
    let char = prop_oneof![
        4 => any::<char>(),
        3 => range('\0', '\u{2f}'),
        1 => range('\u{5b}', '\u{a0}'),
        1 => range('\u{2020}', '\u{2030}'),
        1 => range('\u{d7f0}', '\u{d7ff}'),
        1 => range('\u{e000}', '\u{ffff}'),
        2 => range('\u{10000}', '\u{10ffff}'),
    ];
    prop::collection::vec(char, 0..40).prop_map(String::from_iter)
}

#[derive(Debug)]
struct Texts {
    needed: [String; 7],
    optional: [Option<String>; 4],
}

fn texts() -> impl Strategy<Value = Texts> {
    let needed = prop::array::uniform7(text());
    let optional = prop::array::uniform4(option::of(text()));
    (needed, optional).prop_map(|(needed, optional)| Texts { needed, optional })
}

impl Texts {
    fn record(&self, op_code: i32, timestamp_micros: i64) -> Record<'_> {
        let [op_id, op_actor, doid, producer_id, op_source, do_prefix, do_repository] = &self.needed;
        let [request, response, client_ip, server_ip] = &self.optional;
        Record {
            op_id,
            op_actor,
            doid,
            producer_id,
            request_body_hash: request.as_deref(),
            response_body_hash: response.as_deref(),
            op_source,
            op_code,
            do_prefix,
            do_repository,
            client_ip: client_ip.as_deref(),
            server_ip: server_ip.as_deref(),
            timestamp_micros,
        }
    }
}

/// The record as JSON in no particular order, with the timestamp's text taken from elsewhere.
fn as_json(record: &Record<'_>, timestamp: &Value) -> Value {
    let mut json = json!({
        "v": 1,
        "timestamp": timestamp,
        "op_id": record.op_id,
        "op_actor": record.op_actor,
        "doid": record.doid,
        "producer_id": record.producer_id,
        "request_body_hash": record.request_body_hash,
        "response_body_hash": record.response_body_hash,
        "op_source": record.op_source,
        "op_code": record.op_code,
        "do_prefix": record.do_prefix,
        "do_repository": record.do_repository,
        "client_ip": record.client_ip,
        "server_ip": record.server_ip,
    });
    json.as_object_mut().unwrap().retain(|_, field| !field.is_null());
    json
}

/// Canonical JSON of a flat object without help from `serde_json`: sorted by UTF-16 code units (RFC 8785 §3.2.3).
fn canonical(json: &Value) -> String {
    let mut members: Vec<_> = json.as_object().unwrap().iter().collect();
    members.sort_by_key(|(key, _)| key.encode_utf16().collect::<Vec<_>>());
    let members: Vec<_> = members
        .into_iter()
        .map(|(key, field)| match field {
            Value::String(text) => format!("{}:{}", quoted(key), quoted(text)),
            Value::Number(number) => format!("{}:{number}", quoted(key)),
            other => panic!("{key}: {other}"),
        })
        .collect();
    format!("{{{}}}", members.join(","))
}

proptest! {
    #[test]
    fn record_bytes_are_canonical_json(
        texts in texts(),
        op_code in any::<i32>(),
        micros in MIN_TIMESTAMP_MICROS..END_TIMESTAMP_MICROS,
    ) {
        let record = texts.record(op_code, micros);
        let bytes = record.record_bytes().unwrap();
        let json = as_json(&record, &value(&record)["timestamp"]);
        prop_assert_eq!(&bytes, &serde_json_canonicalizer::to_vec(&json).unwrap());
        prop_assert_eq!(String::from_utf8(bytes).unwrap(), canonical(&json));
    }

    #[test]
    fn timestamps_lead_back_to_their_microseconds(micros in MIN_TIMESTAMP_MICROS..END_TIMESTAMP_MICROS) {
        let value = value(&at(micros));
        let text = value["timestamp"].as_str().unwrap();
        prop_assert_eq!(text.len(), "2026-01-02T03:04:05.678901Z".len());
        prop_assert_eq!(micros_of(text), micros);
        prop_assert_eq!(parse_rfc3339(text), Some(micros));
    }
}

/// Reads a timestamp back with the days of every year and month counted one by one.
fn micros_of(text: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (year, month) = (number(0..4), number(5..7));
    let february = if leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let years: i64 = (1..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    let month_days: i64 = months[..usize::try_from(month - 1).unwrap()].iter().sum();
    let days = years + month_days + number(8..10) - 1;
    let seconds = ((days * 24 + number(11..13)) * 60 + number(14..16)) * 60 + number(17..19);
    MIN_TIMESTAMP_MICROS + seconds * 1_000_000 + number(20..26)
}
