//! The pages: templates with automatic escaping, compiled into the program.

use minijinja::{Environment, UndefinedBehavior, Value, context, value::Serde};
use serde::Serialize;

use crate::{failure::Failure, pages::visitor::Visitor};

/// The style sheet of every page.
pub(crate) const STYLE: &str = include_str!("../../static/style.css");
/// What makes pages live; each of them works without.
pub(crate) const SCRIPT: &str = include_str!("../../static/app.js");
/// The icon in the browser's tab.
pub(crate) const ICON: &str = include_str!("../../static/icon.svg");

/// All templates, parsed.
#[derive(Debug)]
pub(crate) struct Pages {
    templates: Environment<'static>,
}

/// What the frame around every page shows.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Frame {
    pub(crate) user: Option<String>,
    pub(crate) user_id: Option<String>,
    /// The platform in the session, which may be none.
    pub(crate) chosen: Option<String>,
    pub(crate) admin: bool,
    /// Goes into every form.
    pub(crate) csrf: String,
    /// Whether the page with the outage is there.
    pub(crate) outage: bool,
    /// What was done just now.
    pub(crate) notice: Option<String>,
}

impl Pages {
    pub(crate) fn new() -> Result<Self, minijinja::Error> {
        let mut templates = Environment::new();
        // A misspelt name is an error, not an empty place in the page.
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        // Names that end in .html are what switches the escaping on.
        for (name, source) in [
            ("layout.html", include_str!("../../templates/layout.html")),
            ("parts.html", include_str!("../../templates/parts.html")),
            ("login.html", include_str!("../../templates/login.html")),
            ("platforms.html", include_str!("../../templates/platforms.html")),
            ("platform.html", include_str!("../../templates/platform.html")),
            ("captions.html", include_str!("../../templates/captions.html")),
            ("task.html", include_str!("../../templates/task.html")),
            ("settings.html", include_str!("../../templates/settings.html")),
            ("devices.html", include_str!("../../templates/devices.html")),
            ("admin.html", include_str!("../../templates/admin.html")),
            ("outage.html", include_str!("../../templates/outage.html")),
            ("message.html", include_str!("../../templates/message.html")),
        ] {
            templates.add_template(name, source)?;
        }
        templates.add_filter("when", when);
        Ok(Self { templates })
    }

    /// A page for somebody who is signed in.
    pub(crate) fn render(
        &self,
        name: &str,
        visitor: &Visitor<'_>,
        values: Value,
    ) -> Result<String, Failure> {
        self.render_in(name, &visitor.frame(), values)
    }

    /// A page without forms for nobody in particular.
    pub(crate) fn render_for_nobody(&self, name: &str, values: Value) -> Result<String, Failure> {
        self.render_in(name, &Frame::default(), values)
    }

    pub(crate) fn render_in(
        &self,
        name: &str,
        frame: &Frame,
        values: Value,
    ) -> Result<String, Failure> {
        let frame = Value::from(Serde(frame));
        let template = self.templates.get_template(name);
        let page = template.and_then(|template| template.render(context! { frame, ..values }));
        page.map_err(|error| {
            tracing::error!(%error, name, "page not rendered");
            Failure::Internal
        })
    }
}

/// Milliseconds since 1970 as people read them.
fn when(millis: i64) -> String {
    let time = tower_redis_session::Timestamp::from_millis(u64::try_from(millis).unwrap_or(0));
    let text = time.to_string();
    // To the minute, in UTC.
    match text.get(..16) {
        Some(minute) => minute.replace('T', " "),
        None => text,
    }
}
