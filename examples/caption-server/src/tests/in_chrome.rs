//! A walk through the whole application in Chromium, on each kind of session store.

use std::path::PathBuf;

use image::ImageFormat;
use test_support::RedisServer;
use tower_redis_session::{DatabaseConfig, DatabaseStore, DurableStore, RedisStore};

use super::{chrome::Chrome, *};
use crate::captions::picture::samples::{BLACK, WHITE, animated_gif, file, split};

/// Three files of three formats.
fn pictures(folder: &TempDir) -> Vec<PathBuf> {
    let files = [
        ("barn.png", png(&flat(400, 300, RED))),
        ("stripes.jpg", file(&split(300, 200, BLACK, WHITE), ImageFormat::Jpeg)),
        ("fade.gif", animated_gif(64, 64, 8)),
    ];
    let save = |(name, bytes): (&str, Vec<u8>)| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    files.into_iter().map(save).collect()
}

/// What somebody does on a day with it; `breaks` happens while captions are made.
async fn walk(site: Site, breaks: impl FnOnce()) {
    let folder = tempfile::tempdir().unwrap();
    let laptop = Chrome::start(&site).await;
    laptop.sign_in("alice", "wonderland").await;
    laptop.shows("Everyday").await;

    // Another tab switches the platform, and this one follows by itself.
    laptop.new_tab("/platforms").await;
    laptop.click("input[value='12']").await;
    laptop.press("Use this platform").await;
    laptop.shows("Photographs").await;
    laptop.tab(0).await;
    laptop.shows("Photographs").await;

    // Three pictures with live progress.
    let paths: Vec<_> = pictures(&folder).iter().map(|path| path.display().to_string()).collect();
    laptop.find("#pictures").await.send_keys(&paths.join("\n")).await.unwrap();
    laptop.click("summary").await;
    laptop.type_into("#processing_delay", "4").await;
    laptop.press("Make captions").await;
    laptop.shows("barn.png").await;
    let loaded = "return performance.timeOrigin";
    let before = laptop.page.execute(loaded, vec![]).await.unwrap();
    breaks();
    laptop.shows("stripes.jpg").await;
    // By events: the page was not loaded anew.
    assert_eq!(laptop.page.execute(loaded, vec![]).await.unwrap(), before);
    laptop.shows("Done: 3 of 3 captioned").await;
    assert_eq!(
        laptop.page.find_all(fantoccini::Locator::Css(".thumbnail")).await.unwrap().len(),
        3
    );

    // Settings are saved and shown at once.
    laptop.press("Settings").await;
    laptop.type_into("#max_caption_length", "450").await;
    laptop.press("Save").await;
    laptop.shows("Your settings are saved.").await;
    laptop.press("Captions").await;
    laptop.shows("450 characters").await;

    // Another device is signed out from here, and sees it.
    let phone = Chrome::start(&site).await;
    phone.sign_in("alice", "wonderland").await;
    laptop.press("My devices").await;
    laptop.click(".sessions form button").await;
    phone.until("the phone is signed out", async || phone.path().await == "/login").await;
    phone.end().await;

    // Signed out, and the button back shows nothing.
    laptop.press("Captions").await;
    laptop.shows("450 characters").await;
    laptop.press("Sign out").await;
    laptop.until("the form", async || laptop.path().await == "/login").await;
    laptop.page.back().await.unwrap();
    laptop.until("the form again", async || laptop.path().await == "/login").await;
    assert!(!laptop.text().await.contains("450 characters"));
    // The other tab followed.
    laptop.tab(1).await;
    laptop.until("the other tab", async || laptop.path().await == "/login").await;
    laptop.end().await;
    site.stop().await;
}

fn file_in(folder: &TempDir) -> DatabaseConfig {
    DatabaseConfig::new(format!("sqlite:{}", folder.path().join("sessions.db").display()))
}

fn devices(builder: tower_redis_session::RedisSessionLayerBuilder) -> RedisSessionLayer {
    builder.devices(tower_redis_session::layer::DeviceConfig::new()).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_on_sqlite_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = DatabaseStore::new(file_in(&folder)).unwrap();
    let sessions = devices(RedisSessionLayer::builder(store));
    sessions.migrate().await.unwrap();
    walk(Site::with(Setup { sessions, ..Setup::default() }).await, || {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_on_redis() {
    let redis = RedisServer::start().await;
    let store = RedisStore::new(RedisConfig::new(redis.url())).unwrap();
    let sessions = devices(RedisSessionLayer::builder(store));
    let cache = Some(RedisConfig::new(redis.url()));
    walk(Site::with(Setup { sessions, cache, ..Setup::default() }).await, || {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_on_redis_and_a_database_with_redis_killed_on_the_way() {
    let (redis, folder) = (RedisServer::start().await, tempfile::tempdir().unwrap());
    let config = RedisConfig::new(redis.durable_url());
    let store = DurableStore::builder(config, file_in(&folder)).build().unwrap();
    let sessions = devices(RedisSessionLayer::builder(store));
    sessions.migrate().await.unwrap();
    let cache = Some(RedisConfig::new(redis.url()));
    walk(Site::with(Setup { sessions, cache, ..Setup::default() }).await, || redis.kill()).await;
}
