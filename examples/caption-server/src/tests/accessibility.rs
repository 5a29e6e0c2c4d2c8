//! Every page, looked at by axe in Chromium: at the width of a telephone and of a desk, light and
//! dark.
//!
//! With `PICTURES` set to a folder each page is also saved there as a picture.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{captioning::gated, chrome::Chrome, *};
use crate::captions::picture::samples::{BLACK, split};

/// Where `scripts/test.sh` puts it.
fn axe() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/axe/package/axe.min.js");
    std::fs::read_to_string(&file)
        .unwrap_or_else(|_| panic!("{} is missing: bash scripts/axe.sh", file.display()))
}

const WIDTHS: [(&str, u32, u32); 2] = [("phone", 390, 844), ("desk", 1200, 900)];

async fn look(chrome: &Chrome, axe: &str, name: &str) {
    for (width_name, width, height) in WIDTHS {
        for scheme in ["light", "dark"] {
            let size = json!({
                "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
            });
            chrome.command("Emulation.setDeviceMetricsOverride", size).await;
            let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
            chrome.command("Emulation.setEmulatedMedia", json!({ "features": features })).await;
            let place = format!("{name}, {width_name}, {scheme}");
            let wide = "return document.documentElement.scrollWidth";
            let wide = chrome.page.execute(wide, vec![]).await.unwrap();
            assert!(wide.as_u64().unwrap() <= width.into(), "{place}: {wide} pixels wide");
            let _ = chrome.page.execute(axe, vec![]).await.unwrap();
            let run =
                "const done = arguments[0]; axe.run().then((found) => done(found.violations))";
            let found = chrome.page.execute_async(run, vec![]).await.unwrap();
            let found: Vec<_> = found
                .as_array()
                .unwrap()
                .iter()
                .map(|one| format!("{}: {} {}", one["impact"], one["id"], one["nodes"][0]["html"]))
                .collect();
            assert!(found.is_empty(), "{place}: {found:#?}");
            if let Some(folder) = std::env::var_os("PICTURES").map(PathBuf::from) {
                let picture = chrome.page.screenshot().await.unwrap();
                assert!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000, "{name}");
                let file = format!("{name}-{width_name}-{scheme}.png");
                std::fs::write(folder.join(file), picture).unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_shuts_anybody_out() {
    let axe = axe();
    let (site, gate) = gated().await;
    let chrome = Chrome::start(&site).await;
    chrome.go("/login").await;
    look(&chrome, &axe, "login").await;
    chrome.sign_in("alice", "wonderland").await;
    look(&chrome, &axe, "captions").await;
    for (name, path) in [
        ("platforms", "/platforms"),
        ("platform", "/platforms/11"),
        ("settings", "/settings"),
        ("devices", "/devices"),
        ("admin", "/admin"),
        ("nothing", "/nothing"),
    ] {
        chrome.go(path).await;
        look(&chrome, &axe, name).await;
    }
    // Forms that were refused.
    chrome.go("/settings").await;
    let _ = chrome.page.execute("document.forms[1].noValidate = true", vec![]).await.unwrap();
    chrome.type_into("#processing_delay", "99").await;
    chrome.press("Save").await;
    chrome.shows("must be from 0.0 to 10.0").await;
    look(&chrome, &axe, "settings-refused").await;
    // A task under way, and one that is over.
    let mut browser = site.alice().await;
    let parts = Parts::default().file("barn.png", &png(&flat(40, 30, RED)));
    let task = browser.start(parts.file("cut.png", &png(&noise(64, 64))[..900])).await;
    chrome.go(&format!("/caption_tasks/{task}")).await;
    look(&chrome, &axe, "task-running").await;
    gate.add_permits(2);
    let _ = browser.finished(&task).await;
    chrome.go(&format!("/caption_tasks/{task}")).await;
    look(&chrome, &axe, "task").await;
    chrome.end().await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_of_an_outage_shuts_nobody_out() {
    let axe = axe();
    let (site, _folder) = outages::site().await;
    let chrome = Chrome::start(&site).await;
    chrome.sign_in("alice", "wonderland").await;
    chrome.go("/outage").await;
    chrome.press("Kill Redis").await;
    chrome.shows("Redis was killed.").await;
    // By itself, without another load.
    chrome
        .until("the database serves", async || {
            chrome.find("#serving").await.text().await.is_ok_and(|text| text == "database")
        })
        .await;
    look(&chrome, &axe, "outage").await;
    chrome.end().await;
    site.stop().await;
}

/// Where `PICTURES` says, by `scripts/pictures.sh`; else to be thrown away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pictures_of_the_readme_can_be_made() {
    let thrown_away = tempfile::tempdir().unwrap();
    let wanted = std::env::var_os("PICTURES").map(PathBuf::from);
    let folder = wanted.unwrap_or_else(|| thrown_away.path().to_owned());
    let (site, _folder) = outages::site().await;
    let mut browser = site.alice().await;
    let pictures = Parts::default()
        .file("flag.png", &png(&split(400, 260, RED, BLACK)))
        .file("snow.png", &png(&noise(320, 240)))
        .file("barn.png", &png(&flat(400, 300, RED)));
    let task = browser.start(pictures).await;
    let _ = browser.finished(&task).await;
    let chrome = Chrome::start(&site).await;
    chrome.sign_in("alice", "wonderland").await;
    chrome.go(&format!("/caption_tasks/{task}")).await;
    let size = json!({ "width": 1100, "height": 900, "deviceScaleFactor": 1, "mobile": false });
    chrome.command("Emulation.setDeviceMetricsOverride", size).await;
    let save = async |name: &str| {
        let picture = chrome.page.screenshot().await.unwrap();
        std::fs::write(folder.join(name), picture).unwrap();
    };
    save("captions.png").await;
    chrome.go("/outage").await;
    chrome.press("Kill Redis").await;
    chrome
        .until("the database serves", async || {
            chrome.find("#serving").await.text().await.is_ok_and(|text| text == "database")
        })
        .await;
    save("outage.png").await;
    chrome.end().await;
    site.stop().await;
}
