//! Names and limits of the model.
#![allow(clippy::unwrap_used)]

use trustlog_core::model::{Sink, Status, Strategy, doid_prefix};

#[test]
fn every_name_leads_back_to_its_variant() {
    assert_eq!(Strategy::NAMES, ["DB_AND_TRUSTLOG", "DB_ONLY", "TRUSTLOG_ONLY"]);
    assert_eq!(Status::NAMES, ["NOT_TRUSTLOGGED", "TRUSTLOGGED"]);
    assert_eq!(Sink::NAMES, ["log", "http", "manual"]);
    assert!(Strategy::NAMES.iter().all(|name| Strategy::parse(name).unwrap().as_str() == *name));
    assert!(Status::NAMES.iter().all(|name| Status::parse(name).unwrap().as_str() == *name));
    assert!(Sink::NAMES.iter().all(|name| Sink::parse(name).unwrap().as_str() == *name));
}

#[test]
fn other_texts_are_no_names() {
    for text in ["", "db_only", "DB_ONLY ", " DB_ONLY", "DB_ONLY\0", "LOG"] {
        assert_eq!(Strategy::parse(text), None, "{text:?}");
        assert_eq!(Sink::parse(text), None, "{text:?}");
    }
}

#[test]
fn a_prefix_ends_at_the_first_slash() {
    assert_eq!(doid_prefix("21.T11998/0001/abc"), "21.T11998");
    assert_eq!(doid_prefix("21.T11998"), "21.T11998");
    assert_eq!(doid_prefix("/suffix"), "");
    assert_eq!(doid_prefix("中文/对象"), "中文");
    assert_eq!(doid_prefix(""), "");
}
