//! What nobody should send: the status of each, and the server lives on.

use serde_json::json;

use super::*;

/// A request, what it is, and what becomes of it.
struct Bad {
    name: &'static str,
    method: Method,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Bytes,
    status: u16,
    error: &'static str,
}

fn bad(
    name: &'static str,
    (method, path): (Method, &'static str),
    headers: &[(&'static str, &'static str)],
    body: impl Into<Bytes>,
    (status, error): (u16, &'static str),
) -> Bad {
    Bad { name, method, path, headers: headers.to_vec(), body: body.into(), status, error }
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("content-type", "application/json");
const FILES: (&str, &str) = ("content-type", "multipart/form-data; boundary=b");

fn table() -> Vec<Bad> {
    let post = |path| (Method::POST, path);
    let start = || post("/api/caption_tasks");
    let red = png(&flat(40, 30, RED));
    let files = |parts: Parts| parts.end();
    let lying = Parts::default().file("a.png", b"GIF no picture at all");
    let picture = || Parts::default().file("a.png", &red);
    let over = vec![0_u8; 8 * 1024 * 1024 + 1];
    vec![
        bad("no such page", (Method::GET, "/api/nothing"), &[], "", (404, "not_found")),
        bad(
            "wrong method",
            (Method::DELETE, "/api/settings"),
            &[],
            "",
            (405, "method_not_allowed"),
        ),
        bad(
            "method of another",
            (Method::PUT, "/api/caption_tasks"),
            &[],
            "",
            (405, "method_not_allowed"),
        ),
        bad(
            "cross-site",
            post("/api/platforms"),
            &[("sec-fetch-site", "cross-site"), JSON],
            "{}",
            (403, "forged"),
        ),
        bad(
            "other origin",
            post("/logout"),
            &[("origin", "https://evil.example"), FORM],
            "",
            (403, "forged"),
        ),
        bad("JSON for a form", post("/settings"), &[JSON], "{}", (415, "unsupported_media_type")),
        bad(
            "form for JSON",
            post("/api/platforms"),
            &[FORM],
            "name=a",
            (415, "unsupported_media_type"),
        ),
        bad("no JSON", post("/api/platforms"), &[JSON], "{", (400, "bad_request")),
        bad("deep JSON", post("/api/platforms"), &[JSON], "[".repeat(10_000), (400, "bad_request")),
        bad("an array", post("/api/platforms"), &[JSON], "[]", (400, "bad_request")),
        bad("no texts", post("/api/platforms"), &[JSON], r#"{"name": 1}"#, (400, "bad_request")),
        bad("no fields", post("/api/platforms"), &[JSON], "{}", (400, "invalid_fields")),
        bad(
            "too long a form",
            post("/api/platforms"),
            &[JSON],
            "x".repeat(17 * 1024),
            (413, "too_large"),
        ),
        bad(
            "out of range",
            (Method::PATCH, "/api/settings"),
            &[JSON],
            r#"{"max_caption_length": 1e9}"#,
            (400, "invalid_fields"),
        ),
        bad(
            "wrong type",
            (Method::PATCH, "/api/settings"),
            &[JSON],
            r#"{"processing_delay": "1"}"#,
            (400, "invalid_fields"),
        ),
        bad(
            "misspelt",
            (Method::PATCH, "/api/settings"),
            &[JSON],
            r#"{"max_lenght": 1}"#,
            (400, "invalid_fields"),
        ),
        bad("no picture", start(), &[FILES], files(Parts::default()), (400, "invalid_fields")),
        bad(
            "empty file",
            start(),
            &[FILES],
            files(Parts::default().file("", b"")),
            (400, "invalid_fields"),
        ),
        bad("a lying file", start(), &[FILES], files(lying), (400, "invalid_fields")),
        bad(
            "too large a picture",
            start(),
            &[FILES],
            files(Parts::default().file("a.png", &over)),
            (413, "too_large"),
        ),
        bad("cut off", start(), &[FILES], picture().0, (400, "bad_request")),
        bad("no multipart", start(), &[FORM], "a=b", (415, "unsupported_media_type")),
        bad(
            "no boundary",
            start(),
            &[("content-type", "multipart/form-data")],
            "",
            (415, "unsupported_media_type"),
        ),
        bad(
            "a bad setting",
            start(),
            &[FILES],
            files(picture().field("max_posts_per_run", "0")),
            (400, "invalid_fields"),
        ),
        bad(
            "too long a field",
            start(),
            &[FILES],
            files(picture().field("note", &"x".repeat(2_000))),
            (400, "bad_request"),
        ),
        bad(
            "a forged task",
            (Method::GET, "/api/caption_tasks/00000000000000000000000000000000"),
            &[],
            "",
            (404, "not_found"),
        ),
        bad("a forged cancel", post("/api/caption_tasks/1/cancel"), &[], "", (404, "not_found")),
        bad("no id at all", (Method::GET, "/api/caption_tasks/%00"), &[], "", (404, "not_found")),
        bad("no such platform", post("/api/platforms/99/activate"), &[], "", (404, "not_found")),
        bad("no such user", post("/api/admin/users/99/sign_out"), &[], "", (404, "not_found")),
        bad(
            "no session id",
            post("/api/admin/users/1/sessions/x/revoke"),
            &[],
            "",
            (404, "not_found"),
        ),
    ]
}

#[tokio::test]
async fn each_bad_request_has_its_answer() {
    let site = Site::start().await;
    let mut alice = site.alice().await;
    let token = alice.token().await;
    for bad in table() {
        let Bad { name, method, path, headers, body, status, error } = bad;
        let mut request = Request::builder().method(method).uri(path);
        request = request.header(header::ACCEPT, "application/json").header("x-csrf-token", &token);
        for (header, value) in headers {
            request = request.header(header, value);
        }
        let seen = alice.send(request, body).await;
        assert_eq!(seen.status.as_u16(), status, "{name}: {}", seen.text());
        let said = seen.json();
        assert_eq!((&said["success"], &said["error"]), (&json!(false), &json!(error)), "{name}");
        assert!(said["message"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
    }
    assert_eq!(alice.get("/caption_generation").await.status, StatusCode::OK);
    assert_eq!(alice.get_json("/api/caption_tasks").await["tasks"], json!([]));
}

#[tokio::test]
async fn an_upload_without_the_token_is_not_read() {
    let site = Site::start().await;
    let mut alice = site.alice().await;
    for parts in [
        Parts::default().file("a.png", &png(&flat(8, 8, RED))),
        Parts::default().field("csrf_token", "x").file("a.png", b"x"),
        Parts::default(),
    ] {
        let seen = alice.upload_raw(parts, "application/json").await;
        assert_eq!((seen.status, &seen.json()["error"]), (StatusCode::FORBIDDEN, &json!("forged")));
    }
}

#[tokio::test]
async fn forms_are_explained_and_keep_what_was_typed() {
    let site = Site::start().await;
    let mut alice = site.alice().await;
    let fields = [("processing_delay", "11"), ("max_caption_length", "many")];
    let seen = alice.post("/settings", &fields).await;
    assert_eq!(seen.status, StatusCode::BAD_REQUEST);
    assert!(seen.text().contains("must be from 0.0 to 10.0"));
    assert!(seen.text().contains("must be a whole number"));
    assert!(seen.text().contains("value=\"11\"") && seen.text().contains("value=\"many\""));
    let fields = [("name", "Mine"), ("kind", "gopher"), ("instance_url", "x"), ("username", "u")];
    let seen = alice.post("/platforms/new", &fields).await;
    assert_eq!(seen.status, StatusCode::BAD_REQUEST);
    assert!(seen.text().contains("value=\"Mine\"") && seen.text().contains("must be one of"));
    assert_eq!(alice.post("/platforms", &[]).await.status, StatusCode::BAD_REQUEST);
    for forged in ["21", "99", "", "12 "] {
        let seen = alice.post("/platforms", &[("platform", forged)]).await;
        assert_eq!(seen.status, StatusCode::NOT_FOUND, "{forged}");
    }
}

/// Kilobytes of memory that this process has in use.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Says that this is the process that the test below has started.
const ALONE: &str = "CAPTION_SERVER_TEST_ALONE";

/// In a process of its own, whose memory and whose temporary folder are nobody else's.
#[test]
fn a_thousand_oversized_uploads_leave_memory_and_disk_as_they_were() {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        return runtime.unwrap().block_on(a_thousand_oversized_uploads());
    }
    let name = "a_thousand_oversized_uploads_leave_memory_and_disk_as_they_were";
    let folder = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let done = std::process::Command::new(program)
        .args(["--exact", &format!("tests::bad_input::{name}")])
        .env("TMPDIR", folder.path())
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

async fn a_thousand_oversized_uploads() {
    let site = Site::start().await;
    let mut alice = site.alice().await;
    let token = alice.token().await;
    let over = vec![7_u8; 8 * 1024 * 1024 + 1];
    let over = [&b"\x89PNG\r\n\x1a\n"[..], &over].concat();
    let body = Parts::default().field("csrf_token", &token).file("a.png", &over).end();
    let files = || std::fs::read_dir(std::env::temp_dir()).unwrap().count();
    let (mut before, mut left) = (0, 0);
    for round in 0..100 {
        let uploads = (0..10).map(|_| {
            let (mut tab, body) = (alice.clone(), body.clone());
            tokio::spawn(async move {
                let request = Request::post("/api/caption_tasks").header(FILES.0, FILES.1);
                tab.send(request, body).await.status
            })
        });
        for upload in uploads.collect::<Vec<_>>() {
            assert_eq!(upload.await.unwrap(), StatusCode::PAYLOAD_TOO_LARGE);
        }
        if round == 9 {
            (before, left) = (resident(), files());
        }
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more");
    assert_eq!(files(), left, "files are left");
    assert_eq!(alice.get("/caption_generation").await.status, StatusCode::OK);
    site.stop().await;
}

#[tokio::test]
async fn a_part_without_end_of_its_head_is_stopped_before_it_fills_memory() {
    let site = Site::start().await;
    let mut alice = site.alice().await;
    let token = alice.token().await;
    for start in ["--b\r\n", "", "--b\r\ncontent-disposition: form-data; name=\"a"] {
        let body = [start.as_bytes(), &vec![b'x'; 4 * 1024 * 1024]].concat();
        let request = Request::post("/api/caption_tasks").header(FILES.0, FILES.1);
        let seen = alice.send(request.header("x-csrf-token", &token), body.into()).await;
        assert_eq!(
            (seen.status, &seen.json()["error"]),
            (StatusCode::BAD_REQUEST, &json!("bad_request")),
            "{start}"
        );
    }
}

#[tokio::test]
async fn a_form_that_shows_another_platform_than_the_sessions_is_asked_again() {
    let site = Site::start().await;
    let mut alice = site.alice().await;
    let picture = png(&flat(8, 8, RED));
    let parts = |id| Parts::default().file("a.png", &picture).field("platform_id", id);
    let seen = alice.upload(parts("11"), "application/json").await;
    assert_eq!(seen.status, StatusCode::BAD_REQUEST);
    assert!(seen.json()["fields"]["platform_id"].as_str().unwrap().contains("another tab"));
    assert_eq!(alice.upload(parts("12"), "application/json").await.status, StatusCode::OK);
}

#[tokio::test]
async fn odd_names_and_labels_are_no_errors_of_the_server() {
    let site = Site::start().await;
    let mut alice = site.browser();
    assert_eq!(alice.sign_in("al\0ice", "x").await.status, StatusCode::UNAUTHORIZED);
    let mut alice = site.alice().await;
    let label = "\u{684c}".repeat(60);
    assert_eq!(
        alice.post("/devices/label", &[("label", &label)]).await.status,
        StatusCode::SEE_OTHER
    );
    let page = alice.get("/devices").await;
    assert!(page.text().contains(&"\u{684c}".repeat(42)), "{}", page.text());
    let long = "x".repeat(70 * 1024);
    let seen = alice.post("/settings", &[("note", &long)]).await;
    assert_eq!(seen.status, StatusCode::PAYLOAD_TOO_LARGE);
}
