//! What an instance learns and fills, when a test says so.

use super::{Instance, TwoInstances};
use test_support::{Browser, eventually};

/// Holds the answer of a poll of each: nothing is learned, and nothing swept, until it is released.
pub async fn learn_nothing(instances: &[&Instance]) {
    for instance in instances {
        instance.hold("poll-answer").await;
        instance.reached("poll-answer").await;
    }
}

/// Takes in the answer that is held, and no later one.
pub async fn learn_what_is_held(instance: &Instance) {
    learn_nothing(&[instance]).await;
}

pub async fn learn_again(instances: &[&Instance]) {
    for instance in instances {
        instance.release("poll-answer").await;
    }
}

impl TwoInstances {
    /// Reads at `b` until it has taken the lease of the session's copy; it stays before its fill
    /// until that place is released.
    pub async fn b_takes_the_lease(&self, browser: &Browser, id: &str) {
        self.b.hold("before-fill").await;
        eventually("b has taken the lease", async || {
            // Of a session that is over the answer waits for the note that there is nothing.
            let mut reader = self.b.with_cookies_of(browser).await;
            drop(tokio::spawn(async move { reader.get("/get:n").await }));
            self.copy(id).await.is_some_and(|value| value.first() == Some(&b'L'))
        })
        .await;
    }
}
