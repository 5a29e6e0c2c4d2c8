//! What visitors could put into the store, and what came out of it.

use std::time::{Duration, Instant};

use tower_redis_session::{ErrorKind, MemoryStore, RedisSessionLayer, store::Record};

use super::visitors::durable;
use test_support::{
    COOKIE, Client, LogCapture, NOBODY, REMOVED, RedisServer, Site, records, signed_in, token, who,
};

/// Django CVE-2015-5143, CVE-2015-5963, CVE-2015-5964: each visit, each unknown id and each logout
/// left an empty record in the store.
#[tokio::test]
async fn cve_2015_5143_visits_and_logouts_fill_no_store() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut client = Client::connect(site.addr()).await;
    let paths = ["/", "/user,get:cart", "/logout", "/destroy", "/clear", "/keys", "/renew"];
    for number in 0..210 {
        let path = paths[number % paths.len()];
        // A well-formed one that was never issued, each time another.
        let made_up = format!("{COOKIE}={number:A>42}A");
        let cookie = if number % 2 == 0 { "a=b" } else { made_up.as_str() };
        let set = client.get_with(path, cookie).await.expect(200).set_cookies();
        assert!(set.is_empty() || set == [REMOVED], "{path}: {set:?}");
    }
    assert_eq!(redis.keys().await, []);
}

/// Symfony CVE-2016-4423: the name that somebody failed to sign in with was stored at any length.
#[tokio::test]
async fn cve_2016_4423_nobody_stores_more_than_the_bound() {
    let redis = RedisServer::start().await;
    let site = Site::configured(&redis, |builder| builder.max_record_size(4_096)).await;
    let mut browser = signed_in(&site).await;
    let before = redis.dump().await;
    for path in ["/fill:name:4096", "/fill:name:100000", "/~fill:name:100000,save"] {
        let reply = browser.get(path).await;
        let refused = reply.status == 413 || reply.text().contains("!TooLarge");
        assert!(refused && reply.set_cookies().is_empty(), "{path}: {reply:?}");
    }
    assert_eq!(redis.dump().await, before);
    assert_eq!(browser.get("/user,get:cart").await.expect(200).text(), "alice,tea");
}

/// sqlx RUSTSEC-2024-0363: a length beyond the four bytes of the protocol wrapped, and the rest was
/// read as commands. What reaches a database is bounded long before.
#[tokio::test]
async fn rustsec_2024_0363_what_reaches_a_database_is_bounded() {
    let of_4_gib = RedisSessionLayer::builder(MemoryStore::new()).max_record_size(1 << 32);
    assert_eq!(of_4_gib.build().unwrap_err().setting(), "max record size");
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let site = durable(&redis, &folder).await;
    let mut browser = signed_in(&site).await;
    let reply = browser.get("/fill:name:70000").await.expect(413);
    assert!(reply.set_cookies().is_empty(), "{reply:?}");
    assert_eq!(browser.get("/user,get:cart,keys").await.expect(200).text(), "alice,tea,cart");
}

/// Spring Session CVE-2023-20866 printed the id to the standard output; at crates.io, April 2025,
/// the cookie went to an error tracker together with the headers.
#[tokio::test]
async fn cve_2023_20866_the_secret_is_in_no_log_and_in_no_printed_header() {
    let (log, _guard) = LogCapture::on_this_thread();
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut cookie = String::new();
    let mut tokens = Vec::new();
    for path in ["/insert:a:1", "/login:alice,keep", "/renew", "/get:a,keep", "/~fail", "/logout"] {
        let response = site.visit(path, &cookie).await;
        // As a tracker would do it that prints what it is given.
        tracing::error!(headers = ?response.headers(), "reported");
        if let Some(line) = response.headers().get("set-cookie") {
            assert!(line.is_sensitive(), "{path}");
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            cookie = pair.to_owned();
            tokens.push(pair.split_once('=').unwrap().1.to_owned());
        }
    }
    tracing::error!(kept = ?site.kept(), layer = ?site.layer, "reported");
    tokens.retain(|token| !token.is_empty());
    assert_eq!(tokens.len(), 3);
    assert!(log.events().len() >= 7, "{:?}", log.events());
    for token in tokens {
        assert!(!log.contains(&token), "{:?}", log.all());
    }
}

/// Tomcat CVE-2020-9484 and CVE-2025-24813, Laravel CVE-2018-15133: whoever could write a session's
/// bytes made the server build objects and run code out of them.
#[tokio::test]
async fn cve_2020_9484_stored_bytes_are_data_and_nothing_else() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = signed_in(&site).await;
    let (key, value) = records(&redis).await.pop().unwrap();
    let head = &value[..17];
    let mut connection = redis.connection().await;
    for (name, foreign) in [
        ("java", &b"\xac\xed\x00\x05sr\x00\x11java.util.HashMap"[..]),
        ("php", b"O:8:\"stdClass\":1:{s:1:\"a\";i:1;}"),
        ("python", b"cos\nsystem\n(S'id'\ntR."),
        ("ruby", b"\x04\x08o:\x0bObject\x00"),
        ("json", b"{\"@type\":\"x\",\"user\":\"admin\"}"),
        ("yaml", b"!!python/object/apply:os.system ['id']"),
    ] {
        for bytes in [foreign.to_vec(), [head, foreign].concat()] {
            let set = redis::cmd("SET").arg(&key).arg(&bytes).arg("EX").arg(600).to_owned();
            let () = set.query_async(&mut connection).await.unwrap();
            let reply = browser.get("/user,get:cart").await.expect(200);
            assert_eq!((reply.text().as_str(), reply.set_cookies().len()), (NOBODY, 0), "{name}");
            let reply = browser.get("/insert:a:1").await.expect(500);
            assert!(reply.set_cookies().is_empty(), "{name}: {reply:?}");
            assert_eq!(records(&redis).await, [(key.clone(), bytes)], "{name}: kept as it is");
        }
    }
    let old = token(&browser);
    assert_eq!(browser.get("/logout").await.expect(200).set_cookies(), [REMOVED]);
    assert_eq!(who(&site, &old).await, NOBODY);
}

/// rmpv RUSTSEC-2017-0006, rmp-serde RUSTSEC-2022-0092: lengths in the bytes were believed, and
/// memory was taken for them, before it was known that so many bytes follow.
#[tokio::test]
async fn rustsec_2017_0006_no_length_is_believed_before_its_bytes_are_there() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = signed_in(&site).await;
    browser.get("/push:list:x,fill:long:300").await.expect(200);
    let (key, value) = records(&redis).await.pop().unwrap();
    let envelope = &value[17..];
    let start = Instant::now();
    let mut unreadable = 0;
    // Every place that could be a length, with all bits set and with many.
    for at in 0..envelope.len() - 4 {
        for huge in [&[0xff; 2][..], &[0xff; 4], &[0x7f, 0xff, 0xff, 0xff]] {
            let mut bytes = envelope.to_vec();
            bytes[at..at + huge.len()].copy_from_slice(huge);
            match Record::from_bytes(1, bytes.into()) {
                Ok(record) => assert!(record.to_bytes().len() <= envelope.len()),
                Err(error) => {
                    let kinds = [ErrorKind::Corrupt, ErrorKind::Unsupported];
                    assert!(kinds.contains(&error.kind()), "{error:?}");
                    unreadable += 1;
                }
            }
        }
    }
    // Gigabytes take longer than that.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(unreadable > 100, "{unreadable}");
    // And by way of Redis, at the lengths of the texts and of the content.
    let mut connection = redis.connection().await;
    for at in [69, 70, 76, 78, 80, 83, 84, 85] {
        let mut bytes = value.clone();
        bytes[17 + at] = 0xf7;
        let set = redis::cmd("SET").arg(&key).arg(bytes).arg("EX").arg(600).to_owned();
        let () = set.query_async(&mut connection).await.unwrap();
        assert_eq!(browser.get("/user,get:cart").await.expect(200).text(), NOBODY, "byte {at}");
    }
}

/// rack-session CVE-2026-39324: what could not be decrypted was decoded as if it had never been
/// encrypted, so whoever could write to the store made up sessions.
#[tokio::test]
async fn cve_2026_39324_what_does_not_open_is_never_read_in_another_way() {
    use tower_redis_session::encryption::UnsealedRecords;

    let redis = RedisServer::start().await;
    for plain in [UnsealedRecords::Accept, UnsealedRecords::Reject] {
        let site = Site::configured(&redis, |builder| builder.seal_records(plain)).await;
        let mut browser = signed_in(&site).await;
        let (key, sealed) = records(&redis).await.pop().unwrap();
        // Where the form stands: behind the user and a device of which nothing is known.
        let user = sealed.windows(5).position(|part| part == b"alice").unwrap();
        let form = user + 5 + 6;
        assert_eq!(sealed[form], 1, "sealed");
        let as_open = [&sealed[..form], &[0], &sealed[form + 1..]].concat();
        let mut bits = sealed.clone();
        *bits.last_mut().unwrap() ^= 1;
        for (name, bytes) in [("called open", &as_open), ("a flipped bit", &bits)] {
            let mut set = redis::cmd("SET");
            set.arg(&key).arg(bytes.as_slice()).arg("KEEPTTL");
            let () = set.query_async(&mut redis.connection().await).await.unwrap();
            let reply = browser.get("/user,~insert:cart:tea").await.expect(200);
            assert_eq!(reply.text(), "-,!Corrupt", "{plain:?}, {name}");
        }
        browser.get("/logout").await.expect(200);
        assert_eq!(records(&redis).await, [], "{plain:?}");
    }
}
