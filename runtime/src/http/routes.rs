//! Maps a request's path to a function, and limits the baggage that the request
//! may carry.
//!
//! A route is a pattern with a function's name: `/images/{id}` or
//! `/files/{*path}`. If no route matches, the path's first segment names the
//! function, unless that function has routes or is internal. The operator sets
//! routes in advance; a request never changes them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::pattern;
use crate::body::is_hosts_own;
use crate::escape::OneLine;
use crate::propagation::{baggage, percent};

/// A route to a function, added to [`Routes`].
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
    pattern: Arc<str>,
    function: Arc<str>,
    /// The names of the baggage that it allows.
    baggage: Arc<[Arc<str>]>,
}

/// A table of routes, initially empty.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    table: matchit::Router<Route>,
    /// The functions that have routes or are internal. All others are served by
    /// name.
    functions: HashMap<Arc<str>, Paths>,
    /// The baggage allowed if no route matches.
    baggage: Arc<[Arc<str>]>,
    /// The functions that accept batches.
    batches: HashSet<Arc<str>>,
}

/// The paths that lead to a function.
#[derive(Clone, Debug, Default)]
struct Paths {
    /// Whether its name and all paths below it do.
    name: bool,
    internal: bool,
    patterns: Vec<Arc<str>>,
}

/// Why a route, or an allow-list, can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RouteError(String);

/// The result of a lookup.
#[derive(Debug)]
pub(super) struct Match<'a> {
    /// The name of the function.
    pub(super) function: &'a str,
    /// Whether the path may lead to it. A name alone does not if the function
    /// has routes or is internal.
    pub(super) is_served: bool,
    /// The names of the allowed baggage.
    pub(super) baggage: &'a [Arc<str>],
    /// The pattern of the route, if one matches.
    pub(super) pattern: Option<&'a Arc<str>>,
    parameters: Option<matchit::Params<'a, 'a>>,
}

impl Route {
    /// Routes every path that matches `pattern` to `function`. `{name}` matches
    /// one segment; `{*name}` at the end matches all that follow.
    ///
    /// The value of a parameter is percent-decoded if the result is UTF-8, so
    /// one segment may contain a `/`.
    pub fn new(pattern: impl Into<Arc<str>>, function: impl Into<Arc<str>>) -> Self {
        Self { pattern: pattern.into(), function: function.into(), baggage: Arc::default() }
    }

    /// Allows the members of a request's `baggage` header with these names:
    /// they become values of the function's context. Default: none.
    #[must_use]
    pub fn baggage<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.baggage = names.into_iter().map(Into::into).collect();
        self
    }
}

impl Routes {
    /// Creates a table without routes: every path's first segment names its
    /// function, and no function is internal.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route to `function` that allows no baggage.
    ///
    /// # Errors
    /// As [`route`](Self::route).
    pub fn add(&mut self, pattern: &str, function: &str) -> Result<(), RouteError> {
        self.route(Route::new(pattern, function))
    }

    /// Adds a route. Its function is then no longer served by name, unless
    /// [`by_name`](Self::by_name) is called.
    ///
    /// # Errors
    /// [`RouteError`] if the pattern can never match, or conflicts with an
    /// existing one; if the function is [internal](Self::internal); or if a
    /// baggage name is reserved for the host or can't be sent by any caller.
    pub fn route(&mut self, route: Route) -> Result<(), RouteError> {
        let Route { pattern, function, baggage } = &route;
        check(baggage)?;
        let refuse = |reason: String| {
            let (pattern, reason) = (OneLine(pattern), OneLine(reason));
            RouteError(format!("the route `{pattern}` can't be used: {reason}"))
        };
        pattern::check(pattern).map_err(refuse)?;
        if self.functions.get(function).is_some_and(|paths| paths.internal) {
            return Err(internal(function));
        }
        self.table.insert(&**pattern, route.clone()).map_err(|error| {
            let reason = match &error {
                matchit::InsertError::Conflict { with } => self.conflict(with),
                error => error.to_string(),
            };
            refuse(format!("{reason}; write a different path, or keep one of the two"))
        })?;
        let Route { pattern, function, .. } = route;
        self.functions.entry(function).or_default().patterns.push(pattern);
        Ok(())
    }

    /// Describes the existing route that another conflicts with.
    fn conflict(&self, pattern: &str) -> String {
        let has = |paths: &Paths| paths.patterns.iter().any(|own| **own == *pattern);
        let owner = self.functions.iter().find(|(_, paths)| has(paths));
        let owner = owner.map(|(name, _)| format!(" of the function `{name}`"));
        format!("the route `{pattern}`{} matches the same paths", owner.unwrap_or_default())
    }

    /// Serves a function by its name, `/NAME` and all paths below it, although
    /// it has routes. Functions without routes are served by name by default.
    ///
    /// # Errors
    /// [`RouteError`] if it is [internal](Self::internal).
    pub fn by_name(&mut self, function: impl Into<Arc<str>>) -> Result<(), RouteError> {
        let function = function.into();
        let paths = self.functions.entry(function.clone()).or_default();
        if paths.internal {
            return Err(internal(&function));
        }
        paths.name = true;
        Ok(())
    }

    /// Hides a function from clients: no path leads to it, and its name gets
    /// the same response as an unknown function. Other functions and the
    /// embedder may still call it.
    ///
    /// # Errors
    /// [`RouteError`] if it has a route, or is served [by name](Self::by_name).
    pub fn internal(&mut self, function: impl Into<Arc<str>>) -> Result<(), RouteError> {
        let function = function.into();
        let paths = self.functions.entry(function.clone()).or_default();
        if paths.name || !paths.patterns.is_empty() {
            return Err(internal(&function));
        }
        paths.internal = true;
        Ok(())
    }

    /// Lets clients send batches to a function: `POST /-/batch/FUNCTION` runs it
    /// for each line of the request, and has a result for each line of the
    /// response. The format is in `docs/batch.md`. Default: no function.
    pub fn batch(&mut self, function: impl Into<Arc<str>>) {
        self.batches.insert(function.into());
    }

    /// Whether clients may send batches to a function.
    pub(super) fn allows_batch(&self, function: &str) -> bool {
        self.batches.contains(function)
    }

    /// The paths that lead to a function: its name, if served by name, and its
    /// patterns.
    pub(crate) fn paths(&self, function: &str) -> Vec<String> {
        let mut paths = Vec::new();
        if self.is_served_by_name(function) {
            paths.push(format!("/{function}"));
        }
        let patterns = self.functions.get(function).into_iter().flat_map(|paths| &paths.patterns);
        paths.extend(patterns.map(ToString::to_string));
        paths
    }

    /// Whether `/NAME` leads to a function if no route matches.
    pub(crate) fn is_served_by_name(&self, function: &str) -> bool {
        // Most hosts have neither routes nor internal functions.
        self.functions.is_empty() || self.functions.get(function).is_none_or(|paths| paths.name)
    }

    /// Whether a pattern may match a path that the function's name also
    /// matches.
    #[cfg(feature = "cli")]
    pub(crate) fn is_shadowed(&self, function: &str, pattern: &str) -> bool {
        self.is_served_by_name(function) && pattern::covers(pattern, function)
    }

    /// Allows the members of a request's `baggage` header with these names if
    /// no route matches the path: a route has its own allow-list. Default:
    /// none.
    ///
    /// # Errors
    /// [`RouteError`] if a name is reserved for the host or can't be sent by
    /// any caller.
    pub fn baggage<N: Into<Arc<str>>>(
        &mut self,
        names: impl IntoIterator<Item = N>,
    ) -> Result<(), RouteError> {
        let names: Arc<[Arc<str>]> = names.into_iter().map(Into::into).collect();
        check(&names)?;
        self.baggage = names;
        Ok(())
    }

    /// Looks up `path`.
    pub(super) fn find<'a>(&'a self, path: &'a str) -> Match<'a> {
        if !self.functions.is_empty()
            && let Ok(route) = self.table.at(path)
        {
            let Route { function, baggage, pattern } = route.value;
            let (pattern, parameters) = (Some(pattern), Some(route.params));
            return Match { function, is_served: true, baggage, pattern, parameters };
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        let function = path.split_once('/').map_or(path, |(first, _)| first);
        let is_served = self.is_served_by_name(function);
        let baggage = &self.baggage;
        Match { function, is_served, baggage, pattern: None, parameters: None }
    }
}

impl<'a> Match<'a> {
    /// The route's parameters, by their names in the pattern.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
        let all = self.parameters.iter().flat_map(matchit::Params::iter);
        all.map(|(name, raw)| (name, percent::decode(raw).unwrap_or(Cow::Borrowed(raw))))
    }
}

fn internal(function: &str) -> RouteError {
    RouteError(format!(
        "`{function}` is internal, so no path leads to it; remove its routes or `public = false`"
    ))
}

/// Fails if one of the names can't be allowed.
fn check(names: &[Arc<str>]) -> Result<(), RouteError> {
    for name in names {
        let reason = if is_hosts_own(name) {
            "the host itself gives the value of that name"
        } else if !baggage::is_name(name) {
            "no caller can send such a name; write it without blanks and signs, as `tenant`"
        } else {
            continue;
        };
        let name = OneLine(name);
        return Err(RouteError(format!("the baggage `{name}` can't be let in: {reason}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::REQUEST_ID;
    use crate::propagation::trace::{TRACE, TRACE_STATE};

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
    fn a_function_with_routes_is_served_at_these_alone() {
        let mut routes = Routes::new();
        routes.add("/images/{id}", "thumbnail").expect("a good route");
        assert!(routes.find("/images/7").is_served && routes.find("/hello").is_served);
        assert!(!routes.find("/thumbnail").is_served && !routes.find("/thumbnail/7").is_served);
        routes.by_name("thumbnail").expect("it is not internal");
        assert!(routes.find("/thumbnail").is_served && routes.find("/images/7").is_served);
    }

    #[test]
    fn no_path_leads_to_an_internal_function() {
        let mut routes = Routes::new();
        routes.internal("price").expect("it has no routes");
        assert!(!routes.find("/price").is_served && !routes.find("/price/x").is_served);
        assert!(routes.find("/prices").is_served && routes.find("/hello").is_served);
        assert!(routes.add("/p", "price").is_err() && routes.by_name("price").is_err());
        assert_eq!(routes.find("/p").function, "p");
        routes.add("/h", "hello").expect("a good route");
        assert!(routes.internal("hello").is_err());
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
        let error = routes.add("/{b}", "g").expect_err("it matches the same paths").to_string();
        assert!(error.contains("the route `/{a}` of the function `f`"), "{error}");
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
            // Neither failure has changed the table.
            assert!(routes.find("/a").function == "a" && routes.find("/b").baggage.is_empty());
        }
    }
}
