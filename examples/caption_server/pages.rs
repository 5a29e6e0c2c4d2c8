//! The pages: templates with automatic escaping, compiled into the program.

use minijinja::{Environment, UndefinedBehavior, Value};

use crate::failure::Failure;

/// The style sheet of every page.
pub(crate) const STYLE: &str = include_str!("style.css");
/// The icon in the browser's tab.
pub(crate) const ICON: &str = include_str!("icon.svg");

/// All templates, parsed.
#[derive(Debug)]
pub(crate) struct Pages {
    templates: Environment<'static>,
}

impl Pages {
    pub(crate) fn new() -> Result<Self, minijinja::Error> {
        let mut templates = Environment::new();
        // A misspelt name is an error, not an empty place in the page.
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        // Names that end in .html are what switches the escaping on.
        for (name, source) in [
            ("layout.html", include_str!("templates/layout.html")),
            ("login.html", include_str!("templates/login.html")),
            ("platforms.html", include_str!("templates/platforms.html")),
            ("captions.html", include_str!("templates/captions.html")),
            ("message.html", include_str!("templates/message.html")),
        ] {
            templates.add_template(name, source)?;
        }
        Ok(Self { templates })
    }

    pub(crate) fn render(&self, name: &str, values: Value) -> Result<String, Failure> {
        let page = self.templates.get_template(name).and_then(|template| template.render(values));
        page.map_err(|error| {
            tracing::error!(%error, name, "a page could not be rendered");
            Failure::Internal
        })
    }
}
