//! Faults of the Redis server that a client can keep out of reach.

use redis::{AsyncConnectionConfig, IntoConnectionInfo};

use test_support::{RedisServer, Site, signed_in};

/// Redis CVE-2025-49844 and others before it in Lua: whoever may run scripts of their own may take
/// the server over. Ours are a fixed few, called by their hash, and nothing of a request is in
/// them.
#[tokio::test]
async fn cve_2025_49844_no_script_is_made_of_what_a_client_sends() {
    const CANARY: &str = "canaryofthescripts";
    let redis = RedisServer::start().await;
    let monitor = redis.monitor().await;
    let site = Site::start(&redis).await;
    for _ in 0..2 {
        let mut browser = signed_in(&site).await;
        for path in ["/insert:CANARY:CANARY", "/login:CANARY:CANARY", "/renew", "/update:CANARY"] {
            browser.get(&path.replace("CANARY", CANARY)).await.expect(200);
        }
        browser.get("/logout_everywhere").await.expect(200);
        // A server that was restarted is told its scripts again.
        let mut connection = redis.connection().await;
        let () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut connection).await.unwrap();
    }
    let seen = monitor.stop().await;
    let sources: Vec<String> = lua_files();
    let mut loads = 0;
    for command in seen.iter().filter(|command| command.is_from_a_client()) {
        let name = command.name();
        assert!(!["EVAL", "EVAL_RO", "FCALL", "FUNCTION"].contains(&name.as_str()), "{command:?}");
        if name == "SCRIPT" {
            loads += 1;
            let text = String::from_utf8_lossy(&command.args[2]).into_owned();
            assert!(is_one_of(&sources, &text), "a script that is none of ours: {text}");
            assert!(!text.contains(CANARY));
        }
    }
    assert!(loads > sources.len() / 2, "{loads}");
    assert!(seen.iter().any(|command| command.mentions(CANARY.as_bytes())), "it was sent as data");
}

/// Whether a script is a file, behind parts that several share.
fn is_one_of(sources: &[String], text: &str) -> bool {
    let mut rest = text;
    for shared in lua_files_in("shared") {
        rest = rest.strip_prefix(shared.as_str()).unwrap_or(rest);
    }
    sources.iter().any(|source| source == rest)
}

fn lua_files() -> Vec<String> {
    let sources = lua_files_in("");
    assert!(sources.len() > 5, "{sources:?}");
    sources
}

/// In the sequence of their names, in which they are put together.
fn lua_files_in(folder: &str) -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/redis/lua");
    let files = std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut lua: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "lua")).collect();
    // `keys` stands before `index`.
    lua.sort_by_key(|path| !path.ends_with("keys.lua"));
    lua.into_iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// Redis CVE-2025-21605 let one who had not signed in take all memory, CVE-2026-23479 and others
/// need commands that a store of sessions never sends. The documented user may send none of them.
#[tokio::test]
async fn cve_2025_21605_the_documented_user_may_do_nothing_else() {
    let redis = RedisServer::start().await;
    let info = redis.url().as_str().into_connection_info().unwrap();
    let settings = info.redis_settings().clone().set_skip_set_lib_name();
    let client = redis::Client::open(info.set_redis_settings(settings)).unwrap();
    let config = AsyncConnectionConfig::new();
    let mut theirs = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
    let forbidden = [
        "EVAL return1 0",
        "CONFIG GET *",
        "KEYS *",
        "SCAN 0",
        "FLUSHALL",
        "MONITOR",
        "DEBUG SLEEP 0",
        "ACL LIST",
        "CLIENT LIST",
        "MODULE LIST",
        "SAVE",
        "SHUTDOWN",
        "REPLICAOF NO ONE",
        "DUMP session:a",
        "OBJECT HELP",
        "SUBSCRIBE a",
        "GET other",
        "SET other 1",
    ];
    for line in forbidden {
        let mut words = line.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        words.for_each(|word| _ = command.arg(word));
        let refused = command.exec_async(&mut theirs).await.expect_err(line);
        assert_eq!(refused.code(), Some("NOPERM"), "{line}: {refused}");
    }
    redis.is_tampered_with();
}
