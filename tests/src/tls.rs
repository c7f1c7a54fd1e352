//! Certificates, and clients that trust them.

use std::io::{Error, Result};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::{fs, io};

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Files with a certificate and its key.
#[derive(Debug)]
pub struct Pair {
    _folder: TempDir,
    /// Where the certificate is.
    pub certificate: PathBuf,
    /// Where its key is.
    pub key: PathBuf,
}

/// A certificate that a client trusts.
#[derive(Clone, Debug)]
pub struct Trust(CertificateDer<'static>);

impl Pair {
    /// Creates a certificate, and the trust in it.
    ///
    /// # Errors
    /// Those of the file system, the socket and the certificate generator.
    pub fn new() -> Result<(Self, Trust)> {
        let folder = tempfile::tempdir()?;
        let [certificate, key] = ["chain.pem", "key.pem"].map(|name| folder.path().join(name));
        let pair = Self { _folder: folder, certificate, key };
        let trust = pair.renew()?;
        Ok((pair, trust))
    }

    /// Replaces the certificate in the files.
    ///
    /// # Errors
    /// Those of the file system, the socket and the certificate generator.
    pub fn renew(&self) -> Result<Trust> {
        let (trust, certificate, key) = made()?;
        fs::write(&self.certificate, certificate)?;
        fs::write(&self.key, key)?;
        Ok(trust)
    }
}

/// Generates a certificate and its key, in PEM.
fn made() -> Result<(Trust, String, String)> {
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).map_err(Error::other)?;
    let trust = Trust(made.cert.der().clone());
    Ok((trust, made.cert.pem(), made.signing_key.serialize_pem()))
}

impl Trust {
    /// Connects to a server with this certificate, and offers these protocols.
    ///
    /// # Errors
    /// Those of the socket; `InvalidData` if the server has another certificate.
    pub async fn connect(
        &self,
        address: SocketAddr,
        versions: &[&str],
    ) -> Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.clone()).map_err(Error::other)?;
        let mut config = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = versions.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").map_err(Error::other)?;
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// Whether a server currently has this certificate.
    ///
    /// # Errors
    /// Those of the file system, the socket and the certificate generator.
    pub async fn is_of(&self, address: SocketAddr) -> Result<bool> {
        match self.connect(address, &[]).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(false),
            Err(error) => Err(error),
        }
    }
}
