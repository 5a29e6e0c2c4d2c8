//! Pictures in, captions out.

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use super::*;
use crate::captions::{CaptionError, picture::Picture, settings::Settings};

/// A model that answers when it is let, or never.
pub(super) struct Gated(pub(super) Arc<Semaphore>);

impl Captioner for Gated {
    fn source(&self) -> String {
        "Somebody wrote this.".to_owned()
    }

    fn caption<'a>(
        &'a self,
        _: Arc<Picture>,
        _: &'a Settings,
    ) -> BoxFuture<'a, Result<String, CaptionError>> {
        Box::pin(async {
            self.0.acquire().await.unwrap().forget();
            Ok("A caption.".to_owned())
        })
    }
}

/// A model that is always away.
struct Away;

impl Captioner for Away {
    fn source(&self) -> String {
        "Nobody wrote this.".to_owned()
    }

    fn caption<'a>(
        &'a self,
        _: Arc<Picture>,
        _: &'a Settings,
    ) -> BoxFuture<'a, Result<String, CaptionError>> {
        Box::pin(async { Err(CaptionError::Unreachable) })
    }
}

pub(super) async fn gated() -> (Site, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let captioner = Box::new(Gated(Arc::clone(&gate)));
    (Site::with(Setup { captioner, ..Setup::default() }).await, gate)
}

fn red() -> Vec<u8> {
    png(&flat(40, 30, RED))
}

#[tokio::test]
async fn pictures_get_their_captions_and_keep_them() {
    let site = Site::start().await;
    let mut browser = site.alice().await;
    let noise = png(&noise(64, 64));
    let parts = Parts::default().file("barn.png", &red()).file("noise.png", &noise);
    let task = browser.start(parts).await;
    let state = browser.finished(&task).await;
    assert_eq!(state["status"], "completed");
    assert_eq!(state["progress_percent"], 100);
    assert_eq!(state["platform_name"], "Photographs");
    let caption = "A landscape picture of 40 by 30 pixels (4:3), entirely red, of medium \
                   brightness and without contrast.";
    assert_eq!(state["results"][0]["caption"], caption);
    assert_eq!(state["results"][1]["file_name"], "noise.png");
    let page = browser.get(&format!("/caption_tasks/{task}")).await;
    assert!(page.text().contains(caption) && page.text().contains("data:image"));
    let list = browser.get("/caption_generation").await;
    assert!(list.text().contains(&task) && list.text().contains("completed"));
}

#[tokio::test]
async fn a_browser_is_led_to_the_task() {
    let site = Site::start().await;
    let mut browser = site.alice().await;
    let seen = browser.upload(Parts::default().file("a.png", &red()), "text/html").await;
    assert_eq!(seen.status, StatusCode::SEE_OTHER);
    let place = seen.header("location").to_owned();
    assert!(place.starts_with("/caption_tasks/"));
    assert_eq!(browser.get(&place).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_folder_gives_its_pictures_and_nothing_else() {
    let site = Site::start().await;
    let mut browser = site.alice().await;
    let parts = Parts::default()
        .file_in("folder", "holiday/notes.txt", b"not a picture")
        .file_in("folder", "holiday/sea.png", &red())
        .file_in("pictures", "", b"");
    let task = browser.start(parts).await;
    let state = browser.finished(&task).await;
    assert_eq!(state["pictures"], 1);
    assert_eq!(state["results"][0]["file_name"], "sea.png");
}

#[tokio::test]
async fn one_bad_picture_stops_no_other() {
    let site = Site::start().await;
    let mut browser = site.alice().await;
    let whole = png(&noise(64, 64));
    let parts = Parts::default()
        .file("cut.png", &whole[..whole.len() / 2])
        .file("huge.png", &png_that_claims(9_000, 9_000))
        .file("barn.png", &red());
    let task = browser.start(parts).await;
    let state = browser.finished(&task).await;
    assert_eq!(state["status"], "completed");
    assert_eq!(state["current_step"], "Done: 1 of 3 captioned, 2 with problems");
    let problem = |at: usize| state["results"][at]["problem"].as_str().unwrap_or_default();
    assert!(problem(0).contains("damaged or incomplete"), "{}", problem(0));
    assert!(problem(1).contains("40 megapixels"), "{}", problem(1));
    assert!(state["results"][2]["caption"].is_string());
}

#[tokio::test]
async fn a_model_that_is_away_is_told_at_each_picture() {
    let site = Site::with(Setup { captioner: Box::new(Away), ..Setup::default() }).await;
    let mut browser = site.alice().await;
    let task = browser.start(Parts::default().file("a.png", &red())).await;
    let state = browser.finished(&task).await;
    assert_eq!(state["status"], "failed");
    let problem = state["results"][0]["problem"].as_str().unwrap();
    assert!(problem.contains("The caption model cannot be reached"));
}

#[tokio::test]
async fn a_picture_that_has_a_caption_keeps_it_unless_asked() {
    let (site, gate) = gated().await;
    let mut browser = site.alice().await;
    gate.add_permits(1);
    let task = browser.start(Parts::default().file("a.png", &red())).await;
    assert_eq!(browser.finished(&task).await["status"], "completed");
    // The model is not asked again, or this would never end.
    let task = browser.start(Parts::default().file("again.png", &red())).await;
    let state = browser.finished(&task).await;
    assert_eq!(state["results"][0]["caption"], "A caption.");
    assert!(state["results"][0]["about"].as_str().unwrap().ends_with("captioned before"));
    let parts = Parts::default().file("a.png", &red()).field("reprocess_existing", "on");
    let task = browser.start(parts).await;
    gate.add_permits(1);
    let state = browser.finished(&task).await;
    assert!(!state["results"][0]["about"].as_str().unwrap().contains("before"));
}

#[tokio::test]
async fn a_cancelled_task_ends_at_once_and_stays_ended() {
    let (site, gate) = gated().await;
    let mut browser = site.alice().await;
    let task = browser.start(Parts::default().file("a.png", &red())).await;
    let cancel = format!("/api/caption_tasks/{task}/cancel");
    let seen = browser.call(Method::POST, &cancel, None).await;
    assert_eq!(seen.json()["cancelled"], true);
    gate.add_permits(1);
    let state = browser.finished(&task).await;
    assert_eq!((&state["status"], &state["results"]), (&"cancelled".into(), &Value::Array(vec![])));
    let seen = browser.call(Method::POST, &cancel, None).await;
    assert_eq!(seen.json()["cancelled"], false);
    // There is room for another one.
    let _ = browser.start(Parts::default().file("a.png", &red())).await;
}

#[tokio::test]
async fn at_most_three_tasks_run_at_once() {
    let (site, gate) = gated().await;
    let mut browsers = Vec::new();
    for number in 0..5 {
        let id = format!("9{number}");
        site.app.data.add_user_for_tests(&id, &format!("user{number}"), "wonderland").await;
        let mut browser = site.signed_in(&format!("user{number}"), "wonderland").await;
        let platform = serde_json::json!({
            "name": "One", "kind": "mastodon", "instance_url": "https://a.example", "username": "u"
        });
        let seen = browser.call(Method::POST, "/api/platforms", Some(platform)).await;
        assert_eq!(seen.status, StatusCode::CREATED, "{}", seen.text());
        let task = browser.start(Parts::default().file("a.png", &red())).await;
        browsers.push((browser, task));
    }
    let mut running = 0;
    for wait in 0..200 {
        running = 0;
        for (browser, task) in &mut browsers {
            let state = browser.get_json(&format!("/api/caption_tasks/{task}")).await;
            running += usize::from(state["status"] == "running");
        }
        if running == 3 && wait > 5 {
            break;
        }
        assert!(running <= 3);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(running, 3);
    gate.add_permits(5);
    for (browser, task) in &mut browsers {
        assert_eq!(browser.finished(task).await["status"], "completed");
    }
}

#[tokio::test]
async fn a_file_name_is_escaped() {
    let site = Site::start().await;
    let mut browser = site.alice().await;
    let name = "<img src=x onerror=alert(1)>.png";
    let task = browser.start(Parts::default().file(name, &red())).await;
    let _ = browser.finished(&task).await;
    let page = browser.get(&format!("/caption_tasks/{task}")).await;
    assert!(page.text().contains("&lt;img src=x"), "{}", page.text());
    assert!(!page.text().contains("<img src=x"));
}
