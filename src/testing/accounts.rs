//! The users in the documentation's examples.

use crate::{
    Error,
    directory::{Credentials, Directory, PlatformInfo, UserInfo},
};

/// Alice, with two platforms, of which the second is her default, and settings; bob, without
/// either; and mallory, who was deactivated.
#[derive(Clone, Copy, Debug)]
pub struct Accounts;

impl Directory for Accounts {
    type Settings = u32;

    async fn user(&self, user_id: &str) -> Result<Option<UserInfo>, Error> {
        let known = ["alice", "bob", "mallory"].contains(&user_id);
        Ok(known.then(|| UserInfo {
            id: user_id.to_owned(),
            username: user_id.to_owned(),
            email: None,
            role: "member".to_owned(),
            active: user_id != "mallory",
        }))
    }

    async fn platforms(&self, user_id: &str) -> Result<Vec<PlatformInfo>, Error> {
        let platform = |id: &str, name: &str, kind: &str| PlatformInfo {
            id: id.to_owned(),
            name: name.to_owned(),
            kind: kind.to_owned(),
            instance_url: format!("https://{kind}.example.org"),
            username: user_id.to_owned(),
            active: true,
            default: id == "12",
        };
        let both =
            [platform("11", "Garden", "mastodon"), platform("12", "Photographs", "pixelfed")];
        Ok(both.into_iter().filter(|_| user_id == "alice").collect())
    }

    async fn settings(&self, user_id: &str) -> Result<Option<u32>, Error> {
        Ok((user_id == "alice").then_some(50))
    }

    async fn credentials(
        &self,
        user_id: &str,
        platform_id: &str,
    ) -> Result<Option<Credentials>, Error> {
        let own = user_id == "alice" && ["11", "12"].contains(&platform_id);
        Ok(own.then(|| Credentials::new("a token")))
    }
}
