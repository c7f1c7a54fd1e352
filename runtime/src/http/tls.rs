//! TLS: a certificate and its key, in files that may change while the server
//! runs.
//!
//! Each handshake checks whether they changed: this adds a hundredth to the
//! handshake's time and costs an idle host nothing.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::{fmt, io};

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{InconsistentKeys, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The ALPN names of the HTTP versions, the preferred one first.
const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// The TLS settings of a [`Server`](super::Server): a certificate and its key.
/// Cheap to clone; clones share their state.
///
/// Connections use TLS 1.3 or 1.2. The client selects the version of HTTP in
/// its handshake (ALPN); the default is HTTP/1.1. Clients are not asked for a
/// certificate.
///
/// When one of the files changes, new connections use the new pair, without a
/// restart. If the new pair can't be used they use the previous one, and a
/// warning in the log gives the reason; so the files may be replaced one after
/// the other.
///
/// ```no_run
/// # async fn example(runtime: hourglass::Runtime) -> Result<(), Box<dyn std::error::Error>> {
/// use hourglass::http::{Server, Tls};
///
/// let tls = Tls::from_files("chain.pem", "key.pem")?;
/// let server = Server::bind("0.0.0.0:443", runtime).await?.tls(tls);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tls(Arc<Pair>);

struct Pair {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
    /// The stamps of the files when they were last read.
    seen: Mutex<[Option<FileStamp>; 2]>,
}

/// Device, inode, size, and change time (ctime) in seconds and nanoseconds.
/// Equal stamps mean an unchanged file.
type FileStamp = (u64, u64, u64, i64, i64);

/// Why a certificate and a key can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct TlsError {
    reason: String,
    source: Option<io::Error>,
}

impl From<String> for TlsError {
    fn from(reason: String) -> Self {
        Self { reason, source: None }
    }
}

impl Tls {
    /// Reads a certificate, followed by its intermediates up to one that
    /// clients trust, and its private key. Both are PEM files.
    ///
    /// # Errors
    /// [`TlsError`] names the file that can't be used and the reason, including
    /// a key that does not match the certificate.
    pub fn from_files(
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, TlsError> {
        let (certificate, key) = (certificate.into(), key.into());
        // Stamped before they are read, so that a change in between is noticed.
        let seen = Mutex::new(stamps(&certificate, &key));
        let current = RwLock::new(read(&certificate, &key)?);
        Ok(Self(Arc::new(Pair { certificate, key, current, seen })))
    }

    /// Performs the handshake of a connection.
    ///
    /// # Errors
    /// The client's mistake.
    pub(super) async fn accept<IO>(&self, io: IO) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(self.0.current()).accept(io).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pair { certificate, key, .. } = &*self.0;
        f.debug_struct("Tls").field("certificate", certificate).field("key", key).finish()
    }
}

/// Whether the client selected HTTP/2.
pub(super) fn is_http2<IO>(stream: &TlsStream<IO>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP2)
}

impl Pair {
    /// The configuration for a handshake that begins now.
    fn current(&self) -> Arc<ServerConfig> {
        // If another handshake is checking already, use the current pair.
        if let Ok(mut seen) = self.seen.try_lock() {
            let now = stamps(&self.certificate, &self.key);
            if *seen != now {
                *seen = now;
                self.replace();
            }
        }
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self) {
        let Self { certificate, key, current, .. } = self;
        match read(certificate, key) {
            Ok(new) => {
                *current.write().unwrap_or_else(PoisonError::into_inner) = new;
                tracing::info!(certificate = %certificate.display(), "a new certificate is used");
            }
            Err(error) => tracing::warn!(
                certificate = %certificate.display(),
                key = %key.display(),
                %error,
                "a certificate that has changed can't be used; the former one is used on"
            ),
        }
    }
}

fn stamps(certificate: &Path, key: &Path) -> [Option<FileStamp>; 2] {
    let stamp =
        |file: Metadata| (file.dev(), file.ino(), file.size(), file.ctime(), file.ctime_nsec());
    [certificate, key].map(|path| fs::metadata(path).ok().map(stamp))
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let unusable = |error: rustls::Error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => format!(
            "the key in {} is not that of the first certificate in {}; name the two that were \
             made together",
            key.display(),
            certificate.display()
        ),
        error => format!("{} and {} can't be used: {error}", certificate.display(), key.display()),
    };
    let (chain, private) = (chain(certificate)?, private_key(key)?);
    let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(unusable)?;
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    Ok(Arc::new(config))
}

/// The certificates in a file, the server's own first.
fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all = CertificateDer::pem_slice_iter(&contents(path)?).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| malformed(path, &error))?;
    if !all.is_empty() {
        return Ok(all);
    }
    Err(TlsError::from(format!(
        "there is no certificate in {}; it has to be a PEM file with `BEGIN CERTIFICATE`, the \
         server's own certificate first",
        path.display()
    )))
}

/// The first private key in a file.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let key = PrivateKeyDer::from_pem_slice(&contents(path)?).map_err(|error| match error {
        pem::Error::NoItemsFound => format!(
            "there is no private key in {}; it has to be a PEM file with `BEGIN PRIVATE KEY`, \
             without a password",
            path.display()
        ),
        error => malformed(path, &error),
    })?;
    Ok(key)
}

fn contents(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| {
        let reason = format!("{} can't be read", path.display());
        TlsError { reason, source: Some(source) }
    })
}

fn malformed(path: &Path, error: &pem::Error) -> String {
    format!("{} is no PEM file: {error}", path.display())
}
