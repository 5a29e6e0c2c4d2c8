//! A visitor of a [`Site`] who is signed in and has something in the cart, and what a cookie opens.

use super::browser::Browser;
use super::site::{COOKIE, Site};

/// What [`who`] says of somebody without a session.
pub const NOBODY: &str = "-,-";

/// Alice, with tea in her cart.
pub async fn signed_in(site: &Site) -> Browser {
    let mut browser = site.browser().await;
    browser.get("/login:alice,insert:cart:tea").await.expect(200);
    browser
}

/// What somebody with that cookie is and has: `user,cart`.
pub async fn who(site: &Site, token: &str) -> String {
    let mut browser = site.browser().await;
    browser.set_cookie(COOKIE, token);
    browser.get("/user,get:cart").await.expect(200).text()
}

/// The value of the browser's session cookie.
pub fn token(browser: &Browser) -> String {
    browser.cookie(COOKIE).expect("a session cookie").to_owned()
}
