//! Authentication: user name and password of each new connection by a function, certificates.

use std::{
    sync::{OnceLock, Weak},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _,
    pool::PoolConnectionMetadata,
    postgres::{PgConnectOptions, PgConnection, PgPool},
};
use tokio::time::timeout;

use crate::{
    error::{Error, ErrorKind},
    store::{
        credentials::CredentialSource,
        database::postgres::{failure::Failure, server::Server},
    },
};

/// Timeout of the function when a connection is lost: the library's wait includes it, and the new
/// connection.
const RENEWAL_LIMIT: Duration = Duration::from_secs(1);

impl Server {
    /// Connections that the pool opens from now on have the current credentials.
    pub(super) async fn authenticate(&self, pool: &PgPool) -> Result<(), Failure> {
        if self.credentials.is_some() {
            pool.set_connect_options(self.current_options().await?);
        }
        Ok(())
    }

    /// Whether an idle connection of this pool is usable. If not, the library opens another one
    /// with the options that the pool has: they are made the current ones. If the function fails
    /// or is slow they remain, and the server decides; its result is kept for the next one.
    pub(super) async fn is_usable(
        &self,
        connection: &mut PgConnection,
        age: PoolConnectionMetadata,
        pool: &Weak<OnceLock<PgPool>>,
    ) -> bool {
        let is_good = self.is_good(connection, age).await;
        if !is_good
            && let Some(place) = pool.upgrade()
            && let Some(pool) = place.get()
        {
            let _ = timeout(RENEWAL_LIMIT, self.authenticate(pool)).await;
        }
        is_good
    }

    pub(super) fn has_function(&self) -> bool {
        self.credentials.is_some()
    }

    /// A connection outside of a pool.
    pub(super) async fn connect(&self) -> Result<PgConnection, Failure> {
        let options = self.current_options().await?;
        options.connect().await.map_err(|error| self.not_connected(error))
    }

    /// Why a connection was not opened.
    pub(super) fn not_connected(&self, error: sqlx::Error) -> Failure {
        self.certificate_fault().unwrap_or_else(|| Failure::of_connecting(error))
    }

    /// A certificate that can no longer be read, after a connection could not be opened: to the
    /// library it is any missing file.
    fn certificate_fault(&self) -> Option<Failure> {
        #[cfg(feature = "tls")]
        if self.certificates.are_set()
            && let Err(error) = self.certificates.check("database")
        {
            let text = error.fault().to_owned();
            return Some(Failure::refused(Error::new(ErrorKind::Misconfigured, text)));
        }
        None
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
