//! Connects to checked addresses only.
//!
//! A name is resolved once for each connection, every resulting address is
//! checked, and exactly those addresses are connected to. There is no second
//! lookup in between, so DNS rebinding gains nothing (TOCTOU).

use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

use super::connection::{Line, Places};
use super::hosts::{Hosts, Scheme};
use super::resolver::Resolver;
use super::trust::{self, Secured};

/// The longest time to connect, whatever the context allows.
const LONGEST: Duration = Duration::from_secs(10);

type BoxError = Box<dyn Error + Send + Sync>;
type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Why a connection can't be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unconnected {
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Unresolved(String),
    #[error("none was made within {} seconds", LONGEST.as_secs())]
    TooLong,
    #[error("as many are open as may be")]
    TooMany,
}

/// Makes connections, with TLS if the URL requires it.
#[derive(Clone)]
pub(crate) struct Connector(Secured<Guarded<Resolver>>);

impl Connector {
    pub(super) fn new(hosts: Arc<Hosts>) -> Self {
        let guarded = Guarded { hosts, resolver: Resolver::new(), places: Places::new() };
        Self(trust::secured(guarded))
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Line>;
    type Error = BoxError;
    type Future = Boxed<Self::Response>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connecting = self.0.call(url);
        Box::pin(async move {
            let connected = tokio::time::timeout(LONGEST, connecting).await;
            connected.map_err(|_| Unconnected::TooLong)?
        })
    }
}

/// Connects to the allowed addresses.
#[derive(Clone)]
struct Guarded<R> {
    hosts: Arc<Hosts>,
    resolver: R,
    places: Places,
}

impl<R> Service<Uri> for Guarded<R>
where
    R: Service<Name, Response: Iterator<Item = SocketAddr>, Error: Error>
        + Clone
        + Send
        + Sync
        + 'static,
    R::Future: Send + 'static,
{
    type Response = Line;
    type Error = BoxError;
    type Future = Boxed<Self::Response>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let guard = Guard::of(&url, self.hosts.clone());
        let (resolver, place) = (self.resolver.clone(), self.places.take());
        Box::pin(async move {
            let (guard, place) = (guard?, place.ok_or(Unconnected::TooMany)?);
            // A literal address bypasses the resolver.
            if let Some(address) = guard.literal
                && !guard.hosts.lead_to(guard.scheme, address.ip(), guard.port)
            {
                return Err(guard.refuse().into());
            }
            let mut connector = HttpConnector::new_with_resolver(Checked { guard, resolver });
            connector.enforce_http(false);
            // Disables Nagle's algorithm: a request could wait for the other
            // side's acknowledgment.
            connector.set_nodelay(true);
            // All addresses of a name share it, so that no address uses up all
            // the time.
            connector.set_connect_timeout(Some(LONGEST / 2));
            Ok(Line::new(connector.call(url).await?, place))
        })
    }
}

/// The destination of one connection.
#[derive(Clone)]
struct Guard {
    hosts: Arc<Hosts>,
    scheme: Scheme,
    host: String,
    port: u16,
    literal: Option<SocketAddr>,
}

impl Guard {
    fn of(url: &Uri, hosts: Arc<Hosts>) -> Result<Self, Unconnected> {
        let scheme = url.scheme_str().and_then(Scheme::of);
        let (Some(scheme), Some(host)) = (scheme, url.host()) else {
            return Err(Unconnected::Refused(format!("{url} is no address of HTTP")));
        };
        let default = match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        let port = url.port_u16().unwrap_or(default);
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let literal = bare.parse().ok().map(|address| SocketAddr::new(address, port));
        Ok(Self { hosts, scheme, host: host.to_owned(), port, literal })
    }

    /// The error that the function sees. It hides the address: private
    /// addresses must not leak.
    fn refuse(&self) -> Unconnected {
        Unconnected::Refused(format!(
            "`{}` leads to an address that is not public, and not named in the function's \
             `allow_hosts`",
            self.host
        ))
    }
}

/// Resolves a name and returns only checked addresses.
#[derive(Clone)]
struct Checked<R> {
    guard: Guard,
    resolver: R,
}

impl<R> Service<Name> for Checked<R>
where
    R: Service<Name, Response: Iterator<Item = SocketAddr>, Error: Error>,
    R::Future: Send + 'static,
{
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Unconnected;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Unconnected>> + Send>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Unconnected>> {
        self.resolver.poll_ready(cx).map_err(|error| Unconnected::Unresolved(error.to_string()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (resolving, guard) = (self.resolver.call(name), self.guard.clone());
        Box::pin(async move {
            let resolved =
                resolving.await.map_err(|error| Unconnected::Unresolved(error.to_string()))?;
            let addresses: Vec<_> = resolved.collect();
            // One forbidden address rejects all: no honest name has both kinds.
            let Guard { hosts, scheme, port, .. } = &guard;
            match addresses.iter().find(|to| !hosts.lead_to(*scheme, to.ip(), *port)) {
                Some(_) => Err(guard.refuse()),
                None => Ok(addresses.into_iter()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{Ready, ready};
    use std::sync::Mutex;

    use tokio::net::TcpListener;

    use super::*;

    /// A name that its owner resolves differently each time.
    #[derive(Clone)]
    struct Rebinding(Arc<Mutex<Vec<Vec<SocketAddr>>>>);

    impl Rebinding {
        fn new(answers: &[&[&str]]) -> Self {
            let address = |text: &&str| SocketAddr::new(text.parse().expect("an address"), 0);
            let answers = answers.iter().rev().map(|all| all.iter().map(address).collect());
            Self(Arc::new(Mutex::new(answers.collect())))
        }
    }

    impl Service<Name> for Rebinding {
        type Response = std::vec::IntoIter<SocketAddr>;
        type Error = Infallible;
        type Future = Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Name) -> Self::Future {
            let answer = self.0.lock().expect("no thread panicked").pop();
            ready(Ok(answer.expect("it is asked once for each connection").into_iter()))
        }
    }

    async fn connect(hosts: &[&str], resolver: Rebinding, url: &str) -> Result<SocketAddr, String> {
        let hosts = Arc::new(Hosts::new(hosts).expect("good entries"));
        let url = url.parse().expect("a URL");
        let connected = Guarded { hosts, resolver, places: Places::new() }.call(url).await;
        let stream = connected.map_err(|error| {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            format!("{error}: {cause}")
        })?;
        stream.peer().map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_name_is_resolved_once_and_what_came_of_it_is_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let url = format!("http://a.example:{port}/");
        let hosts = ["a.example", "127.0.0.1"];
        // A second lookup would find no answer, and panic.
        let resolver = Rebinding::new(&[&["127.0.0.1"]]);
        let reached = connect(&hosts, resolver, &url).await;
        assert_eq!(reached, Ok(SocketAddr::from(([127, 0, 0, 1], port))));
    }

    #[tokio::test]
    async fn each_connection_is_checked_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let url = format!("http://a.example:{port}/");
        // The first lookup is fine; later ones lead to internal addresses:
        // alone, next to a public one, or as an IPv4-mapped address.
        let resolver = Rebinding::new(&[
            &["127.0.0.1"],
            &["127.0.0.2"],
            &["93.184.215.14", "10.0.0.1"],
            &["::ffff:10.0.0.1"],
            &["fd00:ec2::254"],
        ]);
        let hosts = ["a.example", "127.0.0.1"];
        assert!(connect(&hosts, resolver.clone(), &url).await.is_ok());
        for _ in 0..4 {
            let refused =
                connect(&hosts, resolver.clone(), &url).await.expect_err("it leads inside");
            assert!(refused.contains("not public"), "{refused}");
            assert!(!refused.contains("10.0.0.1"), "an address must not be shown: {refused}");
        }
    }

    #[tokio::test]
    async fn a_literal_address_goes_by_no_resolver_and_is_checked_all_the_same() {
        for url in ["http://127.0.0.1:9/", "http://[::1]:9/", "http://[::ffff:10.0.0.1]/"] {
            let refused = connect(&["*"], Rebinding::new(&[]), url).await.expect_err(url);
            assert!(refused.contains("not public"), "{refused}");
        }
    }
}
