//! Which function a request's path belongs to, and what a request on that way
//! may bring along.
//!
//! A route is a pattern with a function's name: `/images/{id}` or
//! `/files/{*path}`. Where no route matches, the path's first segment is the
//! function's name. Routes are written down beforehand, by the operator; a
//! request never changes them.

use std::borrow::Cow;
use std::sync::Arc;

use crate::headers::{baggage, percent};
use crate::message::is_hosts_own;

/// A way to a function, to be added to [`Routes`].
///
/// ```
/// use hourglass::http::{Route, Routes};
///
/// let mut routes = Routes::new();
/// routes.route(Route::new("/images/{id}", "thumbnail").baggage(["tenant"]))?;
/// # Ok::<(), hourglass::http::RouteError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Route {
    pattern: String,
    target: Target,
}

/// Where a route leads to, and the names of the baggage that is let in there.
#[derive(Clone, Debug)]
struct Target {
    function: Arc<str>,
    baggage: Arc<[Arc<str>]>,
}

/// A table of routes; empty at first.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    table: matchit::Router<Target>,
    any: bool,
    /// What is let in where no route matches.
    baggage: Arc<[Arc<str>]>,
}

/// Why a route, or an allow-list, can't be used.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct RouteError(#[from] Reason);

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error(
        "the route `{pattern}` can't be used: {reason}; write it as `/images/{{id}}` or `/files/{{*path}}`"
    )]
    Pattern { pattern: String, reason: String },
    #[error("the baggage `{0}` can't be let in: the host itself gives the value of that name")]
    Reserved(Arc<str>),
    #[error(
        "the baggage `{0}` can't be let in: no caller can send such a name; write it without blanks and signs, as `tenant`"
    )]
    Name(Arc<str>),
}

/// What a path belongs to.
#[derive(Debug)]
pub(super) struct Match<'a> {
    /// The name of the function.
    pub(super) function: &'a str,
    /// The names of the baggage that is let in.
    pub(super) baggage: &'a [Arc<str>],
    parameters: Option<matchit::Params<'a, 'a>>,
}

impl Route {
    /// Leads every path that matches `pattern` to `function`. `{name}` stands
    /// for one segment, `{*name}` at the end for all that follow.
    ///
    /// Percent-encoding in what a parameter stands for is undone where the
    /// outcome is UTF-8, so that one segment may well hold a `/`.
    pub fn new(pattern: impl Into<String>, function: impl Into<Arc<str>>) -> Self {
        let target = Target { function: function.into(), baggage: Arc::default() };
        Self { pattern: pattern.into(), target }
    }

    /// Lets in the members of a request's `baggage` header that have these
    /// names: they become values of the function's context. Default none.
    #[must_use]
    pub fn baggage<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.target.baggage = names.into_iter().map(Into::into).collect();
        self
    }
}

impl Routes {
    /// A table without routes: every path's first segment names its function.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route to `function` that lets in no baggage.
    ///
    /// # Errors
    /// As [`route`](Self::route).
    pub fn add(&mut self, pattern: &str, function: &str) -> Result<(), RouteError> {
        self.route(Route::new(pattern, function))
    }

    /// Adds a route.
    ///
    /// # Errors
    /// [`RouteError`] where the pattern can't be read, or clashes with one
    /// that is there, and where a name of its baggage is one that the host
    /// gives itself or that no caller can send.
    pub fn route(&mut self, route: Route) -> Result<(), RouteError> {
        let Route { pattern, target } = route;
        check(&target.baggage)?;
        let refuse = |reason: String| Reason::Pattern { pattern: pattern.clone(), reason };
        if !pattern.starts_with('/') {
            return Err(refuse("it does not start with `/`".into()).into());
        }
        self.table.insert(&*pattern, target).map_err(|error| refuse(error.to_string()))?;
        self.any = true;
        Ok(())
    }

    /// Lets in the members of a request's `baggage` header that have these
    /// names where no route matches the path: a route has an allow-list of its
    /// own. Default none.
    ///
    /// # Errors
    /// [`RouteError`] where one is a name that the host gives itself or that no
    /// caller can send.
    pub fn baggage<N: Into<Arc<str>>>(
        &mut self,
        names: impl IntoIterator<Item = N>,
    ) -> Result<(), RouteError> {
        let names: Arc<[Arc<str>]> = names.into_iter().map(Into::into).collect();
        check(&names)?;
        self.baggage = names;
        Ok(())
    }

    /// What `path` belongs to.
    pub(super) fn find<'a>(&'a self, path: &'a str) -> Match<'a> {
        if self.any
            && let Ok(route) = self.table.at(path)
        {
            let Target { function, baggage } = route.value;
            return Match { function, baggage, parameters: Some(route.params) };
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        let function = path.split_once('/').map_or(path, |(first, _)| first);
        Match { function, baggage: &self.baggage, parameters: None }
    }
}

impl<'a> Match<'a> {
    /// The route's parameters, by their names in the pattern.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
        let all = self.parameters.iter().flat_map(matchit::Params::iter);
        all.map(|(name, raw)| (name, percent::decode(raw).unwrap_or(Cow::Borrowed(raw))))
    }
}

/// Fails where one of the names can't be let in.
fn check(names: &[Arc<str>]) -> Result<(), Reason> {
    for name in names {
        if is_hosts_own(name) {
            return Err(Reason::Reserved(name.clone()));
        }
        if !baggage::is_name(name) {
            return Err(Reason::Name(name.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::REQUEST_ID;
    use crate::trace::{TRACE, TRACE_STATE};

    fn parameters(routes: &Routes, path: &str) -> Vec<(String, String)> {
        let all = routes.find(path);
        all.parameters().map(|(name, value)| (name.to_owned(), value.into_owned())).collect()
    }

    #[test]
    fn the_first_segment_names_the_function() {
        let routes = Routes::new();
        for (path, name) in [("/hello/world", "hello"), ("/hello", "hello"), ("/", ""), ("*", "*")]
        {
            assert_eq!(routes.find(path).function, name);
        }
    }

    #[test]
    fn a_route_comes_first() {
        let mut routes = Routes::new();
        routes.add("/images/{id}", "thumbnail").expect("a good route");
        assert_eq!(routes.find("/images/7").function, "thumbnail");
        assert_eq!(routes.find("/images/7/8").function, "images");
    }

    #[test]
    fn parameters_are_told_as_they_are_meant() {
        let mut routes = Routes::new();
        routes.add("/{a}/files/{*rest}", "f").expect("a good route");
        let of = |a: &str, rest: &str| {
            vec![("a".to_owned(), a.to_owned()), ("rest".to_owned(), rest.to_owned())]
        };
        assert_eq!(parameters(&routes, "/gr%C3%BCn%2F/files/b/%63"), of("grün/", "b/c"));
        assert_eq!(parameters(&routes, "/%FF/files/%4"), of("%FF", "%4"));
        assert_eq!(parameters(&routes, "/other"), []);
    }

    #[test]
    fn each_route_has_an_allow_list_of_its_own() {
        let mut routes = Routes::new();
        let let_in = |routes: &Routes, path: &str| routes.find(path).baggage.join(",");
        routes.add("/a", "f").expect("a good route");
        assert_eq!(let_in(&routes, "/other"), "");
        routes.route(Route::new("/b", "f").baggage(["tenant", "user"])).expect("a good route");
        routes.baggage(["region"]).expect("a good name");
        assert_eq!(let_in(&routes, "/a"), "");
        assert_eq!(let_in(&routes, "/b"), "tenant,user");
        assert_eq!(let_in(&routes, "/other"), "region");
    }

    #[test]
    fn a_bad_route_says_so() {
        let mut routes = Routes::new();
        assert!(routes.add("images", "f").is_err());
        assert!(routes.add("/{", "f").is_err());
        routes.add("/{a}", "f").expect("a good route");
        assert!(routes.add("/{b}", "g").is_err());
    }

    #[test]
    fn the_hosts_own_names_are_not_let_in() {
        let (id, trace, state) = (REQUEST_ID, TRACE, TRACE_STATE);
        let hosts = [id.name(), trace.name(), state.name(), "route.id", "principal"];
        for name in hosts.into_iter().chain(["", "a b", "a=b", "grün"]) {
            let mut routes = Routes::new();
            let error = routes.baggage(["tenant", name]).expect_err(name);
            assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
            assert!(routes.route(Route::new("/a", "f").baggage([name])).is_err(), "{name}");
            // Neither has left anything behind.
            assert!(routes.find("/a").function == "a" && routes.find("/b").baggage.is_empty());
        }
    }
}
