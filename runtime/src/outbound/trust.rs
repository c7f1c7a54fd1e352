//! Whom this host trusts: the certificate authorities that its machine does.
//!
//! They are read once, when the first client is made; `SSL_CERT_FILE` and
//! `SSL_CERT_DIR` name others.

use std::sync::{Arc, LazyLock};

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// How many sessions are kept, to be resumed by a later connection.
const SESSIONS: usize = 64;

/// Secures the connections of another connector where the URL says so.
pub(super) type Secured<C> = HttpsConnector<C>;

/// A connector that makes connections by `connector`, secures them where the URL
/// says so, and then speaks the newest version of HTTP that the other side does.
pub(super) fn secured<C>(connector: C) -> Secured<C> {
    let mut config = TLS.clone();
    // Sessions are resumed by whoever began them: by them the other side can tell
    // who asks.
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
