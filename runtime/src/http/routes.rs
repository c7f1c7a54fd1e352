//! Which function a request's path belongs to.
//!
//! A route is a pattern with a function's name: `/images/{id}` or
//! `/files/{*path}`. Where no route matches, the path's first segment is the
//! function's name. Routes are written down beforehand, by the operator; a
//! request never changes them.

use std::sync::Arc;

/// A table of routes; empty at first.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    table: matchit::Router<Arc<str>>,
    any: bool,
}

/// Why a route can't be added.
#[derive(Debug, thiserror::Error)]
#[error(
    "the route `{pattern}` can't be used: {reason}; write it as `/images/{{id}}` or `/files/{{*path}}`"
)]
pub struct RouteError {
    pattern: String,
    reason: String,
}

impl Routes {
    /// A table without routes: every path's first segment names its function.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends every path that matches `pattern` to `function`. `{name}` stands
    /// for one segment, `{*name}` at the end for all that follow.
    ///
    /// # Errors
    /// [`RouteError`] where the pattern can't be read, or clashes with one
    /// that is there.
    pub fn add(&mut self, pattern: &str, function: &str) -> Result<(), RouteError> {
        let refuse = |reason: String| RouteError { pattern: pattern.to_owned(), reason };
        if !pattern.starts_with('/') {
            return Err(refuse("it does not start with `/`".into()));
        }
        self.table.insert(pattern, function.into()).map_err(|error| refuse(error.to_string()))?;
        self.any = true;
        Ok(())
    }

    /// The name of the function that `path` belongs to.
    pub(super) fn function<'a>(&'a self, path: &'a str) -> &'a str {
        if self.any
            && let Ok(route) = self.table.at(path)
        {
            return route.value;
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        path.split_once('/').map_or(path, |(first, _)| first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_names_the_function() {
        let routes = Routes::new();
        for (path, name) in [("/hello/world", "hello"), ("/hello", "hello"), ("/", ""), ("*", "*")]
        {
            assert_eq!(routes.function(path), name);
        }
    }

    #[test]
    fn a_route_comes_first() {
        let mut routes = Routes::new();
        routes.add("/images/{id}", "thumbnail").expect("a good route");
        assert_eq!(routes.function("/images/7"), "thumbnail");
        assert_eq!(routes.function("/images/7/8"), "images");
    }

    #[test]
    fn a_bad_route_says_so() {
        let mut routes = Routes::new();
        assert!(routes.add("images", "f").is_err());
        assert!(routes.add("/{", "f").is_err());
        routes.add("/{a}", "f").expect("a good route");
        assert!(routes.add("/{b}", "g").is_err());
    }
}
