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
    files: Files,
    current: RwLock<Arc<ServerConfig>>,
    /// The stamps of the files when they were last read.
    seen: Mutex<Looks>,
}

/// The paths of a certificate and its key.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// Why a certificate and a key can't be used.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TlsError(#[from] Reason);

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("{} can't be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is no PEM file: {reason}", path.display())]
    Pem { path: PathBuf, reason: String },
    #[error(
        "there is no certificate in {}; it has to be a PEM file with `BEGIN CERTIFICATE`, the server's own certificate first",
        path.display()
    )]
    NoCertificate { path: PathBuf },
    #[error(
        "there is no private key in {}; it has to be a PEM file with `BEGIN PRIVATE KEY`, without a password",
        path.display()
    )]
    NoKey { path: PathBuf },
    #[error(
        "the key in {} is not that of the first certificate in {}; name the two that were made together",
        key.display(),
        certificate.display()
    )]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("{} and {} can't be used: {reason}", certificate.display(), key.display())]
    Unusable { certificate: PathBuf, key: PathBuf, reason: String },
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
        let files = Files { certificate: certificate.into(), key: key.into() };
        // Stamped before they are read, so that a change in between is noticed.
        let seen = Mutex::new(files.looks());
        let current = RwLock::new(files.read()?);
        Ok(Self(Arc::new(Pair { files, current, seen })))
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
        let Files { certificate, key } = &self.0.files;
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
            let now = self.files.looks();
            if *seen != now {
                *seen = now;
                self.replace();
            }
        }
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self) {
        let Files { certificate, key } = &self.files;
        match self.files.read() {
            Ok(new) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
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

/// File stamps: equal stamps mean unchanged files.
type Looks = [Option<Look>; 2];

/// Device, inode, size, and change time (ctime) in seconds and nanoseconds.
type Look = (u64, u64, u64, i64, i64);

impl Files {
    fn looks(&self) -> Looks {
        let look =
            |file: Metadata| (file.dev(), file.ino(), file.size(), file.ctime(), file.ctime_nsec());
        [&self.certificate, &self.key].map(|path| fs::metadata(path).ok().map(look))
    }

    fn read(&self) -> Result<Arc<ServerConfig>, Reason> {
        let Self { certificate, key } = self;
        let unusable = |error: rustls::Error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                Reason::Mismatch { certificate: certificate.clone(), key: key.clone() }
            }
            error => Reason::Unusable {
                certificate: certificate.clone(),
                key: key.clone(),
                reason: error.to_string(),
            },
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
}

/// The certificates in a file, the server's own first.
fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Reason> {
    let all = CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| malformed(path, &error))?;
    if all.is_empty() { Err(Reason::NoCertificate { path: path.to_owned() }) } else { Ok(all) }
}

/// The first private key in a file.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Reason> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| match error {
        pem::Error::NoItemsFound => Reason::NoKey { path: path.to_owned() },
        error => malformed(path, &error),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Reason> {
    fs::read(path).map_err(|source| Reason::Read { path: path.to_owned(), source })
}

fn malformed(path: &Path, error: &pem::Error) -> Reason {
    Reason::Pem { path: path.to_owned(), reason: error.to_string() }
}
