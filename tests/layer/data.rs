//! What is data serialises under the names of its fields, times as RFC 3339, ids as their text; and
//! streams are `Stream`s.
//!
//! To see these fail: serialise a time as a number; take a field's name from somewhere else; drop
//! an event with a dropped wait.

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::json;
use test_support::faulty_store::{FaultyStore, Visitor};
use tower_redis_session::{
    MemoryStore, RedisSessionLayer, SessionId, Timestamp,
    context::SessionCursor,
    directory::{PlatformInfo, UserInfo},
    layer::DeviceConfig,
    telemetry::{Event, Events, Serving},
};

const ID: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

#[test]
fn ids_and_times_are_their_text_both_ways() {
    let id: SessionId = ID.parse().unwrap();
    let time = Timestamp::from_millis(1_700_000_000_123);
    let cursor = SessionCursor::new(time, id);
    let data = json!([ID, "2023-11-14T22:13:20.123Z", format!("1700000000123.{ID}")]);
    assert_eq!(serde_json::to_value((id, time, cursor)).unwrap(), data);
    assert_eq!(
        serde_json::from_value::<(SessionId, Timestamp, SessionCursor)>(data).unwrap(),
        (id, time, cursor)
    );
    for wrong in ["\"\"", "\"2023-11-14\"", "7", "null", "\"2023-11-14T22:13:20\""] {
        assert!(serde_json::from_str::<Timestamp>(wrong).is_err(), "{wrong}");
        assert!(serde_json::from_str::<SessionId>(wrong).is_err(), "{wrong}");
    }
    // Cut to the millisecond, with whatever offset; before 1970 it is 1970.
    for (text, millis) in [
        ("1970-01-01T01:00:00.0019999+01:00", 1),
        ("1969-12-31T23:59:59Z", 0),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ] {
        assert_eq!(text.parse::<Timestamp>().unwrap().as_millis(), millis, "{text}");
    }
    assert_eq!(SessionId::from(*id.as_bytes()), id);
    assert_eq!(SessionId::try_from(id.as_ref()).unwrap(), id);
    assert!(SessionId::try_from(&id.as_bytes()[1..]).is_err());
}

#[tokio::test]
async fn a_page_of_sessions_and_a_snapshot_are_objects() {
    let layer = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
    let mut visitor = Visitor::new(&layer);
    let login = visitor.ask(async |session| {
        session.login("alice").await?;
        session.save().await?;
        let page = serde_json::to_value(session.sessions_page(None, 10).await?).unwrap();
        let snapshot = serde_json::to_value(session.snapshot().await?).unwrap();
        Ok(json!([page, snapshot]).to_string())
    });
    let said: serde_json::Value = serde_json::from_str(login.await.text()).unwrap();
    let (one, snapshot) = (&said[0]["sessions"][0], &said[1]);
    assert_eq!(
        (&one["current"], &one["label"], &said[0]["next"]),
        (&json!(true), &json!(null), &json!(null))
    );
    assert_eq!(one["id"], snapshot["id"]);
    assert_eq!(snapshot["user_id"], "alice");
    assert!(one["expires_at"].as_str().unwrap().parse::<Timestamp>().is_ok());
    let health = serde_json::to_value(layer.admin().health()).unwrap();
    assert_eq!(
        health,
        json!({"serving": "memory", "redis": null, "database": null, "copies": null})
    );
    let down = serde_json::to_value(Event::StoreDown { store: Serving::Redis }).unwrap();
    assert_eq!(down, json!({"event": "store_down", "store": "redis"}));
}

#[test]
fn users_and_platforms_come_back_from_what_they_are_written_as() {
    let user =
        json!({"id": "7", "username": "alice", "email": null, "role": "member", "active": true});
    let alice: UserInfo = serde_json::from_value(user.clone()).unwrap();
    assert_eq!(serde_json::to_value(alice).unwrap(), user);
    let platform = json!({"id": "1", "name": "n", "kind": "mastodon", "instance_url": "https://a.example",
        "username": "alice", "active": true, "default": false});
    let photos: PlatformInfo = serde_json::from_value(platform.clone()).unwrap();
    assert_eq!(serde_json::to_value(photos).unwrap(), platform);
}

#[tokio::test]
async fn an_event_stream_ends_with_its_layer_and_not_with_the_store() {
    let store = MemoryStore::new();
    let layer = || RedisSessionLayer::builder(store.clone()).build().unwrap();
    let (gone, stays) = (layer(), layer());
    let (mut ends, mut goes_on) = (gone.admin().events(), stays.admin().events());
    stays.admin().revoke_all("alice").await.unwrap();
    drop(gone);
    // What was reported before is heard.
    assert!(matches!(ends.next().await, Some(Event::RevokedAll { .. })));
    let end = tokio::time::timeout(Duration::from_secs(20), ends.next()).await;
    assert_eq!(end.expect("the end of the stream"), None);
    assert!(matches!(goes_on.next().await, Some(Event::RevokedAll { .. })));
    assert_eq!(goes_on.next().now_or_never(), None);
}

#[tokio::test]
async fn events_are_a_stream_and_a_dropped_wait_drops_none() {
    let events = Events::default();
    let mut heard = events.listen();
    let event = |count| Event::Missed { count };
    for _ in 0..3 {
        assert_eq!(heard.next().now_or_never(), None);
    }
    events.emit(event(1));
    let late = tokio::time::timeout(Duration::from_secs(20), heard.next()).await.unwrap();
    assert_eq!(late, Some(event(1)));
    events.emit(event(2));
    drop(events);
    let all: Vec<_> =
        heard.by_ref().map(|event| serde_json::to_string(&event).unwrap()).collect().await;
    assert_eq!(all, [r#"{"event":"missed","count":2}"#]);
    assert_eq!(heard.next().await, None);
}

#[test]
fn trusted_proxies_are_networks_or_addresses_as_text() {
    for (networks, accepted) in [
        (vec!["10.0.0.0/8", " 2001:db8::/32 ", "192.0.2.7"], true),
        (vec![], true),
        (vec!["10.0.0.0/33"], false),
        (vec!["10.0.0.0/8", "proxy.example"], false),
        (vec![""], false),
    ] {
        let devices = DeviceConfig::new().trusted_proxies(&networks);
        assert_eq!(devices.is_ok(), accepted, "{networks:?}");
        if let Err(error) = devices {
            assert_eq!(error.setting(), "trusted proxies");
            assert!(
                error.to_string().ends_with(&format!("entry {} is not a network", networks.len())),
                "{error}"
            );
        }
    }
    // The layer takes it as it is.
    let builder = RedisSessionLayer::builder(FaultyStore::new());
    assert!(
        builder
            .devices(DeviceConfig::new().trusted_proxies(["10.0.0.0/8"]).unwrap())
            .build()
            .is_ok()
    );
}
