//! A Redis without memory (`noeviction`) refuses what makes a session and what makes one larger.
//! Everything else goes on: reads, activity, changes that need no room, logout, revocation.
//!
//! Redis refuses a script's first write if that may need memory, and none after a write that does
//! not. All servers here decide that alike.
//!
//! To see these fail: in `touch.lua` the two writes the other way round; in `save.lua` without
//! `PEXPIRE`; in `kill.lua` and `revoke_all.lua` a `SET` as the first write;
//! in `request/external_id.rs` return where the mark fails.

use std::{collections::BTreeSet, time::Duration};

use redis::{Value, aio::MultiplexedConnection};
use test_support::{COOKIE, RedisServer, Site, eventually, faulty_store::Visitor};
use tower_redis_session::{ErrorKind, SessionContext};

const HEAD: &str = "R0000000000000001";
const LEASE: &str = "L0123456789abcdef";
/// What an entry of a directory begins with: an end that is far away.
const FAR: &str = "9999999999999";

/// A record of alice's, of so many bytes more.
fn record(more: usize) -> String {
    format!("{HEAD}\0\u{5}alice{}", "x".repeat(more))
}

/// What a session has before its record that still has to end another one.
fn mark() -> String {
    format!("P{}{HEAD}a", "a".repeat(43))
}

macro_rules! script {
    ($($file:literal),+) => {
        (
            {
                let files: &[&str] = &[$($file),+];
                files[files.len() - 1]
            },
            concat!($(include_str!(concat!("../../src/store/redis/lua/", $file, ".lua"))),+),
        )
    };
}

const SCRIPTS: &[(&str, &str)] = &[
    script!("attempt"),
    script!("copy_touch"),
    script!("create"),
    script!("entry_fill"),
    script!("shared/keys", "entry_remove"),
    script!("entry_take"),
    script!("shared/keys", "enter"),
    script!("fill"),
    script!("shared/keys", "heads"),
    script!("shared/keys", "shared/index", "kill"),
    script!("shared/keys", "shared/index", "shared/records", "login"),
    script!("shared/keys", "shared/index", "leave"),
    script!("put"),
    script!("renew"),
    script!("shared/keys", "shared/records", "revoke_all"),
    script!("save"),
    script!("take_over"),
    script!("touch"),
    script!("unmark"),
];

/// Where the session is that has moved.
const HEIR_KEY: &str = "s:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{aaa}";

/// What a script does on a full server.
struct Row {
    what: &'static str,
    script: &'static str,
    keys: &'static [&'static str],
    args: Vec<String>,
    /// The reply; without one the script is refused, and nothing has changed.
    reply: Option<&'static str>,
    /// What is different afterwards.
    changed: &'static [&'static str],
}

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    const LATER: &str = "99999999999999";
    let args = |args: &[&str]| args.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (same, longer) = (record(40), record(80));
    let login = |epoch: &str, limit: &str| {
        args(&[&same, "400000", LATER, "60000", "", epoch, limit, "s:", "new", "", "9", "900000", "300000", "24", "u:", "17", "", ""])
    };
    let user = &["u:{Uis}alice"][..];
    let rows = &["a:1", "a:1", "a:1", "a:1", "a:2"][..];
    let attempt = |action: &str, ways: &str, tags: &[&str], known: &str| {
        let rule = |tag: &&str| args(&[tag, "5", "20", "0", "1000", "60000", "86400000"]);
        let count = tags.len().to_string();
        let rules = tags.iter().flat_map(rule);
        args(&[action, ways, &count, "900000"]).into_iter().chain(rules).chain([known.to_owned()]).collect()
    };
    let counted = &["site", "network", "pair", "account"][..];
    let others = &["site 2", "network 2", "pair 2", "account 2"][..];
    let uncounted = &["site", "network", "pair 2", "account 2"][..];
    let row = |what, script, keys, args, reply, changed| Row { what, script, keys, args, reply, changed };
    vec![
        row("a new session", "create", &["s:new{}"], args(&[&same, "400000", LATER]), None, &[]),
        row("a larger record", "save", &["s:a{}", "u:{Uis}alice"], args(&[HEAD, &longer, "400000", "a", "1", "900000"]), None, &[]),
        row("one as large", "save", &["s:a{}", "u:{Uis}alice"], args(&[HEAD, &same, "400000", "a", "1", "900000"]), Some("1"), &["s:a{}"]),
        row("a smaller one, not in its list", "save", &["s:a{}", "u:{Uis}alice"], args(&[HEAD, &record(1), "400000", "a", "2", "900000"]), Some("1"), &["s:a{}", "u:{Uis}alice"]),
        row("a new id", "renew", &["s:a{}", "s:new{}"], args(&[HEAD, &same, "400000", LATER, "60000", "new"]), None, &[]),
        row("a login", "login", &["u:{Uis}alice", "s:new{}"], login("", ""), None, &[]),
        row("a login that would end another", "login", &["u:{Uis}alice", "s:new{}"], login("", "1"), None, &[]),
        row("a login that was revoked", "login", &["u:{Uis}alice", "s:new{}"], login("6", ""), Some("-3"), &[]),
        row("a logout", "kill", &["s:a{}"], args(&["60000", "a", "17", "u:", "", "s:", "8", "", ""]), Some("1"), &["s:a{}", "u:{Uis}alice"]),
        row("a logout of one that has moved", "kill", &["s:moved{}"], args(&["60000", "moved", "17", "u:", "", "s:", "8", "", ""]), Some("1"), &[HEIR_KEY]),
        row("a logout at a version", "kill", &["s:a{}"], args(&["60000", "a", "17", "u:", HEAD, "s:", "8", "", ""]), Some("1"), &["s:a{}", "u:{Uis}alice"]),
        row("of what is no session", "kill", &["other"], args(&["60000", "a", "17", "u:", "", "s:", "8", "", ""]), Some("1"), &["other"]),
        row("all others out", "revoke_all", user, args(&["s:", "60000", "900000", "300000", "a", "24", ""]), Some("1"), &["s:b{}", "u:{Uis}alice"]),
        row("all out", "revoke_all", user, args(&["s:", "60000", "900000", "300000", "", "24", ""]), Some("2"), &["s:a{}", "s:b{}", "u:{Uis}alice"]),
        row("nobody out", "revoke_all", &["u:{SBg}bob"], args(&["s:", "60000", "900000", "300000", "", "24", ""]), Some("0"), &["u:{SBg}bob"]),
        row("a list", "heads", user, args(&["s:", "17", "", "a", "gone"]), Some("[R0000000000000001, ]"), &["u:{Uis}alice"]),
        row("the end for another id", "leave", &["s:a{}"], args(&[HEAD, "new", "60000", "a", "17", "u:", "", ""]), Some("1"), &["s:a{}", "u:{Uis}alice"]),
        row("the end of a mark", "unmark", &["s:pending{}"], args(&[&mark()[..61]]), Some("1"), &["s:pending{}"]),
        row("what was written since", "take_over", &["s:pending{}"], args(&[&mark(), &same, "400000", "", "a"]), None, &[]),
        row("an entry of another slot", "enter", user, args(&["longer", "4", "900000"]), None, &[]),
        row("activity", "touch", &["s:a{}"], args(&[HEAD, &"~".repeat(16), "24", "500000"]), Some("1"), &["s:a{}"]),
        row("activity in a copy", "copy_touch", &["s:a{}"], args(&[HEAD, &"~".repeat(16), "24", "500000", ""]), Some("[1, ]"), &["s:a{}"]),
        row("the database's activity", "copy_touch", &["s:a{}"], args(&[HEAD, &"~".repeat(16), "24", "500000", "12345678"]), Some("[2, 12345678]"), &[]),
        row("an entry that is fresh", "entry_take", &["d:alice"], args(&["fresh", "lease", "5000", "10"]), Some("[value, 0]"), &[]),
        row("an entry that is due", "entry_take", &["d:alice"], args(&["due", "lease", "5000", FAR]), Some("[value, 3]"), &[]),
        row("none", "entry_take", &["d:bob"], args(&["x", "lease", "5000", "10"]), Some("[nil, 3]"), &[]),
        row("an entry by a lease", "entry_fill", &["d:alice"], args(&["led", "lease", "new", "5000"]), Some("1"), &["d:alice"]),
        row("a lease given back", "entry_fill", &["d:alice"], args(&["led", "lease", "", "0"]), Some("1"), &["d:alice"]),
        row("the end of entries", "entry_remove", &["d:alice"], args(&["300000", ""]), Some("1"), &["d:alice"]),
        row("their end once more", "entry_remove", &["d:bob"], args(&["300000", "r"]), Some("1"), &["d:bob"]),
        row("a copy by a lease", "fill", &["s:led{}"], args(&[LEASE, &same, "400000"]), None, &[]),
        row("a newer copy", "put", &["s:a{}"], args(&["R0000000000000002", &same, "400000"]), None, &[]),
        row("an older copy", "put", &["s:a{}"], args(&[HEAD, &same, "400000"]), Some("0"), &[]),
        row("an attempt", "attempt", rows, attempt("begin", "64", uncounted, ""), None, &[]),
        row("one more", "attempt", rows, attempt("begin", "64", counted, ""), None, &[]),
        row("one that displaces others", "attempt", rows, attempt("begin", "4", others, ""), Some("[0]"), &["a:1"]),
        row("its success", "attempt", rows, attempt("succeed", "64", counted, "home"), Some("[0]"), &["a:1", "a:2"]),
        row("a success at first", "attempt", rows, attempt("succeed", "64", uncounted, "home"), Some("[0]"), &["a:1", "a:2"]),
        row("failures forgiven", "attempt", rows, attempt("forgive", "64", counted, ""), Some("[0]"), &["a:1"]),
        row("a copy in a lease's place", "put", &["s:led{}"], args(&[HEAD, &same, "400000"]), Some("0"), &["s:led{}"]),
    ]
}

async fn run(
    connection: &mut MultiplexedConnection,
    command: &[&str],
) -> redis::RedisResult<Value> {
    redis::cmd(command[0]).arg(&command[1..]).query_async(connection).await
}

async fn set_up(connection: &mut MultiplexedConnection) {
    let value = record(40);
    let moved = format!("M{:016x}{}{:013}{value}", 1, HEIR_KEY[2..].replace(['{', '}'], ""), 0);
    let entry = format!("{FAR}value");
    let failed_once =
        format!("\0\0\0\u{1}{}{}{}", "\0\u{7f}".repeat(4), "\0".repeat(8), "\0\u{7f}".repeat(4));
    for command in [
        &["FLUSHALL"][..],
        &["SET", "s:a{}", &value, "PX", "455000"],
        &["SET", "s:b{}", &value, "PX", "455000"],
        &["SET", "s:pending{}", &format!("{}{value}", mark()), "PX", "455000"],
        &["SET", "s:led{}", LEASE, "PX", "455000"],
        &["SET", "s:moved{}", &moved, "PX", "455000"],
        &["SET", HEIR_KEY, &value, "PX", "455000"],
        &["RPUSH", "other", "a list"],
        &["HSET", "u:{Uis}alice", "epoch", "5", "a", "1", "b", "2", "gone", "3"],
        &["PEXPIRE", "u:{Uis}alice", "985000"],
        &["HSET", "d:alice", "vfresh", &entry, "vdue", &entry],
        &["HSET", "d:alice", "lled", &format!("{FAR}lease")],
        &["HSET", "a:1", "site", &failed_once, "network", &failed_once, "pair", &failed_once],
        &["HSET", "a:1", "account", &failed_once],
        &["PEXPIRE", "a:1", "985000"],
    ] {
        run(connection, command).await.unwrap();
    }
}

/// Keys whose value or end is another than before.
async fn state(connection: &mut MultiplexedConnection) -> BTreeSet<(String, String)> {
    let mut state = BTreeSet::new();
    for key in [
        "s:a{}",
        "s:b{}",
        "s:led{}",
        "s:moved{}",
        "s:pending{}",
        HEIR_KEY,
        "s:new{}",
        "other",
        "u:{Uis}alice",
        "u:{SBg}bob",
        "d:alice",
        "d:bob",
        "a:1",
        "a:2",
    ] {
        let value = run(connection, &["DUMP", key]).await.unwrap();
        // In steps of ten seconds: time passes between two looks.
        let end: i64 = redis::cmd("PTTL").arg(key).query_async(connection).await.unwrap();
        let _ = state.insert((key.to_owned(), format!("{value:?} {}", end / 10_000)));
    }
    state
}

fn text(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(text).collect::<Vec<_>>().join(", "))
        }
        _ => "nil".to_owned(),
    }
}

#[tokio::test]
async fn every_script_does_on_a_full_server_what_is_said_here() {
    let rows = rows();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/redis/lua");
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().file_name().into_string().unwrap();
        // What scripts share is no script.
        if file == "shared" {
            continue;
        }
        assert!(rows.iter().any(|row| format!("{}.lua", row.script) == file), "{file}: no row");
    }
    let servers = [
        RedisServer::start().await,
        RedisServer::start_version("redis-6.2").await,
        RedisServer::start_version("valkey-9.1").await,
    ];
    for (number, server) in servers.iter().enumerate() {
        let mut connection = server.connection().await;
        for row in &rows {
            let what = format!("{}, {}, server {number}", row.script, row.what);
            server.make_room().await;
            set_up(&mut connection).await;
            server.fill_up().await;
            let before = state(&mut connection).await;
            let (_, source) = SCRIPTS.iter().find(|(name, _)| *name == row.script).unwrap();
            let mut eval = redis::cmd("EVAL");
            eval.arg(*source).arg(row.keys.len()).arg(row.keys).arg(&row.args);
            let reply: redis::RedisResult<Value> = eval.query_async(&mut connection).await;
            match (&reply, row.reply) {
                (Ok(reply), Some(expected)) => assert_eq!(text(reply), expected, "{what}"),
                (Err(error), None) => assert!(error.to_string().contains("OOM"), "{what}: {error}"),
                _ => panic!("{what}: {reply:?}"),
            }
            let after = state(&mut connection).await;
            let changed: BTreeSet<_> =
                after.difference(&before).map(|(key, _)| key.as_str()).collect();
            assert_eq!(changed, row.changed.iter().copied().collect(), "{what}");
            if row.what == "all others out" {
                let left = run(&mut connection, &["HKEYS", "u:{Uis}alice"]).await.unwrap();
                // Their order is the server's.
                assert!(["[a, epoch]", "[epoch, a]"].contains(&&*text(&left)), "{what}: {left:?}");
            }
        }
        server.make_room().await;
        run(&mut connection, &["FLUSHALL"]).await.unwrap();
    }
}

#[tokio::test]
async fn an_active_user_of_a_full_redis_stays_signed_in() {
    let redis = RedisServer::start().await;
    let site = Site::configured(&redis, |builder| {
        builder.idle_timeout(Duration::from_secs(60)).touch_interval(Duration::from_millis(50))
    })
    .await;
    let mut browser = test_support::signed_in(&site).await;
    redis.fill_up().await;
    let mut end = browser.get("/expires").await.expect(200).text();
    for _ in 0..2 {
        eventually("a later end", async || {
            let later = browser.get("/get:cart,expires").await.expect(200).text();
            let later = later.split(',').nth(1).unwrap().to_owned();
            let moved = later > end;
            end = later;
            moved
        })
        .await;
    }
    redis.make_room().await;
}

#[tokio::test]
async fn whoever_is_kept_by_a_revocation_on_a_full_redis_can_be_revoked_later() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut kept = test_support::signed_in(&site).await;
    let mut other = test_support::signed_in(&site).await;
    redis.fill_up().await;
    assert_eq!(kept.get("/revoke_others").await.expect(200).text(), "1");
    assert_eq!(other.get("/user").await.text(), "-");
    // Again, with nobody to end: the first write of the script is another.
    assert_eq!(kept.get("/revoke_others").await.expect(200).text(), "0");
    redis.make_room().await;
    assert_eq!(site.layer.admin().revoke_all("alice").await.unwrap(), 1);
    assert!(kept.cookie(COOKIE).is_some());
    assert_eq!(kept.get("/user").await.expect(200).text(), "-");
    redis.assert_every_key_has_a_ttl().await;
}

#[tokio::test]
async fn a_provider_logout_on_a_full_redis_ends_what_is_known_and_is_complete_when_repeated() {
    const NAME: &str = "https://id.example.org|sid-1";
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let sign_in = async |s: SessionContext| {
        let attempt = s.begin_login("alice").await?;
        s.finish_login(attempt.with_external_id(NAME)).await.map(|()| String::new())
    };
    let user = async |s: SessionContext| Ok(s.user_id().await?.unwrap_or_default());
    let mut visitor = Visitor::new(&site.layer);
    assert_eq!(visitor.ask(sign_in).await.status(), 200);
    redis.fill_up().await;
    let admin = site.layer.admin();
    let error = admin.revoke_by_external_id(NAME).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(visitor.ask(user).await.text(), "");
    redis.make_room().await;
    assert_eq!(admin.sessions_of("alice").await.unwrap(), []);
    // The id is not marked before it is repeated.
    let mut other = Visitor::new(&site.layer);
    assert_eq!(other.ask(sign_in).await.status(), 200);
    assert_eq!(admin.revoke_by_external_id(NAME).await.unwrap(), 1);
    assert_eq!(other.ask(user).await.text(), "");
    assert_eq!(Visitor::new(&site.layer).ask(sign_in).await.status(), 401);
    redis.assert_every_key_has_a_ttl().await;
}

#[tokio::test]
async fn values_can_be_removed_and_replaced_where_there_is_no_room_for_more() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = test_support::signed_in(&site).await;
    redis.fill_up().await;
    browser.get("/insert:more:1").await.expect(503);
    browser.get("/insert:cart:eat").await.expect(200);
    browser.get("/expiry:60:60").await.expect(200);
    browser.get("/remove:cart").await.expect(200);
    assert_eq!(browser.get("/user,get:cart").await.expect(200).text(), "alice,-");
    redis.make_room().await;
    redis.assert_every_key_has_a_ttl().await;
}
