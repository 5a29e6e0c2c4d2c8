//! Authentication by a function: user name and password of each new connection.

use sqlx::{
    ConnectOptions as _,
    postgres::{PgConnectOptions, PgConnection, PgPool},
};

use crate::{
    error::{Error, ErrorKind},
    store::{
        credentials::CredentialSource,
        database::postgres::{failure::Failure, server::Server},
    },
};

impl Server {
    /// Connections that the pool opens from now on have the current credentials.
    pub(super) async fn authenticate(&self, pool: &PgPool) -> Result<(), Failure> {
        if self.credentials.is_some() {
            pool.set_connect_options(self.current_options().await?);
        }
        Ok(())
    }

    pub(super) fn has_function(&self) -> bool {
        self.credentials.is_some()
    }

    /// A connection outside of a pool.
    pub(super) async fn connect(&self) -> Result<PgConnection, Failure> {
        let options = self.current_options().await?;
        options.connect().await.map_err(Failure::of_connecting)
    }

    /// The failure of a caller that waits for the function.
    pub(super) fn awaits_credentials(&self) -> Option<Failure> {
        let is_called = self.credentials.as_ref().is_some_and(CredentialSource::is_called);
        let text = "the function for the postgresql credentials did not return in time";
        is_called.then(|| Failure::refused(Error::new(ErrorKind::Unavailable, text)))
    }

    async fn current_options(&self) -> Result<PgConnectOptions, Failure> {
        let options = self.options().clone();
        let Some(source) = &self.credentials else { return Ok(options) };
        let given = source.obtain("postgresql").await.map_err(Failure::refused)?;
        let options = options.password(&given.password);
        Ok(match &given.username {
            Some(username) => options.username(username),
            None => options,
        })
    }
}
