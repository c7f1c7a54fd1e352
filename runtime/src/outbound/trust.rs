//! The certificate authorities that this host trusts: its machine's.
//!
//! They are read once, when the first client is made; `SSL_CERT_FILE` and
//! `SSL_CERT_DIR` name others.

use std::sync::{Arc, LazyLock};

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// The most TLS sessions kept for resumption.
const SESSIONS: usize = 64;

/// Adds TLS to the connections of another connector if the URL requires it.
pub(super) type Secured<C> = HttpsConnector<C>;

/// A connector that connects through `connector`, adds TLS if the URL requires
/// it, and then uses the newest version of HTTP that the other side speaks.
pub(super) fn secured<C>(connector: C) -> Secured<C> {
    let mut config = TLS.clone();
    // Each client resumes only its own sessions: a session identifies the
    // client to the other side.
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(connector)
}

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
