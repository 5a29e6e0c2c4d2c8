//! Verification by the head alone, for the crate's own endpoints without a [`CsrfLayer`] outside.
//!
//! [`CsrfLayer`]: crate::csrf::CsrfLayer

use http::request::Parts;

use crate::{
    context::SessionContext,
    csrf::{
        error::{CsrfError, CsrfErrorKind},
        future::log,
        rules::HEADER,
    },
    transport::cross_site::{Judged, is_from_elsewhere, says_cross_site},
};

/// Verifies a request that changes something, as a layer with the default settings does. One that a
/// layer outside has accepted by its own settings passes.
pub(crate) async fn verify_head(head: &Parts, session: &SessionContext) -> Result<(), CsrfError> {
    let verdict = verdict(head, session).await;
    if let Err(error) = &verdict {
        log(error);
    }
    verdict
}

async fn verdict(head: &Parts, session: &SessionContext) -> Result<(), CsrfError> {
    if head.extensions.get::<Judged>().is_some() {
        return Ok(());
    }
    // Only a page that has the token of a header transport can send it.
    if !session.session.backend.rules.transport.is_ambient() {
        let forged = says_cross_site(head);
        return if forged { Err(CsrfErrorKind::CrossSite.into()) } else { Ok(()) };
    }
    if is_from_elsewhere(head, false, &[]) {
        return Err(CsrfErrorKind::CrossSite.into());
    }
    let mut tokens = head.headers.get_all(HEADER).iter();
    match (tokens.next(), tokens.next()) {
        (Some(token), None) => session.verify_csrf(token).await,
        (Some(_), Some(_)) => Err(CsrfErrorKind::Malformed.into()),
        (None, _) => Err(CsrfErrorKind::Missing.into()),
    }
}
