//! Signing in, choosing a platform, signing out.

use super::*;

#[tokio::test]
async fn who_is_not_signed_in_is_led_to_the_form_and_back() {
    let mut browser = Browser::new();
    let seen = browser.get("/platforms?a=b%20c").await;
    assert_eq!(seen.status, StatusCode::SEE_OTHER);
    assert_eq!(seen.header("location"), "/login?next=/platforms%3Fa%3Db%2520c");
    let form = browser.get(seen.header("location")).await;
    assert_eq!(form.status, StatusCode::OK);
    assert!(form.text().contains("name=\"next\" value=\"&#x2f;platforms?a=b%20c\""));

    let fields = [("username", "alice"), ("password", "wonderland"), ("next", "/platforms?a=b")];
    let seen = browser.post("/login", &fields).await;
    assert_eq!((seen.status, seen.header("location")), (StatusCode::SEE_OTHER, "/platforms?a=b"));
    assert_eq!(browser.get("/").await.header("location"), "/caption_generation");
    assert_eq!(browser.get("/login").await.header("location"), "/caption_generation");
}

#[tokio::test]
async fn the_way_back_never_leads_to_another_site() {
    let mut browser = Browser::new();
    let fields =
        [("username", "alice"), ("password", "wonderland"), ("next", "//evil.example/login")];
    let seen = browser.post("/login", &fields).await;
    assert_eq!(seen.header("location"), "/caption_generation");
    let page = Browser::new().get("/login?next=//evil.example").await;
    assert!(!page.text().contains("evil"));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_look_the_same() {
    let mut browser = Browser::new();
    let wrong = browser.sign_in("alice", "hedgehog").await;
    let unknown = browser.sign_in("carol", "hedgehog").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert_eq!(unknown.status, wrong.status);
    assert_eq!(unknown.text().replace("carol", "alice"), wrong.text());
    assert!(wrong.text().contains("role=\"alert\""));
    assert!(!wrong.text().contains("value=\"hedgehog\""));
    assert!(browser.cookie.is_none());
}

#[tokio::test]
async fn what_was_typed_is_escaped() {
    let seen = Browser::new().sign_in("\"><script>alert(1)</script>", "x").await;
    assert!(!seen.text().contains("<script>"));
    assert!(seen.text().contains("&lt;script&gt;"));
}

#[tokio::test]
async fn only_own_platforms_can_be_chosen() {
    let mut browser = Browser::new();
    browser.sign_in("bob", "hedgehog").await;
    assert_eq!(browser.get("/caption_generation").await.header("location"), "/platforms");
    for forged in ["11", "99", "", "21 "] {
        let seen = browser.post("/platforms", &[("platform", forged)]).await;
        assert_eq!(seen.status, StatusCode::NOT_FOUND, "{forged}");
        assert_eq!(browser.get("/caption_generation").await.header("location"), "/platforms");
    }
    assert_eq!(browser.post("/platforms", &[]).await.status, StatusCode::BAD_REQUEST);
    browser.post("/platforms", &[("platform", "21")]).await;
    let page = browser.get("/caption_generation").await;
    assert!(page.text().contains("Model railway"));
    assert!(browser.get("/platforms").await.text().contains("checked"));
}

#[tokio::test]
async fn signing_in_as_somebody_else_forgets_the_platform() {
    let mut browser = Browser::of_alice().await;
    browser.sign_in("bob", "hedgehog").await;
    assert_eq!(browser.get("/caption_generation").await.header("location"), "/platforms");
}

#[tokio::test]
async fn after_signing_out_the_old_cookie_opens_nothing() {
    let mut browser = Browser::of_alice().await;
    let mut thief = browser.clone();
    let seen = browser.post("/logout", &[]).await;
    assert_eq!((seen.status, seen.header("location")), (StatusCode::SEE_OTHER, "/login"));
    for browser in [&mut browser, &mut thief] {
        let seen = browser.get("/caption_generation").await;
        assert_eq!(seen.header("location"), "/login?next=/caption_generation");
    }
}

#[tokio::test]
async fn signing_out_without_a_session_is_no_error() {
    let seen = Browser::new().post("/logout", &[]).await;
    assert_eq!(seen.header("location"), "/login");
}

#[tokio::test]
async fn a_form_of_another_site_changes_nothing() {
    let mut browser = Browser::of_alice().await;
    for (header, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        for path in ["/logout", "/login", "/platforms", "/start_caption_generation"] {
            let request = Request::post(path).header(header, value);
            let seen = browser.send(request, Bytes::new()).await;
            assert_eq!(seen.status, StatusCode::FORBIDDEN, "{header}: {value} {path}");
        }
    }
    assert_eq!(browser.get("/caption_generation").await.status, StatusCode::OK);
}

#[tokio::test]
async fn forms_are_bounded_and_must_be_forms() {
    let mut browser = Browser::new();
    let long = "x".repeat(16 * 1024);
    let seen = browser.sign_in("alice", &long).await;
    assert_eq!(seen.status, StatusCode::PAYLOAD_TOO_LARGE);
    let request = Request::post("/login").header(header::CONTENT_TYPE, "application/json");
    let seen = browser.send(request, Bytes::from_static(b"{}")).await;
    assert_eq!(seen.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
