//! People to sign in as, put into an empty database.

use super::{Data, DataError, now};
use crate::data::passwords;

/// Names and passwords that the sign-in page shows.
pub(crate) const CREDENTIALS: [(&str, &str); 2] = [("alice", "wonderland"), ("bob", "hedgehog")];

const PEOPLE: [[&str; 3]; 2] = [["1", "alice", "admin"], ["2", "bob", "member"]];

/// Whose it is; name, kind, instance, account.
const PLATFORMS: [[&str; 5]; 4] = [
    ["1", "Everyday", "mastodon", "https://social.example.org", "alice"],
    ["1", "Photographs", "pixelfed", "https://photos.example.net", "alice.l"],
    ["2", "Model railway", "pixelfed", "https://pixels.example.com", "bob"],
    ["2", "Chatter", "mastodon", "https://social.example.org", "bob_b"],
];

impl Data {
    /// Does nothing where there are users already. Takes a moment: passwords are hashed.
    pub(crate) async fn add_demonstration(&self) -> Result<(), DataError> {
        let count: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM caption_users").fetch_one(&self.pool).await?;
        if count > 0 {
            return Ok(());
        }
        for ([id, name, role], (_, password)) in PEOPLE.iter().zip(CREDENTIALS) {
            let hash = tokio::task::spawn_blocking(move || passwords::hashed(password)).await??;
            // Another instance may be at the same.
            let row = sqlx::query(
                "INSERT INTO caption_users (id, username, email, role, active, password_hash) \
                 VALUES ($1, $2, $3, $4, 1, $5) ON CONFLICT DO NOTHING",
            );
            let row = row.bind(*id).bind(*name);
            let row = row.bind(format!("{name}@example.org")).bind(*role).bind(hash);
            row.execute(&self.pool).await?;
        }
        for (at, [user, name, kind, instance, account]) in PLATFORMS.iter().enumerate() {
            self.add_demonstration_platform(at, user, &[name, kind, instance, account]).await?;
        }
        Ok(())
    }

    async fn add_demonstration_platform(
        &self,
        at: usize,
        user: &str,
        told: &[&&str; 4],
    ) -> Result<(), DataError> {
        // Ids that anybody can read in the documentation: 11, 12, 21, 22.
        let id = format!("{user}{}", at % 2 + 1);
        let token = self.sealed(&id, Some("a token that opens nothing"))?;
        let [name, kind, instance, account] = *told;
        let row = sqlx::query(
            "INSERT INTO caption_platforms (id, user_id, name, kind, instance_url, username, \
             active, is_default, token, created) VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9) \
             ON CONFLICT DO NOTHING",
        );
        let row = row.bind(&id).bind(user).bind(*name).bind(*kind).bind(*instance).bind(*account);
        let created = now().saturating_add(i64::try_from(at).unwrap_or(0));
        let row = row.bind(i64::from(at.is_multiple_of(2))).bind(token).bind(created);
        row.execute(&self.pool).await?;
        Ok(())
    }
}

#[cfg(test)]
impl Data {
    pub(crate) async fn add_user_for_tests(&self, id: &str, name: &str, password: &str) {
        let hash = passwords::hashed(password).map_err(|error| error.to_string());
        let row = sqlx::query(
            "INSERT INTO caption_users (id, username, role, active, password_hash) \
             VALUES ($1, $2, 'member', 1, $3)",
        );
        let row = row.bind(id).bind(name).bind(hash.unwrap_or_default());
        assert!(row.execute(&self.pool).await.is_ok(), "{name}");
    }

    pub(crate) async fn add_lost_task_for_tests(&self, user: &str, id: &str) {
        let row = sqlx::query(
            "INSERT INTO caption_tasks (id, user_id, platform_id, platform_name, status, \
             progress_percent, current_step, pictures, settings, created, alive) \
             VALUES ($1, $2, '11', 'Everyday', 'queued', 0, '', 1, '{}', 0, 0)",
        );
        assert!(row.bind(id).bind(user).execute(&self.pool).await.is_ok(), "{id}");
    }
}
