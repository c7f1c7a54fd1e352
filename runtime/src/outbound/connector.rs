//! Connects to checked addresses only.
//!
//! A name is resolved once for each connection, every resulting address is
//! checked, and exactly those addresses are connected to. There is no second
//! lookup in between, so DNS rebinding gains nothing (TOCTOU).

use std::convert::Infallible;
use std::error::Error;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use hourglass_abi::failure;
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

use super::address;
use super::connection::{Connection, Slots};
use super::error::FetchError;
use super::hosts::{Hosts, scheme};
use super::resolver::Resolver;

/// The longest time to connect, whatever the context allows.
const LONGEST: Duration = Duration::from_secs(10);

/// The most TLS sessions kept for resumption.
const TLS_SESSIONS: usize = 64;

/// Trusts the certificate authorities of this machine. They are read once, when
/// the first client is made; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
static TLS: LazyLock<ClientConfig> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!(
            errors = ?found.errors,
            "this machine trusts no certificate authority, so that nothing is reached by https; \
             install `ca-certificates`, or set SSL_CERT_FILE"
        );
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    #[allow(clippy::expect_used, reason = "the provider is fixed, and has the versions")]
    let builder = builder.with_safe_default_protocol_versions().expect("ring has them");
    builder.with_root_certificates(roots).with_no_client_auth()
});

type BoxError = Box<dyn Error + Send + Sync>;
type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Makes connections, with TLS if the URL requires it.
#[derive(Clone)]
pub(crate) struct Connector(HttpsConnector<CheckedConnector>);

impl Connector {
    pub(super) fn new(hosts: Arc<Hosts>) -> Self {
        let mut config = TLS.clone();
        // Each client resumes only its own sessions: a session identifies the
        // client to the other side.
        config.resumption = Resumption::in_memory_sessions(TLS_SESSIONS);
        let builder = HttpsConnectorBuilder::new().with_tls_config(config);
        // It uses the newest version of HTTP that the other side speaks.
        let builder = builder.https_or_http().enable_all_versions();
        let resolver = Resolver::system();
        Self(builder.wrap_connector(CheckedConnector { hosts, resolver, slots: Slots::new() }))
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Connection>;
    type Error = BoxError;
    type Future = Boxed<Self::Response>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connecting = self.0.call(url);
        Box::pin(async move {
            tokio::time::timeout(LONGEST, connecting).await.map_err(|_elapsed| {
                let text =
                    format!("no connection: none was made within {} seconds", LONGEST.as_secs());
                FetchError::new(failure::UNREACHABLE, text)
            })?
        })
    }
}

/// Connects to the allowed addresses.
#[derive(Clone)]
struct CheckedConnector {
    hosts: Arc<Hosts>,
    resolver: Resolver,
    slots: Slots,
}

impl Service<Uri> for CheckedConnector {
    type Response = Connection;
    type Error = BoxError;
    type Future = Boxed<Connection>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        Box::pin(self.clone().connect(url))
    }
}

impl CheckedConnector {
    async fn connect(self, url: Uri) -> Result<Connection, BoxError> {
        let slot = self.slots.take().ok_or_else(|| {
            let text = "as many connections are open as may be";
            FetchError::new(failure::FETCHES_EXCEEDED, text)
        })?;
        let (Some(scheme), Some(host)) = (url.scheme_str().and_then(scheme), url.host()) else {
            let text = format!("{url} is no address of HTTP");
            return Err(FetchError::new(failure::FORBIDDEN, text).into());
        };
        let port = url.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        let addresses = match address::literal(host) {
            Some(address) => vec![(address, port).into()],
            None => self.resolver.resolve(host.to_owned()).await.map_err(|error| {
                let text = format!("the name can't be resolved: {error}");
                FetchError::new(failure::UNRESOLVED, text)
            })?,
        };
        // One forbidden address rejects all: no honest name has both kinds. The
        // error hides it from the function: private addresses must not leak.
        if !addresses.iter().all(|to| self.hosts.allow_address(scheme, to.ip(), port)) {
            let text = format!(
                "`{host}` leads to an address that is not public, and not named in the function's \
                 `allow_hosts`"
            );
            return Err(FetchError::new(failure::FORBIDDEN, text).into());
        }
        let mut connector = HttpConnector::new_with_resolver(Resolved(addresses));
        connector.enforce_http(false);
        // Disables Nagle's algorithm: a request could wait for the other side's
        // acknowledgment.
        connector.set_nodelay(true);
        // All addresses of a name share it, so that no address uses up all the
        // time.
        connector.set_connect_timeout(Some(LONGEST / 2));
        Ok(Connection::new(connector.call(url).await?, slot))
    }
}

/// The checked addresses of a name. A literal address asks for none.
#[derive(Clone)]
struct Resolved(Vec<SocketAddr>);

impl Service<Name> for Resolved {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        ready(Ok(std::mem::take(&mut self.0).into_iter()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::net::TcpListener;

    use super::*;

    /// A name that its owner resolves differently each time.
    fn rebinding(answers: &[&[&str]]) -> Resolver {
        let address = |text: &&str| SocketAddr::new(text.parse().expect("an address"), 0);
        let answers = answers.iter().rev().map(|all| all.iter().map(address).collect());
        let answers: Mutex<Vec<Vec<_>>> = Mutex::new(answers.collect());
        Resolver::new(move |_| {
            let answer = answers.lock().expect("no thread panicked").pop();
            Ok(answer.expect("it is asked once for each connection"))
        })
    }

    async fn connect(hosts: &[&str], resolver: Resolver, url: &str) -> Result<SocketAddr, String> {
        let hosts = Arc::new(Hosts::new(hosts).expect("good entries"));
        let url = url.parse().expect("a URL");
        let connected = CheckedConnector { hosts, resolver, slots: Slots::new() }.call(url).await;
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
        let resolver = rebinding(&[&["127.0.0.1"]]);
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
        let resolver = rebinding(&[
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
            let refused = connect(&["*"], rebinding(&[]), url).await.expect_err(url);
            assert!(refused.contains("not public"), "{refused}");
        }
    }
}
