//! A real browser: Chromium, headless, by its own driver.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use fantoccini::{Client, ClientBuilder, Locator, elements::Element};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::PATIENCE;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::Site;

/// Chromium with a profile of its own: another device.
pub(super) struct Chrome {
    pub(super) page: Client,
    site: String,
    driver: Child,
    _profile: TempDir,
}

impl Chrome {
    pub(super) async fn start(site: &Site) -> Self {
        Self::at(site.address).await
    }

    pub(super) async fn at(address: SocketAddr) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver is there: apt-get install chromium chromium-driver");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next_line().await.unwrap().expect("chromedriver tells its port");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        let profile = tempfile::tempdir().unwrap();
        let page = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(&profile))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium starts: apt-get install chromium");
        let site = format!("http://127.0.0.1:{}", address.port());
        Self { page, site, driver, _profile: profile }
    }

    pub(super) async fn go(&self, path: &str) {
        self.page.goto(&format!("{}{path}", self.site)).await.unwrap();
    }

    pub(super) async fn path(&self) -> String {
        self.page.current_url().await.unwrap().path().to_owned()
    }

    pub(super) async fn find(&self, css: &str) -> Element {
        let found = self.page.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        found.unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    pub(super) async fn type_into(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub(super) async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    /// A button or a link by what it says.
    pub(super) async fn press(&self, text: &str) {
        let path =
            format!("//button[normalize-space()='{text}'] | //a[normalize-space()='{text}']");
        let found = self.page.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await;
        let found = found.unwrap_or_else(|error| panic!("{text}: {error}"));
        found.click().await.unwrap();
    }

    pub(super) async fn sign_in(&self, name: &str, password: &str) {
        self.go("/login").await;
        self.type_into("#username", name).await;
        self.type_into("#password", password).await;
        self.press("Sign in").await;
        self.until("the page after signing in", async || {
            self.path().await == "/caption_generation"
        })
        .await;
    }

    pub(super) async fn text(&self) -> String {
        // The page may change under the question.
        match self.page.find(Locator::Css("main")).await {
            Ok(main) => main.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Waits until the page shows it, by itself.
    pub(super) async fn shows(&self, text: &str) {
        self.until(text, async || self.text().await.contains(text)).await;
    }

    pub(super) async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let waiting = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("{what}; {} has {}", self.path().await, self.text().await);
        }
    }

    /// A new tab of the same browser, which is shown from now on.
    pub(super) async fn new_tab(&self, path: &str) {
        let tab = self.page.new_window(true).await.unwrap();
        self.page.switch_to_window(tab.handle).await.unwrap();
        self.go(path).await;
    }

    /// The first tab is 0.
    pub(super) async fn tab(&self, number: usize) {
        let tabs = self.page.windows().await.unwrap();
        self.page.switch_to_window(tabs[number].clone()).await.unwrap();
    }

    /// Chromium's own commands, which WebDriver does not have.
    pub(super) async fn command(&self, name: &str, parameters: Value) {
        let done = self.page.issue_cmd(Cdp(name.to_owned(), parameters)).await;
        let _ = done.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    pub(super) async fn end(self) {
        self.page.clone().close().await.unwrap();
    }
}

impl Drop for Chrome {
    fn drop(&mut self) {
        // The driver and what it has started.
        if let Some(pid) = self.driver.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

fn capabilities(profile: &TempDir) -> serde_json::Map<String, Value> {
    let profile = format!("--user-data-dir={}", profile.path().display());
    let arguments = json!([
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-sync",
        "--no-first-run",
        "--hide-scrollbars",
        "--window-size=1200,900",
        profile,
    ]);
    let options = json!({ "args": arguments, "excludeSwitches": ["enable-automation"] });
    serde_json::Map::from_iter([("goog:chromeOptions".to_owned(), options)])
}

#[derive(Debug)]
struct Cdp(String, Value);

impl fantoccini::wd::WebDriverCompatibleCommand for Cdp {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        let body = json!({ "cmd": self.0, "params": self.1 });
        (http::Method::POST, Some(body.to_string()))
    }
}
