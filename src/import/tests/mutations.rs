//! What is not exactly as the library wrote it.

use std::net::IpAddr;

use percent_encoding::percent_decode;

use crate::import::tests::*;

fn decoded(value: &[u8]) -> Vec<u8> {
    percent_decode(value).collect()
}

#[test]
fn no_bit_of_a_signed_or_private_cookie_can_be_another() {
    let mut tried = 0;
    for sample in samples().iter().filter(|sample| !sample.is_executable()) {
        let name = sample.name.as_str();
        let authenticated = ["sign", "private", "actix", "express", "encrypted"];
        if !authenticated.iter().any(|part| name.contains(part)) {
            continue;
        }
        let importer = sample.importer();
        let start = sample.cookie.find('=').unwrap() + 1;
        let original = decoded(&sample.cookie.as_bytes()[start..]);
        for (at, bit) in
            (start..sample.cookie.len()).flat_map(|at| (0..8).map(move |bit| (at, bit)))
        {
            let mut cookie = sample.cookie.clone().into_bytes();
            cookie[at] ^= 1 << bit;
            let Some(headers) = headers(&cookie) else { continue };
            tried += 1;
            // `%2F` and `%2f` are the same text.
            let same = decoded(&cookie[start..]) == original;
            assert_eq!(
                importer.find(&headers, None).len(),
                usize::from(same),
                "{name}: {at} {bit}"
            );
        }
    }
    assert!(tried > 5_000, "{tried} cookies");
}

#[test]
fn a_former_key_opens_the_cookie_and_another_key_does_not() {
    for name in ["tower-sessions signed", "tower-sessions private", "axum_session signed key"] {
        let sample = sample(name);
        let (found, mut other) = (sample.headers(), key());
        other.reverse();
        let format = sample.importer().format();
        let with = |keys: &[[u8; 64]]| {
            let new = Importer::builder(format).no_users();
            let private = name.ends_with("private");
            let builder = keys.iter().fold(new, |builder, key| {
                if private { builder.private_cookie(key) } else { builder.signed_cookie(key) }
            });
            builder.build().unwrap().find(&found, None).len()
        };
        assert_eq!((with(&[other]), with(&[other, key()]), with(&[key()])), (0, 1, 1), "{name}");
    }
}

#[test]
fn a_private_cookie_is_bound_to_its_name() {
    let sample = sample("tower-sessions private");
    let renamed = sample.builder().cookie(crate::CookieConfig::new("other")).build().unwrap();
    let cookie = sample.cookie.replacen("id=", "other=", 1);
    assert!(renamed.find(&headers(cookie.as_bytes()).unwrap(), None).is_empty());
}

#[test]
fn a_signature_over_the_client_is_of_that_client_alone() {
    let sample = sample("axum_session signed key");
    let peer: IpAddr = "192.0.2.1".parse().unwrap();
    let found = |builder: ImporterBuilder, headers: &HeaderMap, peer| {
        builder.build().unwrap().find(headers, peer).len()
    };
    let headers = sample.headers();
    let mut other = headers.clone();
    other.insert("user-agent", HeaderValue::from_static("another"));
    let mut forwarded = headers.clone();
    forwarded.insert("x-forwarded-for", HeaderValue::from_static("unknown, 192.0.2.7"));
    forwarded.insert("x-real-ip", HeaderValue::from_static("192.0.2.7"));
    let parts = |parts: &[ClientPart]| sample.builder().client_parts(parts.to_vec());
    assert_eq!(found(sample.builder(), &headers, None), 1);
    assert_eq!(found(sample.builder(), &forwarded, None), 1, "these headers are not included");
    assert_eq!(found(sample.builder(), &other, None), 0);
    assert_eq!(found(sample.builder(), &headers, Some(peer)), 0);
    assert_eq!(found(parts(&[ClientPart::UserAgent]), &headers, Some(peer)), 1);
    assert_eq!(found(parts(&[]), &headers, None), 0);
    assert_eq!(found(sample.builder().without_client_parts(), &headers, None), 0);
    for part in [ClientPart::XForwardedFor, ClientPart::XRealIp] {
        assert_eq!(found(parts(&[ClientPart::UserAgent, part]), &headers, None), 1);
        assert_eq!(found(parts(&[ClientPart::UserAgent, part]), &forwarded, None), 0);
    }
}

/// The message of the MAC, as axum_session builds it: `ip;x-forwarded-for;forwarded;real-ip;agent`.
#[test]
fn each_part_of_the_client_has_its_place_in_the_signed_text() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use hmac::{Hmac, KeyInit as _, Mac as _};

    let id = "1bb6461b-c9f3-4aab-aa0a-8480b35398b3";
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key()[..32]).unwrap();
    mac.update(format!("{id}192.0.2.1;2001:db8::1;;192.0.2.9;ua").as_bytes());
    let cookie = format!("session={}{id}", STANDARD.encode(mac.finalize().into_bytes()));
    let mut headers = headers(cookie.as_bytes()).unwrap();
    headers.insert("x-forwarded-for", HeaderValue::from_static("x, 2001:DB8::1, 192.0.2.3"));
    headers.insert("x-real-ip", HeaderValue::from_static("192.0.2.9"));
    let all = [
        ClientPart::PeerAddress,
        ClientPart::XForwardedFor,
        ClientPart::XRealIp,
        ClientPart::UserAgent,
    ];
    let importer = Importer::builder(Format::AxumSession).signed_cookie(key()).client_parts(all);
    let found = importer.no_users().build().unwrap().find(&headers, "192.0.2.1".parse().ok());
    assert_eq!(found.len(), 1);
}

#[test]
fn a_plain_cookie_names_only_ids_in_the_form_of_the_library() {
    for (sample, ids) in [
        ("tower-sessions default (OnSessionEnd)", ["", "a", "session:AAAAAAAAAAAAAA", "*"]),
        (
            "axum_session default",
            [
                "1bb6461bc9f34aabaa0a8480b35398b3",
                "1BB6461B-C9F3-4AAB-AA0A-8480B35398B3",
                "------------------------------------",
                "1bb6461b-c9f3-4aab-aa0a-8480b35398b3:x",
            ],
        ),
        ("Flask-Session defaults", ["", "../../etc/passwd-which-is-long", "a b", "%0d%0a"]),
        (
            "Django table 1",
            ["VOKQBOTI52LWT0UYX11H83GDEGW1OIW1", "a", ":1:django.contrib.sessions.x", ""],
        ),
    ] {
        let sample = self::sample(sample);
        let name = sample.cookie.split('=').next().unwrap();
        for id in ids {
            let headers = headers(format!("{name}={id}").as_bytes()).unwrap();
            assert!(sample.importer().find(&headers, None).is_empty(), "{}: {id}", sample.name);
        }
    }
}

#[test]
fn each_truncated_or_extended_value_is_an_error() {
    for sample in samples().iter().filter(|sample| !sample.is_executable()) {
        let (importer, id, bytes) = (sample.importer(), sample.id(), sample.bytes());
        for len in 0..bytes.len() {
            let cut = importer.decode(&id, &bytes[..len], None);
            assert!(cut.is_err(), "{}: {len} bytes", sample.name);
        }
        let longer = [bytes.as_slice(), b"0"].concat();
        assert!(importer.decode(&id, &longer, None).is_err(), "{}", sample.name);
    }
}

#[test]
fn no_bit_of_encrypted_or_signed_bytes_can_be_another() {
    for name in ["axum_session encrypted", "Django table 1"] {
        let sample = sample(name);
        let (importer, id, bytes) = (sample.importer(), sample.id(), sample.bytes());
        for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            let error = importer.decode(&id, &changed, None).err();
            let kind = error.map(|error| error.kind());
            let rejected = [ImportErrorKind::Unverified, ImportErrorKind::Malformed];
            assert!(kind.is_some_and(|kind| rejected.contains(&kind)), "{name}: {at} {bit}");
        }
    }
    // Django's SECRET_KEY_FALLBACKS, and axum_session's former key.
    let new = |format| Importer::builder(format).no_users();
    let table = sample("Django table 1");
    let decode = |builder: ImporterBuilder, sample: &Sample| {
        builder.build().unwrap().decode(&sample.id(), &sample.bytes(), None).is_ok()
    };
    let django = new(Format::Django).stored_key("new");
    assert!(!decode(django.clone(), &table));
    assert!(decode(django.stored_key("django-secret"), &table));
    let encrypted = sample("axum_session encrypted");
    let axum = new(Format::AxumSession).stored_key([7; 64]);
    assert!(!decode(axum.clone(), &encrypted));
    assert!(decode(axum.stored_key(key()), &encrypted));
}

#[test]
fn bytes_of_another_session_are_rejected_where_the_format_has_the_id() {
    let (one, other) =
        (sample("tower-sessions default (OnSessionEnd)"), sample("tower-sessions OnInactivity 1h"));
    let swapped = one.decode(&other.bytes()).unwrap_err();
    assert_eq!(swapped.kind(), ImportErrorKind::Malformed);
    let encrypted = sample("axum_session encrypted");
    let moved = encrypted.importer().decode(
        &sample("axum_session signed key").id(),
        &encrypted.bytes(),
        None,
    );
    assert_eq!(moved.unwrap_err().kind(), ImportErrorKind::Unverified);
}

/// The default key prefix of Flask-Session is ours: a public id of ours is no old session.
#[test]
fn a_record_of_this_crate_is_no_session_of_any_library() {
    let record = crate::session::record::Record::example().to_bytes();
    for sample in samples() {
        if !sample.is_executable() {
            assert!(sample.decode(&record).is_err(), "{}", sample.name);
        }
    }
}
