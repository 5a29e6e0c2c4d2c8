//! Servers that are almost Redis: a command that they refuse, scripts that get declared keys only.
//! What `check()` passes works; what does not work is told, with what an operator has to do.
//!
//! To see these fail: take an error for nothing in `revoke_all.lua`; call no script in `check`;
//! send `EVALSHA` whatever it is answered.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
};

use http::Method;
use test_support::{
    Interceptor, PASSWORD, Part, RedisServer, Request, Resp, Site, Wire, documented, patient,
};
use tower_redis_session::{
    DatabaseConfig, DurableStore, Error, ErrorKind, RedisConfig, RedisStore,
    directory::CachedDirectory, store::Store as _, testing::Accounts,
};

/// Checks each key against those that are declared, as some servers do.
const DECLARED_ONLY: &str = "
local real = redis
local function declared(key)
  for _, one in ipairs(KEYS) do
    if one == key then return true end
  end
  return false
end
local redis = {}
for _, name in ipairs({'call', 'pcall'}) do
  redis[name] = function(command, key, ...)
    if key == nil then
      return real[name](command)
    elseif declared(key) then
      return real[name](command, key, ...)
    elseif name == 'call' then
      error('script tried accessing undeclared key')
    end
    return {err = 'ERR script tried accessing undeclared key'}
  end
end
";

/// Puts that in front of each script, on the way to a real server.
#[derive(Default)]
struct DeclaredOnly(Resp);

static HASHES: LazyLock<Mutex<HashMap<String, String>>> = LazyLock::new(Mutex::default);

fn prefixed(script: &[u8]) -> Vec<u8> {
    let text = format!("{DECLARED_ONLY}{}", String::from_utf8_lossy(script));
    let hash = |text: &str| redis::Script::new(text).get_hash().to_owned();
    let (old, new) = (hash(&String::from_utf8_lossy(script)), hash(&text));
    HASHES.lock().unwrap().insert(old, new);
    text.into_bytes()
}

impl Wire for DeclaredOnly {
    fn request(&mut self, bytes: &mut Vec<u8>) -> Option<Request> {
        let mut request = self.0.request(bytes)?;
        match request.name.as_str() {
            "SCRIPT" => request.texts[2] = prefixed(&request.texts[2]),
            "EVALSHA" => {
                let old = String::from_utf8_lossy(&request.texts[1]).into_owned();
                request.texts[1] = HASHES.lock().unwrap()[&old].clone().into_bytes();
            }
            _ => return Some(request),
        }
        request.bytes = format!("*{}\r\n", request.texts.len()).into_bytes();
        for text in &request.texts {
            request.bytes.extend(format!("${}\r\n", text.len()).bytes());
            request.bytes.extend_from_slice(text);
            request.bytes.extend_from_slice(b"\r\n");
        }
        Some(request)
    }

    fn reply(&mut self, bytes: &mut Vec<u8>) -> Option<Part> {
        self.0.reply(bytes)
    }
}

#[track_caller]
fn assert_told(checked: Result<(), Error>, words: &str) {
    let error = checked.expect_err(words);
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
    assert!(error.to_string().to_lowercase().contains(words), "{error:?}");
}

#[tokio::test]
async fn a_server_of_declared_keys_only_is_told_and_never_says_that_nobody_is_there() {
    let redis = RedisServer::start().await;
    let proxy: Interceptor<DeclaredOnly> = Interceptor::start(redis.addr()).await;
    let direct = Site::start(&redis).await;
    let site = Site::on(patient(&redis.url_at(proxy.port())), |builder| builder).await;
    assert_told(site.layer.check().await, "declared");
    // What needs declared keys only works, and the rest is refused whole.
    let mut visitor = site.browser().await;
    visitor.get("/insert:a:1").await.expect(200);
    visitor.get("/insert:a:2,get:a").await.expect(200);
    let mut one = test_support::signed_in(&direct).await;
    let mut two = test_support::signed_in(&direct).await;
    let before = redis.dump().await;
    for path in ["/revoke_others", "/sessions", "/logout_everywhere"] {
        let reply = one.on(site.addr()).await.get(path).await;
        assert_eq!(reply.status.as_u16(), 503, "{path}: {reply:?}");
    }
    let mut third = site.browser().await;
    third.get("/login:alice").await.expect(503);
    assert_eq!(redis.dump().await, before, "something was half done");
    for browser in [&mut one, &mut two] {
        assert_eq!(browser.get("/user").await.text(), "alice");
    }
    assert_eq!(direct.layer.admin().revoke_all("alice").await.unwrap(), 2);
}

/// A user with the documented rights, and others.
async fn url_of(redis: &RedisServer, name: &str, rights: &str) -> String {
    let documented = documented().join(" ").replace("PASSWORD", PASSWORD);
    redis.acl_set_user(name, &format!("{documented} {rights}")).await;
    redis.url_as(name, PASSWORD, redis.port())
}

/// All that a user of a site does.
async fn works(url: &str, what: &str) {
    let site = Site::on(patient(url), |builder| builder.sessions_per_user(2)).await;
    let (mut one, mut two) = (site.browser().await, site.browser().await);
    for path in [
        "insert:cart:tea",
        "login:alice",
        "get:cart,insert:cart:milk,update:n",
        "renew",
        "begin_login:bob,finish_login",
        "login:bob",
        "sessions",
        "revoke_others",
        "touch,validate",
        "logout_everywhere",
        "login:alice",
        "logout",
    ] {
        if path == "login:bob" {
            two.get("/login:bob").await.expect(200);
        }
        let reply = one.get(&format!("/{path}")).await;
        assert_eq!(reply.status.as_u16(), 200, "{what}: {path}: {reply:?}");
        if path == "revoke_others" {
            assert_eq!((reply.text().as_str(), two.get("/user").await.text().as_str()), ("1", "-"));
        }
    }
    let cookies = format!("{0}={1}; {0}={2}", test_support::COOKIE, "A".repeat(43), "B".repeat(43));
    let mut client = test_support::Client::connect(site.addr()).await;
    let reply = client.send(Method::GET, "/get:a", &[("cookie", cookies.as_bytes())], "").await;
    assert_eq!(reply.status.as_u16(), 200, "{what}: {reply:?}");
}

#[tokio::test]
async fn what_check_passes_works_and_a_command_that_is_refused_is_named() {
    let redis = RedisServer::start().await;
    let commands: Vec<_> =
        documented().into_iter().filter_map(|word| word.strip_prefix('+')).collect();
    assert!(commands.len() > 15, "{commands:?}");
    let mut passed = Vec::new();
    for command in commands {
        let url = url_of(&redis, "narrow", &format!("-{command}")).await;
        let store = RedisStore::new(patient(&url)).unwrap();
        match store.check().await {
            Ok(()) => {
                passed.push(command);
                works(&url, command).await;
            }
            refused => assert_told(refused, &command.replace('|', " ")),
        }
        // Nothing stays of what was tried.
        let left = redis.keys().await;
        let tried = left.iter().any(|(key, _)| key.contains(":check-"));
        assert!(command == "del" || !tried, "{command}: {left:?}");
        redis.assert_every_key_has_a_ttl().await;
        let mut connection = redis.connection().await;
        let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    }
    assert_eq!(passed, ["select"], "of a database that is the first");
    let url = url_of(&redis, "second", "-select").await;
    let store = RedisStore::new(patient(&url).database(1)).unwrap();
    assert_told(store.check().await, "select");
    // A replica that does not tell is found by the write.
    let other = RedisServer::builder().replica_of(&redis).start().await;
    assert_told(RedisStore::new(patient(&other.url())).unwrap().check().await, "replica");
}

#[tokio::test]
async fn where_scripts_have_no_hashes_they_are_sent_whole() {
    let redis = RedisServer::start().await;
    for rights in ["-evalsha +eval", "-script|load +eval", "-script|load -evalsha +eval"] {
        let url = url_of(&redis, "whole", rights).await;
        RedisStore::new(patient(&url)).unwrap().check().await.unwrap();
        works(&url, rights).await;
    }
}

#[tokio::test]
async fn a_durable_store_tells_that_no_copy_can_ever_be_made() {
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let durable = async |rights: &str| {
        let url = url_of(&redis, "copies", &format!("+info {rights}")).await;
        let file = format!("sqlite:{}", folder.path().join("sessions.db").display());
        let store = DurableStore::builder(RedisConfig::new(url), DatabaseConfig::new(file));
        let store = store.build().unwrap();
        store.migrate().await.unwrap();
        let checked = store.check().await;
        let _ = store.close().await;
        checked
    };
    durable("").await.unwrap();
    // Lists and their commands are the database's.
    durable("-hset -hdel -hget -hgetall -hkeys -hrandfield -mget -pttl").await.unwrap();
    durable("-evalsha +eval").await.unwrap();
    for command in ["evalsha", "setrange", "getrange", "pexpire", "set", "get", "del", "info"] {
        assert_told(durable(&format!("-{command}")).await, command);
    }
}

#[tokio::test]
async fn a_cached_directory_tells_which_command_it_lacks() {
    let redis = RedisServer::start().await;
    let checked = async |rights: &str| {
        let url = url_of(&redis, "entries", &format!("+info {rights}")).await;
        let cache = CachedDirectory::builder(Accounts, RedisConfig::new(url)).build().unwrap();
        cache.check().await
    };
    checked("").await.unwrap();
    // What sessions alone need.
    checked("-set -get -getrange -setrange -mget -hkeys -hgetall -hrandfield").await.unwrap();
    checked("-evalsha +eval").await.unwrap();
    for command in ["hset", "hget", "hdel", "pttl", "pexpire", "del", "evalsha"] {
        assert_told(checked(&format!("-{command}")).await, command);
    }
    assert_eq!(redis.dump().await, []);
}
