use proptest::prelude::*;

use crate::session::values::*;

type Model = BTreeMap<String, Vec<u8>>;

fn values(entries: &[(&str, &str)]) -> Values {
    let edit = |(name, value): &(&str, &str)| {
        ((*name).into(), Some(Bytes::copy_from_slice(value.as_bytes())))
    };
    Values::default().edited(&entries.iter().map(edit).collect())
}

fn encoded(values: &Values) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.encode(&mut bytes);
    assert_eq!(bytes.len(), values.encoded_len());
    bytes
}

fn model(values: &Values) -> Model {
    values.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
}

#[test]
fn the_bytes_are_as_documented() {
    let bytes = encoded(&values(&[("b", "22"), ("a", "1")]));
    assert_eq!(bytes, b"\0\x01\0\0\0\x01a1\0\x01\0\0\0\x02b22");
}

#[test]
fn what_is_not_a_list_of_values_is_refused() {
    for (name, bytes) in [
        ("half a length", &b"\0"[..]),
        ("only a name's length", b"\0\x01"),
        ("half a value's length", b"\0\x01\0\0\0"),
        ("no name", b"\0\x01\0\0\0\x01"),
        ("no value", b"\0\x01\0\0\0\x01a"),
        ("name cut short", b"\0\x02\0\0\0\0a"),
        ("lengths beyond the end", b"\xff\xff\xff\xff\xff\xffa1"),
        ("name is not UTF-8", b"\0\x01\0\0\0\x01\xff1"),
        ("a name twice", b"\0\x01\0\0\0\x01a1\0\x01\0\0\0\x01a1"),
        ("out of order", b"\0\x01\0\0\0\x01b1\0\x01\0\0\0\x01a1"),
        ("bytes left over", b"\0\x01\0\0\0\x01a1\0"),
    ] {
        assert!(Values::decode(Bytes::from_static(bytes)).is_none(), "{name}");
    }
    assert!(Values::decode(Bytes::new()).unwrap().is_empty());
}

#[test]
fn reading_shares_the_bytes_of_the_record() {
    let bytes = Bytes::from(encoded(&values(&[("a", "1"), ("b", "22")])));
    let all = Values::decode(bytes.clone()).unwrap();
    let found = all.get("b").unwrap();
    assert_eq!(found, "22");
    assert!(bytes.as_ptr_range().contains(&found.as_ptr()));
    assert_eq!(all.get("c"), None);
    assert_eq!(all.get(""), None);
}

#[test]
fn edits_that_change_nothing_share_the_bytes_of_the_record() {
    let all = values(&[("a", "1"), ("b", "22")]);
    for (name, edits) in [
        ("none", Edits::new()),
        ("equal", [("a".into(), Some(Bytes::from_static(b"1")))].into()),
        ("removal of nothing", [("c".into(), None)].into()),
    ] {
        let same = all.edited(&edits);
        assert!(same.is_same(&all), "{name}");
        assert_eq!(same, all, "{name}");
    }
}

#[test]
fn names_and_values_at_their_bounds_survive() {
    let longest = "n".repeat(NAME_MAX);
    let large = "v".repeat(1 << 17);
    let all = values(&[("", ""), (&longest, &large), ("\u{1f980}", "null")]);
    let again = Values::decode(encoded(&all).into()).unwrap();
    assert_eq!(again, all);
    assert_eq!(again.get(&longest).unwrap(), large);
    assert_eq!(again.get("").unwrap(), "");
    assert_eq!(again.get("\u{1f980}").unwrap(), "null");
}

#[test]
fn many_values_are_found_by_their_index() {
    for many in [SCANNED - 1, SCANNED, SCANNED + 1, 1_000] {
        let names: Vec<String> = (0..many).map(|number| format!("n{number}")).collect();
        let entries: Vec<_> = names.iter().map(|name| (&**name, &name[1..])).collect();
        let all = values(&entries);
        let again = Values::decode(encoded(&all).into()).unwrap();
        for all in [&all, &again] {
            assert_eq!(all.index.is_some(), many > SCANNED, "{many}");
            assert_eq!(all.count(), many);
            for name in &names {
                assert_eq!(all.get(name).unwrap(), name[1..], "{many}: {name}");
            }
            for absent in ["", "a", "n", "n00", "n9999", "z"] {
                assert_eq!(all.get(absent), None, "{many}: {absent}");
            }
        }
        let fewer = again.edited(&names.iter().map(|name| (name.as_str().into(), None)).collect());
        assert!(fewer.is_empty() && fewer.index.is_none());
    }
}

fn name() -> impl Strategy<Value = String> {
    // Few names, so that edits meet; prefixes of each other, so that order matters.
    prop_oneof![
        4 => proptest::sample::select(vec!["", "a", "aa", "ab", "b", "\u{e4}"]).prop_map(String::from),
        1 => any::<String>(),
        4 => (0..60_u8).prop_map(|number| format!("n{number}")),
    ]
}

fn edits() -> impl Strategy<Value = Vec<BTreeMap<String, Option<Vec<u8>>>>> {
    let value = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..12));
    proptest::collection::vec(proptest::collection::btree_map(name(), value, 0..40), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..<_>::default() })]

    #[test]
    fn edited_values_are_an_edited_map(rounds in edits()) {
        let mut all = Values::default();
        let mut expected = Model::new();
        for round in rounds {
            let edit = |(name, value): (&String, &Option<Vec<u8>>)| {
                (name.as_str().into(), value.clone().map(Bytes::from))
            };
            let before = model(&all);
            let round_edits: Edits = round.iter().map(edit).collect();
            let edited = all.edited(&round_edits);
            prop_assert_eq!(model(&all), before);
            for (name, value) in round {
                match value {
                    Some(value) => expected.insert(name, value),
                    None => expected.remove(&name),
                };
            }
            let tally = Tally::of(&all, &round_edits);
            prop_assert_eq!(tally.size(), (edited.encoded_len(), edited.iter().count()));
            prop_assert_eq!(edited.count(), edited.iter().count());
            all = edited;
            prop_assert_eq!(model(&all), expected.clone());
            prop_assert_eq!(all.is_empty(), expected.is_empty());
            for (name, value) in &expected {
                prop_assert_eq!(all.get(name).unwrap(), value.clone());
            }
            let again = Values::decode(encoded(&all).into());
            prop_assert_eq!(again.as_ref(), Some(&all));
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read_as_what_they_say(bytes: Vec<u8>) {
        if let Some(all) = Values::decode(bytes.clone().into()) {
            prop_assert_eq!(encoded(&all), bytes);
        }
    }
}
