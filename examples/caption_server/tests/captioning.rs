//! Pictures in, captions out.

use super::*;

#[tokio::test]
async fn a_picture_gets_its_caption_on_the_page_and_is_remembered() {
    let mut browser = Browser::of_alice().await;
    let picture = png(&flat(40, 30, RED));
    let seen = browser.upload("barn.png", &picture, "text/html").await;
    assert_eq!(seen.status, StatusCode::OK);
    let caption = "A landscape picture of 40 by 30 pixels (4:3), entirely red, of medium \
                   brightness and without contrast.";
    assert!(seen.text().contains(caption), "{}", seen.text());
    assert!(seen.text().contains("data:image") && seen.text().contains("barn.png"));
    // The one request after it shows it too, from the session.
    let page = browser.get("/caption_generation").await;
    assert!(page.text().contains(caption) && page.text().contains("barn.png"));
}

#[tokio::test]
async fn a_program_gets_json() {
    let mut browser = Browser::of_alice().await;
    let picture = png(&flat(40, 30, RED));
    let seen = browser.upload("barn.png", &picture, "application/json").await;
    assert_eq!(seen.header("content-type"), "application/json");
    let json = seen.json();
    assert_eq!(json.get("success"), Some(&Value::Bool(true)));
    assert_eq!(json.get("width"), Some(&Value::from(40)));
    let length = json.get("caption").unwrap().as_str().unwrap().chars().count();
    assert_eq!(json.get("length"), Some(&Value::from(length)));
    assert!(json.get("thumbnail").is_none());

    let seen = browser.upload("barn.png", b"no picture", "application/json").await;
    assert_eq!(seen.status, StatusCode::BAD_REQUEST);
    let error = seen.json();
    assert_eq!(error.get("success"), Some(&Value::Bool(false)));
    assert!(error.get("error").unwrap().as_str().unwrap().contains("not a PNG"));

    let seen = Browser::new().upload("barn.png", &picture, "application/json").await;
    assert_eq!(seen.status, StatusCode::UNAUTHORIZED);
    assert_eq!(seen.json().get("success"), Some(&Value::Bool(false)));
}

#[tokio::test]
async fn the_last_five_are_kept() {
    let mut browser = Browser::of_alice().await;
    for number in 1..=7 {
        let name = format!("picture-{number}.png");
        browser.upload(&name, &png(&flat(8, 8, RED)), "text/html").await;
    }
    let page = browser.get("/caption_generation").await;
    let shown: Vec<bool> =
        (1..=7).map(|number| page.text().contains(&format!("picture-{number}.png"))).collect();
    assert_eq!(shown, [false, false, true, true, true, true, true]);
}

#[tokio::test]
async fn bad_uploads_are_explained_beside_the_form() {
    let mut browser = Browser::of_alice().await;
    let cut = png(&noise(64, 64));
    let cut = cut.get(..cut.len() / 2).unwrap();
    let huge = vec![0; 8 * 1024 * 1024 + 1];
    for (name, file, status, sentence) in [
        ("no file", &b""[..], StatusCode::BAD_REQUEST, "choose a picture"),
        ("a text", b"hello", StatusCode::BAD_REQUEST, "not a PNG, JPEG, WebP or GIF"),
        ("cut off", cut, StatusCode::BAD_REQUEST, "damaged or incomplete"),
        ("too large", &huge, StatusCode::PAYLOAD_TOO_LARGE, "larger than 8 MiB"),
        (
            "too many pixels",
            &png_that_claims(9000, 9000),
            StatusCode::BAD_REQUEST,
            "limit is 40 megapixels",
        ),
    ] {
        let seen = browser.upload("a.png", file, "text/html").await;
        assert_eq!(seen.status, status, "{name}");
        assert!(seen.text().contains(sentence), "{name}");
        assert!(seen.text().contains("type=\"file\""), "{name}: the form is there again");
    }
    assert!(!browser.get("/caption_generation").await.text().contains("a.png"));
}

#[tokio::test]
async fn a_file_name_is_escaped() {
    let mut browser = Browser::of_alice().await;
    let name = "<img src=x onerror=alert(1)>.png";
    let seen = browser.upload(name, &png(&flat(8, 8, RED)), "text/html").await;
    assert_eq!(seen.status, StatusCode::OK);
    assert!(!seen.text().contains("<img src=x"));
}

#[tokio::test]
async fn captions_need_a_platform_and_a_user() {
    let picture = png(&flat(8, 8, RED));
    let seen = Browser::new().upload("a.png", &picture, "text/html").await;
    assert_eq!(seen.header("location"), "/login?next=/caption_generation");
    let mut browser = Browser::new();
    browser.sign_in("alice", "wonderland").await;
    let seen = browser.upload("a.png", &picture, "text/html").await;
    assert_eq!(seen.header("location"), "/platforms");
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

#[tokio::test]
async fn a_model_that_is_away_is_told_and_nothing_is_remembered() {
    let sessions = RedisSessionLayer::builder(MemoryStore::new()).build().unwrap();
    let mut browser = Browser::with(Box::new(Away), sessions);
    browser.prepare().await;
    let seen = browser.upload("a.png", &png(&flat(8, 8, RED)), "text/html").await;
    assert_eq!(seen.status, StatusCode::BAD_GATEWAY);
    assert!(seen.text().contains("The caption model cannot be reached"));
    assert!(!browser.get("/caption_generation").await.text().contains("a.png"));
}
