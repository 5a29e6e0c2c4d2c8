//! What users have set.

use sqlx::Row as _;

use super::{Data, DataError};
use crate::captions::settings::{Rejected, Settings, SettingsPatch};

impl Data {
    /// `None` for one who has saved nothing, and for a row that no longer fits the bounds.
    pub(crate) async fn settings_of(&self, user: &str) -> Result<Option<Settings>, DataError> {
        let row = sqlx::query("SELECT settings FROM caption_settings WHERE user_id = $1");
        let Some(row) = row.bind(user).fetch_optional(&self.pool).await? else { return Ok(None) };
        Ok(stored(&row.try_get::<String, _>("settings")?))
    }

    /// Changes what the patch names and keeps the rest, in one transaction.
    pub(crate) async fn change_settings(
        &self,
        user: &str,
        patch: &SettingsPatch,
    ) -> Result<Result<Settings, Rejected>, DataError> {
        // The row first, so that two at once wait for each other here and neither is lost.
        let defaults = serde_json::to_string(&Settings::default())?;
        let row = sqlx::query(
            "INSERT INTO caption_settings (user_id, settings) VALUES ($1, $2) \
             ON CONFLICT (user_id) DO UPDATE SET user_id = excluded.user_id RETURNING settings",
        );
        let mut transaction = self.pool.begin().await?;
        let row = row.bind(user).bind(defaults).fetch_one(&mut *transaction).await?;
        let old = stored(&row.try_get::<String, _>("settings")?).unwrap_or_default();
        let new = match patch.applied_to(old) {
            Ok(new) => new,
            Err(rejected) => {
                transaction.rollback().await?;
                return Ok(Err(rejected));
            }
        };
        sqlx::query("UPDATE caption_settings SET settings = $1 WHERE user_id = $2")
            .bind(serde_json::to_string(&new)?)
            .bind(user)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Ok(new))
    }
}

fn stored(text: &str) -> Option<Settings> {
    serde_json::from_str::<Settings>(text).ok()?.checked().ok()
}
